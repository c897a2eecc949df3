"""A database in which the host has a table of its own."""

import psycopg
import pytest


@pytest.fixture
def host_dsn(fresh_dsn: str) -> str:
    """A database with the schema, no rows, and a table of the host's."""
    with psycopg.connect(fresh_dsn) as conn:
        conn.execute("create table push (commit_sha text primary key)")
    return fresh_dsn
