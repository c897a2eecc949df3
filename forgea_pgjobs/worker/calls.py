"""What a worker says to the database: finished runs against new ones."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from os import PathLike
from typing import Any

import psycopg
from psycopg import Cursor
from psycopg.rows import tuple_row

from forgea_pgjobs import release
from forgea_pgjobs._call_text import text
from forgea_pgjobs.errors import PROOF, CommitWatch, translated
from forgea_pgjobs.models import Claimed
from forgea_pgjobs.worker.run import Finished, Handler, Run

log = logging.getLogger("forgea_pgjobs.worker")

# In binary, which costs half of text or less: it is all ours, as claimed or made of a JobStatus.
COMPLETE_MANY = b"""
select job_id, outcome from pgjobs.complete_many(
    %(job_ids)b::bigint[], %(lease_tokens)b::uuid[], %(statuses)b::text[],
    %(summaries)b::text[]::jsonb[], %(reasons)b::text[]
) where outcome not in ('completed', 'replayed')
"""
# For what was put aside: while a session stays locked, it must not hold up the others.
BRIEFLY = b"set local lock_timeout = '100ms'"

Connect = Callable[[], psycopg.Connection[Any]]
# Called with None when a run begins, and with its outcome and its seconds when it has ended.
Hook = Callable[[Run, str | None, float], None]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a worker was told; see ``Worker``."""

    connect: Connect
    handler: Handler
    name: str
    batch: int
    concurrency: int
    lease_for: timedelta
    time_limit: float
    poll_interval: float
    listen: bool
    hook: Hook | None
    alive: PathLike[str] | None


@dataclass(frozen=True, slots=True)
class Exchanged:
    """The new runs, what became of verdicts that were not taken, and whether COMMIT is sure."""

    runs: list[Run]
    not_taken: dict[int, str]
    is_sure: bool


def exchange(
    conn: psycopg.Connection[Any],
    finished: Sequence[Finished],
    settings: Settings,
    max_jobs: int,
    *,
    is_first: bool = True,
    briefly: bool = False,
) -> Exchanged:
    """Write verdicts and claim, in one transaction and, where libpq can, one round trip.

    Repeating it writes nothing twice; what is not the first try proves that all of it lasts.
    briefly: without waiting for a locked session.

    Raises: LeaseLost, VerdictFinal: for a single verdict that is not taken.
    """
    watch = CommitWatch()
    claiming = {
        "worker": settings.name,
        "max_jobs": max_jobs,
        "lease_for": settings.lease_for,
    }
    # Around it all: the answer to COMMIT comes last.
    conn.add_notice_handler(watch)
    refused: list[tuple[Any, ...]] = []
    try:
        if max_jobs and len(finished) <= 1 and is_first:
            claimed = _one_statement(conn, finished, claiming)
        else:
            claimed, refused = _one_transaction(
                conn, finished, claiming, is_first=is_first, briefly=briefly
            )
    finally:
        conn.remove_notice_handler(watch)
    return Exchanged(list(map(Run._make, claimed)), dict(refused), not watch.is_unknown)


def _one_statement(
    conn: psycopg.Connection[Any], finished: Sequence[Finished], claiming: dict[str, Any]
) -> list[tuple[Any, ...]]:
    if not finished:
        return _claim(conn, claiming).fetchall()
    [one] = finished
    arguments = {
        "job_id": one.run.job_id,
        "lease_token": one.run.lease_token,
        "status": one.status,
        "summary": one.summary,
        "reason": one.reason,
        **claiming,
    }
    query = text("complete_and_claim", Claimed, tuple(arguments))
    with translated():
        return _execute(conn, query, arguments, binary=True).fetchall()


def _one_transaction(
    conn: psycopg.Connection[Any],
    finished: Sequence[Finished],
    claiming: dict[str, Any],
    *,
    is_first: bool,
    briefly: bool,
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    summaries = [one.summary for one in finished]
    reasons = [one.reason for one in finished]
    verdicts = {
        "job_ids": [one.run.job_id for one in finished],
        "lease_tokens": [one.run.lease_token for one in finished],
        "statuses": [one.status for one in finished],
        "summaries": summaries if any(summaries) else None,
        "reasons": reasons if any(reasons) else None,
    }
    with conn.pipeline() if psycopg.Pipeline.is_supported() else nullcontext():
        with conn.transaction():
            if briefly:
                conn.execute(BRIEFLY)
            writer = _execute(conn, COMPLETE_MANY, verdicts)
            if claiming["max_jobs"]:
                claimer = _claim(conn, claiming)
            if not is_first:
                conn.execute(PROOF)
        return (claimer.fetchall() if claiming["max_jobs"] else []), writer.fetchall()


def _claim(conn: psycopg.Connection[Any], claiming: dict[str, Any]) -> Cursor[tuple[Any, ...]]:
    return _execute(conn, text("claim", Claimed, tuple(claiming)), claiming, binary=True)


def _execute(
    conn: psycopg.Connection[Any], query: bytes, arguments: dict[str, Any], *, binary: bool = False
) -> Cursor[tuple[Any, ...]]:
    """Run a statement, prepared unless a pooler forbids that."""
    prepare = conn.prepare_threshold is not None or None
    return Cursor(conn, row_factory=tuple_row).execute(
        query, arguments, prepare=prepare, binary=binary
    )


def give_back(conn: psycopg.Connection[Any], one: Finished) -> None:
    """Release a run, without waiting for a locked session.

    Raises: JobNotFound, LeaseLost, VerdictFinal: it was taken away meanwhile.
    """
    with conn.transaction():
        conn.execute(BRIEFLY)
        release(
            conn,
            job_id=one.run.job_id,
            lease_token=one.run.lease_token,
            reason=one.reason or "no verdict",
            retry_after=one.after,
            count_run=one.count_run,
        )
