"""Calls of a worker: claim jobs, hold their leases, write their verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from forgea_pgjobs.aio._call import call, call_one, value
from forgea_pgjobs.models import (
    ArtifactAdded,
    Claimed,
    Completed,
    CompletedElement,
    HeartbeatElement,
    Released,
)
from forgea_pgjobs.statuses import JobStatus

__all__ = [
    "add_artifact",
    "claim",
    "complete",
    "complete_and_claim",
    "complete_many",
    "heartbeat",
    "heartbeat_many",
    "release",
]

LEASE = timedelta(minutes=5)


async def claim(
    conn: AsyncConnection[Any], *, worker: str, max_jobs: int = 1, lease_for: timedelta = LEASE
) -> list[Claimed]:
    """Start a run of up to ``max_jobs`` jobs; an empty list when there is nothing to do.

    Calls ``pgjobs.claim``. max_jobs: 1 … 1000. lease_for: 1 s … 1 day. Commit before the work
    begins: until then nobody else sees the claim. A claim whose answer was lost leaves its jobs
    RUNNING until their leases end.

    Raises: InvalidArgument.
    """
    return await call(conn, Claimed, "claim", locals())


async def heartbeat(
    conn: AsyncConnection[Any], *, job_id: int, lease_token: UUID, lease_for: timedelta = LEASE
) -> datetime:
    """Set the end of the lease to now + ``lease_for``, which may shorten it, and return it.

    Calls ``pgjobs.heartbeat``. lease_for: 1 s … 1 day.

    Raises: InvalidArgument, JobNotFound, VerdictFinal, LeaseLost.
    """
    expires_at: datetime = await call_one(conn, value, "heartbeat", locals())
    return expires_at


async def heartbeat_many(
    conn: AsyncConnection[Any],
    *,
    job_ids: Sequence[int],
    lease_tokens: Sequence[UUID],
    lease_for: timedelta = LEASE,
) -> list[HeartbeatElement]:
    """Beat for 0 … 10,000 leases and return one answer per element, in order.

    Calls ``pgjobs.heartbeat_many``. lease_for: 1 s … 1 day. A lease that is lost, or locked by
    another transaction and not waited for, is an outcome here, no error.

    Raises: InvalidArgument.
    """
    return await call(conn, HeartbeatElement, "heartbeat_many", locals())


async def complete(
    conn: AsyncConnection[Any],
    *,
    job_id: int,
    lease_token: UUID,
    status: JobStatus | str,
    summary: Any = None,
    reason: str | None = None,
) -> Completed:
    """Write the verdict; repeating the same call after a lost answer is safe (``replayed``).

    Calls ``pgjobs.complete``. status: PASSED, FAILED or ERROR. summary: JSON, at most 64 KiB.
    reason: of an ERROR, becomes its ``error_detail``.

    Raises: InvalidArgument, JobNotFound, VerdictFinal, LeaseLost.
    """
    return await call_one(conn, Completed, "complete", locals())


async def complete_many(
    conn: AsyncConnection[Any],
    *,
    job_ids: Sequence[int],
    lease_tokens: Sequence[UUID],
    statuses: Sequence[JobStatus | str],
    summaries: Sequence[Any] | None = None,
    reasons: Sequence[str | None] | None = None,
) -> list[CompletedElement]:
    """Write 0 … 10,000 verdicts and return one answer per element, in order.

    Calls ``pgjobs.complete_many``. A lost lease or a final verdict is an outcome here, no error.

    Raises: InvalidArgument.
    """
    return await call(conn, CompletedElement, "complete_many", locals())


async def complete_and_claim(
    conn: AsyncConnection[Any],
    *,
    job_id: int,
    lease_token: UUID,
    status: JobStatus | str,
    worker: str,
    summary: Any = None,
    max_jobs: int = 1,
    lease_for: timedelta = LEASE,
    reason: str | None = None,
) -> list[Claimed]:
    """Write the verdict and start the next runs in one call: both or neither.

    Calls ``pgjobs.complete_and_claim``. The arguments are those of ``complete`` and ``claim``.
    Repeating the call after a lost answer writes nothing twice, but the runs that the lost answer
    named last until their leases end.

    Raises: InvalidArgument, JobNotFound, VerdictFinal, LeaseLost.
    """
    return await call(conn, Claimed, "complete_and_claim", locals())


async def release(
    conn: AsyncConnection[Any],
    *,
    job_id: int,
    lease_token: UUID,
    reason: str,
    retry_after: timedelta | None = None,
    count_run: bool = True,
) -> Released:
    """Give the job back because the infrastructure failed; it is no verdict about the commit.

    Calls ``pgjobs.release``. retry_after: 0 … 1 day, None for 30 s doubled with every run, at most
    15 min. The answer is QUEUED, or ERROR when the job's runs are used up. ``count_run`` False, for
    a worker that is being stopped: the run is not one of them, and the job is claimable at once, at
    most 20 times a job.

    Raises: InvalidArgument, JobNotFound, VerdictFinal, LeaseLost.
    """
    return await call_one(conn, Released, "release", locals())


async def add_artifact(
    conn: AsyncConnection[Any],
    *,
    job_id: int,
    lease_token: UUID,
    kind: str,
    name: str,
    content: bytes | None = None,
    location: str | None = None,
    sha256: bytes | None = None,
    size_bytes: int | None = None,
    media_type: str = "application/octet-stream",
    truncated: bool = False,
    original_size_bytes: int | None = None,
    original_sha256: bytes | None = None,
) -> ArtifactAdded:
    """Record evidence of the run under its lease: a content, or a location, its hash and size.

    Calls ``pgjobs.add_artifact``. kind: LOG, REPORT, DIFF, OUTPUT or OTHER. name: unique within the
    run. content: up to 1 MiB; of a run 100 artifacts and 16 MiB in all. original_size_bytes and
    original_sha256: of what was ``truncated``, before. Repeating the same call is safe (``created``
    is False).

    Raises: InvalidArgument, JobNotFound, VerdictFinal, LeaseLost, ArtifactConflict.
    """
    return await call_one(conn, ArtifactAdded, "add_artifact", locals())
