"""With a synchronous standby nothing acknowledged is missing, whoever is the primary afterwards."""

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
from tests.python.servers import (
    configure,
    connect,
    pg_ctl,
    run_pair,
    said,
    switch_over,
    to_primary,
    working,
)
from tests.python.workers import PATIENCE, SECOND, until

JOBS = 300
PASSED = "select job_id from pgjobs.verification_verdict where status = 'PASSED'"
WAITING = "select pid, query_start from pg_stat_activity where wait_event = 'SyncRep'"


@pytest.fixture
def pair() -> Iterator[list[Server]]:
    with run_pair() as pair:
        yield pair


def passed(server: Server) -> set[int]:
    with connect(server) as conn:
        return {row.job_id for row in rows(conn, PASSED)}


@pytest.mark.parametrize("way", ["hosts", "name"])
def test_a_worker_goes_on_after_a_switchover(way: str, pair: list[Server]) -> None:
    old, new = pair
    # A name is for new connections only: who is connected stays where he is.
    name = old.folder / "primary"
    name.symlink_to(old.folder)
    dsn = to_primary(pair) if way == "hosts" else make_conninfo(old.dsn(), host=str(name))
    with connect(old) as conn:
        made = {enqueue(conn).job_id for _ in range(JOBS)}
    handled: list[int] = []

    def handler(run: pgjobs.Claimed) -> str:
        handled.append(run.job_id)
        return "PASSED"

    worker = Worker(dsn, handler, lease_for=2 * SECOND, poll_interval=0.1)
    with working(worker) as run:
        until(lambda: len(handled) > JOBS / 10)
        acknowledged = handled[:-1]
        switch_over(pair)
        if way == "name":
            until(lambda: said(old, "25006 ERROR") > 1)
            name.unlink()
            name.symlink_to(new.folder)
        until(lambda: passed(new) == made)
    counts = run.result()
    assert (counts.written, counts.released) == (JOBS, 0)
    # What the new primary lacked would have run again.
    assert {handled.count(job_id) for job_id in acknowledged} == {1}


def cut_short(conn: Connection, end: str) -> None:
    """End the waits of two for the standby, twice; each has to wait once more."""
    seen: set[Any] = set()
    for number in range(3):
        until(lambda: len(set(rows(conn, WAITING)) - seen) == 2)
        for waiting in set(rows(conn, WAITING)) - seen:
            seen.add(waiting)
            if number < 2:
                conn.execute(f"select {end}(%s)".encode(), [waiting.pid])


@pytest.mark.parametrize("end", ["pg_cancel_backend", "pg_terminate_backend"])
@pytest.mark.parametrize("batch", [1, 2])
def test_retry_and_a_worker_wait_until_the_standby_has_what_they_acknowledge(
    batch: int, end: str, pair: list[Server]
) -> None:
    old, new = pair
    dsn = to_primary(pair)
    with psycopg.connect(dsn, autocommit=True) as producer:
        made = {enqueue(producer).job_id for _ in range(4 * batch)}
    session, commit = uuid4(), sha()
    handled: list[int] = []
    is_cut_off = Event()

    def handler(run: pgjobs.Claimed) -> str:
        handled.append(run.job_id)
        if len(handled) == 2 * batch:
            pg_ctl(new, "stop")
            is_cut_off.set()
        return "PASSED"

    def unit(conn: Connection) -> pgjobs.Enqueued:
        return pgjobs.enqueue(conn, session_id=session, commit_sha=commit, lab_version="1")

    worker = Worker(dsn, handler, batch=batch, poll_interval=0.1)
    with ThreadPoolExecutor(1) as pool, working(worker) as run:
        assert is_cut_off.wait(PATIENCE)
        answer = pool.submit(pgjobs.retry, lambda: psycopg.connect(dsn), unit, attempts=20)
        try:
            with connect(old) as conn:
                cut_short(conn, end)
            assert (answer.done(), len(handled)) == (False, 2 * batch)
        finally:
            pg_ctl(old, "-m", "immediate", "stop")
        configure(new, synchronous_standby_names="")
        pg_ctl(new, "start")
        until(lambda: passed(new) == set(handled[:batch]))
        pg_ctl(new, "promote")
        made.add(answer.result().job_id)
        until(lambda: passed(new) == made)
    assert run.result().written == len(made)
