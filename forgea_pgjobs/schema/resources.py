"""Find sql/ and migrations/, and render the complete install SQL."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parent.parent
RECORD = "insert into pgjobs.migration"


def install_sql() -> str:
    """Return everything in sql/ as one text, in the order of install.sql."""
    return sql_text("install.sql")


def sql_text(name: str, *, without: str | None = None) -> str:
    """Return a file of sql/ with what it includes, except for one of its includes."""
    return "".join(_included(_folder("sql") / name, without))


def recorded_install_sql() -> str:
    """Return the install SQL for ``psql -1 -f``.

    It ends by recording the migrations it stands for, so that the runner knows them later.
    """
    records = (
        f"{RECORD} (migration_id, checksum)\nvalues ('{name}', '{checksum(path)}');\n"
        for name, path in migration_files().items()
    )
    return "\n\n".join([install_sql(), *records])


def migrations_folder() -> Path:
    """Return the folder of the migrations."""
    return _folder("migrations")


def migration_files() -> dict[str, Path]:
    """Return the file of every migration by its id, the oldest first."""
    files = sorted(migrations_folder().glob("*.sql"))
    return {file.stem: file for file in files if not file.name.endswith(".rollback.sql")}


def checksum(migration: Path) -> str:
    """Return the SHA-256, in hex, of a migration's text above the line that records it."""
    text, found, _record = migration.read_text(encoding="utf-8").rpartition(f"\n{RECORD}")
    if not found:
        raise ValueError(f"{migration.name} does not record itself in pgjobs.migration")
    return hashlib.sha256(f"{text}\n".encode()).hexdigest()


def _folder(name: str) -> Path:
    # A wheel has the folders inside the package; a checkout has them at its top.
    packaged = PACKAGE / f"_{name}"
    return packaged if packaged.is_dir() else PACKAGE.parent / name


def _included(path: Path, without: str | None) -> Iterator[str]:
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        include = re.fullmatch(r"\\ir (\S+)\n", line)
        if include is None:
            yield line
        elif include[1] != without:
            yield "\n\n"
            yield from _included(path.parent / include[1], without)
