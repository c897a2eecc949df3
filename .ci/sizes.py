"""Print the lines and files of each part beside their limits: ``make sizes``."""

from __future__ import annotations

import subprocess
from pathlib import Path

CORE = (
    *("sql/install.sql", "sql/base/guards.sql", "sql/queue/hot_tables.sql"),
    *(f"sql/ledger/{name}.sql" for name in ("lab_attempt", "job", "verdict", "aborted_run")),
    *(f"sql/queue/{name}.sql" for name in ("record_attempt", "enqueue", "claim", "lane")),
    "sql/queue/complete.sql",
)
# The part, what of git ls-files belongs to it, its most lines and most files.
PARTS: list[tuple[str, tuple[str, ...], int, int | None]] = [
    ("ten-minute core", CORE, 1250, 13),
    ("sql", ("sql",), 5400, 44),
    ("forgea_pgjobs", ("forgea_pgjobs", ":!forgea_pgjobs/_sync"), 4100, 48),
    ("tests", ("tests", ":!*-lock.json"), 15500, None),
    ("bench", ("bench",), 4000, None),
    ("docs and README", ("docs", "README.md"), 2300, None),
]


def main() -> None:
    """Count what git tracks."""
    print(f"{'part':<16} {'lines':>7} {'at most':>8} {'files':>6} {'at most':>8}")
    for name, paths, lines, files in PARTS:
        listed = subprocess.run(
            ["git", "ls-files", *paths], capture_output=True, text=True, check=True
        ).stdout.split()
        count = sum(Path(path).read_bytes().count(b"\n") for path in listed)
        print(f"{name:<16} {count:>7,} {lines:>8,} {len(listed):>6} {files or '':>8}")


if __name__ == "__main__":
    main()
