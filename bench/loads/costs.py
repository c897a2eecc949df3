"""The loads that are measured in bytes. Figures that begin with ``of `` are parts."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from bench.child import ChildFailed
from bench.contender import Contender, Database
from bench.size import Size
from forgea_pgjobs.embedded import Server

SHORT = 0.02
PARTS = 5
PATIENCE = 60.0
RELATIONS = """
select pg_relation_filenode(oid)::text, relname, pg_relation_size(oid) from pg_class
where relkind in ('r', 'i', 't', 'S') and pg_relation_filenode(oid) is not null
"""
RECORD = re.compile(r"^rmgr: (\w+).*?len \(rec/tot\): +(\d+)/")
BLOCK = re.compile(r"rel \d+/\d+/(\d+)")


def cycle(contender: Contender, size: Size) -> dict[str, float]:
    """WAL bytes of a job enqueued, claimed and completed by single calls.

    Full-page images are off, and every page in use has been written before: so nothing depends on
    when the last checkpoint was.
    """
    with contender.database() as database, _plain_wal(database.server):
        _one_by_one(database, size.cycles, "warm")
        begun, enqueued, finished = _one_by_one(database, size.cycles, "measured")
        figures = {
            "enqueue": (enqueued - begun) / size.cycles,
            "finish": (finished - enqueued) / size.cycles,
            "all": (finished - begun) / size.cycles,
        }
        parts = _written(database, begun, finished)
        return figures | {f"of {name}": n / size.cycles for name, n in parts.items()}


def bytes_kept(contender: Contender, size: Size) -> dict[str, float]:
    """Bytes on disk that a finished job leaves behind, in the tables and indexes that have grown.

    The jobs come in parts, each finished and vacuumed away before the next: so what a queue needs
    while jobs wait in it hardly counts.
    """
    with contender.database() as database:
        empty = _sizes(database)
        for part in range(PARTS):
            database.fill(size.kept // PARTS, f"part {part}")
            _finish(database.with_filler())
            database.execute("vacuum")
        parts = {
            f"of {name}": of / size.kept
            for name, of in _sizes(database).items()
            if of > empty.get(name, 0)
        }
        return {"all": sum(parts.values())} | parts


def _one_by_one(database: Database, count: int, prefix: str) -> tuple[int, int, int]:
    """Return the place in the WAL before, after enqueuing and after finishing ``count`` jobs."""
    begun = _place(database)
    with database.producers({"prefix": prefix, "count": count}) as [producer]:
        producer.go()
        producer.result()
    enqueued = _place(database)
    _finish(database, **database.card.single, keyed=True)
    return begun, enqueued, _place(database)


def _finish(database: Database, **options: Any) -> None:
    with database.workers(1, **options) as [worker]:
        worker.go()
        end = time.monotonic() + PATIENCE
        while database.remaining():
            if time.monotonic() > end:
                raise ChildFailed(f"jobs were left after {PATIENCE:.0f} s: {worker.words()}")
            time.sleep(SHORT)


def _place(database: Database) -> int:
    return int(database.execute("select pg_current_wal_insert_lsn() - '0/0'"))


def _sizes(database: Database) -> dict[str, int]:
    with psycopg.connect(database.server.dsn(database.name)) as conn:
        rows = conn.execute(RELATIONS + "and oid >= 16384").fetchall()
    return {name: size for _, name, size in rows}


def _written(database: Database, begin: int, end: int) -> dict[str, int]:
    """Return the WAL bytes of each table and index; nothing where there is no pg_waldump."""
    waldump = shutil.which("pg_waldump", path=database.server.binaries)
    if waldump is None:
        return {}
    with psycopg.connect(database.server.dsn(database.name)) as conn:
        names = {node: name for node, name, _ in conn.execute(RELATIONS).fetchall()}
    listed = subprocess.run(
        [
            waldump, f"--path={database.server.folder}/data/pg_wal",
            f"--start={_lsn(begin)}", f"--end={_lsn(end)}",
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    written: Counter[str] = Counter()
    for line in listed.stdout.splitlines():
        record = RECORD.match(line)
        if record is not None:
            block = BLOCK.search(line)
            of = names.get(block[1], "another database") if block else record[1]
            written[of] += int(record[2])
    return dict(written.most_common())


def _lsn(place: int) -> str:
    return f"{place >> 32:X}/{place & 0xFFFFFFFF:X}"


@contextmanager
def _plain_wal(server: Server) -> Iterator[None]:
    """Write no full-page images, and let nobody but the contender write."""
    with psycopg.connect(server.dsn(), autocommit=True) as conn:

        def switch(action: str, wanted: str) -> None:
            for setting in ("autovacuum", "full_page_writes"):
                conn.execute(f"alter system {action.format(setting)}".encode())
            conn.execute("select pg_reload_conf()")
            while conn.execute("show full_page_writes").fetchone() != (wanted,):
                time.sleep(SHORT)

        switch("set {} = off", "off")
        try:
            yield
        finally:
            switch("reset {}", "on")
