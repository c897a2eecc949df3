"""The connections of the commands: alike, whatever the environment and the database are set to."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import IsolationLevel


def connect(dsn: str, *, autocommit: bool = False) -> psycopg.Connection[Any]:
    """Return a connection of UTF-8 text, whose transactions are READ COMMITTED."""
    conn = psycopg.connect(dsn, autocommit=autocommit, client_encoding="UTF8")
    conn.isolation_level = IsolationLevel.READ_COMMITTED
    return conn
