"""What a handler says, and what a worker says to the database: finished runs against new ones."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

import psycopg
from psycopg import Cursor
from psycopg.rows import tuple_row

from forgea_pgjobs import Claimed, JobStatus, release
from forgea_pgjobs._call_text import text
from forgea_pgjobs.errors import (
    PROOF,
    CommitWatch,
    JobNotFound,
    LeaseLost,
    VerdictFinal,
    translated,
)

log = logging.getLogger("forgea_pgjobs.worker")

# In binary, which costs half of text or less: it is all ours, as claimed or made of a JobStatus.
COMPLETE_MANY = b"""
select job_id, outcome from pgjobs.complete_many(
    %(job_ids)b::bigint[], %(lease_tokens)b::uuid[], %(statuses)b::text[],
    %(summaries)b::text[]::jsonb[]
) where outcome not in ('completed', 'replayed')
"""
# A summary may have so many, and no NUL.
MOST_BYTES = 65_536
NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer of a handler: PASSED, FAILED or ERROR, and a summary, JSON of at most 64 KiB."""

    status: JobStatus | str
    summary: Any = None


Handler = Callable[[Claimed], Verdict | JobStatus | str]
Connect = Callable[[], psycopg.Connection[Any]]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a worker was told; see ``Worker``."""

    connect: Connect
    handler: Handler
    name: str
    batch: int
    concurrency: int
    lease_for: timedelta
    poll_interval: float
    listen: bool


@dataclass(slots=True)
class WorkerCounts:
    """What a worker has done: verdicts written, jobs released, results whose lease was lost."""

    written: int = 0
    released: int = 0
    lost: int = 0

    def add(self, other: WorkerCounts) -> None:
        """Count what another has done as well."""
        self.written += other.written
        self.released += other.released
        self.lost += other.lost


class Finished(NamedTuple):
    """A run that has ended: its verdict as the database takes it, or why there is none."""

    job: Claimed
    status: str = ""
    summary: str | None = None
    reason: str | None = None


class NotTaken(NamedTuple):
    """A job whose verdict was not taken, and what became of it instead."""

    job_id: int
    outcome: str


@dataclass(frozen=True, slots=True)
class Exchanged:
    """The new runs, the verdicts that were not taken, and whether the COMMIT is sure to last."""

    runs: list[Claimed]
    not_taken: list[NotTaken]
    is_sure: bool


def run(handler: Handler, job: Claimed) -> Finished:
    """Run the handler. An exception is not a verdict: it says that the infrastructure failed.

    Raises: TypeError: an answer that is no verdict; no other run would give one.
    """
    try:
        said = handler(job)
    except Exception as error:  # whatever it is, the job must be given back
        log.warning("job %s: the handler failed", job.job_id, exc_info=error)
        return Finished(job, reason=reason_of(error))
    verdict = said if isinstance(said, Verdict) else Verdict(said)
    try:
        status = JobStatus(verdict.status)
    except ValueError:
        raise TypeError(f"the handler answered {said!r:.64}, which is no verdict") from None
    return Finished(job, status, None if verdict.summary is None else storable(verdict.summary))


def storable(summary: Any) -> str:
    """Return a summary as JSON that the database takes: what it cannot store is cut, and marked."""
    try:
        try:
            text = json.dumps(summary, allow_nan=False, ensure_ascii=False)
        except ValueError:  # it has a NaN, or it has itself
            text = json.dumps(json.loads(json.dumps(summary), parse_constant=str))
    except Exception as error:
        return not_stored(error)
    data = NUL.sub(r"\1\\ufffd", text).encode(errors="replace")
    if len(data) > MOST_BYTES:
        return json.dumps({"cut_of_bytes": len(data), "begins": text[: MOST_BYTES // 8]})
    return data.decode()


def not_stored(error: Exception) -> str:
    """Return what stands in for a summary that cannot be stored."""
    return json.dumps({"not_stored": reason_of(error)})


def reason_of(error: BaseException) -> str:
    """Return the kind and the first words of an error, as ``release`` takes them."""
    try:
        words = str(error)[:200]
    except Exception as fault:
        words = f"str() of it raises {type(fault).__name__}"
    text = f"{type(error).__name__}: {words}"
    return "".join(char if char.isprintable() else " " for char in text)[:200]


def exchange(
    conn: psycopg.Connection[Any],
    finished: Sequence[Finished],
    settings: Settings,
    max_jobs: int,
    *,
    is_first: bool = True,
) -> Exchanged:
    """Write verdicts and claim, in one transaction and, where libpq can, one round trip.

    Repeating it writes nothing twice; what is not the first try proves that all of it lasts.

    Raises: LeaseLost, VerdictFinal: for a single verdict that is not taken.
    """
    watch = CommitWatch()
    claiming = {
        "worker": settings.name,
        "max_jobs": max_jobs,
        "lease_for": settings.lease_for,
    }
    refused: list[tuple[Any, ...]] = []
    # Around it all: the answer to COMMIT comes last.
    conn.add_notice_handler(watch)
    try:
        if max_jobs and len(finished) <= 1 and is_first:
            claimed = _one_statement(conn, finished, claiming)
        else:
            claimed, refused = _one_transaction(conn, finished, claiming, is_first=is_first)
    finally:
        conn.remove_notice_handler(watch)
    runs = list(map(Claimed._make, claimed))
    return Exchanged(runs, list(map(NotTaken._make, refused)), not watch.is_unknown)


def _one_statement(
    conn: psycopg.Connection[Any], finished: Sequence[Finished], claiming: dict[str, Any]
) -> list[tuple[Any, ...]]:
    if not finished:
        return _claim(conn, claiming).fetchall()
    [one] = finished
    arguments = {
        "job_id": one.job.job_id,
        "lease_token": one.job.lease_token,
        "status": one.status,
        "summary": one.summary,
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
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    summaries = [one.summary for one in finished]
    verdicts = {
        "job_ids": [one.job.job_id for one in finished],
        "lease_tokens": [one.job.lease_token for one in finished],
        "statuses": [one.status for one in finished],
        "summaries": summaries if any(summaries) else None,
    }
    with conn.pipeline() if psycopg.Pipeline.is_supported() else nullcontext():
        with conn.transaction():
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


def give_back(
    conn: psycopg.Connection[Any], job: Claimed, reason: str, retry_after: timedelta | None = None
) -> WorkerCounts:
    """Release a run; one that was taken away meanwhile is somebody else's now."""
    lease: dict[str, Any] = {"job_id": job.job_id, "lease_token": job.lease_token}
    try:
        release(conn, **lease, reason=reason, retry_after=retry_after)
    except (JobNotFound, LeaseLost, VerdictFinal) as error:
        lose(job.job_id, str(error))
        return WorkerCounts(lost=1)
    return WorkerCounts(released=1)


def lose(job_id: int, why: str) -> None:
    """Say that a result was dropped."""
    log.warning("job %s: the result is dropped, %s", job_id, why)
