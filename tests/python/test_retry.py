"""A unit is repeated until its outcome is known, and ends right however often it is cut off."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import uuid4

import psycopg
import pytest

import forgea_pgjobs as pgjobs
from forgea_pgjobs import aio
from tests.helpers import Connection, sha

FAULTS = ["40001", "40P01", "57P01", "08006"]


class Pauses(list[float]):
    """Takes the place of sleep."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def raise_error(conn: psycopg.Connection[Any], sqlstate: str) -> None:
    conn.execute(
        f"do $$ begin raise exception 'fault' using errcode = '{sqlstate}'; end $$".encode()
    )


def warn_at_commit(conn: psycopg.Connection[Any], sqlstate: str) -> None:
    """Make COMMIT answer with the warning of a cancelled wait for a synchronous standby."""
    conn.execute("create temporary table once (id integer) on commit drop")
    function = (
        "create function pg_temp.warn() returns trigger language plpgsql as $$ begin"
        f" raise warning 'canceling the wait' using errcode = '{sqlstate}'; return null; end $$"
    )
    conn.execute(function.encode())
    conn.execute(
        "create constraint trigger warn after insert on once deferrable initially deferred"
        " for each row execute function pg_temp.warn()"
    )
    conn.execute("insert into once values (1)")


@pytest.fixture
def connect(fresh_dsn: str) -> Callable[[], Connection]:
    return lambda: psycopg.connect(fresh_dsn)


@pytest.mark.parametrize("sqlstate", [*FAULTS, "57P02", "57P03"])
def test_a_passing_fault_is_tried_again(sqlstate: str, connect: Callable[[], Connection]) -> None:
    tries: list[Connection] = []

    def unit(conn: Connection) -> int:
        tries.append(conn)
        if len(tries) < 3:
            raise_error(conn, sqlstate)
        return len(tries)

    pauses = Pauses()
    assert pgjobs.retry(connect, unit, sleep=pauses) == 3
    assert len(set(map(id, tries))) == 3
    assert all(conn.closed for conn in tries)
    assert [0.025 <= pauses[0] <= 0.05, 0.05 <= pauses[1] <= 0.1] == [True, True]


@pytest.mark.parametrize("sqlstate", ["23505", "22023", "55P03", "57014"])
def test_any_other_error_is_raised_at_once(
    sqlstate: str, connect: Callable[[], Connection]
) -> None:
    pauses = Pauses()
    with pytest.raises(psycopg.Error) as caught:
        pgjobs.retry(connect, lambda conn: raise_error(conn, sqlstate), sleep=pauses)
    assert (caught.value.sqlstate, pauses) == (sqlstate, [])


def test_the_last_error_is_raised_when_the_tries_are_used_up(
    connect: Callable[[], Connection],
) -> None:
    pauses = Pauses()
    with pytest.raises(psycopg.errors.SerializationFailure):
        pgjobs.retry(
            connect,
            lambda conn: raise_error(conn, "40001"),
            attempts=4,
            max_delay=0.1,
            sleep=pauses,
        )
    assert len(pauses) == 3
    assert max(pauses) <= 0.1


def test_a_lost_connection_is_tried_again(connect: Callable[[], Connection]) -> None:
    session, commit = uuid4(), sha()
    answers: list[pgjobs.Enqueued] = []

    def unit(conn: Connection) -> pgjobs.Enqueued:
        answers.append(pgjobs.enqueue(conn, session_id=session, commit_sha=commit, lab_version="1"))
        if len(answers) == 1:
            with connect() as killer:
                killer.execute("select pg_terminate_backend(%s)", [conn.info.backend_pid])
        return answers[-1]

    answer = pgjobs.retry(connect, unit, sleep=Pauses())
    assert answer.created, "the first try was rolled back with its connection"
    assert len(answers) == 2


@pytest.mark.parametrize("sqlstate", ["57014", "57P01"])
def test_a_commit_that_may_not_have_reached_the_standby_is_unknown(
    sqlstate: str, connect: Callable[[], Connection]
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


def test_the_unit_commits_though_connect_left_a_transaction_open(
    connect: Callable[[], Connection],
) -> None:
    def busy() -> Connection:
        conn = connect()
        conn.execute("select 1")
        return conn

    session, commit = uuid4(), sha()
    pgjobs.retry(
        busy,
        lambda conn: pgjobs.enqueue(conn, session_id=session, commit_sha=commit, lab_version="1"),
    )
    with connect() as conn:
        assert pgjobs.get_job(conn, commit_sha=commit) is not None


def test_one_fault_in_four_calls_still_ends_with_one_job_and_one_verdict_each(
    connect: Callable[[], Connection],
) -> None:
    dice = random.Random(20)  # noqa: S311  # faults are to be the same in every run
    session = uuid4()
    faults = 0

    def faulty(act: Callable[[Connection], Any]) -> Any:
        def unit(conn: Connection) -> Any:
            nonlocal faults
            before, after, at_commit = (dice.random() < 0.25 / 3 for _ in range(3))
            faults += before or after or at_commit
            if at_commit:
                warn_at_commit(conn, "57014")
            if before:
                raise_error(conn, dice.choice(FAULTS))
            answer = act(conn)
            if after:
                raise_error(conn, dice.choice(FAULTS))
            return answer

        return pgjobs.retry(connect, unit, attempts=50, sleep=Pauses())

    arguments: dict[str, Any] = {"session_id": session, "lab_version": "1"}
    for number in range(1, 41):
        faulty(partial(pgjobs.enqueue, commit_sha=sha(number), **arguments))
        with connect() as conn:
            [run] = pgjobs.claim(conn, worker="w")
        lease: dict[str, Any] = {"job_id": run.job_id, "lease_token": run.lease_token}
        faulty(partial(pgjobs.complete, **lease, status="PASSED"))
    with connect() as conn:
        counts = conn.execute(
            "select count(*), count(distinct commit_sha) from pgjobs.verification_job"
            " where status = 'PASSED' and run_no = 1"
        ).fetchone()
    assert counts == (40, 40)
    assert faults > 10


def test_the_async_twin_tries_again_too(fresh_dsn: str) -> None:
    session, commit = uuid4(), sha()
    tries = 0

    async def unit(conn: psycopg.AsyncConnection[Any]) -> pgjobs.Enqueued:
        nonlocal tries
        tries += 1
        answer = await aio.enqueue(conn, session_id=session, commit_sha=commit, lab_version="1")
        if tries == 1:
            await conn.execute("do $$ begin raise exception using errcode = '40001'; end $$")
        return answer

    async def no_pause(_seconds: float) -> None:
        pass

    async def main() -> pgjobs.Enqueued:
        return await aio.retry(
            lambda: psycopg.AsyncConnection.connect(fresh_dsn), unit, sleep=no_pause
        )

    assert asyncio.run(main()).created
    assert tries == 2
