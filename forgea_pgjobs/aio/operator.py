"""Calls of an operator: end jobs, correct verdicts, retention, verify, bring history in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from forgea_pgjobs.aio._call import call, call_one
from forgea_pgjobs.models import (
    Amended,
    ArtifactsExpired,
    BackfillCheck,
    Backfilled,
    BodiesVerified,
    Cancelled,
    DetailsErased,
    DetailsExpired,
    Finding,
    Held,
    LocationExpired,
    Released,
    Rescued,
    ReviewedElement,
    SessionLink,
)
from forgea_pgjobs.statuses import JobStatus

__all__ = [
    "amend",
    "backfill_reconcile",
    "backfill_verification_log",
    "cancel",
    "erase_session",
    "expire_artifacts",
    "expire_details",
    "expire_locations",
    "hold",
    "lift_hold",
    "link_lab_sessions",
    "rescue",
    "reverify",
    "revoke_lease",
    "unlink_lab_sessions",
    "verify",
    "verify_bodies",
]

DETAILS = ("ATTEMPT", "SUMMARY", "PAYLOAD")
A_DAY = timedelta(days=1)
HOST_SESSIONS = 'public."LabSession"'


async def cancel(conn: AsyncConnection[Any], *, job_id: int, reason: str, actor: str) -> Cancelled:
    """End a QUEUED or RUNNING job with ERROR, or the review of a finished one without an answer.

    A worker that still runs it writes nothing any more.

    Calls ``pgjobs.cancel``.

    Raises: InvalidArgument, JobNotFound, VerdictFinal.
    """
    return await call_one(conn, Cancelled, "cancel", locals())


async def revoke_lease(
    conn: AsyncConnection[Any], *, job_id: int, reason: str, actor: str
) -> Released:
    """Take the lease of a RUNNING job, or review, which is claimable again at once.

    The run ends as REVOKED and is none of ``max_runs``; its worker writes nothing any more.

    Calls ``pgjobs.revoke_lease``.

    Raises: InvalidArgument, JobNotFound, VerdictFinal, NotRunning.
    """
    return await call_one(conn, Released, "revoke_lease", locals())


async def rescue(conn: AsyncConnection[Any], *, max_jobs: int = 100) -> list[Rescued]:
    """Take up to ``max_jobs`` leases that are over; ``claim`` does this by itself.

    Calls ``pgjobs.rescue``. max_jobs: 1 … 1000.

    Raises: InvalidArgument.
    """
    return await call(conn, Rescued, "rescue", locals())


async def amend(
    conn: AsyncConnection[Any],
    *,
    job_id: int,
    status: JobStatus | str,
    reason: str,
    actor: str,
    approver: str,
    ticket: str,
    lab_version: str | None = None,
) -> Amended:
    """Say PASSED, FAILED or ERROR over a verdict, which itself stands: the audited override.

    Calls ``pgjobs.amend``. actor and approver are two people.

    Raises: InvalidArgument, JobNotFound, NotFinal.
    """
    return await call_one(conn, Amended, "amend", locals())


async def reverify(
    conn: AsyncConnection[Any],
    *,
    job_ids: Sequence[int],
    reason: str,
    actor: str,
    approver: str,
    ticket: str,
    lab_version: str | None = None,
    priority: int = 3,
) -> list[ReviewedElement]:
    """Have 0 … 10,000 finished jobs judged again; workers' answers become amendments.

    Calls ``pgjobs.reverify``. All or nothing; one answer per element, in order. lab_version: None
    for the job's. priority: 1 first … 4 last.

    Raises: InvalidArgument, TooManyOpenJobs.
    """
    return await call(conn, ReviewedElement, "reverify", locals())


async def hold(
    conn: AsyncConnection[Any], *, session_id: UUID, reason: str, actor: str, ticket: str
) -> Held:
    """Keep all of a session from retention and erasure until the same ticket lifts it.

    Calls ``pgjobs.hold``. Pushes to come are held too.

    Raises: InvalidArgument, IsolationTooHigh.
    """
    return await call_one(conn, Held, "hold", locals())


async def lift_hold(
    conn: AsyncConnection[Any], *, session_id: UUID, reason: str, actor: str, ticket: str
) -> Held:
    """End the hold of that ticket; another one may hold on.

    Calls ``pgjobs.lift_hold``.

    Raises: InvalidArgument, IsolationTooHigh.
    """
    return await call_one(conn, Held, "lift_hold", locals())


async def expire_artifacts(
    conn: AsyncConnection[Any],
    *,
    older_than: timedelta,
    max_rows: int = 1000,
    dry_run: bool = True,
    kinds: Sequence[str] | None = None,
    reason: str | None = None,
    ticket: str | None = None,
) -> ArtifactsExpired:
    """Drop up to ``max_rows`` bodies of artifacts, or count what that would drop.

    Calls ``pgjobs.expire_artifacts``. older_than: 0 s … 50 years. max_rows: 1 … 10,000. kinds: None
    for any. Bodies of open jobs, on hold, or shared by an artifact that is younger or of another
    kind, stay; hash, size and name always do.

    Raises: InvalidArgument, IsolationTooHigh.
    """
    return await call_one(conn, ArtifactsExpired, "expire_artifacts", locals())


async def expire_details(
    conn: AsyncConnection[Any],
    *,
    older_than: timedelta,
    kinds: Sequence[str] = DETAILS,
    max_rows: int = 1000,
    dry_run: bool = True,
    reason: str | None = None,
    ticket: str | None = None,
) -> list[DetailsExpired]:
    """Drop up to ``max_rows`` detail rows of each kind, or count what that would drop.

    Calls ``pgjobs.expire_details``. kinds: ATTEMPT (author, branch, changed files), SUMMARY,
    PAYLOAD. The ledger keeps their hash. older_than and max_rows as in ``expire_artifacts``.

    Raises: InvalidArgument, IsolationTooHigh.
    """
    return await call(conn, DetailsExpired, "expire_details", locals())


async def expire_locations(
    conn: AsyncConnection[Any], *, artifact_ids: Sequence[int], reason: str, ticket: str
) -> list[LocationExpired]:
    """Put on record that you delete the objects of 0 … 10,000 artifacts at a location.

    Calls ``pgjobs.expire_locations``. One answer per element, in order; what is held must stay.

    Raises: InvalidArgument, IsolationTooHigh.
    """
    return await call(conn, LocationExpired, "expire_locations", locals())


async def erase_session(
    conn: AsyncConnection[Any],
    *,
    session_id: UUID,
    reason: str,
    actor: str,
    ticket: str,
    dry_run: bool = True,
) -> list[DetailsErased]:
    """Drop what is personal or bulky of a session, or count what that would drop.

    Calls ``pgjobs.erase_session``. The ledger keeps hashes; bytes that another session shares stay.

    Raises: InvalidArgument, OnHold, SessionBusy, IsolationTooHigh.
    """
    return await call(conn, DetailsErased, "erase_session", locals())


async def verify(conn: AsyncConnection[Any]) -> list[Finding]:
    """Return what is not as released, or does not agree; all is well without severity error.

    Calls ``pgjobs.verify``, which reads every table as of one snapshot and writes nothing.
    """
    return await call(conn, Finding, "verify", locals())


async def verify_bodies(
    conn: AsyncConnection[Any], *, after_body_id: int = 0, max_bodies: int = 1000
) -> BodiesVerified:
    """Compute the hashes of up to ``max_bodies`` bodies of artifacts again.

    Calls ``pgjobs.verify_bodies``. max_bodies: 1 … 10,000. Go on behind ``last_body_id``.

    Raises: InvalidArgument.
    """
    return await call_one(conn, BodiesVerified, "verify_bodies", locals())


async def backfill_verification_log(
    conn: AsyncConnection[Any],
    *,
    batch_size: int = 1000,
    dry_run: bool = True,
    settle: timedelta = A_DAY,
    with_bodies: bool = True,
) -> Backfilled:
    """Move the next ``batch_size`` logs of the host into the ledger, or count what all would give.

    Calls ``pgjobs.backfill_verification_log``. batch_size: 1 … 10,000. settle: 0 s … 30 days, for
    which a log waits. Without bodies the texts stay where they are, and hash and size go on record.
    Call it, each time in a transaction of its own, until ``seen`` is 0.

    Raises: InvalidArgument, IsolationTooHigh, HostTableMissing, HostTableClosed.
    """
    return await call_one(conn, Backfilled, "backfill_verification_log", locals())


async def backfill_reconcile(
    conn: AsyncConnection[Any], *, settle: timedelta = A_DAY
) -> list[BackfillCheck]:
    """Compare the host's history with the report and the ledger, by count and by hash.

    Calls ``pgjobs.backfill_reconcile``. Reads all of the history but the logs that wait for
    ``settle``, and names the sessions that have passed since their outcome was unknown.

    Raises: InvalidArgument, HostTableMissing, HostTableClosed.
    """
    return await call(conn, BackfillCheck, "backfill_reconcile", locals())


async def link_lab_sessions(
    conn: AsyncConnection[Any], *, target: str = HOST_SESSIONS
) -> SessionLink:
    """Let attempts refer to the host's sessions by a foreign key; one step a call.

    Calls ``pgjobs.link_lab_sessions``. Commit each step. Waits at most half a second for a lock.

    Raises: InvalidArgument, HostTableClosed.
    """
    return await call_one(conn, SessionLink, "link_lab_sessions", locals())


async def unlink_lab_sessions(conn: AsyncConnection[Any]) -> bool:
    """Drop the foreign key of ``link_lab_sessions`` and return whether there was one.

    Calls ``pgjobs.unlink_lab_sessions``.
    """
    return await call_one(conn, bool, "unlink_lab_sessions", locals())
