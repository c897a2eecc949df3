"""A worker outlives a full disk, and a server that ends its sessions, with the verdict it holds."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

import forgea_pgjobs as pgjobs
from forgea_pgjobs import schema
from forgea_pgjobs.embedded import Server
from forgea_pgjobs.embedded.binaries import choose_account
from forgea_pgjobs.worker import Verdict, Worker, WorkerCounts
from tests.helpers import enqueue, job, rows
from tests.python.servers import (
    connect,
    do,
    on_a_machine_of_its_own,
    pg_ctl,
    run_primary,
    said,
    working,
)
from tests.python.workers import PATIENCE, SECOND, until

JOBS = 40
WRITE_WAL = """
select pg_logical_emit_message(false, '', repeat('x', 1000000)) from generate_series(1, 100)
"""
LEASE = "select lease_expires_at as at from pgjobs.lease"
VERDICTS = "select status from pgjobs.verification_verdict"


@contextmanager
def small_disk(server: Server) -> Iterator[Path]:
    """Mount a disk of 64 MiB, and yield the server's folder on it."""
    disk = server.folder / "disk"
    disk.mkdir()
    do(f"mount -t tmpfs -o size=64m none {disk}")
    try:
        (disk / "files").mkdir(mode=0o700)
        choose_account().own(disk / "files")
        yield disk / "files"
    finally:
        do(f"umount --lazy {disk}")


def fill(disk: Path) -> Path:
    """Leave no room; whoever removes the file that is returned makes some."""
    ballast = disk.parent / "ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free)
    return ballast


def large(_run: pgjobs.Claimed) -> Verdict:
    """Answer with a summary that does not shrink, and needs new pages of the disk."""
    return Verdict("FAILED", os.urandom(30_000).hex())


@on_a_machine_of_its_own
def test_a_worker_writes_its_verdicts_when_a_full_disk_has_room_again() -> None:
    with run_primary() as server, small_disk(server) as disk:
        with connect(server) as conn:
            conn.execute(f"create tablespace small location '{disk}'".encode())
            conn.execute("create database small tablespace small")
        with psycopg.connect(server.dsn("small"), autocommit=True) as conn:
            conn.execute(schema.recorded_install_sql().encode())
            for _ in range(JOBS):
                enqueue(conn)
            ballast = fill(disk)
            with working(Worker(server.dsn("small"), large)) as run:
                until(lambda: said(server, "53100 ERROR") > 2)
                ballast.unlink()
                until(lambda: rows(conn, VERDICTS) == [("FAILED",)] * JOBS)
        assert run.result() == WorkerCounts(written=JOBS)


@on_a_machine_of_its_own
def test_a_worker_writes_its_verdict_when_a_server_that_lacked_room_for_wal_is_up_again() -> None:
    is_held, is_full = Event(), Event()

    def handler(_run: pgjobs.Claimed) -> str:
        is_held.set()
        assert is_full.wait(PATIENCE)
        return "FAILED"

    sizes = {"min_wal_size": "32MB", "max_wal_size": "32MB"}
    with run_primary(**sizes) as server, small_disk(server) as disk:
        pg_ctl(server, "stop")
        wal = server.folder / "data/pg_wal"
        do(f"mv {wal} {disk}")
        wal.symlink_to(disk / "pg_wal")
        pg_ctl(server, "start")
        with connect(server) as conn, working(Worker(server.dsn(), handler)) as run:
            enqueue(conn)
            assert is_held.wait(PATIENCE)
            ballast = fill(disk)
            with pytest.raises(psycopg.OperationalError):
                conn.execute(WRITE_WAL)
            is_full.set()
            assert said(server, "53100 PANIC")
            ballast.unlink()
            pg_ctl(server, "-m", "immediate", "restart")
            with connect(server) as again:
                until(lambda: rows(again, VERDICTS) == [("FAILED",)])
        assert run.result() == WorkerCounts(written=1)


@pytest.mark.parametrize(
    ("setting", "sqlstate"), [("idle_session_timeout", "57P05"), ("transaction_timeout", "25P04")]
)
def test_a_worker_outlives_a_server_that_ends_its_sessions(setting: str, sqlstate: str) -> None:
    is_late = Event()

    def handler(run: pgjobs.Claimed) -> str:
        for _ in range(2):
            [lease] = rows(conn, LEASE)
            until(partial(rows, conn, f"{LEASE} where lease_expires_at > %(at)s", at=lease.at))
        # Its transaction is open: the verdict waits for it, longer than a transaction may last.
        enqueue(other, session_id=run.session_id)
        is_late.set()
        return "PASSED"

    with run_primary() as server, connect(server) as conn:
        if not rows(conn, "select from pg_settings where name = %(name)s", name=setting):
            pytest.skip(f"this major has no {setting}")
        dsn = make_conninfo(server.dsn(), options=f"-c {setting}=300")
        made = enqueue(conn)
        with (
            psycopg.connect(server.dsn()) as other,
            working(Worker(dsn, handler, lease_for=3 * SECOND)) as run,
        ):
            assert is_late.wait(PATIENCE)
            until(lambda: said(server, f"{sqlstate} FATAL") > 1)
            other.rollback()
            until(lambda: job(conn, made.job_id).status == "PASSED")
            assert job(conn, made.job_id).run_no == 1
        assert run.result().written == 1
