"""Artifacts that come at the same time, and expiries that run meanwhile."""

from collections import Counter
from functools import partial

import psycopg
import pytest
from psycopg import IsolationLevel

from tests.calls import add, read, start, start_many
from tests.conftest import Connect
from tests.helpers import Connection, call, complete, refused, rows
from tests.races.rivals import CLIENTS, LEVELS, at_once, background, level_name
from tests.races.test_artifact_races import NOW, leave_log

pytestmark = pytest.mark.usefixtures("fresh_dsn")
AGREEING = (
    "select count(*) as bodies, bool_and(sha256(content) = sha256) as agrees from pgjobs.body"
)


@pytest.mark.parametrize("level", LEVELS, ids=level_name)
def test_the_same_artifact_from_eight_connections_is_recorded_once(
    connect: Connect, observer: Connection, level: IsolationLevel
) -> None:
    run = start(observer)
    answers = at_once(connect, level, lambda conn, _: add(conn, run))
    assert Counter(answer.created for answer in answers) == {True: 1, False: CLIENTS - 1}
    assert len({answer.artifact_id for answer in answers}) == 1
    assert len(rows(observer, "select from pgjobs.artifact")) == 1


@pytest.mark.parametrize("level", LEVELS, ids=level_name)
def test_equal_bytes_of_eight_runs_are_stored_once(
    connect: Connect, observer: Connection, level: IsolationLevel
) -> None:
    runs = start_many(observer, CLIENTS)
    answers = at_once(connect, level, lambda conn, number: add(conn, runs[number]))
    assert [answer.created for answer in answers] == [True] * CLIENTS
    assert len(rows(observer, "select from pgjobs.body")) == 1


@pytest.mark.parametrize("level", LEVELS, ids=level_name)
def test_no_run_gets_more_than_a_hundred_artifacts(
    connect: Connect, observer: Connection, level: IsolationLevel
) -> None:
    run = start(observer)
    for number in range(96):
        add(observer, run, name=f"{number}")

    def add_or_not(conn: Connection, number: int) -> bool:
        try:
            return bool(add(conn, run, name=f"more {number}").created)
        except psycopg.errors.InvalidParameterValue:
            return False

    answers = at_once(connect, level, add_or_not)
    assert Counter(answers) == {True: 4, False: 4}


def test_bytes_that_are_being_dropped_are_stored_anew(
    connect: Connect, observer: Connection
) -> None:
    leave_log(observer)
    run = start(observer)
    dropping, adding = connect(), connect()
    call(dropping, "expire_artifacts", **NOW)
    with background(adding, observer, lambda: add(adding, run)) as waiting:
        assert waiting.blockers() == [dropping.info.backend_pid]
        dropping.commit()
        answer = waiting.result()
    adding.commit()
    assert read(observer, answer.artifact_id) == b"log"
    expired = rows(observer, "select expired_at is not null from pgjobs.verification_artifact")
    assert sorted(expired) == [(False,), (True,)]


@pytest.mark.parametrize("ended", ["before", "after"])
def test_bytes_that_a_newcomer_shares_are_not_dropped(
    connect: Connect, observer: Connection, ended: str
) -> None:
    """The newcomer is open when the expiry looks, or ends between its look and its lock."""
    leave_log(observer)
    run = start(observer)
    adding, dropping = connect(), connect(autocommit=True)
    if ended == "after":
        add(adding, run)
        [dropped] = call(dropping, "expire_artifacts", **NOW)
        adding.commit()
    else:
        # Who wants to lock a body waits here, and has looked before.
        gate = connect()
        gate.execute("lock table pgjobs.body in exclusive mode")
        expire = partial(call, dropping, "expire_artifacts", **NOW)
        with background(dropping, observer, expire) as waiting:
            assert waiting.blockers() == [gate.info.backend_pid]
            add(gate, run)
            gate.commit()
            [dropped] = waiting.result()
    assert dropped == (0, 0, 0, 0)
    assert len(rows(observer, "select from pgjobs.body")) == 1


def test_while_bodies_are_dropped_what_is_left_agrees_with_its_hash(
    connect: Connect, observer: Connection
) -> None:
    run = start(observer)
    for number in range(100):
        add(observer, run, name=f"{number}", content=f"{number}".encode() * 1000)
    complete(observer, run)
    recorded = rows(observer, "select xmin::text, * from pgjobs.artifact order by artifact_id")
    reading = connect(autocommit=True)
    left: list[int] = []

    def verify() -> None:
        while not left or left[-1]:
            [found] = rows(reading, AGREEING)
            assert found.agrees is not False
            left.append(found.bodies)

    with background(reading, observer, verify) as verifying:
        for _ in range(20):
            call(observer, "expire_artifacts", **NOW, max_rows=5)
        verifying.result()
    assert left == sorted(left, reverse=True)
    assert rows(observer, "select xmin::text, * from pgjobs.artifact order by 2") == recorded


def test_no_verdict_comes_between_an_artifact_and_its_commit(
    connect: Connect, observer: Connection
) -> None:
    run = start(observer)
    adding, completing = connect(), connect(autocommit=True)
    add(adding, run)
    with background(completing, observer, lambda: complete(completing, run)) as waiting:
        assert waiting.blockers() == [adding.info.backend_pid]
        adding.commit()
        waiting.result()
    with refused("23V02"):
        add(observer, run, name="late")
