"""Calls of the application: record pushes, enqueue verifications, ask about jobs and the queue."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from forgea_pgjobs.aio._call import call, call_one, value
from forgea_pgjobs.models import (
    Enqueued,
    EnqueuedElement,
    Event,
    Metric,
    Recorded,
    VerificationAttempt,
    VerificationJob,
    WaitingReason,
)

__all__ = [
    "attempts",
    "enqueue",
    "enqueue_many",
    "get_job",
    "is_passed",
    "metrics",
    "read_artifact",
    "record_attempt",
    "timeline",
    "wake",
    "why_waiting",
]

PUSH = ("author", "branch", "changed_files", "pushed_at")
OPTIONAL = {"delivery_id", "available_at", "payload", "start_within", *PUSH}
RECENT = timedelta(minutes=5)


async def enqueue(
    conn: AsyncConnection[Any],
    *,
    session_id: UUID,
    commit_sha: str,
    lab_version: str,
    delivery_id: str | None = None,
    priority: int = 2,
    available_at: datetime | None = None,
    max_runs: int = 3,
    author: str | None = None,
    branch: str | None = None,
    changed_files: Sequence[str] | None = None,
    pushed_at: datetime | None = None,
    payload: Any = None,
    start_within: timedelta | None = None,
    max_open_jobs: int = 100,
) -> Enqueued:
    """Queue the one verification of a commit, or return the existing job (``created`` is false).

    Calls ``pgjobs.enqueue``. priority: 1 first … 4 last. max_runs: 1 … 25. available_at: at most
    30 days ahead, None for at once. payload: JSON, at most 64 KiB. start_within: 1 s … 30 days; not
    begun by then, the job ends as ERROR, EXPIRED. max_open_jobs: 1 … 100 of the session. Above READ
    COMMITTED a rival costs a retry (40001); see ``retry``.

    Raises: InvalidArgument, CommitTaken, DeliveryConflict, TooManyOpenJobs.
    """
    return await call_one(conn, Enqueued, "enqueue", _shortened(locals()))


async def enqueue_many(
    conn: AsyncConnection[Any],
    *,
    session_ids: Sequence[UUID],
    commit_shas: Sequence[str],
    lab_versions: Sequence[str],
    delivery_ids: Sequence[str | None] | None = None,
    priority: int = 2,
    max_runs: int = 3,
    payloads: Sequence[Any] | None = None,
    start_within: timedelta | None = None,
    max_open_jobs: int = 100,
) -> list[EnqueuedElement]:
    """Enqueue 0 … 10,000 commits, all or nothing, and return one answer per element, in order.

    Calls ``pgjobs.enqueue_many``. The sequences have one length; an error names the element,
    counted from 1.

    Raises: InvalidArgument, CommitTaken, DeliveryConflict, TooManyOpenJobs.
    """
    return await call(conn, EnqueuedElement, "enqueue_many", locals())


async def record_attempt(
    conn: AsyncConnection[Any],
    *,
    session_id: UUID,
    commit_sha: str,
    delivery_id: str | None = None,
    author: str | None = None,
    branch: str | None = None,
    changed_files: Sequence[str] | None = None,
    pushed_at: datetime | None = None,
) -> Recorded:
    """Record a push that is not (yet) to be verified, or return the existing attempt.

    Calls ``pgjobs.record_attempt``.

    Raises: InvalidArgument, DeliveryConflict.
    """
    return await call_one(conn, Recorded, "record_attempt", locals())


async def get_job(conn: AsyncConnection[Any], *, commit_sha: str) -> VerificationJob | None:
    """Return the job of a commit, None where there is none.

    Calls ``pgjobs.get_job``.

    Raises: InvalidArgument.
    """
    found = await call(conn, VerificationJob, "get_job", locals())
    return found[0] if found else None


async def wake(conn: AsyncConnection[Any]) -> None:
    """Wake the workers that listen; optional, for a start within milliseconds.

    Calls ``pgjobs.wake``. Call it after the commit of an ``enqueue``, in a transaction of its own:
    inside it would make commits wait for one another. Workers that poll need no wake.
    """
    await call_one(conn, value, "wake", locals())


async def is_passed(conn: AsyncConnection[Any], *, commit_sha: str) -> bool:
    """Return whether the effective status of a commit is PASSED; False for an unknown commit.

    Calls ``pgjobs.is_passed``.

    Raises: InvalidArgument.
    """
    return await call_one(conn, bool, "is_passed", locals())


async def timeline(conn: AsyncConnection[Any], *, commit_sha: str) -> list[Event]:
    """Return what happened to a commit that has a job, in order; empty for any other.

    Calls ``pgjobs.timeline``.

    Raises: InvalidArgument.
    """
    return await call(conn, Event, "timeline", locals())


async def why_waiting(conn: AsyncConnection[Any], *, job_id: int) -> WaitingReason:
    """Return why a job, or its review, is not done yet.

    Calls ``pgjobs.why_waiting``. The reason is delayed, session_busy, behind, next, running,
    lease_over or final.

    Raises: InvalidArgument, JobNotFound.
    """
    return await call_one(conn, WaitingReason, "why_waiting", locals())


async def attempts(
    conn: AsyncConnection[Any],
    *,
    session_id: UUID,
    max_rows: int = 20,
    before_attempt_id: int | None = None,
) -> list[VerificationAttempt]:
    """Return the newest attempts of a session, each with how its verification stands.

    Calls ``pgjobs.attempts``. max_rows: 1 … 10,000. before_attempt_id: the last of the page before.

    Raises: InvalidArgument.
    """
    return await call(conn, VerificationAttempt, "attempts", locals())


async def metrics(conn: AsyncConnection[Any], *, recent: timedelta = RECENT) -> list[Metric]:
    """Return the gauges of the queue now, and of the verdicts of the last ``recent``.

    Calls ``pgjobs.metrics``. recent: 1 s … 1 day.

    Raises: InvalidArgument.
    """
    return await call(conn, Metric, "metrics", locals())


async def read_artifact(conn: AsyncConnection[Any], *, artifact_id: int) -> bytes | None:
    """Return the bytes of an artifact, None where only a location is known.

    Calls ``pgjobs.read_artifact``.

    Raises: InvalidArgument, JobNotFound, ArtifactExpired.
    """
    content: bytes | None = await call_one(conn, value, "read_artifact", locals())
    return content


def _shortened(arguments: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is optional where none of it is given: what is not sent costs nothing.

    All or none, since each form of a call is prepared by itself.
    """
    short = {
        name: value
        for name, value in arguments.items()
        if value is not None or name not in OPTIONAL
    }
    return short if len(short) == len(arguments) - len(OPTIONAL) else arguments
