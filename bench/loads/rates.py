"""The loads that are measured in jobs per second."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from bench.contender import Contender, Database
from bench.size import Size

Figures = dict[str, float]
SHORT = 0.01


def enqueue(contender: Contender, size: Size) -> Figures:
    """Enqueue one at a time, each with a new key and in its own transaction; 1 and 8 clients."""
    figures = {}
    for clients in (1, 8):
        with (
            contender.database() as database,
            database.producers(
                *({"prefix": f"client {n}", "seconds": size.enqueue_for} for n in range(clients))
            ) as producers,
        ):
            for producer in producers:
                producer.go()
            figures[str(clients)] = sum(producer.result()["rate"] for producer in producers)
    return figures


def single(contender: Contender, size: Size) -> Figures:
    """Claim and complete jobs one by one for a fixed time; one client."""
    with (
        contender.database(filled=size.drain) as database,
        database.workers(1, **contender.card.single) as [worker],
    ):
        worker.go()
        time.sleep(size.single_for / 4)
        before, begun = database.remaining(), time.monotonic()
        time.sleep(size.single_for)
        done = before - database.remaining()
        return {"rate": done / (time.monotonic() - begun)}


def bulk(contender: Contender, size: Size) -> Figures:
    """Enqueue many by the contender's own bulk call."""
    with contender.database() as database:
        return {"rate": database.fill(size.bulk, untimed=False)}


def drain(contender: Contender, size: Size) -> Figures:
    """Finish a queue of no-op jobs; 1 and 2 worker processes."""
    figures = {}
    for workers in (1, 2):
        with contender.database(filled=size.drain) as database:
            figures[str(workers)] = _drain(database, workers, size.drain, size.cap)
    return figures


def backlog(contender: Contender, size: Size) -> Figures:
    """Handle the first of a long queue; one worker. For our own package several lengths."""
    figures = {}
    ours = contender.adapter.startswith("forgea")
    for length in size.backlogs if ours else (size.peer_backlog,):
        with contender.database(filled=length) as database, database.workers(1) as [worker]:
            worker.go()
            begun = time.monotonic()
            while worker.handled < size.taken and time.monotonic() - begun < size.cap:
                worker.check()
                time.sleep(SHORT)
            figures[str(length)] = worker.handled / (time.monotonic() - begun)
    return figures


def snapshot(contender: Contender, size: Size) -> Figures:
    """Drain under a snapshot that was held while many jobs were finished, and without one.

    finished: how many were, at most in the time of the cap. Both drains are of new jobs.
    """
    figures: Figures = {}
    with contender.database(filled=size.under_snapshot) as database, _held_snapshot(database):
        _drain(database.with_filler(), 2, size.under_snapshot, size.cap)
        left = database.remaining()
        figures["finished"] = size.under_snapshot - left
        database.fill(size.drain, "new")
        figures["held"] = _drain(database, 1, size.drain, size.cap / 2)
    with contender.database(filled=size.drain) as database:
        figures["free"] = _drain(database, 1, size.drain, size.cap / 2)
    figures["ratio"] = figures["held"] / figures["free"]
    return figures


@contextmanager
def _held_snapshot(database: Database) -> Iterator[None]:
    with psycopg.connect(database.server.dsn(database.name)) as conn:
        conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        conn.execute("select 1 from pg_class")
        yield


def _drain(database: Database, workers: int, count: int, cap: float) -> float:
    """Return finished jobs per second until ``count`` are finished, or the cap is reached.

    The clock runs from the start, with connected workers, until the database has no more of them.
    """
    before = database.remaining()
    with database.workers(workers) as running:
        begun = time.monotonic()
        for worker in running:
            worker.go()
        left = before
        while left > before - count and time.monotonic() - begun < cap:
            time.sleep(SHORT)
            # Counting costs the server something: only near the end, and at the cap.
            if sum(worker.handled for worker in running) >= count:
                left = database.remaining()
            for worker in running:
                worker.check()
        took = time.monotonic() - begun
    return (before - database.remaining()) / took
