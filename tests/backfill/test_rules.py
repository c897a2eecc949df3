"""What becomes of a log: the host's history beside the ledger, rule by rule."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.backfill.host import add_log, make_host
from tests.calls import amend, reverify
from tests.helpers import Connection, call, claim, complete, enqueue, job, rows, sha

VERIFIED_AT = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def host(dsn: str) -> Iterator[Connection]:
    with psycopg.connect(dsn, prepare_threshold=None) as conn:
        make_host(conn)
        conn.commit()
        yield conn


@pytest.fixture
def conn(host: Connection) -> Iterator[Connection]:
    """A superuser's connection to a database with the host's tables, and nothing in them."""
    yield host
    host.rollback()


def backfill(conn: Connection, **arguments: Any) -> Any:
    """Run one batch, after a dry run that must say the same."""
    [expected] = call(conn, "backfill_verification_log")
    [answer] = call(conn, "backfill_verification_log", **{"dry_run": False, **arguments})
    assert answer == expected
    checks = call(conn, "backfill_reconcile")
    assert [check for check in checks if not check.ok] == []
    return answer


def report(conn: Connection, log_id: UUID) -> Any:
    [row] = rows(conn, f"select * from pgjobs.backfill_report where log_id = '{log_id}'")
    return row


def job_of(conn: Connection, log_id: UUID) -> Any:
    return job(conn, report(conn, log_id).job_id)


def counted(conn: Connection) -> list[int]:
    tables = ("lab_attempt", "job", "verdict", "artifact", "ready", "lease", "waiting", "lane")
    return [
        rows(conn, f"select count(*) from pgjobs.{table}")[0][0]
        for table in (*tables, "aborted_run")
    ]


def test_the_first_log_of_a_commit_becomes_its_job(conn: Connection) -> None:
    session_id, commit = uuid4(), sha()
    log_id = add_log(conn, session_id=session_id, commit_sha=commit, version="2.0")
    assert backfill(conn) == (1, 1, 1, 2, 0)
    found = report(conn, log_id)
    assert (found.session_id, found.outcome, found.reason) == (session_id, "JOB", "VERIFIED_PASS")
    job = job_of(conn, log_id)
    assert job == (
        *(found.job_id, found.attempt_id, session_id, commit, "2.0", "PASSED", 2, None),
        *(VERIFIED_AT, VERIFIED_AT, None, VERIFIED_AT, 0, 3, None, None, None, None),
        *("PASSED", None, "BACKFILL"),
    )
    assert call(conn, "get_job", commit_sha=commit) == [job]
    [verdict] = rows(conn, "select * from pgjobs.verification_verdict")
    assert verdict == job
    [attempt] = rows(conn, "select * from pgjobs.verification_attempt")
    assert (attempt.attempt_id, attempt.recorded_at, attempt.pushed_at) == (
        *(found.attempt_id, VERIFIED_AT, VERIFIED_AT),
    )
    assert counted(conn) == [1, 1, 1, 2, 0, 0, 0, 0, 0]
    assert rows(conn, "select * from pgjobs.verification_run") == []


@pytest.mark.parametrize("status", ["IN_PROGRESS", "STUCK", "DEFERRED"])
def test_any_other_session_makes_the_outcome_unknown(conn: Connection, status: str) -> None:
    log_id = add_log(conn, status=status)
    assert backfill(conn) == (1, 1, 1, 2, 0)
    assert report(conn, log_id).reason == "BACKFILL_UNKNOWN"
    job = job_of(conn, log_id)
    assert (job.status, job.error_reason, job.origin) == ("ERROR", "BACKFILL_UNKNOWN", "BACKFILL")
    assert status in job.error_detail


@pytest.mark.parametrize(
    "commit",
    ["", " ", "c0ffee", "C0FFEE" * 6 + "BEEF", "0" * 40, "0" * 64, "c0ffee" * 6 + "beef\n"],
)
def test_nothing_is_written_of_a_malformed_commit(conn: Connection, commit: str) -> None:
    log_id = add_log(conn, commit_sha=commit)
    assert backfill(conn) == (1, 0, 0, 0, 1)
    assert report(conn, log_id)[2:7] == ("SKIPPED", "BAD_COMMIT_SHA", None, None, None)
    assert counted(conn) == [0] * 9


@pytest.mark.parametrize("time", ["infinity", "-infinity"])
def test_nothing_is_written_of_a_log_without_a_time(conn: Connection, time: str) -> None:
    log_id = add_log(conn, verified_at=time)
    assert backfill(conn) == (1, 0, 0, 0, 1)
    assert report(conn, log_id)[2:4] == ("SKIPPED", "BAD_TIME")


@pytest.mark.parametrize("version", [None, "", "\u00a0", "v" * 201, "1\n4"])
def test_a_lab_without_a_usable_version_leaves_the_attempt_alone(
    conn: Connection, version: str | None
) -> None:
    log_id = add_log(conn, version=version)
    assert backfill(conn) == (1, 1, 0, 0, 1)
    assert report(conn, log_id)[2:4] == ("ATTEMPT", "BAD_LAB_VERSION")
    assert counted(conn) == [1, *[0] * 8]


@pytest.mark.parametrize("batch_size", [1, 2])
def test_the_earliest_of_two_sessions_has_the_job_of_their_commit(
    conn: Connection, batch_size: int
) -> None:
    commit = sha()
    late = add_log(conn, commit_sha=commit, verified_at="2026-01-03")
    early = add_log(conn, commit_sha=commit, verified_at="2026-01-01")
    answers = [
        call(conn, "backfill_verification_log", batch_size=batch_size, dry_run=False)[0]
        for _ in range(2)
    ]
    assert [sum(numbers) for numbers in zip(*answers, strict=True)] == [2, 2, 1, 2, 1]
    assert report(conn, early).outcome == "JOB"
    assert report(conn, late)[2:4] == ("ATTEMPT", "COMMIT_HAS_JOB")
    assert backfill(conn) == (0, 0, 0, 0, 0)


def test_of_two_logs_the_one_whose_lab_has_a_version_has_the_job(conn: Connection) -> None:
    commit = sha()
    first = add_log(conn, commit_sha=commit, version=None, verified_at="2026-01-01")
    second = add_log(conn, commit_sha=commit, verified_at="2026-01-02")
    assert backfill(conn) == (2, 2, 1, 2, 1)
    assert [report(conn, log).reason for log in (first, second)] == [
        *("BAD_LAB_VERSION", "VERIFIED_PASS")
    ]


def test_a_live_job_keeps_its_commit(conn: Connection) -> None:
    commit, session_id = sha(), uuid4()
    live = enqueue(conn, commit_sha=commit)
    same = enqueue(conn, session_id=session_id)
    [commit_of_same] = rows(conn, f"select commit_sha from pgjobs.job where job_id = {same.job_id}")
    add_log(conn, commit_sha=commit)
    add_log(conn, session_id=session_id, commit_sha=commit_of_same.commit_sha)
    assert backfill(conn) == (2, 1, 0, 0, 2)
    queued = rows(conn, "select job_id from pgjobs.verification_job where status = 'QUEUED'")
    assert sorted(queued) == [(live.job_id,), (same.job_id,)]


def test_a_push_recorded_before_gets_its_job(conn: Connection) -> None:
    session_id, commit = uuid4(), sha()
    [attempt] = call(conn, "record_attempt", session_id=session_id, commit_sha=commit)
    log_id = add_log(conn, session_id=session_id, commit_sha=commit)
    assert backfill(conn) == (1, 0, 1, 2, 0)
    assert report(conn, log_id).attempt_id == attempt.attempt_id


def test_an_enqueue_of_a_backfilled_commit_is_answered_with_its_verdict(conn: Connection) -> None:
    session_id, commit = uuid4(), sha()
    log_id = add_log(conn, session_id=session_id, commit_sha=commit)
    backfill(conn)
    again = enqueue(conn, session_id=session_id, commit_sha=commit, lab_version="1.4")
    assert (again.job_id, again.status, again.created) == (
        *(report(conn, log_id).job_id, "PASSED", False),
    )
    assert enqueue(conn, session_id=session_id).created


def test_the_timeline_tells_it_from_a_workers_verdict(conn: Connection) -> None:
    commit = sha()
    add_log(conn, commit_sha=commit)
    backfill(conn)
    events = call(conn, "timeline", commit_sha=commit)
    assert [event.event for event in events] == [
        *("recorded", "enqueued", "artifact_added", "artifact_added", "backfilled")
    ]
    assert {event.at for event in events} == {VERIFIED_AT}
    assert events[-1].detail == {"status": "PASSED", "login": "postgres"}


def test_a_backfilled_verdict_can_be_amended_and_judged_again(conn: Connection) -> None:
    log_id = add_log(conn, status="STUCK")
    backfill(conn)
    job_id = report(conn, log_id).job_id
    amend(conn, job_id, "FAILED")
    [review] = reverify(conn, job_id)
    run = claim(conn)
    assert (review.outcome, run.job_id, run.lab_version) == ("queued", job_id, "1.4")
    complete(conn, run)
    job = job_of(conn, log_id)
    assert (job.status, job.effective_status, job.origin) == ("ERROR", "PASSED", "BACKFILL")


def test_its_texts_are_artifacts_and_equal_texts_one_body(conn: Connection) -> None:
    for _ in range(2):
        add_log(conn, diff="", output="gr\u00fc\u00dfe")
    assert backfill(conn) == (2, 2, 2, 4, 0)
    found = rows(
        conn,
        "select distinct run_no, kind, name, size_bytes, media_type, truncated,"
        " artifact.created_at, body_id, content"
        " from pgjobs.artifact join pgjobs.body using (body_id, sha256) order by kind",
    )
    assert [row[:7] + row[8:] for row in found] == [
        (0, kind, name, len(text), "text/plain; charset=utf-8", False, VERIFIED_AT, text)
        for kind, name, text in (
            ("DIFF", "pr.diff", b""),
            ("LOG", "ci-output.log", "gr\u00fc\u00dfe".encode()),
        )
    ]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("x" * MIB, MIB),
        ("x" * (MIB + 1), MIB),
        ("\u20ac" * 400_000, MIB - 1),
        ("x" + "\u20ac" * 400_000, MIB),
        ("xx" + "\U0001f600" * 300_000, MIB - 2),
    ],
    ids=["fits", "one more", "of three bytes", "at the end of one", "of four bytes"],
)
def test_a_text_of_more_than_a_mib_is_cut_between_two_characters(
    conn: Connection, text: str, kept: int
) -> None:
    add_log(conn, output=text)
    backfill(conn)
    query = "select * from pgjobs.verification_artifact where kind = 'LOG'"
    [artifact] = rows(conn, query)
    assert (artifact.size_bytes, artifact.truncated) == (kept, len(text.encode()) > MIB)
    [content] = call(conn, "read_artifact", artifact_id=artifact.artifact_id)
    assert content.read_artifact.decode() == text.encode()[:kept].decode()


def test_a_batch_is_as_large_as_asked_and_the_oldest(conn: Connection) -> None:
    logs = [add_log(conn, verified_at=f"2026-01-0{day}") for day in (3, 1, 2)]
    [answer] = call(conn, "backfill_verification_log", batch_size=2, dry_run=False)
    assert answer.seen == 2
    found = rows(conn, "select log_id, job_id from pgjobs.backfill_report order by job_id")
    assert [row.log_id for row in found] == [logs[1], logs[2]]


def test_a_log_that_comes_later_is_taken_by_the_next_call(conn: Connection) -> None:
    add_log(conn)
    backfill(conn)
    late = add_log(conn, verified_at="2020-01-01")
    assert backfill(conn) == (1, 1, 1, 2, 0)
    assert report(conn, late).outcome == "JOB"


def test_an_operator_moves_history_in_and_is_on_record(conn: Connection) -> None:
    log_id = add_log(conn, status="STUCK")
    conn.execute("set local session authorization pgjobs_operator")
    backfill(conn)
    assert report(conn, log_id).login == "pgjobs_operator"
    conn.execute("set local session authorization default")
    [verdict] = rows(conn, "select login from pgjobs.verdict")
    assert verdict.login == "pgjobs_operator"
