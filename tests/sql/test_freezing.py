"""What freezing writes: counted in bytes of WAL, with full pages as in production.

To freeze a row takes some bytes; but the first change of a page after a checkpoint writes the page
whole. So autovacuum is to come while the checkpoint that saw the rows come has not passed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep

import psycopg

from forgea_pgjobs import embedded
from tests.conftest import Postgres, install
from tests.helpers import Connection, rows
from tests.races.rivals import LONG
from tests.sql.test_flat import FILL

JOBS = 500_000 if LONG else 20_000
STEP = FILL.replace("series(1, ", "series({first}, ")
# Checkpoints come when the test says so, and statistics are not what is counted.
SETTINGS: dict[str, str | int] = {
    "autovacuum_naptime": 1,
    "autovacuum_analyze_threshold": 2**31 - 1,
    "checkpoint_timeout": "1d",
    "max_wal_size": "100GB",
}
TABLES = ("pgjobs.lab_attempt", "pgjobs.job", "pgjobs.verdict")
UNSEEN = f"""
select sum(n_ins_since_vacuum) as rows, max(age(relfrozenxid)) as age
from pg_stat_user_tables
join pg_class on pg_class.oid = relid
where relid = any ('{{{",".join(TABLES)}}}'::regclass[])
"""


@contextmanager
def ledger(server: Postgres) -> Iterator[Connection]:
    """Install in a database of its own."""
    with server.database() as dsn:
        install(conninfo=dsn)
        with psycopg.connect(dsn, autocommit=True) as conn:
            conn.execute("vacuum")  # what the installation left is not counted
            yield conn


def fill(conn: Connection, first: int, last: int) -> None:
    """Add finished jobs, and report them to autovacuum."""
    with conn.transaction():
        conn.execute(STEP.format(first=first, size=last).encode())
    conn.execute("select pg_stat_force_next_flush()")


def written(conn: Connection) -> int:
    """Return how many bytes of WAL there have been."""
    return int(rows(conn, "select pg_current_wal_insert_lsn() - '0/0' as bytes")[0].bytes)


def wait_for_autovacuum(conn: Connection) -> int:
    """Wait until autovacuum has seen every row; return the age of the oldest transaction id."""
    deadline = monotonic() + 60
    while (unseen := rows(conn, UNSEEN)[0]).rows:
        assert monotonic() < deadline, f"{unseen.rows} rows, and autovacuum does not come"
        sleep(0.05)
    return int(unseen.age)


def freeze_the_rest(conn: Connection) -> int:
    """Freeze what is not frozen; return the bytes of WAL."""
    conn.execute("checkpoint")
    before = written(conn)
    conn.execute(f"vacuum (freeze) {', '.join(TABLES)}".encode())
    return written(conn) - before


def in_steps(conn: Connection) -> tuple[float, float]:
    """Fill as far as autovacuum waits, again and again; return its bytes a job, and the rest's."""
    jobs = wal = 0
    while jobs < JOBS:
        step = 5000 + jobs // 50 + 100
        fill(conn, jobs + 1, jobs + step)
        jobs += step
        before = written(conn)
        # Nothing older than the step is left, so that no freeze is ever forced.
        assert wait_for_autovacuum(conn) <= 3
        wal += written(conn) - before
        conn.execute("checkpoint")
    return wal / jobs, freeze_the_rest(conn) / jobs


def at_once(conn: Connection) -> float:
    """Fill, and freeze after the checkpoint; return the bytes a job."""
    for table in TABLES:
        conn.execute(f"alter table {table} set (autovacuum_enabled = off)".encode())
    fill(conn, 1, JOBS)
    return freeze_the_rest(conn) / JOBS


def test_freezing_step_by_step_writes_20_bytes_a_job() -> None:
    with embedded.run_server(fsync=False, settings=SETTINGS) as started:
        server = Postgres.at(started.dsn(), started.binaries)
        with ledger(server) as conn:
            # Before 16 each row frozen has 12 bytes of its own.
            most = 20 if conn.info.server_version >= 160_000 else 50
            steps, rest = in_steps(conn)
        with ledger(server) as conn:
            late = at_once(conn)
    print(f"WAL bytes a job: in steps {steps:.1f}, then the rest {rest:.1f}; at once {late:.1f}")
    assert steps <= most
    assert rest <= 5
    assert late > 300
