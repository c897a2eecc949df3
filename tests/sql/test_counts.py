"""What a call costs at the server. Who makes a number grow changes it here, and says why."""

import re

import pytest
from pytest_postgresql.executors import NoopExecutor

from tests.conftest import Postgres
from tests.counts import COMMIT, NEVER, Count, Meter, listed
from tests.helpers import Connection, rows
from tests.queues import (
    COME_AND_GO,
    QUEUE,
    batches,
    beats,
    evidence,
    fresh_meter,
    held_snapshot,
    singles,
    warm_meter,
)
from tests.races.rivals import LONG

# Jobs; of each: rows and ids, WAL bytes (to two bytes, of a batch at most), buffers (at most).
# A sweep, one a second, takes up to eight more while its statements are planned for the time since
# the last one; which they are depends on how often time passed before.
COUNTS = {
    "claim, nothing queued": Count(1, "", 0, 0, 36),
    "enqueue, new session": Count(1, "+job +lab_attempt +lane +ready", 2, 1430, 41),
    "enqueue, session has a job": Count(1, "+job +lab_attempt ~lane +waiting", 2, 1261, 38),
    "enqueue, known commit": Count(1, "", 0, 0, 11),
    "record_attempt": Count(1, "+lab_attempt", 1, 466, 14),
    "claim": Count(1, "+lease -ready", 0, 391, 19),
    "heartbeat": Count(1, "~lease", 0, 242, 12),
    "complete, session has a job": Count(1, "~lane -lease +ready +verdict -waiting", 1, 894, 48),
    "claim, sweeping": Count(1, "+lease -ready", 0, 490, 34),
    "complete_and_claim": Count(
        1, "~lane +lease -lease +ready -ready +verdict -waiting", 1, 1285, 67
    ),
    "complete, last of its session": Count(1, "-lane -lease +verdict", 0, 466, 28),
    "enqueue_many": Count(1000, "+job +lab_attempt +lane +ready", 2, 1290, 31),
    "claim, 500 jobs": Count(500, "+lease -ready", 0, 410, 12),
    "heartbeat_many, 10 jobs": Count(10, "~lease", 0, 295, 15),
    "complete_many": Count(500, "-lane -lease +verdict", 0, 535, 25),
    # A hundred bytes and more are for pages that the 500 before have left to be pruned.
    "claim, 10 jobs": Count(10, "+lease -ready", 0, 530, 15),
    "add_artifact": Count(1, "+artifact +body", 0, 1003, 35),
    "add_artifact, again": Count(1, "", 0, 54, 10),
    "amend": Count(1, "+amendment", 0, 574, 30),
    "reverify": Count(1, "+lane +ready +review", 2, 903, 55),
    "claim, a review": Count(1, "+lease -ready", 0, 395, 30),
    "complete, a review": Count(1, "+amendment -lane -lease +review_result", 0, 1032, 54),
    "is_passed": Count(1, "", 0, 0, 6),
    "why_waiting": Count(1, "", 0, 0, 20),
    "timeline": Count(1, "", 0, 0, 48),
    "timeline, 10,000 queued": Count(1, "", 0, 0, 45),
    "timeline, 100,000 queued": Count(1, "", 0, 0, 45),
    "timeline, 1,000,000 queued": Count(1, "", 0, 0, 45),
    "claim, 10,000 queued": Count(1, "+lease -ready", 0, 391, 23),
    "claim, 10,000 queued, sweeping": Count(1, "+lease -ready", 0, 547, 38),
    "claim, 100,000 queued": Count(1, "+lease -ready", 0, 391, 26),
    "claim, 100,000 queued, sweeping": Count(1, "+lease -ready", 0, 491, 38),
    "claim, 1,000,000 queued": Count(1, "+lease -ready", 0, 391, 26),
    "claim, 1,000,000 queued, sweeping": Count(1, "+lease -ready", 0, 491, 38),
    "claim, 60,000 dead": Count(1, "+lease -ready", 0, 391, 26),
    "claim, 60,000 dead, sweeping": Count(1, "+lease -ready", 0, 491, 2_000),
    "claim, 300,000 dead": Count(1, "+lease -ready", 0, 391, 26),
    "claim, 300,000 dead, sweeping": Count(1, "+lease -ready", 0, 491, 9_500),
}
DEAD = 300_000 if LONG else 60_000
LEFT_OUT = "60,000 dead" if LONG else "1,000,000 queued|300,000 dead"
EACH = pytest.mark.parametrize("name", [each for each in COUNTS if not re.search(LEFT_OUT, each)])
# Of a finished job: bytes of each table and index, at most.
BYTES = {
    "lab_attempt": 113,
    "lab_attempt_attempt_id_pkey": 23,
    "lab_attempt_session_id_commit_sha_key": 113,
    "lab_attempt_session_id_delivery_id_key": 0.2,
    "job": 121,
    "job_job_id_pkey": 28,
    "job_commit_sha_key": 92,
    "verdict": 105,
    "verdict_job_id_pkey": 24,
    "verdict_status_completed_at_idx": 9,
    # The page of an empty index: only a dead letter has an entry.
    "verdict_job_id_idx": 0.2,
}

# How often each call is counted: enough for what happens now and then to stay a minority.
ROUNDS = 9
PARTS = """
select relation.relname as name, pg_relation_size(relation.oid) as bytes
from pg_class as relation
left join pg_index as index on index.indexrelid = relation.oid
where coalesce(index.indrelid, relation.oid)
    in ('pgjobs.lab_attempt'::regclass, 'pgjobs.job'::regclass, 'pgjobs.verdict'::regclass)
"""


def claims(meter: Meter, situation: str) -> None:
    """Count single claims, and some that sweep."""
    for _ in range(ROUNDS):
        meter.count(f"claim, {situation}", "claim('w')")
    for _ in range(ROUNDS):
        meter.count(f"claim, {situation}, sweeping", "claim('w')", swept_at=NEVER)


@pytest.fixture(scope="module")
def counts(pg: Postgres, installed: NoopExecutor) -> dict[str, Count]:
    """Count everything."""
    with warm_meter(pg, installed) as meter:
        for _ in range(ROUNDS):
            singles(meter)
        for _ in range(ROUNDS):
            batches(meter)
        for _ in range(ROUNDS):
            evidence(meter)
        for _ in range(6 + ROUNDS):
            beats(meter)
        counts = meter.counts()
    with warm_meter(pg, installed) as meter:
        for size in (10_000, 100_000, 1_000_000) if LONG else (10_000, 100_000):
            with meter.conn.transaction():
                meter.conn.execute(QUEUE.format(size).encode())
            claims(meter, f"{size:,} queued")
            for _ in range(ROUNDS):
                meter.count(f"timeline, {size:,} queued", f"timeline({COMMIT.format('-1')})")
        counts |= meter.counts()
    with warm_meter(pg, installed) as meter, held_snapshot(meter):
        meter.conn.execute(COME_AND_GO.format(DEAD).encode())
        meter.call(f"enqueue_many({meter.batch(20)})")
        meter.call("claim('w')")
        claims(meter, f"{DEAD:,} dead")
        return counts | meter.counts()


def test_whatever_is_counted_has_its_numbers(counts: dict[str, Count]) -> None:
    assert set(counts) <= set(COUNTS), listed(counts)


@EACH
def test_p10_a_call_writes_these_rows_and_draws_so_many_ids(
    counts: dict[str, Count], name: str
) -> None:
    counted, known = counts[name], COUNTS[name]
    assert (counted.written, counted.ids) == (known.written, known.ids), listed(counts)


@EACH
def test_p10_a_call_logs_so_many_bytes(
    counts: dict[str, Count], name: str, conn: Connection
) -> None:
    if rows(conn, "show full_page_writes") == [("on",)]:
        pytest.skip("after each checkpoint whole pages are logged")
    logged, known = counts[name].wal, COUNTS[name]
    # A byte or two of a row may be those of its former version, by chance, and are not logged.
    least = 0 if known.jobs > 1 else known.wal - 2
    assert least <= logged <= known.wal, listed(counts)


@EACH
def test_p10_a_call_touches_so_few_buffers(counts: dict[str, Count], name: str) -> None:
    assert counts[name].buffers <= COUNTS[name].buffers, listed(counts)


def test_a_finished_job_takes_so_many_bytes(pg: Postgres, installed: NoopExecutor) -> None:
    finished = 50_000
    with fresh_meter(pg, installed) as meter:
        for _ in range(finished // 5000):
            meter.call(f"enqueue_many({meter.batch(5000)})")
        for _ in range(finished // 500):
            meter.call("claim('worker-1', 500)")
            meter.call(f"complete_many({meter.running()})")
        meter.conn.execute("vacuum")
        parts = rows(meter.conn, PARTS)
    taken = {part.name: round(part.bytes / finished, 1) for part in parts}
    assert sum(taken.values()) <= 680, taken
    assert [name for name, size in taken.items() if size > BYTES.get(name, 0)] == [], taken
