"""Shorthands of the tests: calls by named notation, refusals by code, and time that passes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import TupleRow, namedtuple_row

Connection = psycopg.Connection[TupleRow]

_numbers = count(0x10_0000)

# What the backfill says of one of the host's logs, without a host.
BACKFILL = """
insert into pgjobs.backfill (
    log_id, session_id, backfilled_at, outcome, reason, login, log_sha256, ledger_sha256
)
values (
    gen_random_uuid(), gen_random_uuid(), now(), 'SKIPPED', 'BAD_TIME', 'l',
    sha256('1'), sha256('1')
)
"""


def sha(number: int | None = None) -> str:
    """Return the commit SHA with this number (1 or more), or one that no test has used."""
    return f"{next(_numbers) if number is None else number:040x}"


def rows(conn: Connection, query: str, **values: Any) -> list[Any]:
    """Run a query of the test's own making and return its rows as named tuples."""
    with conn.cursor(row_factory=namedtuple_row) as cursor:
        return cursor.execute(query.encode(), values or None).fetchall()


def call(conn: Connection, function: str, /, **arguments: Any) -> list[Any]:
    """Call a function of the contract by named notation and return its rows as named tuples."""
    query = sql.SQL("select * from pgjobs.{}({})").format(
        sql.Identifier(function),
        sql.SQL(", ").join(
            sql.SQL("{} => {}").format(sql.Identifier(name), sql.Placeholder(name))
            for name in arguments
        ),
    )
    with conn.cursor(row_factory=namedtuple_row) as cursor:
        return cursor.execute(query, arguments).fetchall()


def enqueue(conn: Connection, **arguments: Any) -> Any:
    """Enqueue; a new session, a new commit and lab version "1" unless told otherwise."""
    defaults = {"session_id": uuid4(), "commit_sha": sha(), "lab_version": "1"}
    [answer] = call(conn, "enqueue", **{**defaults, **arguments})
    return answer


def claim(conn: Connection, **arguments: Any) -> Any:
    """Claim as "worker" and return the one job claimed."""
    [claimed] = call(conn, "claim", **{"worker": "worker", **arguments})
    return claimed


def complete(conn: Connection, run: Any, status: str = "PASSED", **arguments: Any) -> Any:
    """Complete a claimed run."""
    lease = {"job_id": run.job_id, "lease_token": run.lease_token}
    [answer] = call(conn, "complete", **lease, status=status, **arguments)
    return answer


def job(conn: Connection, job_id: int) -> Any:
    """Return a job as verification_job shows it."""
    query = "select * from pgjobs.verification_job where job_id = %(job_id)s"
    [row] = rows(conn, query, job_id=job_id)
    return row


def traces(conn: Connection) -> list[Any]:
    """Return what this transaction has written, undone writes included, and every id drawn."""
    written = rows(
        conn,
        "select relname, n_tup_ins, n_tup_upd, n_tup_del from pg_stat_xact_user_tables"
        " where schemaname = 'pgjobs' order by relname",
    )
    names = ("lab_attempt_attempt_id_seq", "job_job_id_seq")
    return [written, *(rows(conn, f"select last_value from pgjobs.{name}") for name in names)]


def buffers(conn: Connection, query: str) -> tuple[int, int]:
    """Run a query; return the rows it gave and the buffers it touched, nested calls included."""
    explain = f"explain (analyze, buffers, timing off, format json) {query}"
    [[[plan]]] = conn.execute(explain.encode()).fetchall()
    top = plan["Plan"]
    return top["Actual Rows"], top["Shared Hit Blocks"] + top["Shared Read Blocks"]


def let_time_pass(conn: Connection, interval: str) -> None:
    """Move every lease end and delay, and the mark of the last sweep, into the past."""
    conn.execute(
        "with lease as (update pgjobs.lease set"
        " available_at = available_at - %(by)s::interval,"
        " lease_expires_at = lease_expires_at - %(by)s::interval)"
        " update pgjobs.ready set available_at = available_at - %(by)s::interval",
        {"by": interval},
    )
    conn.execute("select setval('pgjobs.swept_at', 0)")


@contextmanager
def refused(
    sqlstate: str, constraint: str | None = None
) -> Iterator[pytest.ExceptionInfo[psycopg.Error]]:
    """Expect this SQLSTATE; where a constraint is named, also the form of the contract's errors."""
    with pytest.raises(psycopg.Error) as caught:
        yield caught
    diag = caught.value.diag
    assert caught.value.sqlstate == sqlstate, caught.value
    if constraint is not None:
        assert diag.constraint_name == constraint
        assert (diag.schema_name, bool(diag.table_name)) == ("pgjobs", True)
        assert diag.message_hint
        assert diag.message_detail is None
