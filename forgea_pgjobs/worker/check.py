"""The handler of a worker without code: a command, whose exit code is the verdict of its run.

The command may run hostile code. So that no trouble of ours becomes the learner's, only what ends
by itself, with 0, 1 or 2, is a verdict; a run that was signalled or took too long is given back.
"""

from __future__ import annotations

import json
import math
import os
import re
import select
import signal
import stat
import subprocess
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from socket import SHUT_WR, socketpair
from tempfile import mkdtemp
from time import monotonic, sleep
from typing import Any

from forgea_pgjobs import InvalidArgument, JobNotFound, JobStatus, LeaseLost, VerdictFinal
from forgea_pgjobs.worker.run import MOST_CONTENT, Again, Run, Verdict, reason_of

VERDICTS = {0: JobStatus.PASSED, 1: JobStatus.FAILED, 2: JobStatus.ERROR}
# What the check has no business to know: our database, and where a git hook of the caller stood.
HIDDEN = ("DATABASE_URL", "PG", "GIT_")
# No child of the command's, it waits until we close its connection or are no more, and kills its
# group. It answers before, unless somebody has signalled the group, and so the guard as well.
GUARD = (
    "exec 3<&0 </dev/null; ( { trap '' PIPE; read -r _; echo; kill -9 0; } <&3 >&3 2>/dev/null & );"
    ' exec "$@" 3<&-'
)
# Also what is too deep for Python's own, or closed to its owner.
REMOVE = 'exec 2>/dev/null; rm -rf "$0" || { chmod -R u+rwX "$0"; rm -rf "$0"; }'
LOOK = 20  # milliseconds
# Seconds: from SIGTERM to SIGKILL, and between one signal's coming to the check and to the worker.
GRACE, SAME_SIGNAL = 5.0, 1.0
# The log has the beginning and the end of the output, which with our own words fit an artifact.
BLOCK = 65_536
BEGINNING, END = 4 * BLOCK, 11 * BLOCK
# A run may have 100 artifacts of 16 MiB together, the log among them; of more names we see some.
MOST_FILES, MOST_BYTES, MOST_NAMES = 99, 15 * MOST_CONTENT, 1000
KINDS = {".log": "LOG", ".diff": "DIFF", ".patch": "DIFF", ".xml": "REPORT", ".html": "REPORT"}
LOG, SUMMARY = "check.log", "summary.json"
# A link leads elsewhere, and what is no file may never answer.
FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class Group(subprocess.Popen[bytes]):
    """A command in a session of its own, which ends when we do, even if we are killed."""

    def __init__(self, argv: list[str], **how: Any) -> None:
        self._guard, theirs = socketpair()
        how |= {"stdin": theirs, "stderr": subprocess.STDOUT, "start_new_session": True}
        with theirs:
            super().__init__(["sh", "-c", GUARD, "sh", *argv], **how)

    def __exit__(self, *error: Any) -> None:
        self._guard.close()
        super().__exit__(*error)

    def send_signal(self, sig: int) -> None:
        """Signal all of it; its number cannot be a stranger's while its guard lives."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, sig)

    def end(self) -> bool:
        """Kill all of it; tell whether nobody had signalled it before."""
        answer = b""
        with suppress(OSError):
            self._guard.settimeout(GRACE)
            self._guard.shutdown(SHUT_WR)
            answer = self._guard.recv(1)
        self.kill()
        return answer != b""


@dataclass(slots=True)
class Output:
    """The beginning and the end of what a check prints, however much that is."""

    kept: bytearray = field(default_factory=bytearray)
    left_out: int = 0

    def add(self, data: bytes) -> None:
        """Take more."""
        self.kept += data
        over = max(0, len(self.kept) - BEGINNING - END)
        del self.kept[BEGINNING : BEGINNING + over]
        self.left_out += over

    def last_line(self) -> str:
        """Return the last line that is not blank, or nothing."""
        lines: list[bytes] = re.findall(rb"\S.*", self.kept[-BLOCK:])
        return lines[-1].decode(errors="replace") if lines else ""

    def log(self, others: list[str]) -> bytes:
        """Return what is kept, with the names of files that are not."""
        cut = b"\n[%d bytes left out]\n" % self.left_out if self.left_out else b""
        names = f"{', '.join(map(ascii, others[:20]))}{', ...' * (len(others) > 20)}"
        words = f"\n[not kept: {names}]\n" if others else ""
        return bytes(self.kept[:BEGINNING] + cut + self.kept[BEGINNING:]) + words.encode()


@dataclass(frozen=True, slots=True)
class Check:
    """Runs a line of shell for each run, in an empty folder and a session of its own."""

    command: str

    def __call__(self, run: Run) -> Verdict:
        """Return what the command says. Raises: Again: it says nothing."""
        with ExitStack() as stack:
            folder = Path(mkdtemp(prefix="pgjobs-"))
            stack.callback(subprocess.call, ["sh", "-c", REMOVE, folder])
            for name in ("work", "tmp", "artifacts"):
                (folder / name).mkdir()
            (folder / "payload.json").write_text(json.dumps(run.payload), encoding="utf-8")
            # Opened now: the check may put a link in its place.
            artifacts = os.open(folder / "artifacts", FLAGS)
            stack.callback(os.close, artifacts)
            code, trouble, output = self._run(run, folder)
            said = output.last_line()
            with suppress(JobNotFound, LeaseLost, VerdictFinal):  # which the worker is told as well
                log, is_cut = output.log(keep_files(run, artifacts)), output.left_out > 0
                run.keep("LOG", LOG, log, media_type="text/plain", truncated=is_cut)
            if trouble or code not in VERDICTS:
                raise Again(": ".join(filter(None, [trouble or f"exit code {code}", said])))
            reason = said if code == 2 else None
            return Verdict(VERDICTS[code], summary_of(artifacts), reason or None)

    def _run(self, run: Run, folder: Path) -> tuple[int, str, Output]:
        """Return exit code, why it says nothing, if so, and output."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith(HIDDEN)} | {
            "TMPDIR": str(folder / "tmp"),
            "PGJOBS_COMMIT": run.commit_sha,
            "PGJOBS_LAB_VERSION": run.lab_version,
            "PGJOBS_SESSION": str(run.session_id),
            "PGJOBS_JOB": str(run.job_id),
            "PGJOBS_RUN": str(run.run_no),
            "PGJOBS_PAYLOAD": str(folder / "payload.json"),
            "PGJOBS_ARTIFACTS": str(folder / "artifacts"),
        }
        output = Output()
        how = {"cwd": folder / "work", "env": environment, "stdout": subprocess.PIPE}
        with Group(["sh", "-c", self.command], **how) as group:
            trouble = watch(group, run, output)
        end_strays(b"PGJOBS_ARTIFACTS=" + os.fsencode(folder / "artifacts"))
        with suppress(ChildProcessError):
            while True:  # where orphans are given to us, as in a container
                os.waitpid(-group.pid, 0)
        if trouble or not 0 <= group.returncode <= 128:
            # Who stops a service may signal all of its processes, and us last.
            end = monotonic() + SAME_SIGNAL
            while not run.is_stopped and monotonic() < end:
                sleep(LOOK / 1000)
        return group.returncode, trouble, output


def watch(group: Group, run: Run, output: Output) -> str:
    """Read the output until the check ends, and end it; return why it says nothing, if so."""
    pipe = group.stdout.fileno() if group.stdout else -1
    poll = select.poll()
    poll.register(pipe, select.POLLIN)

    def read(milliseconds: int) -> None:
        if poll.poll(milliseconds):
            output.add(data := os.read(pipe, BLOCK))
            if not data:
                poll.unregister(pipe)

    trouble, kill_at = "", math.inf
    while group.poll() is None:
        read(LOOK)
        if not trouble and run.must_end:
            trouble = "over its time, or stopped with the worker"
            kill_at = monotonic() + GRACE
            group.terminate()
        if monotonic() > kill_at:
            group.kill()
    if not group.end():
        trouble = trouble or "its processes were signalled"
    for _ in range(16):  # what a pipe may hold: who has left the group may write for ever
        read(0)
    return trouble


def end_strays(mark: bytes) -> None:
    """Kill who has left the group, as a daemon does, and has the mark in its environment."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (process / "environ").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)


def keep_files(run: Run, folder: int) -> list[str]:
    """Keep the files of the folder, as many as a run may have; return the names of the others."""
    with os.scandir(folder) as entries:
        names = sorted({entry.name for entry in islice(entries, MOST_NAMES)} - {SUMMARY})
    others, files, room = [], MOST_FILES, MOST_BYTES
    for name in names:
        content = None if name == LOG or not files else content_of(folder, name)
        size = min(len(content or b""), MOST_CONTENT)
        try:
            if content is None or size > room:
                raise ValueError
            run.keep(KINDS.get(Path(name).suffix, "OTHER"), name, content)
            files, room = files - 1, room - size
        except (ValueError, InvalidArgument):  # also a name that is not UTF-8
            others.append(name)
    return others


def content_of(folder: int, name: str) -> bytes | None:
    """Return a regular file's first MiB and a byte of what follows; None for all else.

    What has two names may be a file of ours.
    """
    with (
        suppress(OSError),
        open(name, "rb", opener=lambda *_: os.open(name, FLAGS, dir_fd=folder)) as file,
    ):
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
            return file.read(MOST_CONTENT + 1)
    return None


def summary_of(folder: int) -> Any:
    """Return what the check says of itself, or why that cannot be read."""
    try:
        return json.loads(content_of(folder, SUMMARY) or "null")
    except (ValueError, RecursionError) as error:
        return {"not_stored": reason_of(error)}
