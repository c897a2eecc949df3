"""How far a long command has come: a bar on a terminal, a line for every tenth elsewhere."""

from __future__ import annotations

import os
from typing import TextIO

WIDTH = 30


class Progress:
    """Shows how many of a known number are done; the number may turn out to be larger."""

    def __init__(self, stream: TextIO, total: int, what: str) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._total = total
        self._what = what
        self._done = 0

    def add(self, count: int) -> None:
        """Count and show."""
        before = self._tenths()
        self._done += count
        words = f"{self._done:,} of {max(self._done, self._total):,} {self._what}"
        if self._is_terminal:
            filled = WIDTH * self._tenths() // 10
            self._write(f"\r\x1b[2K[{'#' * filled}{'.' * (WIDTH - filled)}] {words}")
        elif self._tenths() > before:
            self._write(f"{words}\n")

    def end(self) -> None:
        """Leave the line of the bar."""
        if self._is_terminal and self._done:
            self._write("\n")

    def _tenths(self) -> int:
        return 10 * self._done // max(self._done, self._total, 1)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
