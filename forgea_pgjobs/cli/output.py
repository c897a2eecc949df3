"""What a command prints: tables, how far it has come, and every error as one line.

``error CODE: message (hint: …)``, without passwords.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence
from typing import TextIO
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict

from forgea_pgjobs.cli.connection import misread

SECRETS = ("password", "sslpassword")
WIDTH = 30


def plain(text: str) -> str:
    """Return the text on one line, without control, format and other invisible characters."""
    words = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in text).split()
    return " ".join(words)


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows with their columns aligned; what strangers wrote cannot steer a terminal."""
    shown = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


class Progress:
    """Shows how many of a known number are done, which may turn out to be larger.

    On a terminal as a bar, elsewhere as a line for every tenth.
    """

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


def describe(error: Exception, dsn: str | None) -> str:
    """Return the line that tells the user about an error."""
    if isinstance(error, psycopg.Error) and not error.sqlstate and (hint := misread(dsn or "")):
        # libpq repeats parts of the string in its message, with whatever password is in it.
        return f"error 08001: the connection string cannot be read (hint: {hint})"
    code, *words = _parts(error)
    message, hint = (without_secrets(text or "", dsn) for text in words)
    return f"error {code}: {message}" + (f" (hint: {hint})" if hint else "")


def without_secrets(text: str, dsn: str | None) -> str:
    """Return the text on one line, every password blotted out, also one of another connection.

    A password may have any character: it ends before the last @, or with the text.
    """
    for secret in _secrets(dsn):
        for form in {secret, quote(secret, safe="")}:
            text = text.replace(form, "***")
    text = re.sub(r"(//[^\s/:]*:).*@", r"\1***@", " ".join(text.split()))
    return re.sub(r"(?i)(password\s*=\s*).*", r"\1***", text)


def _parts(error: Exception) -> tuple[str, str, str | None]:
    if isinstance(error, psycopg.Error) and error.sqlstate:
        message = error.diag.message_primary or str(error)
        is_ours = error.sqlstate == "42883" and "pgjobs." in message
        hint = "`status` says what was left out; `migrate` adds it." if is_ours else None
        return error.sqlstate, message, hint or error.diag.message_hint
    if isinstance(error, psycopg.OperationalError):
        return "08001", str(error), None
    if isinstance(error, ModuleNotFoundError):
        if error.name in ("fcntl", "pwd"):
            hint = "The other commands run here; they take a server of your own by --dsn."
            return "0A000", "the demo and the server that it brings need Linux or macOS", hint
        hint = "pip install 'forgea-pgjobs[cli]', or [demo], which brings a server as well."
        return "58P01", f"module {error.name} is not installed", hint
    return (
        getattr(error, "sqlstate", None) or "58000",
        str(error) or type(error).__name__,
        getattr(error, "hint", None),
    )


def _secrets(dsn: str | None) -> list[str]:
    """Return the passwords of a connection string that can be read."""
    try:
        parts = conninfo_to_dict(dsn or "")
    except psycopg.ProgrammingError:
        return []
    return [str(parts[name]) for name in SECRETS if parts.get(name)]
