"""metrics(): the gauges, what they count, and that counting them reads neither queue nor ledger."""

from typing import Any
from uuid import uuid4

import pytest

from forgea_pgjobs.cli.status import VERDICTS
from tests.calls import amend, cancel, complete_many, enqueue_many, finish, new, release, start
from tests.conftest import Connect
from tests.counts import buffers
from tests.helpers import Connection, call, claim, complete, enqueue, let_time_pass
from tests.races.rivals import LONG
from tests.sql.test_flat import FILL

FINISHED, QUEUED = (1_000_000, 1_000_000) if LONG else (100_000, 100_000)
# So many sessions with a job each, one in a hundred delayed: a row of lane each is the most that a
# queue of this size can have.
FILL_QUEUE = """
set local session_replication_role = replica;
create temp table queue on commit drop as
select {finished} + number as job_id, gen_random_uuid() as session_id, number % 100 = 0 as delayed
from generate_series(1, {queued}) as number;
insert into pgjobs.lane (session_id, head_job_id, open_jobs)
select session_id, job_id, 1 from queue;
insert into pgjobs.ready (
    job_id, session_id, attempt_id, available_at, ready_no, priority, last_run_no
)
select
    job_id, session_id, job_id, now() + case when delayed then interval '1 day' else '-1 hour' end,
    case when not delayed then job_id end, 1 + job_id % 4, 3
from queue
"""
# The worker's own metrics, which it counts up.
COUNTERS = {
    *("verification.jobs.started", "verification.jobs.completed", "verification.job.duration_ms"),
    *("verification.jobs.inflight", "verification.retry.count"),
}


def gauges(conn: Connection, **arguments: Any) -> dict[str, float]:
    """Return the gauges by their names and labels, without what they all begin with."""
    return {
        " ".join([row.name.removeprefix("verification."), *row.labels.values()]): row.value
        for row in call(conn, "metrics", **arguments)
    }


def depth(conn: Connection) -> tuple[float, ...]:
    """Return what is ready, delayed and behind, and the leases held and overdue."""
    now = gauges(conn)
    queued = (now[f"queue.depth {state}"] for state in ("ready", "delayed", "behind"))
    return (*queued, now["leases.held"], now["leases.overdue"])


def test_an_empty_queue_has_every_gauge_but_the_durations(conn: Connection) -> None:
    assert gauges(conn) == {
        **{f"queue.depth {state}": 0 for state in ("ready", "delayed", "behind")},
        **{f"queue.oldest_seconds {priority}": 0 for priority in range(1, 5)},
        **dict.fromkeys(("leases.held", "leases.overdue", "dlq.count"), 0),
        **{f"recent {status}": 0 for status in VERDICTS},
    }


def test_no_gauge_has_the_name_of_a_counter(conn: Connection) -> None:
    finish(conn)
    names = {row.name for row in call(conn, "metrics")}
    assert len(names) == 7
    assert not names & COUNTERS
    assert all(name.startswith("verification.") for name in names)


def test_the_depth_is_told_by_where_the_jobs_stand(conn: Connection) -> None:
    session = uuid4()
    for _ in range(4):
        enqueue(conn, session_id=session)
    enqueue(conn, available_at="tomorrow")
    assert depth(conn) == (1, 1, 3, 0, 0)
    claim(conn)
    assert depth(conn) == (0, 1, 3, 1, 0)
    let_time_pass(conn, "2 days")
    assert depth(conn) == (1, 0, 3, 1, 1)


def test_the_oldest_is_the_first_that_can_be_claimed_also_when_nobody_claims(
    conn: Connection,
) -> None:
    enqueue(conn, priority=1)
    let_time_pass(conn, "1 hour")
    enqueue(conn, priority=1)
    enqueue(conn, priority=3, available_at="tomorrow")
    first = gauges(conn)
    assert 3600 <= first["queue.oldest_seconds 1"] < 3700
    assert [first[f"queue.oldest_seconds {priority}"] for priority in (2, 3, 4)] == [0, 0, 0]
    let_time_pass(conn, "3 days")
    assert 86_400 <= gauges(conn)["queue.oldest_seconds 3"] < 3 * 86_400


def test_a_dead_letter_counts_until_an_amendment_answers_it(conn: Connection) -> None:
    dead = start(conn, max_runs=1)
    release(conn, dead)
    complete(conn, start(conn), "ERROR")
    cancel(conn, enqueue(conn).job_id)
    assert gauges(conn)["dlq.count"] == 1
    amend(conn, dead.job_id, "PASSED")
    assert gauges(conn)["dlq.count"] == 0


def test_recent_verdicts_are_counted_and_timed_by_their_runs(conn: Connection) -> None:
    enqueue_many(conn, *new(101))
    runs = call(conn, "claim", worker="w", max_jobs=101)
    complete_many(conn, runs[:100])
    complete(conn, runs[100], "FAILED")
    # Its verdict ended no run: it counts, and has no duration.
    released = start(conn)
    release(conn, released)
    cancel(conn, released.job_id)
    conn.execute("set local session_replication_role = replica")
    conn.execute("alter table pgjobs.verdict disable trigger verdict_append_only")
    conn.execute(
        "update pgjobs.verdict set started_at = completed_at - numbered.ms * interval '1 ms'"
        " from (select job_id, (row_number() over (order by job_id) - 1) * 10 as ms"
        " from pgjobs.verdict where lease_token is not null) as numbered"
        " where numbered.job_id = verdict.job_id"
    )
    now = gauges(conn)
    assert [now[f"recent {status}"] for status in VERDICTS] == [100, 1, 1]
    assert [now[f"recent.duration_ms {q}"] for q in (0.5, 0.95, 0.99)] == [500, 950, 990]
    conn.execute("update pgjobs.verdict set completed_at = completed_at - interval '1 minute'")
    assert gauges(conn, recent="2 minutes")["recent PASSED"] == 100
    late = gauges(conn, recent="59 seconds")
    assert [late[f"recent {status}"] for status in VERDICTS] == [0, 0, 0]
    assert not [name for name in late if "duration" in name]


@pytest.mark.usefixtures("fresh_dsn")
def test_p10_metrics_read_a_row_a_session_and_what_is_young(connect: Connect) -> None:
    conn = connect()
    conn.execute(FILL.format(size=FINISHED).encode())
    conn.execute(FILL_QUEUE.format(finished=FINISHED, queued=QUEUED).encode())
    conn.commit()
    conn.autocommit = True
    conn.execute("vacuum analyze")
    # As a session plans that has asked for long.
    conn.execute("set plan_cache_mode = force_generic_plan")
    assert depth(conn) == (QUEUED * 0.99, QUEUED * 0.01, 0, 0, 0)
    young = gauges(conn, recent="1 day")
    assert 200 < sum(young[f"recent {status}"] for status in VERDICTS) <= 287
    assert buffers(conn, "select * from pgjobs.metrics('1 day')")[1] <= 500 + QUEUED * 0.012
