"""What the schema should consist of, and what a database has, without asking its own functions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import psycopg

from forgea_pgjobs.schema.resources import migration_files, sql_text

PUBLISH = "insert into pgjobs.fingerprint"
ROW = re.compile(r"\('([^']+)',\s+'([^']+)', '([0-9a-f]{32})'\)")


class Fingerprint(NamedTuple):
    """An object of the schema, its state, and the digest of its definition."""

    object: str
    state: str
    digest: str


def published() -> dict[str, set[Fingerprint]]:
    """Return what each migration brings, by its id, in the forms of every major."""
    return {
        name: {Fingerprint(*row) for row in ROW.findall(path.read_text(encoding="utf-8"))}
        for name, path in migration_files().items()
    }


def installed(conn: psycopg.Connection) -> set[Fingerprint]:
    """Return what the database has, by the query of the view pgjobs._installed; any role may.

    Raises: psycopg.errors.InvalidSchemaName where there is no schema pgjobs.
    """
    text = sql_text("views/_installed.sql")
    query = text[text.index("\nselect\n") : text.index("\n) as found;\n") + len("\n) as found")]
    with conn.transaction():
        # Names are written out by the path that the view has when verify() asks it.
        conn.execute("set local search_path = pg_catalog, pg_temp")
        conn.execute("set local quote_all_identifiers = off")
        conn.execute("set local intervalstyle = postgres")
        return {Fingerprint(*row) for row in conn.execute(query.encode())}


def rendered(name: str, rows: Iterable[Fingerprint]) -> str:
    """Return the statement of a migration that publishes its rows."""
    values = ",\n".join(
        f"    ('{row.object}',\n        '{row.state}', '{row.digest}')" for row in sorted(rows)
    )
    return (
        f"-- The objects of migration {name}, as published; written by `make generate`.\n"
        f"{PUBLISH} (migration_id, object, state, digest)\n"
        f"select '{name}', object.* from (values\n{values}\n) as object;\n"
    )
