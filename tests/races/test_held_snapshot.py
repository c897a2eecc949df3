"""P8, P10: what a claim reads while somebody holds an old snapshot, counted in buffers."""

from collections.abc import Iterator
from statistics import median

import psycopg
import pytest
from psycopg import IsolationLevel

from tests.calls import enqueue_many, new
from tests.conftest import Connect
from tests.counts import NOW, buffers
from tests.helpers import Connection, claim, enqueue, rows
from tests.races.rivals import LONG

LIFECYCLES = 30_000 if LONG else 3_000
LIVE = f"""
do $$
begin
    for number in 1 .. {LIFECYCLES} loop
        perform pgjobs.enqueue(gen_random_uuid(), lpad(to_hex(number), 40, '0'), '1');
        perform pgjobs.complete(run.job_id, run.lease_token, 'PASSED')
        from pgjobs.claim('w') as run;
        commit;
    end loop;
end
$$
"""


@pytest.fixture
def conn(fresh_dsn: str) -> Iterator[Connection]:
    """Open a connection to a queue that no vacuum comes to tidy in the middle of a count."""
    with psycopg.connect(fresh_dsn, autocommit=True) as conn:
        for table in ("ready", "lease", "lane", "waiting"):
            conn.execute(f"alter table pgjobs.{table} set (autovacuum_enabled = off)".encode())
        yield conn


def claim_reads(conn: Connection, mark: str) -> float:
    """Return what a claim reads (the median of 15) when the last sweep was at the mark."""
    reads = []
    for _ in range(15):
        enqueue(conn)
        conn.execute(f"select setval('pgjobs.swept_at', {mark})".encode())
        found, read = buffers(conn, "select * from pgjobs.claim('w')")
        assert found == 1
        reads.append(read)
    return median(reads)


def test_p10_under_a_held_snapshot_the_mark_spares_a_claim_the_sweep(
    conn: Connection, connect: Connect
) -> None:
    figures = {"free": claim_reads(conn, NOW), "free, sweeping": claim_reads(conn, "0")}
    holder = connect()
    holder.isolation_level = IsolationLevel.REPEATABLE_READ
    holder.execute("select")
    conn.execute(LIVE.encode())
    figures |= {"held": claim_reads(conn, NOW), "held, sweeping": claim_reads(conn, "0")}
    print("buffers of a claim:", figures)  # pytest -rP shows it
    # The walk to the first live head is what remains; the sweep would cost at least half as much.
    assert figures["held, sweeping"] > 1.5 * figures["held"] > figures["free"]


def test_p8_claims_sweep_at_most_once_a_second_in_the_whole_system(
    conn: Connection, connect: Connect
) -> None:
    enqueue_many(conn, *new(100))
    clients = [connect(autocommit=True) for _ in range(4)]
    conn.execute("select setval('pgjobs.swept_at', 0)")
    clock = "select extract(epoch from clock_timestamp()) as now"
    [began] = rows(conn, clock)
    marks = set()
    for number in range(100):
        claim(clients[number % 4])
        marks |= {row.last_value for row in rows(conn, "select last_value from pgjobs.swept_at")}
    [ended] = rows(conn, clock)
    assert 1 <= len(marks) <= 1 + int(ended.now - began.now)
