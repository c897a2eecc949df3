"""P10: what a read costs does not grow with the ledger; counted in buffers, not in time."""

from collections.abc import Iterator
from uuid import UUID

import psycopg
import pytest

from forgea_pgjobs.cli import status
from forgea_pgjobs.schema.record import RECORDED
from tests.counts import buffers
from tests.helpers import Connection, call, enqueue, rows
from tests.races.rivals import LONG
from tests.test_docs import SQL

FINISHED = 10_000_000 if LONG else 200_000
# The bounds below hold for both sizes, but for this: an index of ten million rows is one level
# deeper, so that some look-ups read one page more.
DEEPER = 1.05 if LONG else 1
# Ten jobs a session, one in ten FAILED, one in a hundred ERROR, 287 of the last day; keys in no
# order, as in real life.
FILL = """
set local session_replication_role = replica;
create temp table plan on commit drop as
select
    number, md5((number / 10)::text)::uuid as session_id, md5('c' || number) || '00000000' as sha,
    now() - number * interval '5 minutes' as at,
    case when number % 100 = 0 then 'ERROR' when number % 10 = 0 then 'FAILED' else 'PASSED' end
        as status
from generate_series(1, {size}) as number;
insert into pgjobs.lab_attempt (attempt_id, session_id, commit_sha, recorded_at)
overriding system value select number, session_id, sha, at from plan;
insert into pgjobs.job (
    job_id, session_id, commit_sha, lab_version, priority, max_runs, created_at
) overriding system value select number, session_id, sha, '1', 2, 3, at from plan;
insert into pgjobs.verdict (
    job_id, completed_at, started_at, lease_token, run_no, status, worker, error_reason
) select number, at, at, gen_random_uuid(), 1, status, 'w',
    case status when 'ERROR' then 'REPORTED' end from plan;
select setval('pgjobs.lab_attempt_attempt_id_seq', {size}), setval('pgjobs.job_job_id_seq', {size})
"""
# A thousand verdicts are amended; of a hundred of those an amendment is replaced.
AMEND = """
insert into pgjobs.amendment (
    job_id, completed_at, amended_at, amendment_no, verdict_status, status, reason, actor,
    approver, ticket, login
)
select job_id, completed_at, now(), amendment_no, status,
    (array['PASSED', 'FAILED', 'ERROR'])[1 + (job_id / 200 + amendment_no) % 3],
    'r', 'a', 'b', 't', 'l'
from pgjobs.verdict, generate_series(1, 2) as amendment_no
where job_id % 200 in (0, 7, 11) and (amendment_no = 1 or job_id % 2000 = 7)
order by job_id limit 1000
"""


@pytest.fixture(scope="module")
def large(dsn: str) -> Iterator[Connection]:
    """A ledger of finished jobs, ten running, ten claimable and ten waiting ones."""
    with psycopg.connect(dsn) as conn:
        conn.execute(FILL.format(size=FINISHED).encode())
        for number in range(20):
            session_id = UUID(int=number + 1)
            for _ in range(1 + number % 2):
                enqueue(conn, session_id=session_id)
        call(conn, "claim", worker="w", max_jobs=10)
        conn.commit()
        conn.autocommit = True
        conn.execute("vacuum analyze")
        conn.execute("set plan_cache_mode = force_generic_plan")
        conn.execute("set jit = off")
        yield conn


def read_by(
    conn: Connection, query: str, rest: str, value: str, kind: str, prepared: bool
) -> tuple[int, int]:
    """Count a query with a value as a constant, or as the parameter of a generic plan."""
    if not prepared:
        return buffers(conn, query + value + rest)
    conn.execute(f"prepare read ({kind}) as {query}$1{rest}".encode())
    try:
        return buffers(conn, f"execute read ({value})")
    finally:
        conn.execute("deallocate read")


# What stands behind each filter: the job (a finished or an open one), and the most it may cost.
JOB = "select {} from pgjobs.job where job_id = {}"
READS = {
    "commit_of_a_finished_job": ("commit_sha", "text", JOB.format("commit_sha", 4711), 1, 75),
    "commit_of_an_open_job": ("commit_sha", "text", JOB.format("commit_sha", FINISHED + 1), 1, 60),
    "session_of_finished_jobs": ("session_id", "uuid", JOB.format("session_id", 4711), 10, 450),
    "session_of_open_jobs": ("session_id", "uuid", JOB.format("session_id", FINISHED + 2), 2, 100),
    "finished_job": ("job_id", "bigint", "select 4711", 1, 75),
    "open_job": ("job_id", "bigint", f"select {FINISHED + 1}", 1, 60),
    "queued": ("status", "text", "select 'QUEUED'", 20, 400),
    "running": ("status", "text", "select 'RUNNING'", 10, 200),
}


@pytest.mark.parametrize("prepared", [False, True], ids=["constant", "parameter"])
@pytest.mark.parametrize("read", READS)
def test_a_filter_reads_what_it_finds(large: Connection, read: str, prepared: bool) -> None:
    column, kind, value_query, count, most = READS[read]
    [[value]] = large.execute(value_query.encode()).fetchall()
    query = f"select * from pgjobs.verification_job where {column} = "
    found, touched = read_by(large, query, "", f"'{value}'::{kind}", kind, prepared)
    assert found == count
    assert touched <= most * DEEPER


@pytest.mark.parametrize("prepared", [False, True], ids=["constant", "parameter"])
@pytest.mark.parametrize("status", ["PASSED", "FAILED", "ERROR"])
@pytest.mark.parametrize("column", ["status", "effective_status"])
def test_the_newest_50_of_a_verdict_read_50(
    large: Connection, column: str, status: str, prepared: bool
) -> None:
    query = f"select * from pgjobs.verification_verdict where {column} = "
    rest = " order by completed_at desc limit 50"
    found, touched = read_by(large, query, rest, f"'{status}'", "text", prepared)
    assert found == 50
    assert touched <= 700 * DEEPER


def test_get_job_reads_one_job(large: Connection) -> None:
    [[commit_sha]] = large.execute(JOB.format("commit_sha", 4711).encode()).fetchall()
    query = f"select * from pgjobs.get_job('{commit_sha}')"
    assert [buffers(large, query)[1] <= most for most in (1000, 60)] == [True, True]


PAGE = "select * from pgjobs.verification_attempt where "
NEWEST = " order by attempt_id desc limit 20"
# A page of attempts, the value that it asks for, and the most it may cost.
PAGES = {
    "of_a_session": (f"{PAGE}session_id = ", NEWEST, "session_id", "uuid", 10, 150),
    "of_a_session_and_commit": (
        f"{PAGE}session_id = md5('471')::uuid and commit_sha = ", "", "commit_sha", "text", 1, 30
    ),
    # No index has the commits of all sessions' attempts: every one is looked at, and one is joined.
    "of_a_commit": (f"{PAGE}commit_sha = ", "", "commit_sha", "text", 1, 3500 * FINISHED / 200_000),
}  # fmt: skip


@pytest.mark.parametrize("prepared", [False, True], ids=["constant", "parameter"])
@pytest.mark.parametrize("page", PAGES)
def test_a_page_of_attempts_reads_the_jobs_of_that_page(
    large: Connection, page: str, prepared: bool
) -> None:
    query, rest, column, kind, count, most = PAGES[page]
    [[value]] = large.execute(JOB.format(column, 4711).encode()).fetchall()
    found, touched = read_by(large, query, rest, f"'{value}'::{kind}", kind, prepared)
    assert found == count
    assert touched <= most * DEEPER


def test_attempts_reads_one_session(large: Connection) -> None:
    query = "select * from pgjobs.attempts(md5('471')::uuid)"
    assert [buffers(large, query)[1] <= most for most in (1000, 200)] == [True, True]


@pytest.fixture
def learners(large: Connection) -> Iterator[Connection]:
    """The host's sessions: a hundred each learner, who worked on them one after the other."""
    with large.transaction(force_rollback=True):
        large.execute(
            'create table public."LabSession" (id uuid primary key, "userId" uuid not null)'
        )
        large.execute(
            'insert into public."LabSession" select session_id, md5((min(attempt_id) / 1000)::text)'
            "::uuid from pgjobs.lab_attempt group by session_id"
        )
        large.execute('create index on public."LabSession" ("userId")')
        large.execute('analyze public."LabSession"')
        yield large


@pytest.mark.parametrize("learner", [3, FINISHED // 2000], ids=["latest", "halfway"])
def test_a_page_of_a_learners_hundred_sessions_reads_those(
    learners: Connection, learner: int
) -> None:
    [block] = [block.text for block in SQL if "1ea12e50-" in block.text]
    [(user,)] = rows(learners, f"select md5('{learner}')::uuid::text")
    query = block.partition(";")[2].replace("1ea12e50-0000-4000-8000-000000000001", user)
    found, touched = buffers(learners, query)
    assert found == 20
    assert touched <= 3500


# The most that a query of `forgea-pgjobs status` may cost.
STATUS = {
    "MIGRATIONS": (RECORDED, 5),
    "QUEUED": (status.QUEUED, 400),
    "RUNNING": (status.RUNNING, 200),
    "LEASES": (status.LEASES % status.MAX_LEASES, 200),
    "LATEST": (status.LATEST, 100),
}


@pytest.mark.parametrize("name", STATUS)
def test_status_reads_what_is_open_and_the_last_day(large: Connection, name: str) -> None:
    query, most = STATUS[name]
    assert buffers(large, query)[1] <= most * DEEPER


def test_metrics_read_what_is_open_and_what_is_young(large: Connection) -> None:
    assert [buffers(large, "select * from pgjobs.metrics()")[1] <= 400 for _ in range(2)][1]


def test_status_counts_the_last_day(large: Connection) -> None:
    # The ledger grows older while a long run fills it.
    [(young,)] = large.execute(YOUNG).fetchall()
    assert 200 < young <= 287
    assert sum(count for _, count in large.execute(status.LATEST).fetchall()) == young


YOUNG = "select count(*) from pgjobs.verdict where completed_at > now() - interval '24 hours'"
NEWEST = """
select job_id from pgjobs.verification_verdict
where {} = '{}' order by completed_at desc limit 50
"""
EXPECTED = """
select verdict.job_id from pgjobs.verdict
where coalesce(
    (
        select amendment.status from pgjobs.amendment where {}
            and amendment.job_id = verdict.job_id order by amendment_no desc limit 1
    ),
    verdict.status
) = '{}'
order by completed_at desc limit 50
"""


@pytest.fixture(scope="module")
def amended(large: Connection) -> Connection:
    """The same ledger, its newest verdicts amended: what is counted above has to come before."""
    large.execute(AMEND)
    large.execute("vacuum analyze")
    return large


@pytest.mark.parametrize("status", ["PASSED", "FAILED", "ERROR"])
@pytest.mark.parametrize(("column", "counts"), [("effective_status", "true"), ("status", "false")])
def test_the_newest_50_of_a_status_are_read_from_two_indexes(
    amended: Connection, column: str, counts: str, status: str
) -> None:
    query = NEWEST.format(column, status)
    assert rows(amended, query) == rows(amended, EXPECTED.format(counts, status))
    plan = "\n".join(line for (line,) in rows(amended, f"explain {query}"))
    assert "verdict_status_completed_at_idx" in plan
    assert "Seq Scan" not in plan
    assert buffers(amended, query)[1] <= 800
