"""Calls of an operator: cancel a job, take leases that are over."""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection

from forgea_pgjobs import _statements
from forgea_pgjobs._async._fetch import row, rows
from forgea_pgjobs.models import Cancelled, Rescued


async def cancel(conn: AsyncConnection[Any], *, job_id: int, reason: str, actor: str) -> Cancelled:
    """End a QUEUED or RUNNING job with ERROR; a worker that still runs it writes nothing any more.

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
