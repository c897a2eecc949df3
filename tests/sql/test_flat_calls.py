"""P10: a plan cached on the empty queue is still right when ten thousand jobs have arrived."""

from uuid import uuid4

import pytest

from tests.calls import cancel, enqueue_many, lease, new, release, revoke, start
from tests.conftest import Connect
from tests.counts import buffers
from tests.helpers import Connection, call, claim, complete, enqueue, overdue_now, rows, sha
from tests.races.rivals import LONG

# At most so many buffers a call, whatever the size of the queue.
CALLS = ("claim", "heartbeat", "complete", "release", "revoke", "expire", "cancel", "get_job")
MOST = {**dict.fromkeys(CALLS, 60), "enqueue": 100, "attempts": 60}
LATE = b"""
update pgjobs.ready set start_by = now()
where ready_no = (select max(ready_no) from pgjobs.ready)
"""


def run_through(conn: Connection) -> None:
    """Call every function that works on one job, so that its plans are made and kept."""
    done, released, cancelled = (start(conn) for _ in range(3))
    call(conn, "heartbeat", **lease(released))
    release(conn, released, retry_after="0")
    complete(conn, done)
    revoke(conn, claim(conn).job_id)
    complete(conn, claim(conn))
    enqueue(conn, start_within="1 hour")
    overdue_now(conn)
    cancel(conn, cancelled.job_id)
    call(conn, "get_job", commit_sha=done.commit_sha)
    call(conn, "attempts", session_id=done.session_id)
    assert call(conn, "claim", worker="w") == []


def without_autovacuum(connect: Connect) -> Connection:
    """Open a connection to tables that no automatic analyze has planned anew."""
    conn = connect(autocommit=True)
    for (table,) in rows(conn, "select tablename from pg_tables where schemaname = 'pgjobs'"):
        conn.execute(f"alter table pgjobs.{table} set (autovacuum_enabled = off)".encode())
    return conn


def costs(conn: Connection) -> dict[str, int]:
    """Measure one call of each function with the plans this connection has."""

    def cost(call: str) -> int:
        return buffers(conn, f"select * from pgjobs.{call}")[1]

    measured = {"claim": cost("claim('measured')")}
    measured["enqueue"] = cost(f"enqueue('{uuid4()}', '{sha()}', '1')")
    runs = [claim(conn, worker="measured") for _ in range(3)]
    leases = [f"{run.job_id}, '{run.lease_token}'" for run in runs]
    measured["heartbeat"] = cost(f"heartbeat({leases[0]})")
    measured["complete"] = cost(f"complete({leases[0]}, 'PASSED')")
    measured["release"] = cost(f"release({leases[1]}, 'r')")
    conn.execute(LATE)
    measured["expire"] = cost("_expire_jobs(1000, '-infinity')")
    measured["revoke"] = cost(f"revoke_lease({runs[2].job_id}, 'r', 'a')")
    measured["cancel"] = cost(f"cancel({runs[2].job_id}, 'r', 'a')")
    measured["get_job"] = cost(f"get_job('{runs[0].commit_sha}')")
    measured["attempts"] = cost(f"attempts('{runs[0].session_id}')")
    return measured


@pytest.mark.parametrize("vacuumed", [False, True], ids=["as_installed", "vacuumed_empty"])
@pytest.mark.usefixtures("fresh_dsn")
def test_calls_planned_on_the_empty_queue_stay_flat(connect: Connect, vacuumed: bool) -> None:
    worker = without_autovacuum(connect)
    if vacuumed:
        worker.execute("vacuum analyze")
    for _ in range(8):
        assert call(worker, "claim", worker="w") == []
    for _ in range(8):
        run_through(worker)

    other = connect(autocommit=True)
    for _ in range(4 if LONG else 1):
        enqueue_many(other, *new(10_000), start_within="1 hour")
    for _ in range(2):
        measured = costs(worker)
        assert {name: cost for name, cost in measured.items() if cost > MOST[name]} == {}


BATCH = """
pgjobs.enqueue_many(
    array(select gen_random_uuid() from generate_series(1, 4000)),
    array(select md5(random()::text) || '00000000' from generate_series(1, 4000)),
    array_fill('1'::text, array[4000])
)
"""
COMPLETION = """
pgjobs.complete_many(
    array(select job_id from held), array(select lease_token from held),
    array_fill('PASSED'::text, array[500])
)
"""


@pytest.mark.usefixtures("fresh_dsn")
def test_batches_planned_on_the_vacuumed_empty_queue_stay_flat(connect: Connect) -> None:
    conn = without_autovacuum(connect)
    conn.execute("vacuum")
    reads = [buffers(conn, f"select * from {BATCH}")[1] / 4000 for _ in range(6)]
    for _ in range(6):
        conn.execute("drop table if exists held")
        conn.execute("create table held as select * from pgjobs.claim('w', 500)")
        reads.append(buffers(conn, f"select * from {COMPLETION}")[1] / 500)
    assert [read for read in reads if read > 50] == []
