"""A network that swallows everything holds up a worker for its bounds, and not for ever."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest
from psycopg.conninfo import make_conninfo

import forgea_pgjobs as pgjobs
from forgea_pgjobs.worker import Worker
from tests.helpers import enqueue, job, rows
from tests.python.servers import (
    configure,
    connect,
    do,
    on_a_machine_of_its_own,
    pg_ctl,
    run_primary,
    working,
)
from tests.python.workers import PATIENCE, SECOND, until

# The bounds that the worker's connections have here, and how long its trouble may last, in seconds.
BOUNDS = {"tcp_user_timeout": 1000, "connect_timeout": 2}
LONGEST = 6.0
# A rule can only come before the table of local addresses once that is not the first.
LOCAL_LAST = ("ip rule add pref 100 lookup local", "ip rule del pref 0")
NO_ROUTE = "pref 10 {} 5432 blackhole"
ESTABLISHED = "01"


def connections() -> set[str]:
    """Return the connections to the server, as its clients see them, by their ports."""
    lines = Path("/proc/thread-self/net/tcp").read_text().splitlines()[1:]
    sockets = [line.split()[1:4] for line in lines]
    return {
        ours for ours, theirs, state in sockets if (theirs[-4:], state) == ("1538", ESTABLISHED)
    }


@contextmanager
def no_route(lost: str, waiting: int) -> Iterator[None]:
    """Swallow what goes to the server's port, or comes from it, until those who wait give up."""
    before = connections()
    do(f"ip rule add {NO_ROUTE.format(lost)}")
    try:
        yield
        began = time.monotonic()
        until(lambda: len(before - connections()) == waiting)
        assert time.monotonic() - began < LONGEST
    finally:
        do(f"ip rule del {NO_ROUTE.format(lost)}")


@pytest.mark.parametrize("lost", ["dport", "sport"], ids=["questions", "answers"])
@on_a_machine_of_its_own
def test_a_worker_leaves_a_black_hole_and_writes_its_verdict_once(lost: str) -> None:
    for command in LOCAL_LAST:
        do(command)
    finished, is_gone = Event(), Event()

    def handler(run: pgjobs.Claimed) -> str:
        until(lambda: len(connections()) == 2)
        with no_route(lost, waiting=1):
            pass  # for the heartbeat: the other connection says nothing meanwhile
        at = rows(conn, "select clock_timestamp() as now")[0].now
        query = "select from pgjobs.lease where lease_expires_at > %(at)s + interval '2 s'"
        until(lambda: rows(conn, query, at=at))
        finished.set()
        assert is_gone.wait(PATIENCE)
        return "PASSED"

    with run_primary() as server:
        configure(server, listen_addresses="127.0.0.1")
        pg_ctl(server, "restart")
        dsn = make_conninfo(server.dsn(), host="127.0.0.1", **BOUNDS)
        with connect(server) as conn:
            made = enqueue(conn)
            with working(Worker(dsn, handler, lease_for=3 * SECOND)) as run:
                assert finished.wait(PATIENCE)
                with no_route(lost, waiting=2):
                    is_gone.set()
                restored = time.monotonic()
                until(lambda: job(conn, made.job_id).status == "PASSED")
                assert time.monotonic() - restored < LONGEST
        assert run.result().written == 1
