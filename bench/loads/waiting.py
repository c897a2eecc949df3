"""The loads of an idle worker, and of clients that ask for the same."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg

from bench.child import Child
from bench.contender import Contender, Database
from bench.size import Size

SETTLED = 1.0
GAP = 0.025
PATIENCE = 15.0


def latency(contender: Contender, size: Size) -> dict[str, float]:
    """Milliseconds from the start of the enqueue call to the start of the handler.

    Jobs come 15 to 35 ms apart to one idle worker. idle: what the worker and its connections cost
    before the first job, in percent of a core.
    """
    figures: dict[str, float] = {}
    for mode, options in contender.card.modes.items():
        with (
            contender.database() as database,
            database.workers(1, stamp=True, quiet=True, **options) as [worker],
        ):
            worker.go()
            time.sleep(SETTLED)
            idle = _idle(database, worker, size.idle_for)
            given = {"prefix": "late", "count": size.latency, "gap": GAP, "keyed": False}
            with database.producers(given | {"options": options}) as [producer]:
                producer.go()
                called = producer.result()["stamps"]
            end = time.monotonic() + PATIENCE
            while len(worker.stamps) < len(called) and time.monotonic() < end:
                time.sleep(GAP)
            begun = worker.stamps
            took = sorted((begun[key] - at) / 1e6 for key, at in called if key in begun)
        figures[f"{mode}: lost"] = len(called) - len(took)
        figures[f"{mode}: p50"] = took[len(took) // 2]
        figures[f"{mode}: p99"] = took[-1 - len(took) // 100]
        figures[f"{mode}: idle"] = idle
    return figures


def _idle(database: Database, worker: Child, seconds: float) -> float:
    processes = [worker.process.pid, *_backends(database)]
    before = [_nanoseconds(process) for process in processes]
    time.sleep(seconds)
    spent = sum(map(_nanoseconds, processes)) - sum(before)
    return spent / 1e9 / seconds * 100


def _backends(database: Database) -> list[int]:
    with psycopg.connect(database.server.dsn()) as conn:
        rows = conn.execute(
            "select pid from pg_stat_activity where datname = %s", [database.name]
        ).fetchall()
    return [pid for (pid,) in rows]


def _nanoseconds(process: int) -> int:
    """Return the time that a process, with all its threads, has had of the processors."""
    spent = 0
    for task in Path(f"/proc/{process}/task").glob("*/schedstat"):
        with suppress(OSError):
            spent += int(task.read_text(encoding="utf-8").split()[0])
    return spent


def duplicates(contender: Contender, size: Size) -> dict[str, float]:
    """Let 8 clients enqueue the same keys, each in an order of its own, and count what comes of it.

    twice: how many jobs the same keys make once more when all of them are finished.
    """
    with contender.database() as database:
        told: Counter[str] = Counter()
        same: dict[str, Any] = {"prefix": "same", "count": size.duplicates}
        with database.producers(*(same | {"shuffle": n} for n in range(8))) as producers:
            for producer in producers:
                producer.go()
            for producer in producers:
                told.update(producer.result()["told"])
        jobs = database.total()
        with database.workers(1, keyed=True) as [worker]:
            worker.go()
            end = time.monotonic() + PATIENCE
            while database.remaining() and time.monotonic() < end:
                time.sleep(GAP)
        with database.producers(same) as [producer]:
            producer.go()
            producer.result()
        known = {name: told.pop(name, 0) for name in ("new", "duplicate", "untold")}
        return {"jobs": jobs, **known, "errors": told.total(), "twice": database.remaining()}
