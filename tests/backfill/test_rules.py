"""What becomes of a log: the host's history beside the ledger, rule by rule."""

from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.backfill.host import add_log, make_host
from tests.calls import amend, reverify
from tests.helpers import Connection, call, claim, complete, enqueue, job, rows, sha

VERIFIED_AT = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)


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
    """Run one batch, after a dry run that must say the same, and return all but what waits."""
    [expected] = call(conn, "backfill_verification_log", **arguments)
    [answer] = call(conn, "backfill_verification_log", dry_run=False, **arguments)
    assert answer == expected
    assert contradictions(conn) == []
    *counts, waiting = answer
    assert waiting == 0
    return tuple(counts)


def contradictions(conn: Connection, settle: str = "1 day") -> list[Any]:
    """Return the checks that fail."""
    return [check for check in call(conn, "backfill_reconcile", settle=settle) if not check.ok]


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
    assert [sum(numbers) for numbers in zip(*answers, strict=True)] == [2, 2, 1, 2, 1, 0]
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
    log_id = add_log(conn, commit_sha=commit)
    backfill(conn)
    events = call(conn, "timeline", commit_sha=commit)
    assert [event.event for event in events] == [
        *("recorded", "enqueued", "artifact_added", "artifact_added", "backfilled")
    ]
    assert {event.at for event in events} == {VERIFIED_AT}
    backfilled_at = report(conn, log_id).backfilled_at
    assert datetime.fromisoformat(events[-1].detail.pop("backfilled_at")) == backfilled_at
    assert events[-1].detail == {"status": "PASSED", "login": "postgres", "log_id": str(log_id)}


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


WAITS = "unknown, and its session is VERIFIED_PASS now"


def ago(interval: str) -> str:
    """Return a time of the host's, in SQL, this long ago."""
    return f"(now() at time zone 'UTC' - interval '{interval}')"


def pass_session(conn: Connection, log_id: UUID) -> None:
    conn.execute(
        "update \"LabSession\" set status = 'VERIFIED_PASS'"
        ' where id = (select "sessionId" from "VerificationLog" where id = %s)',
        [log_id],
    )


def add_young(conn: Connection, age: str = "1 hour", **log: Any) -> Any:
    [[then]] = rows(conn, f"select {ago(age)}")
    return add_log(conn, verified_at=then, **log)


@pytest.mark.parametrize(
    ("age", "settle", "waits"),
    [
        ("23 hours 59 minutes", "1 day", True),
        ("1 day 1 minute", "1 day", False),
        ("59 minutes", "1 hour", True),
        ("61 minutes", "1 hour", False),
        ("29 days", "30 days", True),
        ("1 second", "0", False),
        ("-23 hours", "0", False),
        ("-23 hours", "1 second", True),
        # It names no time that ever comes, so it is told at once.
        ("-25 hours", "1 day", False),
    ],
)
def test_a_log_younger_than_settle_waits(
    conn: Connection, age: str, settle: str, waits: bool
) -> None:
    log_id = add_young(conn, age)
    for dry_run in (True, False):
        [answer] = call(conn, "backfill_verification_log", settle=settle, dry_run=dry_run)
        assert (answer.seen, answer.waiting) == ((0, 1) if waits else (1, 0))
    assert contradictions(conn, settle) == []
    if waits:
        [check] = contradictions(conn, "0")
        assert check.check_name == "logs that are in the report"
        backfill(conn, settle="0")
    assert report(conn, log_id).log_id == log_id


def test_a_session_that_passes_while_its_log_waits_is_passed(conn: Connection) -> None:
    log_id = add_young(conn, status="IN_PROGRESS")
    [answer] = call(conn, "backfill_verification_log", dry_run=False)
    assert answer == (0, 0, 0, 0, 0, 1)
    pass_session(conn, log_id)
    backfill(conn, settle="0")
    assert job_of(conn, log_id).status == "PASSED"


def test_a_session_that_passes_too_late_is_named_until_it_is_amended(conn: Connection) -> None:
    logs = [add_log(conn, status=status) for status in ("IN_PROGRESS", "STUCK", "DEFERRED")]
    backfill(conn)
    for log_id in logs[:2]:
        pass_session(conn, log_id)
    [check] = contradictions(conn)
    assert check == (WAITS, "0", "2", False, sorted(logs[:2]))
    for log_id, status in zip(logs, ("PASSED", "ERROR"), strict=False):
        assert job_of(conn, log_id).status == "ERROR"
        amend(conn, report(conn, log_id).job_id, status)
    assert contradictions(conn) == []


@pytest.mark.parametrize("batch_size", [1, 2])
def test_the_log_of_a_passed_session_has_the_job_whatever_the_times(
    conn: Connection, batch_size: int
) -> None:
    commit = sha()
    stuck = add_log(conn, status="STUCK", commit_sha=commit, verified_at="2026-01-01")
    passed = add_log(conn, commit_sha=commit, verified_at="2026-01-03")
    while call(conn, "backfill_verification_log", dry_run=False, batch_size=batch_size)[0].seen:
        pass
    assert report(conn, stuck).reason == "COMMIT_HAS_JOB"
    assert job_of(conn, passed).status == "PASSED"
    assert contradictions(conn) == []


@pytest.mark.parametrize("status", ["STUCK", "VERIFIED_PASS"])
def test_what_says_nothing_waits_for_a_young_log_of_its_commit(
    conn: Connection, status: str
) -> None:
    commit = sha()
    old = add_log(conn, status=status, commit_sha=commit)
    young = add_young(conn, status="IN_PROGRESS", commit_sha=commit)
    add_log(conn, status="STUCK")
    [answer] = call(conn, "backfill_verification_log", dry_run=False)
    assert (answer.seen, answer.waiting) == ((1, 2) if status == "STUCK" else (2, 1))
    pass_session(conn, young)
    backfill(conn, settle="0")
    [[winner]] = rows(
        conn,
        "select log_id from pgjobs.backfill_report where outcome = 'JOB'"
        f" and commit_sha = '{commit}'",
    )
    assert winner == (young if status == "STUCK" else old)
    assert job_of(conn, winner).status == "PASSED"


def test_another_session_of_the_commit_that_passes_too_late_is_named(conn: Connection) -> None:
    commit = sha()
    add_log(conn, status="STUCK", commit_sha=commit, verified_at="2026-01-01")
    other = add_log(conn, status="STUCK", commit_sha=commit, verified_at="2026-01-02")
    backfill(conn)
    pass_session(conn, other)
    [check] = contradictions(conn)
    assert (check.check_name, check.log_ids) == (WAITS, [other])


def test_a_time_too_far_ahead_is_judged_as_of_the_backfill(conn: Connection) -> None:
    log_id = add_young(conn, "-36 hours")
    assert backfill(conn) == (1, 0, 0, 0, 1)
    for table, column in (
        ("pgjobs.backfill", "backfilled_at"),
        ('"VerificationLog"', '"verifiedAt"'),
    ):
        conn.execute(f"alter table {table} disable trigger all".encode())
        conn.execute(f"update {table} set {column} = {column} - interval '3 days'".encode())
    # The time has come meanwhile, and the log is still skipped as it was; only its hash is not.
    assert report(conn, log_id).reason == "BAD_TIME"
    assert [check.check_name for check in contradictions(conn)] == ["logs as they were, by hash"]


def test_without_bodies_the_hash_the_size_and_the_place_are_on_record(conn: Connection) -> None:
    large = "\u20ac" * 400_000
    log_id = add_log(conn, diff="", output=large)
    assert backfill(conn, with_bodies=False) == (1, 1, 1, 2, 0)
    found = rows(
        conn,
        "select kind, name, size_bytes, sha256, truncated, original_sha256, location"
        " from pgjobs.verification_artifact order by kind",
    )
    assert found == [
        (
            kind,
            name,
            len(text),
            sha256(text).digest(),
            False,
            None,
            f"VerificationLog/{log_id}/{field}",
        )
        for kind, name, text, field in (
            ("DIFF", "pr.diff", b"", "prDiff"),
            ("LOG", "ci-output.log", large.encode(), "ciOutput"),
        )
    ]
    assert rows(conn, "select from pgjobs.body") == []
    conn.execute('alter table "VerificationLog" disable trigger all')
    conn.execute('update "VerificationLog" set "ciOutput" = \'x\'')
    assert {check.check_name for check in contradictions(conn)} == {
        *("logs as they were, by hash", "artifacts of logs, by hash")
    }
