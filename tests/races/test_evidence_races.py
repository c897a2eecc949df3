"""Artifacts, expiries, amendments and reviews that come at the same time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg import IsolationLevel

from tests.conftest import Connect
from tests.helpers import Connection, call, claim, complete, enqueue, refused, rows
from tests.races.ledger import violations
from tests.races.rivals import LEVELS, background, begin_at, level_name
from tests.sql.test_add_artifact import add, read

CLIENTS = 8
DECISION = {"reason": "r", "actor": "a", "approver": "b", "ticket": "t"}


@pytest.fixture
def observer(connect: Connect) -> Connection:
    return connect(autocommit=True)


def finish(conn: Connection) -> Any:
    enqueue(conn)
    run = claim(conn)
    complete(conn, run)
    return run


def at_once(
    connect: Connect, level: IsolationLevel, work: Callable[[Connection, int], Any]
) -> list[Any]:
    """Let eight connections do the same, each until no rival makes it begin again."""
    conns = [connect(autocommit=True) for _ in range(CLIENTS)]
    for conn in conns:
        begin_at(conn, level)

    def until_done(number: int) -> Any:
        while True:
            try:
                return work(conns[number], number)
            except psycopg.errors.SerializationFailure:
                assert level is not IsolationLevel.READ_COMMITTED

    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(until_done, range(CLIENTS)))


@pytest.mark.parametrize("level", LEVELS, ids=level_name)
@pytest.mark.usefixtures("fresh_dsn")
def test_the_same_artifact_from_eight_connections_is_recorded_once(
    connect: Connect, observer: Connection, level: IsolationLevel
) -> None:
    enqueue(observer)
    run = claim(observer)
    answers = at_once(connect, level, lambda conn, _: add(conn, run))
    assert Counter(answer.created for answer in answers) == {True: 1, False: CLIENTS - 1}
    assert len({answer.artifact_id for answer in answers}) == 1
    assert len(rows(observer, "select from pgjobs.artifact")) == 1


@pytest.mark.parametrize("level", LEVELS, ids=level_name)
@pytest.mark.usefixtures("fresh_dsn")
def test_equal_bytes_of_eight_runs_are_stored_once(
    connect: Connect, observer: Connection, level: IsolationLevel
) -> None:
    for _ in range(CLIENTS):
        enqueue(observer)
    runs = call(observer, "claim", worker="w", max_jobs=CLIENTS)
    answers = at_once(connect, level, lambda conn, number: add(conn, runs[number]))
    assert [answer.created for answer in answers] == [True] * CLIENTS
    assert len(rows(observer, "select from pgjobs.body")) == 1


@pytest.mark.parametrize("level", LEVELS, ids=level_name)
@pytest.mark.usefixtures("fresh_dsn")
def test_no_run_gets_more_than_a_hundred_artifacts(
    connect: Connect, observer: Connection, level: IsolationLevel
) -> None:
    enqueue(observer)
    run = claim(observer)
    for number in range(96):
        add(observer, run, name=f"{number}")

    def add_or_not(conn: Connection, number: int) -> bool:
        try:
            return bool(add(conn, run, name=f"more {number}").created)
        except psycopg.errors.InvalidParameterValue:
            return False

    answers = at_once(connect, level, add_or_not)
    assert Counter(answers) == {True: 4, False: 4}


@pytest.mark.usefixtures("fresh_dsn")
def test_bytes_that_are_being_dropped_are_stored_anew(
    connect: Connect, observer: Connection
) -> None:
    enqueue(observer)
    old = claim(observer)
    add(observer, old)
    complete(observer, old)
    enqueue(observer)
    run = claim(observer)
    dropping, adding = connect(), connect()
    call(dropping, "expire_artifacts", older_than="0", dry_run=False)
    with background(adding, observer, lambda: add(adding, run)) as waiting:
        assert waiting.blockers() == [dropping.info.backend_pid]
        dropping.commit()
        answer = waiting.result()
    adding.commit()
    assert read(observer, answer.artifact_id) == b"log"
    expired = rows(observer, "select expired_at is not null from pgjobs.verification_artifact")
    assert sorted(expired) == [(False,), (True,)]


@pytest.mark.parametrize("ended", ["before", "after"])
@pytest.mark.usefixtures("fresh_dsn")
def test_bytes_that_a_newcomer_shares_are_not_dropped(
    connect: Connect, observer: Connection, ended: str
) -> None:
    """The newcomer is open when the expiry looks, or ends between its look and its lock."""
    enqueue(observer)
    old = claim(observer)
    add(observer, old)
    complete(observer, old)
    enqueue(observer)
    run = claim(observer)
    adding, dropping = connect(), connect(autocommit=True)
    if ended == "after":
        add(adding, run)
        [dropped] = call(dropping, "expire_artifacts", older_than="0", dry_run=False)
        adding.commit()
    else:
        # Who wants to lock a body waits here, and has looked before.
        gate = connect()
        gate.execute("lock table pgjobs.body in exclusive mode")
        expire = lambda: call(dropping, "expire_artifacts", older_than="0", dry_run=False)  # noqa: E731
        with background(dropping, observer, expire) as waiting:
            assert waiting.blockers() == [gate.info.backend_pid]
            add(gate, run)
            gate.commit()
            [dropped] = waiting.result()
    assert dropped == (0, 0, 0)
    assert len(rows(observer, "select from pgjobs.body")) == 1


@pytest.mark.usefixtures("fresh_dsn")
def test_no_verdict_comes_between_an_artifact_and_its_commit(
    connect: Connect, observer: Connection
) -> None:
    enqueue(observer)
    run = claim(observer)
    adding, completing = connect(), connect(autocommit=True)
    add(adding, run)
    with background(completing, observer, lambda: complete(completing, run)) as waiting:
        assert waiting.blockers() == [adding.info.backend_pid]
        adding.commit()
        waiting.result()
    with refused("23V02"):
        add(observer, run, name="late")


@pytest.mark.parametrize("level", LEVELS, ids=level_name)
@pytest.mark.usefixtures("fresh_dsn")
def test_eight_amendments_at_once_are_numbered_without_a_gap(
    connect: Connect, observer: Connection, level: IsolationLevel
) -> None:
    job_id = finish(observer).job_id
    at_once(
        connect,
        level,
        lambda conn, _: call(conn, "amend", job_id=job_id, status="PASSED", **DECISION),
    )
    numbers = rows(observer, "select amendment_no from pgjobs.amendment order by 1")
    assert numbers == [(number,) for number in range(1, CLIENTS + 1)]


@pytest.mark.parametrize("level", LEVELS[1:], ids=level_name)
@pytest.mark.usefixtures("fresh_dsn")
def test_an_old_snapshot_that_does_not_know_a_review_is_told_to_retry(
    connect: Connect, observer: Connection, level: IsolationLevel
) -> None:
    done = finish(observer)
    late = connect()
    late.isolation_level = level
    late.execute("select")
    call(observer, "reverify", job_ids=[done.job_id], **DECISION)
    complete(observer, claim(observer))
    with refused("40001"):
        call(late, "reverify", job_ids=[done.job_id], **DECISION)
    late.rollback()
    [answer] = call(late, "reverify", job_ids=[done.job_id], **DECISION)
    late.commit()
    assert answer.outcome == "queued"
    assert claim(observer).run_no == 3
    assert violations(observer) == []


@pytest.mark.parametrize("level", LEVELS, ids=level_name)
@pytest.mark.usefixtures("fresh_dsn")
def test_eight_reviews_of_a_job_at_once_are_one(
    connect: Connect, observer: Connection, level: IsolationLevel
) -> None:
    done = finish(observer)

    def work(conn: Connection, number: int) -> str:
        if number % 2:
            enqueue(conn, session_id=done.session_id)
        [answer] = call(conn, "reverify", job_ids=[done.job_id], **DECISION)
        return str(answer.outcome)

    answers = at_once(connect, level, work)
    assert Counter(answers) == {"queued": 1, "already_queued": CLIENTS - 1}
    assert violations(observer) == []
