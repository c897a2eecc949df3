"""A reconciliation is all ok after a backfill, and names what was lost, changed or invented."""

from collections.abc import Iterator

import psycopg
import pytest

from tests.backfill.host import HISTORY, LIVE, make_host
from tests.calls import add, amend
from tests.conftest import Postgres
from tests.helpers import Connection, call, complete, enqueue, rows

LOGS = 600
TABLES_OF_OURS = ("lab_attempt", "job", "verdict", "artifact", "body", "backfill")


def one(column: str, reason: str) -> str:
    """Return, in SQL, the column of one log that has this reason in the report."""
    return (
        f"(select {column} from pgjobs.backfill where reason = '{reason}' order by log_id limit 1)"
    )


KNOWN = f"job_id = {one('job_id', 'VERIFIED_PASS')}"
UNKNOWN = f"job_id = {one('job_id', 'BACKFILL_UNKNOWN')}"
ATTEMPT = f"attempt_id = {one('attempt_id', 'COMMIT_HAS_JOB')}"
LOG = f"id = {one('log_id', 'VERIFIED_PASS')}"
SKIPPED = f"log_id = {one('log_id', 'BAD_COMMIT_SHA')}"

LOGS_IN, LOGS_SAME, ROWS_SAME = (
    "logs that are in the report",
    "logs as they were, by hash",
    "ledger rows as they were, by hash",
)
FORM, ATTEMPTS, TAKEN, JOBS = (
    "logs skipped for their form",
    "attempts of logs",
    "logs whose commit had a job",
    "jobs of logs",
)
PASSED, ERRORS, VERDICTS = "verdicts PASSED", "verdicts unknown", "backfilled verdicts in all"
ARTIFACTS, ALL_ARTIFACTS = "artifacts of logs, by hash", "artifacts without a run in all"

# What is done behind the guards, and the checks that name it.
TAMPERINGS = {
    "a log changed": (f"update \"VerificationLog\" set \"ciOutput\" = '-' where {LOG}", {
        LOGS_SAME, ARTIFACTS,
    }),
    "a log removed": (f'delete from "VerificationLog" where {LOG}', {
        LOGS_SAME, ATTEMPTS, JOBS, PASSED, ALL_ARTIFACTS,
    }),
    "a log that came later": (
        'insert into "VerificationLog" select gen_random_uuid(), gen_random_uuid(), \'\', \'\','
        " '', now() at time zone 'utc' - interval '2 days'",
        {LOGS_IN},
    ),
    "a report lost": (f"delete from pgjobs.backfill where {SKIPPED}", {LOGS_IN}),
    "a report invented": (
        "insert into pgjobs.backfill select gen_random_uuid(), session_id, null, null,"
        " backfilled_at, 'SKIPPED', 'BAD_TIME', login, log_sha256, ledger_sha256"
        f" from pgjobs.backfill where {SKIPPED}",
        {LOGS_SAME, FORM},
    ),
    "a reason changed": (
        f"update pgjobs.backfill set reason = 'BAD_TIME' where {SKIPPED}",
        {FORM},
    ),
    "an attempt lost": (f"delete from pgjobs.lab_attempt where {ATTEMPT}", {ROWS_SAME, ATTEMPTS}),
    "an attempt changed": (
        f"update pgjobs.lab_attempt set recorded_at = now() where {ATTEMPT}", {ROWS_SAME},
    ),
    "a job lost": (f"delete from pgjobs.job where {KNOWN}", {ROWS_SAME, JOBS}),
    "the job of a taken commit lost": (
        "delete from pgjobs.job where commit_sha = (select commit_sha from pgjobs.backfill_report"
        " where reason = 'COMMIT_HAS_JOB' order by log_id limit 1)",
        {ROWS_SAME, TAKEN, JOBS},
    ),
    "a job changed": (f"update pgjobs.job set lab_version = '-' where {KNOWN}", {ROWS_SAME}),
    "a job at another time": (
        f"update pgjobs.job set created_at = now() where {KNOWN}", {ROWS_SAME, JOBS},
    ),
    "a verdict lost": (
        f"delete from pgjobs.verdict where {KNOWN}", {ROWS_SAME, PASSED, VERDICTS},
    ),
    "a verdict changed": (
        "update pgjobs.verdict set status = 'PASSED', error_reason = null, error_detail = null"
        f" where {UNKNOWN}",
        {ROWS_SAME, ERRORS},
    ),
    "a detail changed": (
        f"update pgjobs.verdict set error_detail = '-' where {UNKNOWN}", {ROWS_SAME},
    ),
    "a verdict invented": (
        "insert into pgjobs.verdict (job_id, completed_at, run_no, status, login, origin)"
        " select job_id, now(), 0, 'PASSED', '-', 'BACKFILL' from pgjobs.ready limit 1",
        {VERDICTS},
    ),
    "an artifact lost": (
        f"delete from pgjobs.artifact where {KNOWN} and artifact_no = 2",
        {ROWS_SAME, ARTIFACTS, ALL_ARTIFACTS},
    ),
    "an artifact changed": (
        f"update pgjobs.artifact set sha256 = sha256('-') where {KNOWN} and artifact_no = 2",
        {ROWS_SAME, ARTIFACTS},
    ),
    "an original changed": (
        "update pgjobs.artifact set original_sha256 = sha256('-')"
        " where original_sha256 is not null",
        {ROWS_SAME, ARTIFACTS},
    ),
    "an artifact invented": (
        "insert into pgjobs.artifact overriding system value select -1, head.job_id, now(), 1,"
        " body_id, 1, 0, 1, false, 'LOG', 'log', '-', null, sha256"
        " from (select job_id from pgjobs.ready limit 1) as head,"
        " (select * from pgjobs.body limit 1) as body",
        {ALL_ARTIFACTS},
    ),
    "a body changed": (
        "update pgjobs.body set content = '-' where body_id ="
        f" (select body_id from pgjobs.artifact where {KNOWN} and artifact_no = 2)",
        {ARTIFACTS},
    ),
    "a body lost": (
        "delete from pgjobs.body where body_id ="
        f" (select body_id from pgjobs.artifact where {KNOWN} and artifact_no = 2)",
        {ARTIFACTS},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def backfilled(dsn: str) -> Iterator[Connection]:
    """A ledger with a history, a live job and a live verdict, its guards off."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        make_host(conn)
        conn.execute(HISTORY.format(size=LOGS).encode())
        conn.execute(LIVE)
        while call(conn, "backfill_verification_log", batch_size=250, dry_run=False)[0].seen:
            pass
        for table in (*(f"pgjobs.{name}" for name in TABLES_OF_OURS), '"VerificationLog"'):
            conn.execute(f"alter table {table} disable trigger all".encode())
        yield conn


def failed(conn: Connection) -> set[str]:
    checks = call(conn, "backfill_reconcile")
    assert len(checks) == 13
    assert {check.ok for check in checks} <= {True, False}
    assert all((check.expected == check.actual) == check.ok for check in checks)
    return {check.check_name for check in checks if not check.ok}


def test_a_backfill_reconciles_again_and_again(backfilled: Connection) -> None:
    for _ in range(2):
        assert failed(backfilled) == set()
    [[reasons]] = rows(backfilled, "select count(distinct reason) from pgjobs.backfill_report")
    assert reasons == 6


def test_the_settings_of_a_session_change_no_hash(backfilled: Connection, pg: Postgres) -> None:
    settings = (
        "-c TimeZone=Asia/Kolkata -c DateStyle=German -c bytea_output=escape"
        " -c extra_float_digits=0 -c IntervalStyle=iso_8601"
    )
    with psycopg.connect(pg.dsn(backfilled.info.dbname, options=settings)) as conn:
        assert failed(conn) == set()


def test_what_the_ledger_does_later_is_not_named(backfilled: Connection) -> None:
    with backfilled.transaction(force_rollback=True):
        enqueue(backfilled)
        [run] = call(backfilled, "claim", worker="w")
        add(backfilled, run)
        complete(backfilled, run)
        [[job_id]] = rows(backfilled, f"select job_id from pgjobs.verdict where {UNKNOWN}")
        amend(backfilled, job_id, "FAILED")
        call(backfilled, "expire_artifacts", older_than="0", max_rows=10_000, dry_run=False)
        assert failed(backfilled) == set()


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_it_names(backfilled: Connection, tampering: str) -> None:
    statement, names = TAMPERINGS[tampering]
    with backfilled.transaction(force_rollback=True):
        assert backfilled.execute(statement.encode()).rowcount == 1
        assert failed(backfilled) == names
