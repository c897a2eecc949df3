"""Artifacts that come at the same time, and expiries that run meanwhile."""

from __future__ import annotations

from collections import Counter

import psycopg
import pytest
from psycopg import IsolationLevel

from tests.conftest import Connect
from tests.helpers import Connection, call, claim, complete, enqueue, refused, rows
from tests.races.rivals import CLIENTS, LEVELS, at_once, background, level_name
from tests.sql.test_add_artifact import add, read


@pytest.fixture
def observer(connect: Connect) -> Connection:
    return connect(autocommit=True)


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
def test_while_bodies_are_dropped_what_is_left_agrees_with_its_hash(
    connect: Connect, observer: Connection
) -> None:
    enqueue(observer)
    run = claim(observer)
    for number in range(100):
        add(observer, run, name=f"{number}", content=f"{number}".encode() * 1000)
    complete(observer, run)
    recorded = rows(observer, "select xmin::text, * from pgjobs.artifact order by artifact_id")
    reading = connect(autocommit=True)
    left: list[int] = []

    def verify() -> None:
        while not left or left[-1]:
            [found] = rows(
                reading,
                "select count(*) as bodies, bool_and(sha256(content) = sha256) as agrees"
                " from pgjobs.body",
            )
            assert found.agrees is not False
            left.append(found.bodies)

    with background(reading, observer, verify) as verifying:
        for _ in range(20):
            call(observer, "expire_artifacts", older_than="0", max_rows=5, dry_run=False)
        verifying.result()
    assert left == sorted(left, reverse=True)
    assert rows(observer, "select xmin::text, * from pgjobs.artifact order by 2") == recorded


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
