"""What freezing writes: counted in bytes of WAL, with the settings of a server in production.

Freezing a row is a few bytes; but the first change of a page after a checkpoint writes the whole
page. So vacuum is to come while the page is still as new as the rows, and not once more.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from forgea_pgjobs import embedded
from tests.conftest import Postgres, install
from tests.helpers import Connection, rows
from tests.races.rivals import LONG
from tests.sql.test_flat import FILL

JOBS = 500_000 if LONG else 50_000
STEP = FILL.replace("series(1, ", "series({first}, ")
# Checkpoints come when a test says so. Statistics are not what is counted here.
SETTINGS: dict[str, str | int] = {
    "autovacuum_naptime": 1,
    "autovacuum_analyze_threshold": 2**31 - 1,
    "checkpoint_timeout": "1d",
    "max_wal_size": "100GB",
}
LEDGER = ("lab_attempt", "job", "verdict")
TABLES = f"array['{', '.join(f'pgjobs.{name}' for name in LEDGER)}']"
PENDING = f"""
select sum(n_ins_since_vacuum) as rows, max(age(relfrozenxid)) as age
from pg_stat_user_tables join pg_class on pg_class.oid = relid
where relid = any (string_to_array({TABLES}[1], ', ')::regclass[])
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A server whose autovacuum looks every second, full pages in its WAL."""
    with embedded.run_server(fsync=False, settings=SETTINGS) as server:
        yield Postgres.at(server.dsn(), server.binaries)
