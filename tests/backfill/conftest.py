"""A database with the tables of the first host beside the ledger."""

import psycopg
import pytest

from tests.backfill.host import make_host


@pytest.fixture
def host_dsn(fresh_dsn: str) -> str:
    """A database of this test's own where the host's tables are there, readable, and empty."""
    with psycopg.connect(fresh_dsn) as conn:
        make_host(conn)
    return fresh_dsn
