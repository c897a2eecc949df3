"""Calls about the host's own tables: its history moves in, and its sessions are referred to."""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection

from forgea_pgjobs import _statements
from forgea_pgjobs._async._fetch import row, rows, scalar
from forgea_pgjobs.upkeep import BackfillCheck, Backfilled, SessionLink

HOST_SESSIONS = 'public."LabSession"'


async def backfill_verification_log(
    conn: AsyncConnection[Any], *, batch_size: int = 1000, dry_run: bool = True
) -> Backfilled:
    """Move the next ``batch_size`` logs of the host into the ledger, or count what all would give.

    Calls ``pgjobs.backfill_verification_log``. batch_size: 1 … 10,000. Call it, each time in a
    transaction of its own, until ``seen`` is 0.

    Raises: InvalidArgument, IsolationTooHigh, HostTableMissing, HostTableClosed.
    """
    arguments = {"batch_size": batch_size, "dry_run": dry_run}
    return await row(conn, Backfilled, _statements.BACKFILL_VERIFICATION_LOG, arguments)


async def backfill_reconcile(conn: AsyncConnection[Any]) -> list[BackfillCheck]:
    """Compare the host's history with the report and the ledger, by count and by hash.

    Calls ``pgjobs.backfill_reconcile``. Reads all of the history.

    Raises: HostTableMissing, HostTableClosed.
    """
    return await rows(conn, BackfillCheck, _statements.BACKFILL_RECONCILE, {})


async def link_lab_sessions(
    conn: AsyncConnection[Any], *, target: str = HOST_SESSIONS
) -> SessionLink:
    """Let attempts refer to the host's sessions by a foreign key; one step a call.

    Calls ``pgjobs.link_lab_sessions``. Commit each step. Waits at most half a second for a lock.

    Raises: InvalidArgument, HostTableClosed.
    """
    return await row(conn, SessionLink, _statements.LINK_LAB_SESSIONS, {"target": target})


async def unlink_lab_sessions(conn: AsyncConnection[Any]) -> bool:
    """Drop the foreign key of ``link_lab_sessions`` and return whether there was one.

    Calls ``pgjobs.unlink_lab_sessions``.
    """
    unlinked: bool = await scalar(conn, _statements.UNLINK_LAB_SESSIONS, {})
    return unlinked
