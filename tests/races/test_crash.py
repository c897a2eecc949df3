"""F01: kill -9 of the whole server under load loses no acknowledged call and changes no verdict.

PGJOBS_LONG=1 crashes it 100 times instead of 4.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

import forgea_pgjobs as pgjobs
from forgea_pgjobs import embedded, schema
from forgea_pgjobs.embedded.binaries import choose_account
from forgea_pgjobs.embedded.server import Server
from tests.helpers import sha
from tests.races.rivals import LONG

CRASHES = 100 if LONG else 4
CALLS_BEFORE_A_CRASH = 60
CLIENTS = 4


@dataclass
class Record:
    """What the clients were told: acknowledged, or sent with the answer lost."""

    enqueued: dict[str, int] = field(default_factory=dict)
    verdicts: dict[int, str] = field(default_factory=dict)
    unanswered: list[tuple[UUID, str]] = field(default_factory=list)
    uncompleted: list[tuple[int, UUID]] = field(default_factory=list)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    if os.environ.get("PGJOBS_TEST_DSN"):
        pytest.skip("a server that was given to us is not ours to kill")
    with embedded.run_server(fsync=True, settings={"max_connections": 30}) as server:
        with psycopg.connect(server.dsn()) as conn:
            conn.execute(schema.recorded_install_sql().encode())
        yield server


def crash(server: Server) -> None:
    """Kill the postmaster and every process of it, then start it again."""
    postmaster = int((server.folder / "data/postmaster.pid").read_text().split()[0])
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    for pid in [postmaster, *map(int, children)]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    pg_ctl = str(server.binaries / "pg_ctl")
    command = [pg_ctl, "-w", "-D", f"{server.folder}/data", "-l", f"{server.folder}/log", "start"]
    deadline = time.monotonic() + 30
    # Until the last killed process is gone the server refuses to start.
    while choose_account().run(command, server.folder).returncode != 0:
        assert time.monotonic() < deadline, (server.folder / "log").read_text()[-2000:]


def work(dsn: str, record: Record, calls: Iterator[int], enough: threading.Event) -> None:
    """Enqueue, claim and complete until the server is gone."""
    request: tuple[UUID, str] | None = None
    lease: tuple[int, UUID] | None = None
    try:
        with psycopg.connect(dsn, autocommit=True) as conn:
            while True:
                if next(calls) == CALLS_BEFORE_A_CRASH:
                    enough.set()
                request, lease = (uuid4(), sha()), None
                made = pgjobs.enqueue(
                    conn, session_id=request[0], commit_sha=request[1], lab_version="1"
                )
                record.enqueued[request[1]], request = made.job_id, None
                for run in pgjobs.claim(conn, worker="w"):
                    lease = run.job_id, run.lease_token
                    pgjobs.complete(conn, job_id=lease[0], lease_token=lease[1], status="PASSED")
                    record.verdicts[lease[0]], lease = "PASSED", None
    except psycopg.OperationalError:
        record.unanswered += [request] if request else []
        record.uncompleted += [lease] if lease else []


def test_f01_no_acknowledged_call_is_lost_when_the_server_is_killed(server: Server) -> None:
    record = Record()
    for _ in range(CRASHES):
        calls, enough = count(), threading.Event()
        arguments = (server.dsn(), record, calls, enough)
        clients = [threading.Thread(target=work, args=arguments) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        assert enough.wait(60)
        crash(server)
        for client in clients:
            client.join(60)
        check(server.dsn(), record)
    assert len(record.enqueued) >= CRASHES * CALLS_BEFORE_A_CRASH / 2
    assert record.unanswered or record.uncompleted
    check_indexes(server)


def check(dsn: str, record: Record) -> None:
    """Compare the database with what was acknowledged, and repeat what was not."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        jobs = conn.execute("select commit_sha, job_id from pgjobs.verification_job").fetchall()
        assert len(jobs) == len({commit for commit, _ in jobs})
        assert record.enqueued.items() <= dict(jobs).items()
        verdicts = conn.execute("select job_id, status from pgjobs.verification_verdict").fetchall()
        assert record.verdicts.items() <= dict(verdicts).items()
        assert "error" not in {finding.severity for finding in pgjobs.verify(conn)}
        for session, commit in record.unanswered:
            again = pgjobs.enqueue(conn, session_id=session, commit_sha=commit, lab_version="1")
            assert again.job_id == record.enqueued.setdefault(commit, again.job_id)
        for job_id, token in record.uncompleted:
            done = pgjobs.complete(conn, job_id=job_id, lease_token=token, status="PASSED")
            assert record.verdicts.setdefault(job_id, "PASSED") == done.status


def check_indexes(server: Server) -> None:
    """Let PostgreSQL compare tables with indexes, where the server brings amcheck along."""
    with psycopg.connect(server.dsn()) as conn:
        offered = "select from pg_available_extensions where name = 'amcheck'"
        if conn.execute(offered).fetchone() is None:
            return
    program = [str(server.binaries / "pg_amcheck"), "--install-missing", "--heapallindexed"]
    done = subprocess.run([*program, server.dsn()], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
