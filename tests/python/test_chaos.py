"""Four workers under everything at once: none dies or hangs, and each verdict is counted once.

The short run mixes their settings; PGJOBS_LONG=1 takes a minute with each, over two servers that
change places.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from random import Random
from signal import SIGTERM
from subprocess import PIPE, Popen
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

import forgea_pgjobs as pgjobs
from forgea_pgjobs.embedded import Server
from tests.calls import cancel, enqueue_many, new, reverify
from tests.helpers import Connection, call, rows
from tests.python.servers import connect, pg_ctl, run_pair, run_primary, switch_over, to_primary
from tests.python.workers import PATIENCE
from tests.races.ledger import drain, open_places, violations
from tests.races.rivals import LONG

SECONDS, STEPS = (60, 50) if LONG else (2, 15)
# So many sessions at least have jobs left.
BACKLOG = 40
OPTIONS = [
    "",
    "-c lock_timeout=1",
    "-c statement_timeout=4",
    "-c default_transaction_isolation=serializable",
]
# Heeds a signal from the first line that it says, and says last how many verdicts it has written.
WORKER = """
import random, signal, sys, time
from datetime import timedelta
from forgea_pgjobs.worker import Worker

def handler(run):
    for _ in range(random.randrange(4)):
        time.sleep(0.01)
        if run.is_stopped:
            raise RuntimeError("interrupted")
    return random.choice(["PASSED", "FAILED"])

worker = Worker(
    sys.argv[1], handler, batch=2, concurrency=2, lease_for=timedelta(seconds=5),
    poll_interval=0.1, listen=True,
)
signal.signal(signal.SIGTERM, lambda *_: worker.stop())
print("ready", flush=True)
print(worker.run().written)
"""
BACKEND = """
select {}(pid) from (
    select pid from pg_stat_activity where application_name = 'chaos' order by random() limit 1
) as one
"""
OPEN = "select count(*) as sessions from pgjobs.lane"
WRITTEN = """
select
    (select count(*) from pgjobs.verification_verdict where status in ('PASSED', 'FAILED'))
    + (select count(*) from pgjobs.review_result where outcome in ('PASSED', 'FAILED')) as number
"""
ABORTED = "select distinct outcome from pgjobs.aborted_run"
EXHAUSTED = "select from pgjobs.verification_verdict where error_reason = 'RUNS_EXHAUSTED'"


def start(dsn: str) -> Popen[str]:
    return Popen([sys.executable, "-c", WORKER, dsn], stdout=PIPE, text=True)


def stop(worker: Popen[str], signals: int = 1) -> int:
    """End a worker by so many signals, and return how many verdicts it says to have written."""
    assert worker.stdout is not None
    assert worker.stdout.readline() == "ready\n"
    for _ in range(signals):
        worker.send_signal(SIGTERM)
    assert worker.wait(PATIENCE) == 0
    with worker:
        return int(worker.stdout.read())


@contextmanager
def run_servers() -> Iterator[tuple[list[Server], Callable[[], None]]]:
    """Yield the servers, the primary first, and a restart: a crash, or a change of places."""
    if LONG:
        with run_pair() as pair:
            yield pair, partial(switch_over, pair)
    else:
        with run_primary() as server:
            yield [server], partial(pg_ctl, server, "-m", "immediate", "restart")


def disturb(conn: Connection, dice: Random, made: list[int]) -> None:
    """Enqueue where little is left, and do one thing that a worker has to bear."""
    if rows(conn, OPEN)[0].sessions < BACKLOG:
        commits = [(session, commit) for session, _ in new(8) for _, commit in new(3)]
        made += [job.job_id for job in enqueue_many(conn, *commits, max_runs=25)]
    acts: list[Callable[[], Any]] = [
        lambda: conn.execute(BACKEND.format("pg_terminate_backend").encode()),
        lambda: conn.execute(BACKEND.format("pg_cancel_backend").encode()),
        lambda: cancel(conn, dice.choice(made[-BACKLOG:])),
        lambda: reverify(conn, dice.choice(made)),
        lambda: call(conn, "wake"),
    ]
    # The job may have its verdict, or none yet.
    with suppress(psycopg.IntegrityError):
        dice.choice(acts)()
    time.sleep(0.02)


@pytest.mark.parametrize("options", [[each] * 4 for each in OPTIONS] if LONG else [OPTIONS])
def test_workers_outlive_everything_at_once(options: list[str]) -> None:
    dice = Random(4)  # noqa: S311  # the same dice each time
    made: list[int] = []
    written = 0
    with run_servers() as (servers, restart):
        dsn = to_primary(servers, application_name="chaos")
        dsns = [make_conninfo(dsn, options=each) for each in options]
        workers = [start(dsn) for dsn in dsns]
        try:
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                with connect(servers[0]) as conn:
                    for number, dsn in enumerate(dsns):
                        for _ in range(STEPS):
                            disturb(conn, dice, made)
                        written += stop(workers[number], signals=dice.randint(1, 2))
                        workers[number] = start(dsn)
                restart()
            written += sum(map(stop, workers))
        finally:
            for worker in workers:
                with worker:
                    worker.kill()
        with connect(servers[0]) as conn:
            assert written == rows(conn, WRITTEN)[0].number
            drain(conn)
            assert (open_places(conn), violations(conn)) == (0, [])
            assert {row.outcome for row in rows(conn, ABORTED)} <= {"INTERRUPTED", "LEASE_LOST"}
            assert not rows(conn, EXHAUSTED)
            assert "error" not in {finding.severity for finding in pgjobs.verify(conn)}
