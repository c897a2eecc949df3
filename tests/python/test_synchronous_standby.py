"""A COMMIT whose wait for the synchronous standby was cut short is believed only when proven."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import psycopg
import pytest

import forgea_pgjobs as pgjobs
from forgea_pgjobs import embedded, schema
from forgea_pgjobs.errors import PROOF
from forgea_pgjobs.worker import Worker, WorkerCounts
from tests.helpers import Connection, enqueue, rows, sha
from tests.python.workers import until

WAITING = """
select pid, query_start from pg_stat_activity
where wait_event = 'SyncRep' and application_name <> 'probe'
"""
PROBE = """
select from pg_stat_activity where wait_event = 'SyncRep' and application_name = 'probe'
"""
ENDS = ["pg_cancel_backend", "pg_terminate_backend"]


@pytest.fixture
def primary() -> Iterator[Connection]:
    """A server which, once told so, waits for a synchronous standby that is not there."""
    with (
        embedded.run_server(fsync=False) as server,
        psycopg.connect(server.dsn(), autocommit=True) as conn,
    ):
        conn.execute(schema.recorded_install_sql().encode())
        # Nothing of this connection is to wait.
        conn.execute("set synchronous_commit = local")
        yield conn


def need_standby(primary: Connection, name: str) -> None:
    primary.execute(f"alter system set synchronous_standby_names = '{name}'".encode())
    primary.execute("select pg_reload_conf()")
    until(lambda: waits(primary) == bool(name))


def waits(primary: Connection) -> bool:
    """Tell whether a COMMIT waits for a standby, which the checkpointer decides in its own time."""
    with (
        psycopg.connect(primary.info.dsn, autocommit=True, application_name="probe") as conn,
        ThreadPoolExecutor(1) as pool,
    ):
        probe = pool.submit(conn.execute, PROOF)
        until(lambda: probe.done() or rows(primary, PROBE))
        if probe.done():
            return False
        primary.execute("select pg_cancel_backend(%s)", [conn.info.backend_pid])
        probe.result()
        return True


def cut_short(primary: Connection, end: str, run: Future[Any]) -> None:
    """End the wait for the standby twice; each time the same has to wait once more."""
    seen: set[Any] = set()
    for number in range(3):
        until(lambda: run.done() or set(rows(primary, WAITING)) - seen)
        assert not run.done(), run.result()
        [waiting] = set(rows(primary, WAITING)) - seen
        seen.add(waiting)
        if number < 2:
            primary.execute(f"select {end}(%s)".encode(), [waiting.pid])


@pytest.mark.parametrize("end", ENDS)
def test_retry_answers_when_the_standby_has_what_is_acknowledged(
    end: str, primary: Connection
) -> None:
    session, commit = uuid4(), sha()
    answers: list[bool] = []

    def unit(conn: Connection) -> None:
        made = pgjobs.enqueue(conn, session_id=session, commit_sha=commit, lab_version="1")
        answers.append(made.created)

    need_standby(primary, "away")
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(pgjobs.retry, lambda: psycopg.connect(primary.info.dsn), unit)
        try:
            cut_short(primary, end, run)
        finally:
            need_standby(primary, "")
        run.result()
    assert answers == [True, False, False]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("batch", [1, 2])
def test_a_worker_holds_a_verdict_until_the_standby_has_it(
    batch: int, end: str, primary: Connection
) -> None:
    made = [enqueue(primary) for _ in range(batch)]

    def handler(job: pgjobs.Claimed) -> str:
        if job.job_id == made[-1].job_id:
            need_standby(primary, "away")
        return "FAILED"

    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(Worker(primary.info.dsn, handler, batch=batch).drain)
        try:
            cut_short(primary, end, run)
        finally:
            need_standby(primary, "")
        assert run.result() == WorkerCounts(written=batch)
    statuses = rows(primary, "select status from pgjobs.verification_job")
    assert statuses == [("FAILED",)] * batch
