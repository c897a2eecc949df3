"""P10: claims start at the low-water mark, and yet find whatever lies below it."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from random import Random
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from psycopg import IsolationLevel

from tests.calls import complete_many, enqueue_many
from tests.conftest import Connect
from tests.counts import NOW
from tests.helpers import Connection, call, claim, complete, enqueue, rows, sha
from tests.races.ledger import open_places, violations
from tests.races.rivals import background

MADE = 3000
CLIENTS = 3
# The next claim looks a little below the mark, or from the very start.
A_SECOND_LATER = "select setval('pgjobs.swept_at', last_value - 1001) from pgjobs.swept_at"
A_MINUTE_LATER = "select setval('pgjobs.swept_at', last_value - 60000) from pgjobs.swept_at"

pytestmark = pytest.mark.usefixtures("fresh_dsn")


def low_water(conn: Connection) -> int:
    [row] = rows(conn, "select last_value from pgjobs.low_water_2")
    return int(row.last_value)


def live(conn: Connection, lives: int) -> None:
    """Let jobs go through the queue one by one, and see the mark follow."""
    for _ in range(lives):
        enqueue(conn)
        complete(conn, claim(conn))
    [row] = rows(conn, "select last_value from pgjobs.job_job_id_seq")
    assert row.last_value - 17 <= low_water(conn) < row.last_value


@pytest.mark.parametrize(
    "moment", [None, A_SECOND_LATER, A_MINUTE_LATER], ids=["empty", "a_second", "a_minute"]
)
@pytest.mark.parametrize("late", ["a late commit", "a claim rolled back"])
def test_what_appears_below_the_mark_is_claimed(
    connect: Connect, observer: Connection, late: str, moment: str | None
) -> None:
    slow = connect()
    if late == "a late commit":
        job_id = enqueue(slow).job_id
    else:
        enqueue(observer)
        job_id = claim(slow).job_id
    live(observer, 100)
    if moment is not None:
        enqueue(observer)  # the queue is not empty
    if late == "a late commit":
        slow.commit()
    else:
        slow.rollback()
    observer.execute((moment or "select").encode())
    assert claim(observer).job_id == job_id


def test_what_a_look_for_long_has_not_seen_is_claimed_a_tenth_of_a_second_later(
    connect: Connect, observer: Connection
) -> None:
    slow = connect()
    job_id = enqueue(slow).job_id
    live(observer, 100)
    slow.commit()
    observer.execute(f"select setval('pgjobs.swept_at', {NOW})".encode())
    [row] = rows(observer, f"select setval('pgjobs.idle_at', {NOW} - 50) as idle_at")
    while not (runs := call(observer, "claim", worker="w")):
        pass
    [after] = rows(observer, f"select {NOW} as now")
    assert [run.job_id for run in runs] == [job_id]
    assert 100 <= after.now - row.idle_at < 1000  # in whole milliseconds


def test_an_idle_mark_of_a_clock_that_was_ahead_hides_nothing(observer: Connection) -> None:
    queued = enqueue(observer)
    observer.execute("select setval('pgjobs.low_water_2', 1000000)")
    observer.execute(f"select setval('pgjobs.swept_at', {NOW})".encode())
    observer.execute(f"select setval('pgjobs.idle_at', {NOW} + 60000)".encode())
    assert claim(observer).job_id == queued.job_id


def test_a_mark_beyond_everything_hides_nothing(observer: Connection) -> None:
    queued = enqueue(observer)
    observer.execute("select setval('pgjobs.low_water_2', 1000000)")
    assert claim(observer).job_id == queued.job_id
    assert low_water(observer) < 1000000


def test_each_priority_has_its_own_mark_and_the_first_goes_first(observer: Connection) -> None:
    last = enqueue(observer, priority=4)
    live(observer, 50)
    first = enqueue(observer, priority=1)
    second = enqueue(observer)
    runs = call(observer, "claim", worker="w", max_jobs=10)
    assert [run.job_id for run in runs] == [first.job_id, second.job_id, last.job_id]


def produce(conn: Connection, dice: Random, start: Barrier) -> list[int]:
    """Enqueue in transactions of several jobs, some late, some rolled back."""
    made: list[int] = []
    start.wait()
    while len(made) < MADE // CLIENTS:
        jobs = [enqueue(conn).job_id for _ in range(10)]
        if dice.random() < 0.2:
            conn.rollback()
        else:
            conn.commit()
            made += jobs
    return made


def work(conn: Connection, dice: Random, start: Barrier, wanted: set[int]) -> list[int]:
    """Claim and complete in batches, some of the claims rolled back, until all is done."""
    done: list[int] = []
    start.wait()
    while True:
        runs: list[Any] = call(conn, "claim", worker="w", max_jobs=dice.randint(1, 40))
        if dice.random() < 0.2:
            conn.rollback()
            continue
        conn.commit()
        said = complete_many(conn, runs)
        conn.commit()
        done += [one.job_id for one in said if one.outcome == "completed"]
        if not runs and wanted and len(rows(conn, "select from pgjobs.verdict")) == len(wanted):
            conn.rollback()
            return done


def test_three_thousand_made_under_a_held_snapshot_are_three_thousand_done(
    connect: Connect, observer: Connection
) -> None:
    holder = connect()
    holder.isolation_level = IsolationLevel.REPEATABLE_READ
    holder.execute("select")
    start = Barrier(2 * CLIENTS)
    made: set[int] = set()
    with ThreadPoolExecutor(2 * CLIENTS) as pool:
        conns = [connect() for _ in range(2 * CLIENTS)]
        dice = [Random(number) for number in range(2 * CLIENTS)]  # noqa: S311  # fixed seeds
        makers = [
            pool.submit(produce, conn, die, start)
            for conn, die in zip(conns[:CLIENTS], dice, strict=False)
        ]
        workers = [
            pool.submit(work, conn, die, start, made)
            for conn, die in zip(conns[CLIENTS:], dice[CLIENTS:], strict=True)
        ]
        made |= {job_id for maker in makers for job_id in maker.result()}
        done = [job_id for worker in workers for job_id in worker.result()]
    assert len(made) == MADE
    assert sorted(done) == sorted(made)
    assert low_water(observer) > MADE - 100
    assert open_places(observer) == 0
    assert violations(observer) == []


def test_a_batch_that_a_rival_was_faster_with_is_answered_like_single_calls(
    connect: Connect, observer: Connection
) -> None:
    session_id, known, fresh = uuid4(), sha(), sha()
    rival, caller = connect(), connect()
    call(rival, "record_attempt", session_id=session_id, commit_sha=known)
    commits = [(session_id, commit) for commit in (fresh, known, fresh)]
    with background(caller, observer, partial(enqueue_many, caller, *commits)) as waiting:
        assert waiting.blockers() == [rival.info.backend_pid]
        rival.commit()
        said = waiting.result()
    caller.commit()
    assert [answer.created for answer in said] == [True, True, False]
    assert said[0].job_id == said[2].job_id < said[1].job_id
    [attempt] = rows(
        observer, "select * from pgjobs.lab_attempt where commit_sha = %(sha)s", sha=known
    )
    assert said[1].attempt_id == attempt.attempt_id
    assert violations(observer) == []
