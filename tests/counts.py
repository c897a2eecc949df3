"""What a call costs, counted by the server: rows, ids, WAL and buffers, but never time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from itertools import count
from statistics import median
from typing import Any

import psycopg

from tests.helpers import Connection, rows

IDS = ("lab_attempt_attempt_id_seq", "job_job_id_seq", "ready_no")
# A row is written to the log when a sequence has used up 32 numbers; so it is on the next one.
FRESH_LOG = ";".join(
    f"select setval('pgjobs.{name}', last_value, is_called) from pgjobs.{name}" for name in IDS
)
DRAWN = " + ".join(f"(select last_value from pgjobs.{name})" for name in IDS)
WRITTEN = """
select relname, n_tup_ins, n_tup_upd, n_tup_del
from pg_stat_xact_user_tables
where schemaname = 'pgjobs'
"""
# When the last sweep was, as claim remembers it: then it sweeps again, or not.
NOW = "(extract(epoch from clock_timestamp()) * 1000)::bigint"
# Sessions and commits in no order, as in real life, but the same in every run.
SESSION = "md5('session' || {})::uuid"
COMMIT = "md5('commit' || {}) || '00000000'"


@dataclass(frozen=True, slots=True)
class Count:
    """Rows written (+ inserted, ~ updated, - deleted), ids drawn, bytes of WAL, buffers touched."""

    written: str
    ids: float
    wal: float
    buffers: float


def table(counts: Mapping[str, Count]) -> str:
    """Show counts as the lines that a test would keep."""
    return "\n".join(
        [""] + [f'    "{name}": Count{astuple(counted)},' for name, counted in counts.items()]
    )


class Meter:
    """Counts calls on one connection and remembers the counts by name."""

    def __init__(self, conn: Connection) -> None:
        """Begin with nothing counted."""
        self.conn = conn
        self.numbers = count(1)
        self.counted: dict[str, list[Count]] = defaultdict(list)

    def new(self, kind: str) -> str:
        """Return a session or commit that was never used before, as a literal."""
        [[value]] = self.conn.execute(f"select ({kind.format(next(self.numbers))})::text".encode())
        return f"'{value}'"

    def leased(self) -> list[str]:
        """Return the running jobs, each as the first two arguments of a worker's calls."""
        leased = rows(self.conn, "select * from pgjobs.head where lease_token is not null")
        return [f"{head.job_id}, '{head.lease_token}'" for head in leased]

    def count(self, name: str, call: str, jobs: int = 1, swept_at: str = NOW) -> Count:
        """Make a call on so many jobs, and count what each of them costs."""
        with self.conn.transaction():
            self.conn.execute(FRESH_LOG.encode())
            before = self._written()
            [[drawn]] = self.conn.execute(f"select {DRAWN}".encode())
            self.conn.execute(f"select setval('pgjobs.swept_at', {swept_at})".encode())
            [[[plan]]] = self.conn.execute(
                "explain (analyze, wal, buffers, timing off, format json)"
                f" select * from pgjobs.{call}".encode()
            )
            [[drawn_then]] = self.conn.execute(f"select {DRAWN}".encode())
            written = " ".join(
                f"{sign}{'' if number == jobs else f'{number / jobs:g} '}{name}"
                for name, now in self._written().items()
                for sign, number in zip(
                    "+~-", map(int.__sub__, now, before.get(name, (0, 0, 0))), strict=True
                )
                if number
            )
        top = plan["Plan"]
        counted = Count(
            written,
            (drawn_then - drawn) / jobs,
            top["WAL Bytes"] / jobs,
            (top["Shared Hit Blocks"] + top["Shared Read Blocks"]) / jobs,
        )
        self.counted[name].append(counted)
        return counted

    def counts(self) -> dict[str, Count]:
        """Return the median of each count, so that one checkpoint in between does no harm."""
        return {
            name: Count(
                " or ".join(sorted({each.written for each in counted})),
                *(median(astuple(each)[at] for each in counted) for at in (1, 2, 3)),
            )
            for name, counted in self.counted.items()
        }

    def _written(self) -> dict[str, tuple[int, int, int]]:
        """Return what is written so far per table: inserted, updated, deleted."""
        written = self.conn.execute(f"{WRITTEN} order by relname".encode())
        return {name: (ins, upd, dele) for name, ins, upd, dele in written}
