"""P10: a plan cached on the empty queue is still right when 40,000 jobs have arrived."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.conftest import Connect
from tests.helpers import Connection, buffers, call, claim, complete, enqueue, rows, sha

# At most so many buffers a call, whatever the size of the queue.
MOST = {
    "claim": 60,
    "heartbeat": 60,
    "complete": 60,
    "release": 60,
    "cancel": 60,
    "enqueue": 100,
    "get_job": 60,
}


def run_through(conn: Connection) -> None:
    """Call every function that works on one job, so that its plans are made and kept."""
    runs = []
    for _ in range(3):
        enqueue(conn)
        runs.append(claim(conn))
    done, released, cancelled = runs
    lease = {"job_id": released.job_id, "lease_token": released.lease_token}
    call(conn, "heartbeat", **lease)
    call(conn, "release", **lease, reason="r", retry_after="0")
    complete(conn, done)
    complete(conn, claim(conn))
    call(conn, "cancel", job_id=cancelled.job_id, reason="r", actor="a")
    call(conn, "get_job", commit_sha=done.commit_sha)
    assert call(conn, "claim", worker="w") == []


def arrive(conn: Connection) -> None:
    for _ in range(4):
        size = 10_000
        call(
            conn,
            "enqueue_many",
            session_ids=[uuid4() for _ in range(size)],
            commit_shas=[uuid4().hex + "00000000" for _ in range(size)],
            lab_versions=["1"] * size,
        )


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
    measured["cancel"] = cost(f"cancel({runs[2].job_id}, 'r', 'a')")
    measured["get_job"] = cost(f"get_job('{runs[0].commit_sha}')")
    return measured


@pytest.mark.parametrize("vacuumed", [False, True], ids=["as_installed", "vacuumed_empty"])
@pytest.mark.usefixtures("fresh_dsn")
def test_calls_planned_on_the_empty_queue_stay_flat(connect: Connect, vacuumed: bool) -> None:
    worker = connect(autocommit=True)
    tables = rows(worker, "select tablename from pg_tables where schemaname = 'pgjobs'")
    for (table,) in tables:
        # An automatic analyze in between would have the plans made anew.
        worker.execute(f"alter table pgjobs.{table} set (autovacuum_enabled = off)".encode())
    if vacuumed:
        worker.execute("vacuum analyze")
    for _ in range(8):
        assert call(worker, "claim", worker="w") == []
    for _ in range(8):
        run_through(worker)

    arrive(connect(autocommit=True))
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
    conn = connect(autocommit=True)
    for (table,) in rows(conn, "select tablename from pg_tables where schemaname = 'pgjobs'"):
        conn.execute(f"alter table pgjobs.{table} set (autovacuum_enabled = off)".encode())
    conn.execute("vacuum")
    reads = [buffers(conn, f"select * from {BATCH}")[1] / 4000 for _ in range(6)]
    for _ in range(6):
        conn.execute("drop table if exists held")
        conn.execute("create table held as select * from pgjobs.claim('w', 500)")
        reads.append(buffers(conn, f"select * from {COMPLETION}")[1] / 500)
    assert [read for read in reads if read > 50] == []
