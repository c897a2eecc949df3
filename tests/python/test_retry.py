"""A unit is repeated until its outcome is known, when that may help, and ends right."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool, ConnectionPool

import forgea_pgjobs as pgjobs
from forgea_pgjobs import aio
from tests.conftest import Connect
from tests.helpers import Connection, sha
from tests.python.faults import Pauses, cut, raise_error, warn, warn_at_commit

FAULTS = ["40001", "40P01", "57P01", "08006"]


def test_a_try_that_was_cut_off_leaves_nothing(connect: Connect) -> None:
    session, commit = uuid4(), sha()
    answers: list[pgjobs.Enqueued] = []

    def unit(conn: Connection) -> pgjobs.Enqueued:
        answers.append(pgjobs.enqueue(conn, session_id=session, commit_sha=commit, lab_version="1"))
        if len(answers) == 1:
            cut(conn, connect())
        return answers[-1]

    assert pgjobs.retry(connect, unit, sleep=Pauses()).created
    assert len(answers) == 2


@pytest.mark.parametrize("sqlstate", ["01000", "57014", "57P01"])
def test_a_commit_that_may_not_have_reached_the_standby_is_unknown(
    sqlstate: str, connect: Connect
) -> None:
    session, commit = uuid4(), sha()
    answers: list[pgjobs.Enqueued] = []

    def unit(conn: Connection) -> pgjobs.Enqueued:
        if not answers:
            warn_at_commit(conn, sqlstate)
        answers.append(pgjobs.enqueue(conn, session_id=session, commit_sha=commit, lab_version="1"))
        return answers[-1]

    answer = pgjobs.retry(connect, unit, sleep=Pauses())
    assert [each.created for each in answers] == [True, False]
    assert answer.job_id == answers[0].job_id
    with pytest.raises(pgjobs.UnknownOutcome):
        pgjobs.retry(connect, lambda conn: warn_at_commit(conn, sqlstate), attempts=1)


@pytest.mark.parametrize("autocommit", [True, False])
def test_the_unit_is_one_transaction_whatever_connect_left_open(
    autocommit: bool, connect: Connect
) -> None:
    def busy() -> Connection:
        conn = connect(autocommit=autocommit)
        conn.execute("select 1")
        return conn

    session, commit = uuid4(), sha()

    def unit(conn: Connection) -> None:
        pgjobs.enqueue(conn, session_id=session, commit_sha=commit, lab_version="1")
        assert pgjobs.get_job(connect(), commit_sha=commit) is None

    pgjobs.retry(busy, unit)
    assert pgjobs.get_job(connect(), commit_sha=commit) is not None


def test_one_fault_in_four_calls_still_ends_with_one_job_and_one_verdict_each(
    fresh_dsn: str, connect: Connect
) -> None:
    dice = random.Random(20)  # noqa: S311  # faults are to be the same in every run
    tries, faults = 0, 0

    def happens() -> bool:
        nonlocal faults
        fault = dice.random() < 0.07  # each of four times a try, which makes one try in four
        faults += fault
        return fault

    def faulty_connect() -> Connection:
        return psycopg.connect("host=/nonexistent" if happens() else fresh_dsn)

    def faulty(act: partial[Any]) -> Any:
        def unit(conn: Connection) -> Any:
            nonlocal tries
            tries += 1
            if happens():
                raise_error(conn, dice.choice(FAULTS))
            answer = act(conn)
            if happens():
                raise_error(conn, dice.choice(FAULTS))
            if happens():
                warn_at_commit(conn, dice.choice(["01000", "57P01"]))
            return answer

        return pgjobs.retry(faulty_connect, unit, attempts=50, sleep=Pauses())

    session = uuid4()
    for number in range(1, 41):
        faulty(partial(pgjobs.enqueue, session_id=session, commit_sha=sha(number), lab_version="1"))
        with connect() as conn:
            [run] = pgjobs.claim(conn, worker="w")
        lease: dict[str, Any] = {"job_id": run.job_id, "lease_token": run.lease_token}
        assert faulty(partial(pgjobs.complete, **lease, status="PASSED")).status == "PASSED"
    counts = connect().execute(
        "select count(*), count(distinct commit_sha) from pgjobs.verification_job"
        " where status = 'PASSED' and run_no = 1"
    )
    assert counts.fetchone() == (40, 40)
    assert faults > tries / 5


def test_the_async_twin_tries_again_too(dsn: str) -> None:
    session, commit = uuid4(), sha()
    tries: list[psycopg.AsyncConnection[Any]] = []

    async def unit(conn: psycopg.AsyncConnection[Any]) -> pgjobs.Enqueued:
        tries.append(conn)
        answer = await aio.enqueue(conn, session_id=session, commit_sha=commit, lab_version="1")
        if len(tries) == 1:
            await conn.execute("do $$ begin raise exception using errcode = '40001'; end $$")
        return answer

    async def no_pause(_seconds: float) -> None:
        pass

    async def main() -> pgjobs.Enqueued:
        connect = partial(psycopg.AsyncConnection.connect, dsn)
        return await aio.retry(connect, unit, sleep=no_pause)

    assert asyncio.run(main()).created
    assert [conn.closed for conn in tries] == [True, True]


@pytest.mark.parametrize("sqlstate", ["40001", "40P01", "57P01", "57P02", "57P03", "08006"])
def test_a_passing_fault_is_tried_again(sqlstate: str, connect: Connect) -> None:
    tries: list[Connection] = []

    def unit(conn: Connection) -> int:
        tries.append(conn)
        if len(tries) < 3:
            raise_error(conn, sqlstate)
        return len(tries)

    assert pgjobs.retry(connect, unit, sleep=Pauses()) == 3
    assert len(set(map(id, tries))) == 3
    assert all(conn.closed for conn in tries)


@pytest.mark.parametrize("lose", [cut, lambda conn, _killer: conn.close()], ids=["cut", "closed"])
def test_a_lost_connection_is_tried_again(
    lose: Callable[[Connection, Connection], None], connect: Connect
) -> None:
    tries: list[int] = []

    def unit(conn: Connection) -> None:
        tries.append(conn.info.backend_pid)
        if len(tries) == 1:
            lose(conn, connect())
        conn.execute("select 1")

    pgjobs.retry(connect, unit, sleep=Pauses())
    assert len(tries) == 2


def test_a_refused_connection_is_tried_again(connect: Connect) -> None:
    tries: list[str] = []

    def refused_once() -> Connection:
        tries.append("connect")
        if len(tries) == 1:
            return psycopg.connect("host=/nonexistent")
        return connect()

    assert pgjobs.retry(refused_once, lambda _conn: "done", sleep=Pauses()) == "done"
    assert len(tries) == 2


@pytest.mark.parametrize("sqlstate", ["23505", "22023", "55P03", "57014", "25P03", "23V05"])
def test_any_other_error_is_raised_at_once(sqlstate: str, connect: Connect) -> None:
    pauses = Pauses()
    with pytest.raises(psycopg.Error) as caught:
        pgjobs.retry(connect, lambda conn: raise_error(conn, sqlstate), sleep=pauses)
    assert (caught.value.sqlstate, pauses) == (sqlstate, [])


def test_trouble_of_the_driver_on_a_living_connection_is_raised_at_once(connect: Connect) -> None:
    def unit(_conn: Connection) -> None:
        raise psycopg.errors.PipelineAborted

    pauses = Pauses()
    with pytest.raises(psycopg.errors.PipelineAborted):
        pgjobs.retry(connect, unit, sleep=pauses)
    assert pauses == []


def test_an_exception_that_is_no_database_error_is_raised_at_once_and_nothing_stays_open(
    connect: Connect,
) -> None:
    opened: list[Connection] = []

    def unit(conn: Connection) -> None:
        opened.append(conn)
        raise KeyError

    with pytest.raises(KeyError):
        pgjobs.retry(connect, unit, sleep=Pauses())
    assert [conn.closed for conn in opened] == [True]


def test_a_pool_gets_its_connections_back(dsn: str) -> None:
    with ConnectionPool(dsn, min_size=1, max_size=1) as pool:
        for _ in range(3):
            pgjobs.retry(pool.connection, lambda conn: conn.execute("select 1"), attempts=1)
        assert pool.get_stats()["pool_available"] == 1


def test_an_async_pool_gets_its_connections_back(dsn: str) -> None:
    async def main() -> int:
        async with AsyncConnectionPool(dsn, min_size=1, max_size=1, open=False) as pool:

            async def connect() -> AbstractAsyncContextManager[psycopg.AsyncConnection[Any]]:
                return pool.connection()

            for _ in range(3):
                await aio.retry(connect, lambda conn: conn.execute("select 1"), attempts=1)
            return pool.get_stats()["pool_available"]

    assert asyncio.run(main()) == 1


def test_a_warning_before_commit_is_no_unknown_outcome(connect: Connect) -> None:
    pgjobs.retry(connect, lambda conn: warn(conn, "57014"), attempts=1)


def test_pauses_double_up_to_a_limit_and_are_shortened_at_random(connect: Connect) -> None:
    pauses = Pauses()
    with pytest.raises(psycopg.errors.SerializationFailure):
        pgjobs.retry(
            connect,
            lambda conn: raise_error(conn, "40001"),
            attempts=6,
            delay=1,
            max_delay=5,
            sleep=pauses,
        )
    for pause, longest in zip(pauses, [1, 2, 4, 5, 5], strict=True):
        assert longest / 2 <= pause < longest


def test_no_attempt_is_no_retry(connect: Connect) -> None:
    with pytest.raises(ValueError, match="attempts"):
        pgjobs.retry(connect, lambda _conn: None, attempts=0)
