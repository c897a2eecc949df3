"""Calls that ask whether the installation is as released and its rows agree."""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection

from forgea_pgjobs import _statements
from forgea_pgjobs._async._fetch import row, rows
from forgea_pgjobs.upkeep import BodiesVerified, Finding


async def verify(conn: AsyncConnection[Any]) -> list[Finding]:
    """Return what is not as released, or does not agree; all is well without severity error.

    Calls ``pgjobs.verify``, which reads every table as of one snapshot and writes nothing.
    """
    return await rows(conn, Finding, _statements.VERIFY, {})


async def verify_bodies(
    conn: AsyncConnection[Any], *, after_body_id: int = 0, max_bodies: int = 1000
) -> BodiesVerified:
    """Compute the hashes of up to ``max_bodies`` bodies of artifacts again.

    Calls ``pgjobs.verify_bodies``. max_bodies: 1 … 10,000. Go on behind ``last_body_id``.

    Raises: InvalidArgument.
    """
    arguments = {"after_body_id": after_body_id, "max_bodies": max_bodies}
    return await row(conn, BodiesVerified, _statements.VERIFY_BODIES, arguments)
