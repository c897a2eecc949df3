"""A process that runs the product's Worker, and what its handler does with a commit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import forgea_pgjobs
from forgea_pgjobs import Claimed, JobStatus, add_artifact
from forgea_pgjobs.cli.connection import connect
from forgea_pgjobs.cli.output import describe
from forgea_pgjobs.demo.repository import Repository, last_lines
from forgea_pgjobs.worker import Verdict, Worker

# Short, so that the job of a worker that was killed is soon another's.
LEASE = timedelta(seconds=2)
POLL_INTERVAL = 0.05
TIME_LIMIT = 60.0
MOST_BYTES = 1_048_576
# What the check has no business to know: our database, and where a git hook of the caller stood.
HIDDEN = ("DATABASE_URL", "PG", "GIT_")
# Imports from the folder, or the archive, that we are from; never from where the caller stands.
START = f"import sys; sys.path.insert(0, sys.argv.pop(1)); from {__name__} import main; main()"
IMPORT_FROM = str(Path(forgea_pgjobs.__file__).parent.parent)
# Kills its process group when the other end of its standard input closes.
GUARD = 'exec 3<&0 </dev/null; (cat <&3; kill -9 0) >/dev/null 2>&1 & exec "$@" 3<&-'


class Group(subprocess.Popen[bytes]):
    """A command in a process group of its own, which ends when we do, even if we are killed."""

    def __init__(self, argv: list[str], output: Path, **how: Any) -> None:
        self.output = output
        guarded = ["sh", "-c", GUARD, "sh", *argv]
        how |= {"stdin": subprocess.PIPE, "stderr": subprocess.STDOUT, "start_new_session": True}
        with output.open("wb") as file:
            super().__init__(guarded, stdout=file, **how)

    def kill(self) -> None:
        """Kill the group with -9; its number cannot be a stranger's while its guard lives."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


def start(folder: Path, dsn: str, repository: Repository, command: list[str]) -> Group:
    """Start a worker, named as its folder, in a process that can be killed."""
    folder.mkdir()
    words = [IMPORT_FROM, str(folder), str(repository.folder), *command]
    # An argument would show everybody the password that may be in it.
    environment = os.environ | {"DATABASE_URL": dsn}
    argv = [sys.executable, "-P", "-c", START, *words]
    return Group(argv, folder / "log", cwd=folder, env=environment)


@dataclass(frozen=True, slots=True)
class CommitCheck:
    """The handler: lays a commit's files out, runs the check on them and stores its log."""

    dsn: str
    repository: Repository
    folder: Path
    command: list[str]
    time_limit: float = TIME_LIMIT

    def __call__(self, job: Claimed) -> Verdict:
        """Return what the check says of the job's commit, without exit code at its time limit."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith(HIDDEN)}
        exit_code = None
        with TemporaryDirectory(dir=self.folder) as name:
            folder = Path(name)
            self.repository.check_out(job.commit_sha, folder)
            (folder / "tmp").mkdir()
            environment["TMPDIR"] = str(folder / "tmp")
            begin = time.monotonic()
            check = Group(self.command, folder / "output", cwd=folder / "tree", env=environment)
            with check:
                with suppress(subprocess.TimeoutExpired):
                    exit_code = check.wait(self.time_limit)
                # Whatever it has started ends with it.
                check.kill()
            seconds = round(time.monotonic() - begin, 3)
            with (folder / "output").open("rb") as output:
                size = output.seek(0, os.SEEK_END)
                output.seek(max(0, size - MOST_BYTES))
                log = output.read(MOST_BYTES)
        with connect(self.dsn, autocommit=True) as conn:
            add_artifact(
                conn,
                job_id=job.job_id,
                lease_token=job.lease_token,
                kind="LOG",
                name="check.log",
                content=log,
                media_type="text/plain",
                truncated=size > MOST_BYTES,
            )
        status = JobStatus.PASSED if exit_code == 0 else JobStatus.FAILED
        words = last_lines(log[-8192:])
        return Verdict(status, {"exit_code": exit_code, "seconds": seconds, "last_lines": words})


def main() -> None:
    """Work until killed, in the folder, on the repository and by the command of the arguments."""
    folder, repository, *command = sys.argv[1:]
    dsn = os.environ["DATABASE_URL"]
    check = CommitCheck(dsn, Repository(Path(repository)), Path(folder), command)
    how: dict[str, Any] = {"lease_for": LEASE, "poll_interval": POLL_INTERVAL}
    try:
        Worker(partial(connect, dsn), check, name=Path(folder).name, **how).run()
    except Exception as error:
        sys.exit(describe(error, dsn))
