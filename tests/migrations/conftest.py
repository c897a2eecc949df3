"""The server's own client programs, and a server that has never seen our roles."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from yoyo.migrations import read_sql_migration

from forgea_pgjobs import embedded, schema
from forgea_pgjobs.schema import files
from tests.conftest import Postgres

LATER = "9001.later"
RunProgram = Callable[..., str]
Dump = Callable[[str], str]


@pytest.fixture(scope="session")
def run_program(pg: Postgres) -> RunProgram:
    """Run psql or pg_dump: the server's own, or for a given server the newest at hand."""
    folder = pg.binaries or embedded.find_binaries()

    def run(name: str, *argv: str | Path) -> str:
        done = subprocess.run([folder / name, *argv], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def dump(run_program: RunProgram) -> Dump:
    """Return the definition of everything in a database."""

    def dump_schema(dsn: str) -> str:
        text = run_program("pg_dump", "--schema-only", "-d", dsn)
        # pg_dump brackets its output with a random key.
        lines = (line for line in text.splitlines() if "restrict " not in line)
        return "\n".join(lines)

    return dump_schema


@pytest.fixture
def new_server() -> Iterator[embedded.Server]:
    """A server without our cluster-wide roles."""
    with embedded.run_server(fsync=False) as server:
        yield server


class Folder:
    """Migrations of a test's own, which the package takes for its own meanwhile."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, name: str) -> tuple[list[str], list[str]]:
        """Return the statements of a migration's up and down, as yoyo splits them."""
        up, down = (
            read_sql_migration(str(self.path / f"{name}{kind}.sql"))[2]
            for kind in ("", ".rollback")
        )
        return up, down

    def keep(self, names: Sequence[str]) -> None:
        """Leave out every migration but these."""
        for file in self.path.glob("*.sql"):
            if file.name.removesuffix(".sql").removesuffix(".rollback") not in names:
                file.unlink()

    def add(self, up: str, down: str, name: str = LATER) -> None:
        """Add a migration that records itself as ours do."""
        text = f"-- A later change.\n-- depends:\n\n{up}\n"
        record = f"('{name}', '{hashlib.sha256(text.encode()).hexdigest()}')"
        (self.path / f"{name}.sql").write_text(
            f"{text}insert into pgjobs.migration (migration_id, checksum)\nvalues {record};\n"
        )
        (self.path / f"{name}.rollback.sql").write_text(
            f"{down}\ndelete from pgjobs.migration where migration_id = '{name}';\n"
        )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """A copy of the migrations, in which a test may add and leave out."""
    where = files._folder
    copy = tmp_path / "migrations"
    shutil.copytree(schema.migrations_folder(), copy)
    monkeypatch.setattr(
        files, "_folder", lambda name: copy if name == "migrations" else where(name)
    )
    return Folder(copy)
