"""Queues to count calls on: fresh or warm, short or long, free or under a held snapshot."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import IsolationLevel
from pytest_postgresql.executors import NoopExecutor

from tests.conftest import Postgres
from tests.counts import COMMIT, NEVER, SESSION, Meter
from tests.helpers import rows

# Queues jobs up to a number, each of a session of its own, as enqueue would leave them.
QUEUE = f"""
create temp table plan on commit drop as
select
    number, {SESSION.format("-number")} as session_id, {COMMIT.format("-number")} as sha,
    now() as at
from generate_series((select count(*) + 1 from pgjobs.job where job_id < 0), {{}}) as number;
insert into pgjobs.lab_attempt (attempt_id, session_id, commit_sha, recorded_at)
overriding system value select -number, session_id, sha, at from plan;
insert into pgjobs.job (
    job_id, session_id, commit_sha, lab_version, priority, max_runs, created_at
) overriding system value select -number, session_id, sha, '1', 2, 3, at from plan;
insert into pgjobs.lane (session_id, head_job_id, open_jobs)
select session_id, -number, 1 from plan;
insert into pgjobs.ready (
    session_id, job_id, attempt_id, available_at, ready_no, priority, last_run_no
) select session_id, -number, -number, at, nextval('pgjobs.job_job_id_seq'), 2, 3 from plan
"""
# Lets so many jobs come, be claimed and go. What stays is dead: rows, and entries of indexes.
COME_AND_GO = """
insert into pgjobs.ready (
    session_id, job_id, attempt_id, available_at, ready_no, priority, last_run_no
)
select gen_random_uuid(), number, 1, now(), number, 2, 3
from (
    select nextval('pgjobs.job_job_id_seq') as number from generate_series(1, {})
) as drawn;
with gone as (delete from pgjobs.ready where ready_no is not null returning *)
insert into pgjobs.lease
select
    session_id, job_id, attempt_id, available_at, now(), now() + '1 hour', gen_random_uuid(),
    3600000, null, priority, 1, last_run_no, 'w'
from gone;
delete from pgjobs.lease
"""


def singles(meter: Meter) -> None:
    """Count the calls that a session with three jobs meets, from its first push to the last."""
    session, commit = meter.new(SESSION), meter.new(COMMIT)
    meter.count("claim, nothing queued", "claim('w')")
    meter.count("enqueue, new session", f"enqueue({session}, {commit}, '1')")
    meter.count("enqueue, session has a job", f"enqueue({session}, {meter.new(COMMIT)}, '1')")
    meter.call(f"enqueue({session}, {meter.new(COMMIT)}, '1')")
    meter.count("enqueue, known commit", f"enqueue({session}, {commit}, '1')")
    meter.count("record_attempt", f"record_attempt({session}, {meter.new(COMMIT)})")
    meter.count("claim", "claim('w')")
    # Of another length: else the WAL depends on how many bytes of the lease's end stay the same.
    meter.count("heartbeat", f"heartbeat({meter.lease()}, '10 minutes')")
    meter.count("complete, session has a job", f"complete({meter.lease()}, 'PASSED')")
    meter.count("claim, sweeping", "claim('w')", swept_at=NEVER)
    meter.count("complete_and_claim", f"complete_and_claim({meter.lease()}, 'PASSED', 'w')")
    meter.count("complete, last of its session", f"complete({meter.lease()}, 'PASSED')")


def evidence(meter: Meter) -> None:
    """Count the calls around a verdict: what a run leaves, and what is said over it."""
    commit = meter.new(COMMIT)
    meter.call(f"enqueue({meter.new(SESSION)}, {commit}, '1')")
    meter.call("claim('w')")
    log = f"'LOG', 'log', decode({commit}, 'hex')"
    meter.count("add_artifact", f"add_artifact({meter.lease()}, {log})")
    meter.count("add_artifact, again", f"add_artifact({meter.lease()}, {log})")
    meter.call(f"complete({meter.lease()}, 'FAILED')")
    job_id = f"(select job_id from pgjobs.job where commit_sha = {commit})"
    decision = "'r', 'a', 'b', 't'"
    meter.count("amend", f"amend({job_id}, 'PASSED', {decision})")
    meter.count("reverify", f"reverify(array[{job_id}], {decision})")
    meter.count("claim, a review", "claim('w')")
    meter.count("complete, a review", f"complete({meter.lease()}, 'PASSED')")
    meter.count("is_passed", f"is_passed({commit})")
    meter.count("why_waiting", f"why_waiting({job_id})")
    meter.count("timeline", f"timeline({commit})")


def batches(meter: Meter, size: int = 1000) -> None:
    """Count the calls that work on many jobs, each of a session of its own."""
    half = size // 2
    meter.count("enqueue_many", f"enqueue_many({meter.batch(size)})", size)
    meter.count(f"claim, {half} jobs", f"claim('w', {half})", half)
    meter.count("complete_many", f"complete_many({meter.running()})", half)
    meter.count("claim, 10 jobs", "claim('w', 10)", 10)
    meter.call("claim('w', 1000)")
    meter.call(f"complete_many({meter.running()})")


def beats(meter: Meter) -> None:
    """Count the beats for a batch, which leave the leases in another order."""
    meter.call(f"enqueue_many({meter.batch(10)})")
    meter.call("claim('w', 10)")
    running = meter.running(verdicts=False)
    meter.count("heartbeat_many, 10 jobs", f"heartbeat_many({running})", 10)
    meter.call(f"complete_many({meter.running()})")


@contextmanager
def fresh_meter(pg: Postgres, installed: NoopExecutor) -> Iterator[Meter]:
    """Open a meter in a database of its own, on tables that no vacuum comes to."""
    with (
        pg.database(installed.template_dbname) as dsn,
        psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as conn,
    ):
        for (table,) in rows(conn, "select tablename from pg_tables where schemaname = 'pgjobs'"):
            conn.execute(f"alter table pgjobs.{table} set (autovacuum_enabled = off)".encode())
        yield Meter(conn)


@contextmanager
def warm_meter(pg: Postgres, installed: NoopExecutor) -> Iterator[Meter]:
    """Open a meter that has its plans: a function's statements keep theirs from the sixth call."""
    with fresh_meter(pg, installed) as meter:
        for _ in range(6):
            batches(meter, 100)
            singles(meter)
        meter.counts()
        yield meter


@contextmanager
def held_snapshot(meter: Meter) -> Iterator[None]:
    """Hold a snapshot: nothing that dies from here on can be cleaned away."""
    with psycopg.connect(meter.conn.info.dsn) as holder:
        holder.isolation_level = IsolationLevel.REPEATABLE_READ
        holder.execute("select")
        yield
