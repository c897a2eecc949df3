"""A database with the tables of the first host beside the ledger."""

from __future__ import annotations

import psycopg
import pytest

from tests.backfill.host import GRANTS, TABLES


@pytest.fixture
def host_dsn(fresh_dsn: str) -> str:
    """A database of this test's own where the host's tables are there, readable, and empty."""
    with psycopg.connect(fresh_dsn) as conn:
        conn.execute(TABLES)
        conn.execute(GRANTS)
    return fresh_dsn
