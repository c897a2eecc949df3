"""A worker process: claims jobs, checks their commits out, runs the check, writes the verdicts.

It gets its plan as one line on standard input and ends when that closes: when the demo is done with
it, and also when the demo has been killed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

import psycopg

from forgea_pgjobs import (
    Claimed,
    JobStatus,
    LeaseLost,
    VerdictFinal,
    add_artifact,
    claim,
    complete,
    heartbeat,
    release,
)
from forgea_pgjobs.cli.output import describe
from forgea_pgjobs.demo import process
from forgea_pgjobs.demo.repository import Repository
from forgea_pgjobs.embedded.signals import unwinding

LEASE = timedelta(seconds=2)
BEAT = 0.5
IDLE = 0.05
RETRY_AFTER = timedelta(seconds=1)
TIME_LIMIT = 60.0
MOST_BYTES = 1_048_576
# What the check has no business to know: our database, and where a git hook of the caller stood.
HIDDEN = ("DATABASE_URL", "PG", "GIT_")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a worker is told."""

    name: str
    dsn: str
    repository: str
    folder: str
    check: list[str]
    time_limit: float = TIME_LIMIT


@dataclass(frozen=True, slots=True)
class Run:
    """The run that a worker is in the middle of, as its file ``run.json`` says."""

    job_id: int
    commit_sha: str
    lease_token: str
    group: int


class CheckoutFailed(Exception):
    """The commit's files could not be laid out: no fault of the commit."""


def main() -> None:
    """Work until standard input closes."""
    line = sys.stdin.readline()
    if not line:
        return
    plan = Plan(**json.loads(line))
    threading.Thread(target=_end_with_the_demo, daemon=True).start()
    try:
        with unwinding(), psycopg.connect(plan.dsn, autocommit=True) as conn:
            while True:
                claimed = claim(conn, worker=plan.name, lease_for=LEASE)
                for job in claimed:
                    verify(conn, plan, job)
                if not claimed:
                    time.sleep(IDLE)
    except Exception as error:
        sys.exit(describe(error, plan.dsn))


def verify(conn: psycopg.Connection, plan: Plan, job: Claimed) -> None:
    """Give a job its verdict, or give it back."""
    job_id, token = job.job_id, job.lease_token
    next_beat = time.monotonic() + BEAT

    def beat() -> None:
        nonlocal next_beat
        if time.monotonic() >= next_beat:
            heartbeat(conn, job_id=job_id, lease_token=token, lease_for=LEASE)
            next_beat = time.monotonic() + BEAT

    folder = Path(plan.folder, "commit")
    try:
        _check_out(plan, job, folder, beat)
        ended = _check(plan, job, folder, beat)
        _store_log(conn, job, folder / "output")
        status = JobStatus.PASSED if ended.exit_code == 0 else JobStatus.FAILED
        complete(conn, job_id=job_id, lease_token=token, status=status, summary=asdict(ended))
    except CheckoutFailed as error:
        release(conn, job_id=job_id, lease_token=token, reason=str(error), retry_after=RETRY_AFTER)
    except (LeaseLost, VerdictFinal):
        pass  # Somebody else has the job now.
    finally:
        if folder.exists():
            process.remove(folder)


def _check_out(plan: Plan, job: Claimed, folder: Path, tick: Callable[[], None]) -> None:
    """Lay the commit's files out in a new folder.

    Raises: CheckoutFailed.
    """
    repository = Repository(Path(plan.repository))
    try:
        for name in ("tree", "tmp"):
            (folder / name).mkdir(parents=True)
        ended = process.run(
            repository.checkout(job.commit_sha, folder / "tree"),
            folder=folder / "tree",
            environment=repository.environment | {"GIT_INDEX_FILE": str(folder / "index")},
            output=folder / "output",
            limit=plan.time_limit,
            started=lambda _group: None,
            tick=tick,
        )
    except OSError as error:
        raise CheckoutFailed(f"checkout: {error.strerror}") from error
    if ended.exit_code != 0:
        words = ended.last_lines[-1:] or [f"exit code {ended.exit_code}"]
        raise CheckoutFailed(f"checkout: {words[0]}"[:200])


def _check(plan: Plan, job: Claimed, folder: Path, tick: Callable[[], None]) -> process.Ended:
    note = Path(plan.folder, "run.json")

    def started(group: int) -> None:
        run = Run(job.job_id, job.commit_sha, str(job.lease_token), group)
        new = note.with_suffix(".new")
        new.write_text(json.dumps(asdict(run)), encoding="utf-8")
        new.rename(note)

    environment = {name: value for name, value in os.environ.items() if not name.startswith(HIDDEN)}
    try:
        return process.run(
            plan.check,
            folder=folder / "tree",
            environment=environment | {"TMPDIR": str(folder / "tmp")},
            output=folder / "output",
            limit=plan.time_limit,
            started=started,
            tick=tick,
        )
    finally:
        note.unlink(missing_ok=True)


def _store_log(conn: psycopg.Connection, job: Claimed, output: Path) -> None:
    """Store what the check has written; of too much, the end."""
    size = output.stat().st_size
    with output.open("rb") as log:
        log.seek(max(0, size - MOST_BYTES))
        content = log.read(MOST_BYTES)
    add_artifact(
        conn,
        job_id=job.job_id,
        lease_token=job.lease_token,
        kind="LOG",
        name="check.log",
        content=content,
        media_type="text/plain",
        truncated=size > MOST_BYTES,
    )


def _end_with_the_demo() -> None:
    # Not sys.stdin: its lock would be held when the interpreter ends.
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
