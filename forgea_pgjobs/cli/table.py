"""Tables of a command's output."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


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
