"""What a database says of its migrations, to whoever may become the owner of the schema."""

from __future__ import annotations

from typing import Any

import psycopg

OWNER = """
select set_config('role', pg_get_userbyid(namespace.nspowner), true)
from pg_catalog.pg_namespace as namespace
where namespace.nspname = 'pgjobs' and pg_has_role(namespace.nspowner, %s)
"""
RECORDED = "select migration_id, checksum from pgjobs.migration order by migration_id"


def act_as_owner(conn: psycopg.Connection[Any]) -> None:
    """Go on, until the transaction ends, as the owner of the schema, where this login may."""
    right = "SET" if conn.info.server_version >= 160000 else "MEMBER"
    conn.execute(OWNER, [right])


def recorded(conn: psycopg.Connection[Any]) -> dict[str, str]:
    """Return the checksum of every migration the database has, by id, the oldest first."""
    if conn.execute("select to_regclass('pgjobs.migration')").fetchone() == (None,):
        return {}
    return dict(conn.execute(RECORDED).fetchall())
