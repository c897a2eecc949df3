"""P10: a claim reads the same whatever has died or waits in the queue; counted in buffers."""

from statistics import mean, median

import pytest
from pytest_postgresql.executors import NoopExecutor

from tests.conftest import Postgres
from tests.counts import A_SECOND_AGO, COMMIT, NEVER, NOW, SESSION, Meter, buffers
from tests.queues import COME_AND_GO, QUEUE, held_snapshot, warm_meter
from tests.races.rivals import LONG

FINISHED = 30_000 if LONG else 1_000
# Leases are lost and delays are over.
COME_DUE = """
update pgjobs.ready set available_at = least(available_at, now()) where ready_no is null;
update pgjobs.lease set lease_expires_at = now()
"""


def claim_and_complete(meter: Meter, size: int) -> int:
    """Take a batch through its life and return what the claim has read."""
    found, read = buffers(meter.conn, f"select * from pgjobs.claim('w', {size})")
    assert found == meter.call(f"complete_many({meter.running()})") == size
    return read


def go_through(meter: Meter, size: int) -> float:
    """Let jobs go through the queue and return what a claim of so many reads in the mean.

    The first thousand wait behind others of their session; of every hundred five have lost a lease
    before, and five come with a delay. One claim in a hundred sweeps, and one of those everything.
    """
    reads = []
    jobs = 100 * size
    rounds = FINISHED // jobs
    meter.call(f"enqueue_many({meter.batch(1000, sessions=100)})")
    for number in range(rounds):
        meter.call(f"enqueue_many({meter.batch(jobs * 95 // 100)})")
        for _ in range(jobs * 5 // 100):
            known = f"{meter.new(SESSION)}, {meter.new(COMMIT)}, '1'"
            meter.call(f"enqueue({known}, available_at => now() + interval '1 hour')")
        meter.call(f"claim('lost', {jobs * 5 // 100})")
        meter.conn.execute(COME_DUE.encode())
        meter.sweep(NEVER if number == rounds // 2 else A_SECOND_AGO)
        for _ in range(100):
            reads.append(claim_and_complete(meter, size))
            meter.sweep(NOW)
    return mean(reads)


@pytest.mark.parametrize("size", [1, 10])
def test_p10_a_held_snapshot_costs_a_claim_a_fifth_at_most(
    pg: Postgres, installed: NoopExecutor, size: int
) -> None:
    with warm_meter(pg, installed) as meter:
        free = go_through(meter, size)
    with warm_meter(pg, installed) as meter, held_snapshot(meter):
        held = go_through(meter, size)
    assert held / free <= 1.2, f"{held:.1f} buffers instead of {free:.1f}"


@pytest.mark.parametrize("claimed", [True, False])
def test_p10_an_idle_poll_among_the_dead_reads_little_but_once_in_a_tenth_of_a_second(
    pg: Postgres, installed: NoopExecutor, claimed: bool
) -> None:
    with warm_meter(pg, installed) as meter, held_snapshot(meter):
        if claimed:
            meter.conn.execute(COME_AND_GO.format(120_000).encode())
            meter.call(f"enqueue_many({meter.batch(1)})")
            claim_and_complete(meter, 1)  # the mark is now above the dead
        else:
            meter.call("claim('w')")
            meter.conn.execute(QUEUE.format(120_000).encode())
            meter.conn.execute("delete from pgjobs.ready")
            meter.conn.execute("delete from pgjobs.lane")
        reads = []
        for _ in range(10):
            meter.sweep(NOW)
            meter.conn.execute("select setval('pgjobs.idle_at', 0)")
            for _ in range(2):
                found, read = buffers(meter.conn, "select * from pgjobs.claim('w')")
                assert found == 0
                reads.append(read)
    whole, idle = median(reads[::2]), median(reads[1::2])
    print("buffers of an idle poll:", whole, idle)  # pytest -rP shows it
    assert idle <= 28
    assert whole > 100 * idle


def test_p10_a_hundred_sessions_of_a_hundred_jobs_cost_a_claim_what_single_jobs_cost(
    pg: Postgres, installed: NoopExecutor
) -> None:
    reads = {}
    for sessions in (100, 10_000):
        with warm_meter(pg, installed) as meter:
            meter.call(f"enqueue_many({meter.batch(10_000, sessions)})")
            meter.sweep(NOW)
            reads[sessions] = mean(claim_and_complete(meter, 1) for _ in range(100))
    assert reads[100] / reads[10_000] <= 1.2, reads
