"""Calls of an operator: end jobs, correct verdicts, let old evidence go."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from psycopg import AsyncConnection

from forgea_pgjobs import _statements
from forgea_pgjobs._async._fetch import row, rows
from forgea_pgjobs.models import (
    Amended,
    Cancelled,
    JobStatus,
    Rescued,
    ReviewedElement,
)
from forgea_pgjobs.upkeep import ArtifactsExpired, DetailsExpired

DETAILS = ("ATTEMPT", "SUMMARY", "PAYLOAD")


async def cancel(conn: AsyncConnection[Any], *, job_id: int, reason: str, actor: str) -> Cancelled:
    """End a QUEUED or RUNNING job with ERROR, or the review of a finished one without an answer.

    A worker that still runs it writes nothing any more.

    Calls ``pgjobs.cancel``.

    Raises: InvalidArgument, JobNotFound, VerdictFinal.
    """
    arguments = {"job_id": job_id, "reason": reason, "actor": actor}
    return await row(conn, Cancelled, _statements.CANCEL, arguments)


async def rescue(conn: AsyncConnection[Any], *, max_jobs: int = 100) -> list[Rescued]:
    """Take up to ``max_jobs`` leases that are over; ``claim`` does this by itself.

    Calls ``pgjobs.rescue``. max_jobs: 1 … 1000.

    Raises: InvalidArgument.
    """
    return await rows(conn, Rescued, _statements.RESCUE, {"max_jobs": max_jobs})


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
    arguments = {
        "job_id": job_id,
        "status": status,
        "reason": reason,
        "actor": actor,
        "approver": approver,
        "ticket": ticket,
        "lab_version": lab_version,
    }
    return await row(conn, Amended, _statements.AMEND, arguments)


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
    arguments = {
        "job_ids": list(job_ids),
        "reason": reason,
        "actor": actor,
        "approver": approver,
        "ticket": ticket,
        "lab_version": lab_version,
        "priority": priority,
    }
    return await rows(conn, ReviewedElement, _statements.REVERIFY, arguments)


async def expire_artifacts(
    conn: AsyncConnection[Any], *, older_than: timedelta, max_rows: int = 1000, dry_run: bool = True
) -> ArtifactsExpired:
    """Drop up to ``max_rows`` bodies of artifacts, or count what that would drop.

    Calls ``pgjobs.expire_artifacts``. older_than: 0 s … 50 years. max_rows: 1 … 10,000. Bodies of
    open jobs, or shared by a younger artifact, stay; hash, size and name always do.

    Raises: InvalidArgument, IsolationTooHigh.
    """
    arguments = {"older_than": older_than, "max_rows": max_rows, "dry_run": dry_run}
    return await row(conn, ArtifactsExpired, _statements.EXPIRE_ARTIFACTS, arguments)


async def expire_details(
    conn: AsyncConnection[Any],
    *,
    older_than: timedelta,
    kinds: Sequence[str] = DETAILS,
    max_rows: int = 1000,
    dry_run: bool = True,
) -> list[DetailsExpired]:
    """Drop up to ``max_rows`` detail rows of each kind, or count what that would drop.

    Calls ``pgjobs.expire_details``. kinds: ATTEMPT (author, branch, changed files), SUMMARY,
    PAYLOAD. The ledger keeps their hash. older_than and max_rows as in ``expire_artifacts``.

    Raises: InvalidArgument, IsolationTooHigh.
    """
    arguments = {
        "older_than": older_than,
        "kinds": list(kinds),
        "max_rows": max_rows,
        "dry_run": dry_run,
    }
    return await rows(conn, DetailsExpired, _statements.EXPIRE_DETAILS, arguments)
