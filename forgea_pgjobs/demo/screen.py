"""What the demo shows: facts and progress while it runs, then the tables; at most 100 columns."""

from __future__ import annotations

import os
import shutil
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TextIO

from forgea_pgjobs import JobStatus, VerificationJob

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
CELLS = 24


class Refusal(NamedTuple):
    """What was tried and what came of it; ``name`` is that of the exception."""

    tried: str
    expected: str
    sqlstate: str
    name: str


class Console:
    """The output: lines, and on a terminal one line below them that is written over."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._has_colour = self._is_terminal and not os.environ.get("NO_COLOR")
        self._shown: set[int] = set()
        columns = shutil.get_terminal_size((COLUMNS, 24)).columns
        self.columns = min(COLUMNS, columns) if self._is_terminal else COLUMNS

    def line(self, text: str = "", colour: str = "") -> None:
        """Print a line, over the progress where there is one."""
        self.clear()
        self._write(f"{self.paint(text.rstrip(), colour)}\n")

    def fact(self, name: str, text: str) -> None:
        """Print something that has come about."""
        self.line(f"  {self.paint(f'{name:<10}', DIM)}{fitted(text, self.columns - 12)}")

    def paint(self, text: str, colour: str) -> str:
        """Return the text in a colour, where there are colours."""
        return f"\x1b[{colour}m{text}\x1b[0m" if self._has_colour and colour else text

    def progress(self, jobs: Sequence[VerificationJob], subjects: Mapping[str, str]) -> None:
        """Show where the jobs are: on a terminal in one line, else a line for each verdict."""
        ended = [job for job in jobs if job.completed_at]
        if self._is_terminal:
            counts = Counter(job.status for job in jobs)
            done = CELLS * len(ended) // len(jobs)
            bar = self.paint("━" * done, GREEN) + self.paint("━" * (CELLS - done), DIM)
            words = "  ".join(
                self.paint(f"{counts[status]:>3} {status.value}", colour)
                for status, colour in COLOURS.items()
                if counts[status] or status is not JobStatus.ERROR
            )
            # Kept from wrapping by the terminal itself, which knows the width of what is coloured.
            self._write(f"\r\x1b[2K\x1b[?7l  {bar}  {words}\x1b[?7h")
            return
        for job in sorted(ended, key=lambda job: str(job.completed_at)):
            if job.job_id not in self._shown:
                self._shown.add(job.job_id)
                words = f"{job.status:<6}  {job.commit_sha[:SHORT]}  run {job.run_no}  "
                self.fact(f"{len(self._shown)}/{len(jobs)}", words + subjects[job.commit_sha])

    def jobs(self, jobs: Sequence[VerificationJob], subjects: Mapping[str, str]) -> None:
        """Print the table of the commits and their verdicts."""
        room = max(12, self.columns - BESIDE_SUBJECT)
        head = f"{'commit':<{SHORT}}  {'subject':<{room}}  status   run  seconds  lab session"
        self.line()
        self.line(head, BOLD)
        for job in jobs:
            seconds = ""
            if job.started_at and job.completed_at:
                seconds = f"{(job.completed_at - job.started_at).total_seconds():.2f}"
            self.line(
                f"{job.commit_sha[:SHORT]}  {fitted(subjects[job.commit_sha], room)}  "
                f"{self.paint(f'{job.status.value:<7}', COLOURS[job.status])}  "
                f"{self.paint(f'{job.run_no:>3}', YELLOW if job.run_no > 1 else '')}  "
                f"{seconds:>7}  {str(job.session_id)[:8]}"
            )

    def refusals(self, refusals: Sequence[Refusal], whom: str) -> None:
        """Print what was tried and the codes that answered."""
        self.line()
        self.line(f"What is refused, even to {whom}", BOLD)
        room = max(len(refusal.tried) for refusal in refusals)
        for tried, expected, sqlstate, name in refusals:
            answer = self.paint(f"{sqlstate}  {name}", GREEN if sqlstate == expected else RED)
            self.line(f"{tried:<{room}}  {answer}")

    def clear(self) -> None:
        """Take the progress away."""
        if self._is_terminal:
            self._write("\r\x1b[2K")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def width(text: str) -> int:
    """Return how many columns of a terminal plain text takes."""
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.category(char) in ("Mn", "Me") for char in text)


def fitted(text: str, columns: int) -> str:
    """Return plain text cut or filled to exactly this many columns."""
    if width(text) > columns:
        while width(text) >= columns:
            text = text[:-1]
        text = f"{text.rstrip()}…"
    return text + " " * (columns - width(text))
