"""verify() costs what the ledger is long: counted in pages, temporary ones included."""

import psycopg
from pytest_postgresql.executors import NoopExecutor

from tests.conftest import Postgres
from tests.helpers import Connection, call
from tests.races.rivals import LONG
from tests.sql.test_flat import FILL

JOBS = 1_000_000 if LONG else 50_000
PAGES = [
    f"{kind} {what} Blocks"
    for kind, whats in {"Shared": ("Hit", "Read"), "Temp": ("Read", "Written")}.items()
    for what in whats
]
EXPLAIN = "explain (analyze, buffers, timing off, format json) select * from pgjobs.verify()"


def pages(conn: Connection, jobs: int) -> int:
    """Fill a ledger with finished jobs and return what verify() then reads and writes."""
    conn.execute(FILL.format(size=jobs).encode())
    conn.commit()
    conn.autocommit = True
    conn.execute("vacuum analyze")
    assert {each.object for each in call(conn, "verify") if each.severity == "error"} == set()
    [[[plan]]] = conn.execute(EXPLAIN).fetchall()
    return sum(plan["Plan"][name] for name in PAGES)


def test_no_more_than_a_few_pages_are_read_for_a_job(pg: Postgres, installed: NoopExecutor) -> None:
    with pg.database(installed.template_dbname) as dsn, psycopg.connect(dsn) as conn:
        # A look-up of each job in an index, in each of the checks, is the most; one check that read
        # a table for every job would take hundreds.
        assert pages(conn, JOBS) <= 50 * JOBS
