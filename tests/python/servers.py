"""Servers of a test's own, which it stops, promotes or fills up; and a machine of a test's own."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import wraps
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from forgea_pgjobs import embedded, schema
from forgea_pgjobs.embedded import Server
from forgea_pgjobs.embedded.binaries import choose_account
from forgea_pgjobs.worker import Worker, WorkerCounts
from tests.helpers import Connection, rows
from tests.python.workers import until

NEW_NAMESPACES = 0x0002_0000 | 0x4000_0000  # CLONE_NEWNS, CLONE_NEWNET
STREAMS = "select from pg_stat_replication where (state, sync_state) = ('streaming', 'sync')"


def pg_ctl(server: Server, *arguments: str) -> None:
    """Start, stop or promote a server, and wait for it."""
    files = ("-D", f"{server.folder}/data", "-l", f"{server.folder}/log")
    _run(server, "pg_ctl", "-w", *files, *arguments)


def configure(server: Server, **settings: str) -> None:
    """Set what the server finds at its next start, whatever it was told before."""
    with (server.folder / "data/postgresql.auto.conf").open("a") as conf:
        conf.writelines(f"{name} = '{value}'\n" for name, value in settings.items())


def said(server: Server, words: str) -> int:
    """Count the lines of a server's log that begin so, with SQLSTATE and severity."""
    lines = (server.folder / "log").read_text(errors="replace").splitlines()
    return sum(line.startswith(words) for line in lines)


def connect(server: Server) -> Connection:
    """Open an observer's connection, whose own COMMIT waits for no standby."""
    options = "-c synchronous_commit=local"
    return psycopg.connect(server.dsn(), autocommit=True, options=options)


@contextmanager
def run_primary(**settings: str) -> Iterator[Server]:
    """Run a server with the schema, which logs SQLSTATEs."""
    with embedded.run_server(
        fsync=False, settings={"log_line_prefix": "%e ", **settings}
    ) as server:
        with connect(server) as conn:
            conn.execute(schema.recorded_install_sql().encode())
        yield server


@contextmanager
def run_pair() -> Iterator[list[Server]]:
    """Run a primary with the schema, and its synchronous standby."""
    with (
        run_primary(synchronous_standby_names="*") as primary,
        embedded.run_server(fsync=False) as standby,
    ):
        pg_ctl(standby, "stop")
        data = str(standby.folder / "data")
        shutil.rmtree(data)
        copy = ("-h", str(primary.folder), "-p", "5432", "-U", "postgres", "-D", data)
        _run(standby, "pg_basebackup", *copy, "--checkpoint=fast", "--no-sync")
        configure(standby, unix_socket_directories=str(standby.folder))
        _follow(standby, primary)
        yield [primary, standby]


def to_primary(pair: list[Server], **settings: str) -> str:
    """Return a connection string that leads to the primary of a pair."""
    hosts = ",".join(str(server.folder) for server in pair)
    return make_conninfo(pair[0].dsn(), host=hosts, target_session_attrs="read-write", **settings)


def switch_over(pair: list[Server]) -> None:
    """Let the standby take over, and the primary, the first of them before, follow it."""
    old, new = pair
    pg_ctl(old, "stop")
    pg_ctl(new, "promote")
    _follow(old, new)
    pair.reverse()


def _follow(standby: Server, primary: Server) -> None:
    (standby.folder / "data/standby.signal").touch()
    configure(standby, primary_conninfo=f"host={primary.folder} port=5432 user=postgres")
    pg_ctl(standby, "start")
    with connect(primary) as conn:
        until(lambda: rows(conn, STREAMS))


@contextmanager
def working(worker: Worker) -> Iterator[Future[WorkerCounts]]:
    """Let a worker run in the background, and stop it."""
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(worker.run)
        try:
            yield run
        finally:
            worker.stop()


def on_a_machine_of_its_own(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test in a thread with a network and mounts of its own.

    What it starts shares them, and they end with it: there is nothing to clean up.
    """

    @wraps(test)
    def run(**fixtures: Any) -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(_leave).result()
            pool.submit(test, **fixtures).result()

    return run


def _leave() -> None:
    if sys.platform != "linux" or shutil.which("ip") is None:
        pytest.skip("needs Linux, and ip of the package iproute2")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(NEW_NAMESPACES) != 0:
        pytest.skip(f"no namespaces for us here: {os.strerror(ctypes.get_errno())}")
    do("ip link set lo up")
    do("mount --make-rprivate /")


def do(command: str) -> None:
    """Run a command of the system."""
    subprocess.run(command.split(), check=True, capture_output=True)


def _run(server: Server, program: str, *arguments: str) -> None:
    command = [str(server.binaries / program), *arguments]
    done = choose_account().run(command, server.folder)
    assert done.returncode == 0, done.stdout
