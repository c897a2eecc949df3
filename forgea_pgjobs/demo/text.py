"""Words of strangers (commit subjects, a check's output) made fit to be stored and shown."""

from __future__ import annotations

import unicodedata

from forgea_pgjobs.cli.output import plain


def width(text: str) -> int:
    """Return how many columns of a terminal plain text takes."""
    return sum(map(_columns, text))


def fitted(text: str, columns: int) -> str:
    """Return plain text cut or filled to exactly this many columns."""
    if width(text) > columns:
        while width(text) >= columns:
            text = text[:-1]
        text = f"{text.rstrip()}…"
    return text + " " * (columns - width(text))


def last_lines(output: bytes, count: int = 5) -> list[str]:
    """Return the last lines of a program's output that are not blank, each cut to 200."""
    lines = [plain(line) for line in output.decode(errors="replace").splitlines()]
    return [line[:200] for line in lines if line][-count:]


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in {"Me", "Mn"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
