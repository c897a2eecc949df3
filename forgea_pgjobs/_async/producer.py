"""Calls of the application: record pushes, enqueue verifications, look one up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from forgea_pgjobs import _statements
from forgea_pgjobs._async._fetch import are_plain, document, documents, row, rows, scalar
from forgea_pgjobs.models import Enqueued, EnqueuedElement, Recorded, VerificationJob


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
) -> Enqueued:
    """Queue the one verification of a commit, or return the existing job (``created`` is false).

    Calls ``pgjobs.enqueue``. priority: 1 first … 4 last. max_runs: 1 … 25. available_at: at most
    30 days ahead, None for at once. payload: JSON, at most 64 KiB. Above READ COMMITTED a rival
    costs a retry (40001); see ``retry``.

    Raises: InvalidArgument, CommitTaken, DeliveryConflict, TooManyOpenJobs.
    """
    arguments = {
        "session_id": session_id,
        "commit_sha": commit_sha,
        "lab_version": lab_version,
        "delivery_id": delivery_id,
        "priority": priority,
        "available_at": available_at,
        "max_runs": max_runs,
        "author": author,
        "branch": branch,
        "changed_files": None if changed_files is None else list(changed_files),
        "pushed_at": pushed_at,
        "payload": document(payload),
    }
    optional = (delivery_id, available_at, author, branch, changed_files, pushed_at, payload)
    is_short = all(value is None for value in optional)
    statement = _statements.ENQUEUE_SHORT if is_short else _statements.ENQUEUE
    return await row(conn, Enqueued, statement, arguments)


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
) -> list[EnqueuedElement]:
    """Enqueue 0 … 10,000 commits, all or nothing, and return one answer per element, in order.

    Calls ``pgjobs.enqueue_many``. The sequences have one length; an error names the element,
    counted from 1.

    Raises: InvalidArgument, CommitTaken, DeliveryConflict, TooManyOpenJobs.
    """
    arguments = {
        "session_ids": list(session_ids),
        "commit_shas": list(commit_shas),
        "lab_versions": list(lab_versions),
        "delivery_ids": None if delivery_ids is None else list(delivery_ids),
        "priority": priority,
        "max_runs": max_runs,
        "payloads": documents(payloads),
    }
    is_plain = are_plain(
        arguments, session_ids={UUID}, commit_shas={str}, lab_versions={str}, delivery_ids={str}
    )
    statement = _statements.ENQUEUE_MANY_BINARY if is_plain else _statements.ENQUEUE_MANY
    return await rows(conn, EnqueuedElement, statement, arguments)


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
    arguments = {
        "session_id": session_id,
        "commit_sha": commit_sha,
        "delivery_id": delivery_id,
        "author": author,
        "branch": branch,
        "changed_files": None if changed_files is None else list(changed_files),
        "pushed_at": pushed_at,
    }
    return await row(conn, Recorded, _statements.RECORD_ATTEMPT, arguments)


async def get_job(conn: AsyncConnection[Any], *, commit_sha: str) -> VerificationJob | None:
    """Return the job of a commit, None where there is none.

    Calls ``pgjobs.get_job``.

    Raises: InvalidArgument.
    """
    found = await rows(conn, VerificationJob, _statements.GET_JOB, {"commit_sha": commit_sha})
    return found[0] if found else None


async def wake(conn: AsyncConnection[Any]) -> None:
    """Wake the workers that listen; optional, for a start within milliseconds.

    Calls ``pgjobs.wake``. Call it after the commit of an ``enqueue``, in a transaction of its own:
    inside it would make commits wait for one another. Workers that poll need no wake.
    """
    await scalar(conn, _statements.WAKE, {})
