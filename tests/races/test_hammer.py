"""P1, P2, P4, P5: many clients at once, by count and not by the clock."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from threading import Barrier
from typing import Any, TypeVar
from uuid import uuid4

import psycopg
import pytest
from psycopg import IsolationLevel

from tests.calls import cancel, lease, start
from tests.helpers import Connection, call, enqueue, job, let_time_pass, rows, sha
from tests.races.ledger import drain, open_places, violations
from tests.races.rivals import LEVELS, LONG, begin_at, level_name

T = TypeVar("T")

CLIENTS = 16
COMMITS = 1000
# How many of them each client brings: fewer, so that each comes from six clients in the mean.
SHARE = COMMITS if LONG else COMMITS * 3 // 8
SESSIONS = 20
RACES = 10_000 if LONG else 60
AT_THE_GATE = """
select from pg_locks join pg_database on pg_database.oid = database
where datname = current_database() and locktype = 'advisory' and not granted
"""
OPTIONS = "-c statement_timeout=60s"


@pytest.fixture(scope="module")
def clients(dsn: str) -> Iterator[list[Connection]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(psycopg.connect(dsn, options=OPTIONS, autocommit=True))
            for _ in range(CLIENTS)
        ]


def together(clients: list[Connection], work: Callable[[int, Connection], T]) -> list[T]:
    """Run work for each client in a thread of its own."""
    with ThreadPoolExecutor(len(clients)) as pool:
        return list(pool.map(work, range(len(clients)), clients))


def retried(work: Callable[[], T]) -> T:
    """Repeat after 40001, the one error that a race may cost above READ COMMITTED."""
    while True:
        try:
            return work()
        except psycopg.errors.SerializationFailure:
            continue


@pytest.mark.parametrize("level", LEVELS, ids=level_name)
def test_sixteen_clients_with_the_same_thousand_commits_make_a_thousand_jobs(
    clients: list[Connection], level: IsolationLevel
) -> None:
    sessions = [uuid4() for _ in range(SESSIONS)]
    commits = [(sessions[number % SESSIONS], sha()) for number in range(COMMITS)]
    start = Barrier(CLIENTS)

    def client(number: int, conn: Connection) -> list[Any]:
        begin_at(conn, level)
        # Half of them side by side, half from another place each.
        turn = 0 if number % 2 else number * COMMITS // CLIENTS
        start.wait()
        return [
            retried(partial(enqueue, conn, session_id=session_id, commit_sha=commit_sha))
            for session_id, commit_sha in (commits[turn:] + commits[:turn])[:SHARE]
        ]

    answers = [answer for said in together(clients, client) for answer in said]
    jobs = {answer.job_id for answer in answers}
    assert [answer for answer in answers if None in answer] == []
    assert len(answers) == CLIENTS * SHARE
    assert len(jobs) == COMMITS
    assert Counter(answer.created for answer in answers)[True] == COMMITS
    assert {answer.job_id for answer in answers if answer.created} == jobs
    assert violations(clients[0], sessions) == []


def test_w13_each_job_is_claimed_once(clients: list[Connection]) -> None:
    jobs = {enqueue(clients[0]).job_id for _ in range(COMMITS)}

    def worker(number: int, conn: Connection) -> list[int]:
        begin_at(conn, LEVELS[number % 3])
        claimed: list[int] = []
        while runs := retried(lambda: call(conn, "claim", worker=f"w{number}", max_jobs=10)):
            claimed += [run.job_id for run in runs]
        return claimed

    claimed = [job_id for said in together(clients, worker) for job_id in said]
    assert len(claimed) == COMMITS
    assert set(claimed) == jobs


def said(work: Callable[[], list[Any]]) -> Any:
    """Return the one row of an answer, None for none, or the SQLSTATE of the refusal."""
    try:
        return next(iter(work()), None)
    except psycopg.Error as error:
        return error.sqlstate


def duel(
    clients: list[Connection], rival: Callable[[Connection, Any], list[Any]]
) -> Iterator[tuple[Any, Any, Any]]:
    """Complete a run while a rival acts; yield both answers and what became of the job.

    Both calls wait in the server for one lock and are let go together.
    """
    observer, *pair = clients[:3]

    def gated(conn: Connection, act: Callable[[], list[Any]]) -> list[Any]:
        with conn.pipeline():
            conn.execute("select pg_advisory_xact_lock_shared(1)")
            return act()

    for _ in range(RACES):
        run = start(observer)
        let_time_pass(observer, "1 hour")
        acts = (
            partial(call, pair[0], "complete", **lease(run), status="PASSED"),
            partial(rival, pair[1], lease(run)),
        )
        with ThreadPoolExecutor(2) as pool:
            observer.execute("select pg_advisory_lock(1)")
            calls = [
                pool.submit(said, partial(gated, conn, act))
                for conn, act in zip(pair, acts, strict=True)
            ]
            while len(rows(observer, AT_THE_GATE)) < 2 and not any(one.done() for one in calls):
                pass
            observer.execute("select pg_advisory_unlock(1)")
            completed, other = (one.result() for one in calls)
        yield completed, other, job(observer, run.job_id)
        drain(observer)


@pytest.fixture(autouse=True)
def at_read_committed(clients: list[Connection]) -> Iterator[None]:
    """Leave the connections as they were, and nothing open or broken."""
    yield
    drain(clients[0])
    for conn in clients:
        begin_at(conn, IsolationLevel.READ_COMMITTED)
    assert open_places(clients[0]) == 0


def test_w05_of_complete_and_rescue_exactly_one_wins(clients: list[Connection]) -> None:
    for completed, rescued, row in duel(clients, lambda conn, _: call(conn, "rescue")):
        wins = (completed != "23V05", rescued is not None)
        assert (*wins, row.status) in ((True, False, "PASSED"), (False, True, "QUEUED"))


def test_p5_of_complete_and_cancel_exactly_one_wins(clients: list[Connection]) -> None:
    def call_off(conn: Connection, lease: Any) -> list[Any]:
        return [cancel(conn, lease["job_id"])]

    for completed, cancelled, row in duel(clients, call_off):
        wins = (completed != "23V02", cancelled != "23V02")
        assert (*wins, row.error_reason) in ((True, False, None), (False, True, "CANCELLED"))


def test_w03_of_two_equal_completes_one_writes_and_one_replays(clients: list[Connection]) -> None:
    def complete(conn: Connection, lease: Any) -> list[Any]:
        return call(conn, "complete", **lease, status="PASSED")

    for first, second, row in duel(clients, complete):
        assert {first.replayed, second.replayed} == {True, False}
        assert first.completed_at == second.completed_at
        assert row.status == "PASSED"


def test_w02_of_two_different_completes_the_first_verdict_stays(
    clients: list[Connection],
) -> None:
    def fail(conn: Connection, lease: Any) -> list[Any]:
        return call(conn, "complete", **lease, status="FAILED")

    for passed, failed, row in duel(clients, fail):
        assert [passed, failed].count("23V02") == 1
        winner = failed if passed == "23V02" else passed
        assert (winner.status, winner.replayed) == (row.status, False)
