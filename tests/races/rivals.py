"""Calls in the background, seen to wait through pg_blocking_pids, never through a clock."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from psycopg import IsolationLevel
from psycopg.errors import SerializationFailure

from tests.helpers import Connection, rows

T = TypeVar("T")

# The long run plays more of the same.
LONG = os.environ.get("PGJOBS_LONG") == "1"

CLIENTS = 8
LEVELS = (
    IsolationLevel.READ_COMMITTED,
    IsolationLevel.REPEATABLE_READ,
    IsolationLevel.SERIALIZABLE,
)


def level_name(level: object) -> str | None:
    """Name an isolation level in a test's id; anything else names itself."""
    return level.name.lower() if isinstance(level, IsolationLevel) else None


def begin_at(conn: Connection, level: IsolationLevel) -> None:
    """Let every transaction of an autocommit connection begin at this level."""
    name = level.name.lower().replace("_", " ")
    conn.execute(f"set default_transaction_isolation = '{name}'".encode())


@dataclass(frozen=True, slots=True)
class Background(Generic[T]):
    """A call under way on another connection."""

    future: Future[T]
    pid: int
    observer: Connection

    def blockers(self) -> list[int]:
        """Return whom the call waits for; none once it has ended without waiting."""
        while not self.future.done():
            query = "select pg_blocking_pids(%(pid)s) as pids"
            [row] = rows(self.observer, query, pid=self.pid)
            if row.pids:
                return list(row.pids)
        return []

    def result(self) -> T:
        """Return the answer of the call."""
        return self.future.result(timeout=60)


@contextmanager
def background(
    conn: Connection, observer: Connection, work: Callable[[], T]
) -> Iterator[Background[T]]:
    """Run work, which uses conn, in a thread; a call that still waits at the end is cancelled."""
    with ThreadPoolExecutor(1) as pool:
        under_way = Background(pool.submit(work), conn.info.backend_pid, observer)
        try:
            yield under_way
        finally:
            if not under_way.future.done():
                conn.cancel()


def at_once(
    connect: Callable[..., Connection], level: IsolationLevel, work: Callable[[Connection, int], T]
) -> list[T]:
    """Let eight connections do the same, each until no rival makes it begin again."""
    conns = [connect(autocommit=True) for _ in range(CLIENTS)]
    for conn in conns:
        begin_at(conn, level)

    def until_done(number: int) -> T:
        while True:
            try:
                return work(conns[number], number)
            except SerializationFailure:
                assert level is not IsolationLevel.READ_COMMITTED

    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(until_done, range(CLIENTS)))
