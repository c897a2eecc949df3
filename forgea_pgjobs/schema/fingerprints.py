"""What the schema should consist of, and what a database has, without asking its own functions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import psycopg

from forgea_pgjobs.schema.files import parts, publishing_statements

BLOCK = re.compile(r"select '(\S+)', object\.\*.*?;\n", re.DOTALL)
ROW = re.compile(r"\('([^']+)',\s+'([^']+)', '([0-9a-f]{32})'\)")


class Fingerprint(NamedTuple):
    """An object of the schema, its state, and the digest of its definition."""

    object: str
    state: str
    digest: str


def published() -> dict[str, set[Fingerprint]]:
    """Return what each migration brings, by its id."""
    return {
        found[1]: {Fingerprint(*row) for row in ROW.findall(found[0])}
        for found in map(BLOCK.search, publishing_statements())
        if found
    }


def installed(conn: psycopg.Connection) -> set[Fingerprint]:
    """Return what the database has, by the query of pgjobs._installed(); any role may.

    Raises: psycopg.errors.InvalidSchemaName where there is no schema pgjobs.
    """
    *_, verify = parts().values()
    text = verify[verify.index("create function pgjobs._installed()") :]
    query = text[text.index("return query\n") + len("return query\n") : text.index(";\nend\n$$;")]
    with conn.transaction():
        # Names are written out by the path and settings that verify() has when it asks.
        conn.execute("set local search_path = pg_catalog, pg_temp")
        conn.execute("set local quote_all_identifiers = off")
        conn.execute("set local intervalstyle = postgres")
        return {Fingerprint(*row) for row in conn.execute(query.encode())}


def rendered(name: str, rows: Iterable[Fingerprint]) -> str:
    """Return the statement that publishes the objects of a migration."""
    values = ",\n".join(
        f"    ('{row.object}',\n        '{row.state}', '{row.digest}')" for row in sorted(rows)
    )
    return (
        f"-- The objects of {name}, as published; written by `make generate`.\n"
        "insert into pgjobs.fingerprint (migration_id, object, state, digest)\n"
        f"select '{name}', object.* from (values\n{values}\n) as object;\n"
    )
