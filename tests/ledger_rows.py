"""A ledger with rows in every table and jobs in every state, and what it is compared by."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from psycopg import sql

from tests.calls import add, amend, cancel, hold, release, reverify, start
from tests.helpers import Connection, call, claim, complete, enqueue, rows

LOG = """
insert into pgjobs.backfill (
    log_id, session_id, backfilled_at, outcome, reason, log_sha256, ledger_sha256, login
)
values (
    gen_random_uuid(), gen_random_uuid(), now(), 'SKIPPED', 'BAD_COMMIT_SHA', sha256(''),
    sha256(''), 'dba'
)
"""
TABLES = """
select relname as name from pg_class
where relnamespace = 'pgjobs'::regnamespace and relkind = 'r'
    and relname not in ('migration', 'fingerprint')
order by relname
"""
CONTENT = """
select count(*) as count, md5(string_agg(line, '' order by line)) as hash
from (select md5(row::text) as line from pgjobs.{} as row) as lines
"""


def fill_every_table(conn: Connection) -> Any:
    """Leave every kind of row behind and return a run that still has its lease.

    conn is in autocommit mode.
    """
    conn.execute(LOG)
    call(conn, "record_attempt", session_id=uuid4(), commit_sha="ef" * 20, author="a")
    for status in ("PASSED", "FAILED", "ERROR"):
        run = start(conn, author="a", branch="main", payload='{"steps": 3}')
        add(conn, run, content=status.encode())
        complete(conn, run, status, summary='{"tests": 1}')
    call(conn, "expire_artifacts", older_than="0", dry_run=False)
    hold(conn, uuid4())
    call(conn, "expire_details", older_than="0", kinds=["PAYLOAD"], dry_run=False)
    amend(conn, run.job_id, "PASSED")
    for answer in ({"summary": '{"tests": 2}'}, {}):
        reverify(conn, run.job_id)
        complete(conn, claim(conn), "FAILED", **answer)
    cancel(conn, enqueue(conn).job_id)
    enqueue(conn, max_runs=1)
    for _exhausts_its_runs_then_goes_back in range(2):
        release(conn, claim(conn), retry_after="0")
        enqueue(conn, max_runs=2)

    enqueue(conn, available_at=datetime.now(UTC) + timedelta(days=1))
    session_id = uuid4()
    for _one_is_the_head_and_two_wait in range(3):
        enqueue(conn, session_id=session_id, payload='{"steps": 4}')
    reverify(conn, run.job_id)
    running = claim(conn, lease_for="1 day")
    add(conn, running, content=b"so far")
    add(conn, running, name="core", location="s3://1", sha256=bytes(32), size_bytes=9)
    return running


def content(conn: Connection) -> dict[str, tuple[int, str]]:
    """Return how many rows each table has, and a hash over them."""
    conn.execute("set timezone = 'UTC'")
    query = sql.SQL(CONTENT)
    tables = [table.name for table in rows(conn, TABLES)]
    found = {name: conn.execute(query.format(sql.Identifier(name))).fetchone() for name in tables}
    return {name: (row[0], row[1]) for name, row in found.items() if row}


def sequences(conn: Connection) -> dict[str, int | None]:
    """Return the last value of every sequence."""
    query = "select sequencename, last_value from pg_sequences where schemaname = 'pgjobs'"
    return dict(conn.execute(query).fetchall())
