"""Run every load for every contender, in another order each round."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from bench import ceiling
from bench.child import ChildFailed
from bench.contender import Contender
from bench.keys import key
from bench.loads import LOADS, rounds_of
from bench.probe import fdatasync_us
from bench.size import Size
from forgea_pgjobs.embedded import Server

PGBENCH = "pgbench"
CONTENDERS = (
    PGBENCH, "raw", "raw_batch", "raw_notify", "forgea", "forgea_single", "pgqueuer", "pgmq",
    "absurd", "graphile", "pgboss", "procrastinate", "dbos",
)  # fmt: skip
SLOW = ("procrastinate", "dbos")
SETTINGS: dict[str, str | int] = {
    "shared_buffers": "2GB",
    "max_wal_size": "8GB",
    "max_connections": 200,
}
SHOWN = (
    "server_version", "fsync", "synchronous_commit", "full_page_writes", "wal_sync_method",
    *SETTINGS,
)  # fmt: skip
Run = dict[str, Any]


def left_out() -> dict[str, str]:
    """Say why a contender is left out whose schema has to be named and is not."""
    path = os.environ.get("ABSURD_SQL")
    if path and Path(path).is_file():
        return {}
    missing = "names a file that is not there" if path else "does not name the file of its schema"
    return {"absurd": f"left out: ABSURD_SQL {missing}"}


def prepare(server: Server, names: Sequence[str], absent: dict[str, str]) -> dict[str, Contender]:
    """Install the named contenders; one that cannot be becomes a line of ``absent``."""
    contenders = {}
    for name in (name for name in names if name not in absent):
        try:
            if name == PGBENCH and ceiling.find(server.binaries) is None:
                raise ChildFailed("no such program")
            contenders[name] = Contender(server, name, "raw" if name == PGBENCH else name)
        except ChildFailed as error:
            absent[name] = f"left out: {error}"
    return contenders


def describe(contenders: dict[str, Contender], server: Server) -> dict[str, dict[str, Any]]:
    """Return each contender's name, version, key and settings."""
    cards = {
        name: {
            "name": contender.card.name,
            "version": contender.version,
            "key": contender.card.key,
            "settings": contender.card.settings,
            "modes": list(contender.card.modes),
        }
        for name, contender in contenders.items()
    }
    if PGBENCH in cards:
        cards[PGBENCH] |= {
            "name": "pgbench",
            "version": ceiling.version(server.binaries),
            "settings": "raw's statements, prepared; bulk is COPY",
        }
    return cards


def measure(
    contenders: dict[str, Contender],
    loads: Sequence[str],
    size: Size,
    *,
    rounds: int | None,
    cheap: float,
) -> Iterator[Run]:
    """Yield one run after the other; what took longer than ``cheap`` is not measured again.

    ``rounds`` is for every load that takes time; None for as many as each has by default.
    """
    too_slow = set()
    for load in loads:
        for number in range(1, rounds_of(load, rounds) + 1):
            order = [name for name in contenders if (load, name) not in too_slow]
            for name in sorted(order, key=partial(key, f"{load} {number}")):
                run = _measure(contenders[name], name, load, size)
                if run is not None:
                    yield run | {"round": number}
                    if run["seconds"] > cheap:
                        too_slow.add((load, name))


def _measure(contender: Contender, name: str, load: str, size: Size) -> Run | None:
    if name == PGBENCH:
        measured = ceiling.LOADS.get(load)
    else:
        takes_part = contender.card.loads is None or load in contender.card.loads
        measured = LOADS[load] if takes_part else None
    if measured is None:
        return None
    disk = round(fdatasync_us(contender.server.folder))
    run: Run = {"load": load, "contender": name, "fdatasync_us": disk}
    begun = time.monotonic()
    try:
        figures = measured(contender, size)
        run["figures"] = {name: round(figure, 3) for name, figure in figures.items()}
    except (ChildFailed, psycopg.Error) as error:
        run["failed"] = str(error)
    return run | {"seconds": round(time.monotonic() - begun, 1)}


def surroundings(server: Server) -> dict[str, str]:
    """Return what the figures depend on: the server's settings, its disk and the processors."""
    with psycopg.connect(server.dsn()) as conn:
        shown = {
            name: conn.execute("select current_setting(%s)", [name]).fetchone() for name in SHOWN
        }
    found = {name: value[0] for name, value in shown.items() if value}
    with suppress(OSError, subprocess.CalledProcessError):
        found["file system"] = subprocess.check_output(
            ["stat", "--file-system", "--format=%T", str(server.folder)], text=True
        ).strip()
    return found | {"cores": str(os.cpu_count()), "processor": _processor()}


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return "unknown"
