"""Find sql/ and migrations/, and render the complete install SQL."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parent.parent
RECORD = "insert into pgjobs.migration"
# install.sql names the migration that each of its parts becomes.
PART = re.compile(r"^-- part (\S+)\n", re.MULTILINE)
PUBLISHED = re.compile(r"^insert into pgjobs\.fingerprint.*?;\n", re.MULTILINE | re.DOTALL)


def parts() -> dict[str, str]:
    """Return everything in sql/ in the order of install.sql, by the migration it belongs to."""
    essay, *pieces = PART.split((_folder("sql") / "install.sql").read_text(encoding="utf-8"))
    texts = {
        name: "".join(_included(_folder("sql"), text))
        for name, text in zip(pieces[::2], pieces[1::2], strict=True)
    }
    first = next(iter(texts))
    return texts | {first: essay + texts[first]}


def install_sql() -> str:
    """Return everything in sql/ as one text, in the order of install.sql."""
    return "\n\n".join(parts().values())


def recorded_install_sql() -> str:
    """Return the install SQL for ``psql -1 -f``.

    It ends by recording the migrations it stands for, so that the runner knows them later, and by
    publishing what `verify` compares.
    """
    files = migration_files()
    records = [
        f"{RECORD} (migration_id, checksum)\nvalues ('{name}', '{checksum(path)}');\n"
        for name, path in files.items()
    ]
    return "\n\n".join([install_sql(), *publishing_statements(), *records])


def publishing_statements() -> list[str]:
    """Return the statements of the migrations that publish what `verify` compares."""
    return [each for path in migration_files().values() for each in PUBLISHED.findall(_read(path))]


def migrations_folder() -> Path:
    """Return the folder of the migrations."""
    return _folder("migrations")


def migration_files() -> dict[str, Path]:
    """Return the file of every migration by its id, the oldest first."""
    files = sorted(migrations_folder().glob("*.sql"))
    return {file.stem: file for file in files if not file.name.endswith(".rollback.sql")}


def checksum(migration: Path) -> str:
    """Return the SHA-256, in hex, of a migration's text above the line that records it."""
    text, found, _record = _read(migration).rpartition(f"\n{RECORD}")
    if not found:
        raise ValueError(f"{migration.name} does not record itself in pgjobs.migration")
    return hashlib.sha256(f"{text}\n".encode()).hexdigest()


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _folder(name: str) -> Path:
    # A wheel has the folders inside the package; a checkout has them at its top.
    packaged = PACKAGE / f"_{name}"
    return packaged if packaged.is_dir() else PACKAGE.parent / name


def _included(folder: Path, text: str) -> Iterator[str]:
    for line in text.splitlines(keepends=True):
        include = re.fullmatch(r"\\ir (\S+)\n", line)
        yield f"\n\n{_read(folder / include[1])}" if include else line
