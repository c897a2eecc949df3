"""Every kind of log that a host may have, in one history, and what must come of each."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from pytest_postgresql.executors import NoopExecutor

from tests.backfill.host import add_log, make_host
from tests.conftest import Postgres
from tests.helpers import Connection, call, rows, sha
from tests.races.rivals import LONG

MIB = 1024 * 1024
LARGE = (100 if LONG else 3) * MIB
HEX = sha(0xABCDEF)
NOW = datetime.now(UTC).replace(tzinfo=None)
PASSED, UNKNOWN, TAKEN = (
    ("JOB", "VERIFIED_PASS"),
    ("JOB", "BACKFILL_UNKNOWN"),
    ("ATTEMPT", "COMMIT_HAS_JOB"),
)
STATUSES = ("IN_PROGRESS", "STUCK", "VERIFIED_PASS", "DEFERRED")
NO_VERSION = ("ATTEMPT", "BAD_LAB_VERSION")
TWICE, TWINS, SHARED, MIXED = (sha() for _ in range(4))
ONE_SESSION = {"session_id": uuid4()}


def each(argument: str, outcome: tuple[str, str], **values: Any) -> dict[str, Any]:
    """Return kinds that differ in one argument of their log and come to the same."""
    return {f"{argument}_{name}": ({argument: value}, outcome) for name, value in values.items()}


# Kind: what its log has, and the outcome and the reason that the report must have.
KINDS: dict[str, tuple[dict[str, Any], tuple[str, str]]] = {
    **each("commit_sha", PASSED, of_40=sha(), of_64=sha() + "a" * 24),
    **each(
        "commit_sha",
        ("SKIPPED", "BAD_COMMIT_SHA"),
        upper=HEX.upper(),
        mixed=HEX[:-1] + "F",
        **{f"of_{size}": "a" * size for size in (1, 7, 12, 39, 41, 63, 65)},
        empty="",
        blank=" ",
        zeros_40="0" * 40,
        zeros_64="0" * 64,
        newline=HEX + "\n",
        newline_within=HEX[1:] + "\n",
        ref="refs/heads/main",
        ref_of_40="refs/heads/" + "a" * 29,
        cyrillic=HEX[1:] + "\u0430",
        cyrillic_of_40_bytes=HEX[2:] + "\u0430",
        full_width=HEX[3:] + "\uff11",
        a_mib="a" * MIB,
    ),
    **each("version", PASSED, of_200="v" * 200),
    **each(
        "version",
        NO_VERSION,
        none=None,
        empty="",
        blank="\u00a0",
        of_201="v" * 201,
        newline="1\n4",
    ),
    **each("verified_at", PASSED, year_1="0001-01-01", in_23_hours=NOW + timedelta(hours=23)),
    **each(
        "verified_at",
        ("SKIPPED", "BAD_TIME"),
        infinite="infinity",
        minus_infinite="-infinity",
        year_4713_bc="4713-01-01 BC",
        before_year_1="0001-12-31 23:59:59.999 BC",
        in_25_hours=NOW + timedelta(hours=25),
        year_2999="2999-01-01",
        year_10000="10000-01-01",
    ),
    **each(
        "output",
        PASSED,
        empty="",
        fits="x" * MIB,
        one_more="x" * (MIB + 1),
        large="x" * LARGE,
        cut_in_three_bytes="\u20ac" * 400_000,
        cut_behind_three_bytes="x" + "\u20ac" * 400_000,
        cut_in_four_bytes="xx" + "\U0001f600" * 300_000,
    ),
    **{
        f"session_{status}": ({"status": status}, PASSED if status == "VERIFIED_PASS" else UNKNOWN)
        for status in STATUSES
    },
    # The host gives up "one log per session": its logs may be of one commit, or of several.
    "again_first": ({**ONE_SESSION, "commit_sha": TWICE, "verified_at": "2026-01-01"}, PASSED),
    "again_second": ({**ONE_SESSION, "commit_sha": TWICE, "verified_at": "2026-01-02"}, TAKEN),
    "again_other_commit": (ONE_SESSION, PASSED),
    # Of two equal times the lower id is the first.
    "equal_lower": ({"log_id": UUID(int=1), "commit_sha": TWINS}, PASSED),
    "equal_higher": ({"log_id": UUID(int=2), "commit_sha": TWINS}, TAKEN),
    "stuck_before_passed": (
        {"commit_sha": SHARED, "status": "STUCK", "verified_at": "2026-01-01"},
        TAKEN,
    ),
    "passed_behind_stuck": ({"commit_sha": SHARED, "verified_at": "2026-01-03"}, PASSED),
    "passed_later": ({"commit_sha": SHARED, "verified_at": "2026-01-04"}, TAKEN),
    # What passed, but can have no job, leaves it to what can.
    "passed_without_version": ({"commit_sha": MIXED, "version": " "}, NO_VERSION),
    "stuck_beside_it": ({"commit_sha": MIXED, "status": "STUCK"}, UNKNOWN),
}  # fmt: skip
# Cut at a MiB, or a few bytes before where a character would be cut in two.
KEPT = {
    "output_cut_in_three_bytes": MIB - 1,
    "output_cut_behind_three_bytes": MIB,
    "output_cut_in_four_bytes": MIB - 2,
}
NOT_SAID = {"session_IN_PROGRESS", "session_STUCK", "session_DEFERRED"}


@pytest.fixture(scope="module", params=[7, 10_000], ids=["in small batches", "at once"])
def host(
    request: pytest.FixtureRequest, pg: Postgres, installed: NoopExecutor
) -> Iterator[tuple[Connection, dict[str, UUID]]]:
    """A database where a log of every kind has been moved in, and the logs by kind."""
    with (
        pg.database(installed.template_dbname) as dsn,
        psycopg.connect(dsn, autocommit=True) as conn,
    ):
        make_host(conn)
        conn.execute('drop index "VerificationLog_sessionId_key"')
        logs = {kind: add_log(conn, **log) for kind, (log, _expected) in KINDS.items()}
        move = {"settle": "0", "dry_run": False, "batch_size": request.param}
        while call(conn, "backfill_verification_log", **move)[0].seen:
            pass
        yield conn, logs


def named(conn: Connection) -> dict[str, list[UUID] | None]:
    checks = call(conn, "backfill_reconcile", settle="0")
    return {check.check_name: check.log_ids for check in checks if not check.ok}


def test_each_kind_comes_to_what_it_must(host: Any) -> None:
    conn, logs = host
    found = {
        row.log_id: row
        for row in rows(
            conn,
            "select report.log_id, report.outcome, report.reason, verdict.status,"
            " verdict.completed_at = log.\"verifiedAt\" at time zone 'UTC' as is_then"
            ' from pgjobs.backfill_report as report join "VerificationLog" as log'
            " on log.id = report.log_id left join pgjobs.verdict using (job_id)",
        )
    }
    status = {PASSED: ("PASSED", True), UNKNOWN: ("ERROR", True)}
    expected = {
        kind: (*outcome, *status.get(outcome, (None, None)))
        for kind, (_log, outcome) in KINDS.items()
    }
    assert {kind: found[log_id][1:] for kind, log_id in logs.items()} == expected
    # The session without a version passed: its commit is the one that contradicts it.
    assert named(conn) == {
        "unknown, and its session is VERIFIED_PASS now": [logs["passed_without_version"]]
    }


def test_a_text_is_kept_in_whole_characters_and_its_original_on_record(host: Any) -> None:
    conn, logs = host
    for kind, (log, _outcome) in KINDS.items():
        if "output" not in log:
            continue
        original = log["output"].encode()
        kept = KEPT.get(kind, min(len(original), MIB))
        [artifact] = rows(
            conn,
            "select artifact.* from pgjobs.verification_artifact as artifact"
            " join pgjobs.backfill_report using (job_id)"
            " where log_id = %(id)s and kind = 'LOG'",
            id=logs[kind],
        )
        is_cut = kept < len(original)
        assert (artifact.size_bytes, artifact.truncated) == (kept, is_cut), kind
        assert (artifact.original_size_bytes, artifact.original_sha256) == (
            (len(original), sha256(original).digest()) if is_cut else (None, None)
        ), kind
        [content] = call(conn, "read_artifact", artifact_id=artifact.artifact_id)
        assert content.read_artifact.decode() == original[:kept].decode(), kind


def test_sessions_that_change_later_change_no_verdict_and_those_that_pass_are_named(
    host: Any,
) -> None:
    conn, logs = host
    verdicts = "select * from pgjobs.verification_verdict order by job_id"
    with conn.transaction(force_rollback=True):
        before = rows(conn, verdicts)
        conn.execute(
            """
            update "LabSession" as session
            set status = case status when 'VERIFIED_PASS' then 'STUCK' else 'VERIFIED_PASS' end
                ::"SessionStatus"
            from "VerificationLog" as log
            where log."sessionId" = session.id
            """
        )
        [contradicted] = named(conn).values()
        assert rows(conn, verdicts) == before
        names = {logs[kind] for kind in (*NOT_SAID, "stuck_beside_it")}
        assert contradicted == sorted(names)
