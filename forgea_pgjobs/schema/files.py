"""Find sql/ and migrations/, and render the complete install SQL."""

from __future__ import annotations

import atexit
import hashlib
import re
from collections.abc import Iterator
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from forgea_pgjobs.errors import Refused

PACKAGE = Path(__file__).parent.parent
RECORD = "insert into pgjobs.migration"
# install.sql names the migration that each of its parts becomes.
PART = re.compile(
    r"^-- part (\S+)\n\\ir base/begin\.sql\n(.*?)\\ir base/end\.sql\n", re.MULTILINE | re.DOTALL
)
PUBLISHED = re.compile(r"^insert into pgjobs\.fingerprint.*?;\n", re.MULTILINE | re.DOTALL)


def parts() -> dict[str, str]:
    """Return everything in sql/ in the order of install.sql, by the migration it belongs to.

    How a part begins and ends is left to ``install_sql`` and ``framed``.
    """
    index = _read(_folder("sql") / "install.sql")
    texts = {
        found[1]: "".join(_included(_folder("sql"), found[2])).strip("\n") + "\n"
        for found in PART.finditer(index)
    }
    first = next(iter(texts))
    return texts | {first: index[: index.index("-- part ")] + "\n" + texts[first]}


def install_sql() -> str:
    """Return everything in sql/ as one text, in the order of install.sql."""
    begin, end = _begin_and_end()
    return "\n\n".join(f"{begin}\n\n{text}\n\n{end}" for text in parts().values())


def recorded_install_sql() -> str:
    """Return the install SQL for psql: the migrations, of the present text of sql/.

    Each records itself, so that the runner knows it later; the last publishes what `verify`
    compares.
    """
    files = migration_files()
    texts = parts()
    last = list(texts)[-1]
    texts[last] = "\n\n".join([texts[last], *publishing_statements()])
    return "\n\n".join(
        framed(text, record(name, checksum(files[name]))) for name, text in texts.items()
    )


def framed(text: str, *last: str) -> str:
    """Return SQL as one statement: whole or not at all, in whatever way a tool sends a file."""
    begin, end = _begin_and_end()
    body = "\n\n".join([begin, text, *last, end])
    return f"do $migration$\nbegin\n\n{body}\nend\n$migration$;\n"


def record(name: str, digest: str) -> str:
    """Return the statement by which a migration records itself."""
    return f"{RECORD} (migration_id, checksum)\nvalues ('{name}', '{digest}');\n"


def publishing_statements() -> list[str]:
    """Return the statements of the migrations that publish what `verify` compares."""
    return [each for path in migration_files().values() for each in PUBLISHED.findall(_read(path))]


def migrations_folder() -> Path:
    """Return the folder of the migrations."""
    return _folder("migrations")


def migration_files() -> dict[str, Path]:
    """Return the file of every migration by its id, the oldest first. Raises: Refused: none."""
    files = sorted(migrations_folder().glob("*.sql"))
    if not files:
        hint = "Install forgea-pgjobs again, with the folders _sql and _migrations of its wheel."
        raise Refused("58P01", "this installation has no migrations", hint)
    return {file.stem: file for file in files if not file.name.endswith(".rollback.sql")}


def checksum(migration: Path) -> str:
    """Return the SHA-256, in hex, of a migration's text above the line that records it."""
    return checksum_of(_read(migration))


def checksum_of(migration: str) -> str:
    """Return ``checksum`` of a text."""
    text, found, _record = migration.rpartition(f"\n{RECORD}")
    if not found:
        raise ValueError("a migration does not record itself in pgjobs.migration")
    return hashlib.sha256(f"{text}\n".encode()).hexdigest()


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _begin_and_end() -> list[str]:
    return [_read(_folder("sql") / "base" / name) for name in ("begin.sql", "end.sql")]


@cache
def _folder(name: str) -> Path:
    """Return a folder of SQL; where the package lies in an archive, a copy until the exit."""
    # A wheel has the folders inside the package; a checkout has them at its top.
    packaged = resources.files("forgea_pgjobs") / f"_{name}"
    if not packaged.is_dir():
        return PACKAGE.parent / name
    if isinstance(packaged, Path):
        return packaged
    copy = Path(mkdtemp(prefix="pgjobs-sql-"))
    atexit.register(rmtree, copy)
    _copy(packaged, copy)
    return copy


def _copy(source: Traversable, target: Path) -> None:
    # resources.as_file does not know folders before Python 3.12.
    if source.is_dir():
        target.mkdir(exist_ok=True)
        for each in source.iterdir():
            _copy(each, target / each.name)
    else:
        target.write_bytes(source.read_bytes())


def _included(folder: Path, text: str) -> Iterator[str]:
    for line in text.splitlines(keepends=True):
        include = re.fullmatch(r"\\ir (\S+)\n", line)
        yield f"\n\n{_read(folder / include[1])}" if include else line
