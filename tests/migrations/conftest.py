"""The server's own client programs, and a server that has never seen our roles."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from forgea_pgjobs import embedded
from tests.conftest import Postgres

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
    """Return the definition of everything in a database but the runner's bookkeeping."""

    def dump_schema(dsn: str) -> str:
        text = run_program("pg_dump", "--schema-only", "--exclude-schema=pgjobs_yoyo", "-d", dsn)
        # pg_dump brackets its output with a random key.
        lines = (line for line in text.splitlines() if "restrict " not in line)
        return "\n".join(lines)

    return dump_schema


@pytest.fixture
def new_server() -> Iterator[embedded.Server]:
    """A server without our cluster-wide roles."""
    with embedded.run_server(fsync=False) as server:
        yield server
