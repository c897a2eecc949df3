"""A worker goes on where the primary is, and nothing that it was told is missing there."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

import forgea_pgjobs as pgjobs
from forgea_pgjobs.embedded import Server
from forgea_pgjobs.worker import Worker
from tests.helpers import Connection, enqueue, rows, sha
from tests.python.servers import configure, connect, follow, pg_ctl, run_pair, said, working
from tests.python.test_synchronous_standby import ENDS, WAITING
from tests.python.workers import SECOND, until

JOBS = 300


@pytest.fixture
def pair() -> Iterator[tuple[Server, Server]]:
    with run_pair() as pair:
        yield pair


def both(*pair: Server) -> str:
    """Return a connection string that finds the primary of a pair."""
    hosts = ",".join(str(server.folder) for server in pair)
    return make_conninfo(pair[0].dsn(), host=hosts, target_session_attrs="read-write")


def passed(server: Server) -> set[int]:
    with connect(server) as conn:
        query = "select job_id from pgjobs.verification_verdict where status = 'PASSED'"
        return {row.job_id for row in rows(conn, query)}


@pytest.mark.parametrize("way", ["hosts", "name"])
def test_a_worker_goes_on_after_a_switchover(way: str, pair: tuple[Server, Server]) -> None:
    old, new = pair
    # A name is for new connections only: who is connected stays where he is.
    name = old.folder / "primary"
    name.symlink_to(old.folder)
    dsn = both(*pair) if way == "hosts" else make_conninfo(old.dsn(), host=str(name))
    with connect(old) as conn:
        made = {enqueue(conn).job_id for _ in range(JOBS)}
    handled: list[int] = []

    def handler(run: pgjobs.Claimed) -> str:
        handled.append(run.job_id)
        return "PASSED"

    with working(Worker(dsn, handler, lease_for=2 * SECOND, poll_interval=0.1)) as run:
        until(lambda: len(handled) > JOBS / 10)
        acknowledged = set(handled[:-1])
        pg_ctl(old, "stop")
        pg_ctl(new, "promote")
        assert acknowledged <= passed(new)
        follow(old, new)
        if way == "name":
            until(lambda: said(old, "25006 ERROR") > 1)
            name.unlink()
            name.symlink_to(new.folder)
        until(lambda: len(passed(new)) == JOBS)
    assert passed(new) == made
    counts = run.result()
    assert (counts.written, counts.released) == (JOBS, 0)


def cut_short(conn: Connection, end: str, handled: list[Any]) -> None:
    """End the waits of two for the standby, twice; each has to wait once more."""
    seen: set[Any] = set()

    def waiting() -> set[Any]:
        return set(rows(conn, WAITING)) - seen

    for number in range(3):
        until(lambda: len(waiting()) == 2)
        assert len(handled) == 2
        for one in waiting():
            seen.add(one)
            if number < 2:
                conn.execute(f"select {end}(%s)".encode(), [one.pid])


@pytest.mark.parametrize("end", ENDS)
def test_nothing_acknowledged_is_missing_after_a_failover(
    end: str, pair: tuple[Server, Server]
) -> None:
    old, new = pair
    dsn = both(*pair)
    with psycopg.connect(dsn, autocommit=True) as producer:
        made = {enqueue(producer).job_id for _ in range(4)}
    session, commit = uuid4(), sha()
    handled: list[int] = []
    is_cut_off = Event()

    def handler(run: pgjobs.Claimed) -> str:
        handled.append(run.job_id)
        if len(handled) == 2:
            pg_ctl(new, "stop")
            is_cut_off.set()
        return "PASSED"

    def unit(conn: Connection) -> pgjobs.Enqueued:
        return pgjobs.enqueue(conn, session_id=session, commit_sha=commit, lab_version="1")

    with ThreadPoolExecutor(1) as pool, working(Worker(dsn, handler, poll_interval=0.1)) as run:
        assert is_cut_off.wait(60)
        acknowledged = pool.submit(pgjobs.retry, lambda: psycopg.connect(dsn), unit, attempts=20)
        with connect(old) as conn:
            cut_short(conn, end, handled)
        assert not acknowledged.done()
        pg_ctl(old, "-m", "immediate", "stop")
        configure(new, synchronous_standby_names="")
        pg_ctl(new, "start")
        until(lambda: passed(new) == {handled[0]})
        pg_ctl(new, "promote")
        made.add(acknowledged.result().job_id)
        until(lambda: passed(new) == made)
    assert run.result().written == len(made)
    with connect(new) as conn:
        found = pgjobs.get_job(conn, commit_sha=commit)
    assert (found and found.status) == "PASSED"
