"""The connections of the commands: alike, whatever the environment and the database are set to."""

from __future__ import annotations

import re
from typing import Any

import psycopg
from psycopg import IsolationLevel, pq
from psycopg.conninfo import conninfo_to_dict

# What a user or a password of a URL has only in the form of %40 and the like.
RAW = re.compile(r"[@/?#\s]|%(?![0-9a-fA-F]{2})")


def connect(dsn: str, *, autocommit: bool = False) -> psycopg.Connection[Any]:
    """Return a connection of UTF-8 text, whose transactions are READ COMMITTED."""
    conn = psycopg.connect(dsn, autocommit=autocommit, client_encoding="UTF8")
    conn.isolation_level = IsolationLevel.READ_COMMITTED
    return conn


def misread(dsn: str) -> str | None:
    """Return a hint where a connection string cannot be read, or is read as nobody means it.

    Of the string it repeats no more than names of parameters, where none is a password.
    """
    scheme, is_url, rest = dsn.partition("://")
    # Behind a raw @ or / the rest of a password is taken for one of these.
    try:
        parts = conninfo_to_dict(dsn)
        if not is_url or "@" not in f"{parts.get('host')}{parts.get('port')}{parts.get('dbname')}":
            return None
    except psycopg.ProgrammingError:
        pass
    if dsn[:1] in ("'", '"') or dsn != dsn.strip():
        return "Leave out the quotes or spaces around it."
    if is_url and scheme not in ("postgresql", "postgres"):
        return "Begin with postgresql://, not postgresql+psycopg:// (SQLAlchemy's) or any other."
    login, _, rest = rest.rpartition("@")
    if RAW.search(login):
        return "In a user or password write @ as %40, / as %2F, % as %25, a space as %20."
    query = rest.partition("?")[2]
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()} | {"ssl"}
    names = [name for name in re.findall(r"(\w+)=", query) if name not in known]
    if names and "password" not in query:
        return f"Leave out {', '.join(names)}: Prisma's, say, and no parameter of PostgreSQL."
    return "Write postgresql://user@host/database."
