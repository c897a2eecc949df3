"""How long each change of the schema holds its locks on a large ledger: ``make lock-times``.

Every migration after the first, up and down, and the steps of link_lab_sessions. A lock is held
from the statement that takes it to the end of the transaction, so that is what is measured. Exit 1
if ACCESS EXCLUSIVE, which keeps readers waiting, is held for longer than 100 ms.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from yoyo.migrations import read_sql_migration

from forgea_pgjobs import embedded, schema
from tests.conftest import SETTINGS
from tests.sql.test_flat import FILL

MOST = 0.1  # seconds
STRONG = "AccessExclusiveLock"
# The weakest first, as the documentation of PostgreSQL lists them.
MODES = [
    f"{mode}Lock"
    for mode in (
        *("AccessShare", "RowShare", "RowExclusive", "ShareUpdateExclusive"),
        *("Share", "ShareRowExclusive", "Exclusive", "AccessExclusive"),
    )
]
EXISTING = "select array_agg(oid) from pg_class where oid >= 16384 and relkind <> 'c'"
HELD = """
select distinct mode from pg_locks
where pid = pg_backend_pid() and relation = any (%s) and locktype = 'relation'
"""
HOST = """
create table public."LabSession" (id uuid primary key);
insert into public."LabSession" select distinct session_id from pgjobs.lab_attempt;
grant select (id), references (id) on public."LabSession" to pgjobs_owner;
"""
STEPS = {
    "link_lab_sessions, add": "select pgjobs.link_lab_sessions()",
    "link_lab_sessions, validate": "select pgjobs.link_lab_sessions()",
    "unlink_lab_sessions": "select pgjobs.unlink_lab_sessions()",
}


@dataclass(frozen=True, slots=True)
class Held:
    """A lock of a change: the first statement that takes it, and how long it is held."""

    change: str
    mode: str
    seconds: float
    statement: str

    def __str__(self) -> str:
        shown = " ".join(self.statement.split())[:48]
        return f"{self.change:<32} {self.mode:<26} {self.seconds * 1000:>10.1f} ms  {shown}"


def changes() -> Iterator[tuple[str, list[str]]]:
    """Yield the changes to an existing ledger, each with its statements, in their order."""
    later = list(schema.migration_files().items())[1:]
    for name, file in later:
        yield f"{name}, up", statements(file)
    for name, call in STEPS.items():
        yield name, [call]
    for name, file in reversed(later):
        yield f"{name}, down", statements(file.with_suffix(".rollback.sql"))


def statements(file: Path) -> list[str]:
    """Return the statements of a file as yoyo splits it."""
    found: list[str] = read_sql_migration(str(file))[2]
    return found


def locks_of(conn: psycopg.Connection, change: list[str]) -> dict[str, int]:
    """Undo a change after it has shown which locks it takes on what exists, and at which statement.

    Asking takes time, which a measured run must not spend.
    """
    (existing,) = conn.execute(EXISTING).fetchone() or ([],)
    first: dict[str, int] = {}
    for number, statement in enumerate(change):
        conn.execute(statement.encode())
        for (mode,) in conn.execute(HELD, [existing]).fetchall():
            first.setdefault(mode, number)
    conn.rollback()
    return first


def measure(conn: psycopg.Connection, name: str, change: list[str]) -> list[Held]:
    """Make a change and return the locks that it held, the weakest first."""
    first = locks_of(conn, change)
    starts = []
    for statement in change:
        starts.append(time.perf_counter())
        conn.execute(statement.encode())
    conn.commit()
    end = time.perf_counter()
    return [
        Held(name, mode, end - starts[first[mode]], change[first[mode]])
        for mode in MODES
        if mode in first
    ]


def main(size: int) -> int:
    """Fill a ledger, make every change, print what was held; return the exit code."""
    with (
        embedded.run_server(fsync=False, settings={**SETTINGS, "max_wal_size": "4GB"}) as server,
        psycopg.connect(server.dsn()) as conn,
    ):
        for statement in statements(next(iter(schema.migration_files().values()))):
            conn.execute(statement.encode())
        conn.commit()
        print(f"{size:,} finished jobs", flush=True)
        conn.execute(FILL.format(size=size).encode())
        conn.execute(HOST.encode())
        conn.commit()
        conn.autocommit = True
        conn.execute("vacuum analyze")
        conn.autocommit = False
        too_long = 0
        for name, change in changes():
            for held in measure(conn, name, change):
                bad = held.mode == STRONG and held.seconds > MOST
                too_long += bad
                print(f"{held}{'  TOO LONG' if bad else ''}", flush=True)
    return 1 if too_long else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000))
