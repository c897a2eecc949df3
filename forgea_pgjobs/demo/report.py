"""What the demo shows: facts and progress while it runs, then the tables; at most 100 columns."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import TextIO

import psycopg

from forgea_pgjobs import JobStatus, VerificationJob
from forgea_pgjobs.cli.output import plain
from forgea_pgjobs.demo.ledger import Commit, Refusal
from forgea_pgjobs.demo.text import fitted

COLUMNS = 100
BOLD, DIM, RED, GREEN, YELLOW = "1", "2", "31", "32", "33"
COLOURS = {
    JobStatus.PASSED: GREEN,
    JobStatus.FAILED: RED,
    JobStatus.ERROR: YELLOW,
    JobStatus.RUNNING: BOLD,
    JobStatus.QUEUED: DIM,
}
SHORT = 10
# What the columns beside the subject take, with the gaps between them.
BESIDE_SUBJECT = 48


class Console:
    """The output: lines, and on a terminal one line below them that is written over."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._has_colour = self._is_terminal and not os.environ.get("NO_COLOR")
        self._is_live = False
        self._announced: set[int] = set()

    def __enter__(self) -> Console:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end_live()

    @property
    def columns(self) -> int:
        """How wide a line may be."""
        if not self._is_terminal:
            return COLUMNS
        return min(COLUMNS, shutil.get_terminal_size((COLUMNS, 24)).columns)

    def line(self, text: str = "") -> None:
        """Print a line."""
        self._end_live()
        self._write(f"{text.rstrip()}\n")

    def title(self, text: str) -> None:
        """Print a heading."""
        self.line()
        self.line(self.paint(text, BOLD))

    def fact(self, name: str, text: str) -> None:
        """Print something that has come about."""
        room = self.columns - 12
        self.line(f"  {self.paint(f'{name:<10}', DIM)}{fitted(text, room)}")

    def paint(self, text: str, colour: str) -> str:
        """Return the text in a colour, where there are colours."""
        return f"\x1b[{colour}m{text}\x1b[0m" if self._has_colour else text

    def progress(self, jobs: Sequence[VerificationJob], commits: Sequence[Commit]) -> None:
        """Show where the jobs are: on a terminal in one line, else a line for each verdict."""
        if self._is_terminal:
            self._live(jobs)
            return
        subjects = {commit.sha: commit.subject for commit in commits}
        news = (job for job in jobs if job.completed_at and job.job_id not in self._announced)
        for job in sorted(news, key=lambda job: str(job.completed_at)):
            self._announced.add(job.job_id)
            count = f"{len(self._announced)}/{len(commits)}"
            words = f"{job.status:<6}  {job.commit_sha[:SHORT]}  run {job.run_no}  "
            self.fact(count, words + subjects[job.commit_sha])

    def _live(self, jobs: Sequence[VerificationJob]) -> None:
        counts = Counter(job.status for job in jobs)
        cells = 24
        done = cells * sum(job.completed_at is not None for job in jobs) // len(jobs)
        bar = self.paint("━" * done, GREEN) + self.paint("━" * (cells - done), DIM)
        words = "  ".join(
            self.paint(f"{counts[status]:>3} {status.value}", colour)
            for status, colour in COLOURS.items()
            if counts[status] or status is not JobStatus.ERROR
        )
        # Kept from wrapping by the terminal itself, which knows the width of what is coloured.
        self._write(f"\r\x1b[2K\x1b[?7l  {bar}  {words}\x1b[?7h")
        self._is_live = True

    def _end_live(self) -> None:
        if self._is_live:
            self._write("\r\x1b[2K")
            self._is_live = False

    def _write(self, text: str) -> None:
        encoding = self._stream.encoding or "utf-8"
        self._stream.write(text.encode(encoding, "replace").decode(encoding))
        self._stream.flush()


def show_jobs(console: Console, commits: Sequence[Commit], jobs: Sequence[VerificationJob]) -> None:
    """Print the table of the commits and their verdicts."""
    by_sha = {job.commit_sha: job for job in jobs}
    room = max(12, console.columns - BESIDE_SUBJECT)
    head = f"{'commit':<{SHORT}}  {'subject':<{room}}  status   run  seconds  lab session"
    console.title(head)
    for commit in commits:
        job = by_sha[commit.sha]
        seconds = ""
        if job.started_at and job.completed_at:
            seconds = f"{(job.completed_at - job.started_at).total_seconds():.2f}"
        run_no = f"{job.run_no:>3}"
        console.line(
            f"{commit.sha[:SHORT]}  {fitted(commit.subject, room)}  "
            f"{console.paint(f'{job.status.value:<7}', COLOURS[job.status])}  "
            f"{console.paint(run_no, YELLOW) if job.run_no > 1 else run_no}  "
            f"{seconds:>7}  {str(commit.session_id)[:8]}"
        )


def show_refusals(console: Console, conn: psycopg.Connection, refusals: Sequence[Refusal]) -> None:
    """Print what was tried and the codes that answered."""
    is_superuser = conn.info.parameter_status("is_superuser") == "on"
    whom = f"the {'superuser' if is_superuser else 'owner'} {plain(conn.info.user)}"
    console.title(f"What is refused, even to {whom}")
    room = max(len(refusal.tried) for refusal in refusals)
    for refusal in refusals:
        colour = GREEN if refusal.sqlstate == refusal.expected else RED
        answer = console.paint(f"{refusal.sqlstate}  {refusal.name}", colour)
        console.line(f"{refusal.tried:<{room}}  {answer}")
