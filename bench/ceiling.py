"""pgbench with raw's statements: what the server can do when no client is in the way."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from bench.adapters.raw import CLAIM, COMPLETE
from bench.child import ChildFailed
from bench.contender import Contender, Database
from bench.keys import keys
from bench.size import Size

INSERT = """
with key as (select encode(substr(sha256(gen_random_uuid()::text::bytea), 1, 20), 'hex') as sha)
insert into job (sha, payload) select sha, jsonb_build_object('sha', sha) from key
on conflict (sha) do nothing;
"""
CYCLE = f"{CLAIM.replace('%s', '1')} \\gset\n{COMPLETE.replace('any(%s)', ':id')};"


def enqueue(contender: Contender, size: Size) -> dict[str, float]:
    """As the load of this name."""
    figures = {}
    for clients in (1, 8):
        with contender.database() as database:
            figures[str(clients)] = _pgbench(database, INSERT, clients, size.enqueue_for)
    return figures


def single(contender: Contender, size: Size) -> dict[str, float]:
    """As the load of this name."""
    with contender.database(filled=size.drain) as database:
        return {"rate": _pgbench(database, CYCLE, 1, size.single_for)}


def bulk(contender: Contender, size: Size) -> dict[str, float]:
    """COPY of all rows at once, which stands in for pgbench here."""
    with contender.database() as database, psycopg.connect(database.url) as conn:
        begun = time.monotonic()
        with conn.cursor().copy("copy job (sha, payload) from stdin") as copy:
            for sha in keys("job", size.bulk):
                copy.write_row((sha, f'{{"sha": "{sha}"}}'))
        conn.commit()
        return {"rate": size.bulk / (time.monotonic() - begun)}


def drain(contender: Contender, size: Size) -> dict[str, float]:
    """As the load of this name, one job a call."""
    figures = {}
    for clients in (1, 2):
        with contender.database(filled=size.drain) as database:
            figures[str(clients)] = _pgbench(database, CYCLE, clients, jobs=size.drain)
    return figures


LOADS: dict[str, Callable[[Contender, Size], dict[str, float]]] = {
    load.__name__: load for load in (enqueue, single, bulk, drain)
}


def find(binaries: Path) -> str | None:
    """Return pgbench, of the server's own binaries or from PATH."""
    return shutil.which("pgbench", path=binaries) or shutil.which("pgbench")


def version(binaries: Path) -> str:
    """Return pgbench's own words."""
    return subprocess.check_output([str(find(binaries)), "--version"], text=True).strip()


def _pgbench(
    database: Database, script: str, clients: int, seconds: float = 0, *, jobs: int = 0
) -> float:
    server = database.server
    length = [f"--transactions={jobs // clients}"] if jobs else [f"--time={round(seconds) or 1}"]
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        done = subprocess.run(
            [
                str(find(server.binaries)), "--no-vacuum", "--protocol=prepared",
                f"--file={file.name}", f"--client={clients}", *length,
                f"--host={server.folder}", "--username=postgres", database.name,
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    rate = re.search(r"tps = ([\d.]+) \(without", done.stdout)
    if rate is None:
        raise ChildFailed(done.stderr[-300:])
    return float(rate[1])
