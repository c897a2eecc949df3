"""What retry repeats, and what it raises at once."""

from __future__ import annotations

import psycopg
import pytest

import forgea_pgjobs as pgjobs
from tests.conftest import Connect
from tests.helpers import Connection
from tests.python.faults import Pauses, cut, raise_error, warn


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


def test_a_lost_connection_is_tried_again(connect: Connect) -> None:
    tries: list[int] = []

    def unit(conn: Connection) -> None:
        tries.append(conn.info.backend_pid)
        conn.execute("select 1")
        if len(tries) == 1:
            cut(conn, connect())

    pgjobs.retry(connect, unit, sleep=Pauses())
    assert len(tries) == 2


def test_a_connection_that_is_closed_on_the_way_is_tried_again(connect: Connect) -> None:
    tries: list[Connection] = []

    def unit(conn: Connection) -> None:
        tries.append(conn)
        if len(tries) == 1:
            conn.close()
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
