"""Shorthands of the tests: calls by named notation, refusals by code, and time that passes."""

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


def overdue_now(conn: Connection) -> None:
    """Let the time pass by which jobs were to be begun, and that of the last sweep."""
    conn.execute("alter table pgjobs.job disable trigger job_append_only")
    for table in ("job", "ready", "waiting"):
        conn.execute(f"update pgjobs.{table} set start_by = now() where start_by > now()".encode())
    conn.execute("alter table pgjobs.job enable always trigger job_append_only")
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
