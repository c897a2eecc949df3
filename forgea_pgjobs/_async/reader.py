"""Questions about one job: is it passed, what happened, why is it not done, what did it leave."""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection

from forgea_pgjobs import _statements
from forgea_pgjobs._async._fetch import row, rows, scalar
from forgea_pgjobs.models import Event, WaitingReason


async def is_passed(conn: AsyncConnection[Any], *, commit_sha: str) -> bool:
    """Return whether the effective status of a commit is PASSED; False for an unknown commit.

    Calls ``pgjobs.is_passed``.

    Raises: InvalidArgument.
    """
    passed: bool = await scalar(conn, _statements.IS_PASSED, {"commit_sha": commit_sha})
    return passed


async def timeline(conn: AsyncConnection[Any], *, commit_sha: str) -> list[Event]:
    """Return what happened to a commit that has a job, in order; empty for any other.

    Calls ``pgjobs.timeline``.

    Raises: InvalidArgument.
    """
    return await rows(conn, Event, _statements.TIMELINE, {"commit_sha": commit_sha})


async def why_waiting(conn: AsyncConnection[Any], *, job_id: int) -> WaitingReason:
    """Return why a job, or its review, is not done yet.

    Calls ``pgjobs.why_waiting``. The reason is delayed, session_busy, behind, next, running,
    lease_over or final.

    Raises: InvalidArgument, JobNotFound.
    """
    return await row(conn, WaitingReason, _statements.WHY_WAITING, {"job_id": job_id})


async def read_artifact(conn: AsyncConnection[Any], *, artifact_id: int) -> bytes | None:
    """Return the bytes of an artifact, None where only a location is known.

    Calls ``pgjobs.read_artifact``.

    Raises: InvalidArgument, JobNotFound, ArtifactExpired.
    """
    content: bytes | None = await scalar(
        conn, _statements.READ_ARTIFACT, {"artifact_id": artifact_id}
    )
    return content
