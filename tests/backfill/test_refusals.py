"""When a backfill cannot begin it says so, and what to do; nothing is written."""

import psycopg
import pytest
from psycopg import IsolationLevel

from tests.backfill.host import GRANTS, TABLES, add_log, make_host
from tests.conftest import Connect
from tests.helpers import Connection, call, refused, rows

CALLS = pytest.mark.parametrize("function", ["backfill_verification_log", "backfill_reconcile"])


@CALLS
def test_without_the_hosts_tables_a_call_says_so(conn: Connection, function: str) -> None:
    with refused("42P01", "backfill_log_id_pkey"):
        call(conn, function)


@CALLS
@pytest.mark.parametrize("table", ["VerificationLog", "LabSession", "Lab"])
def test_each_of_the_hosts_tables_is_missed(conn: Connection, function: str, table: str) -> None:
    make_host(conn)
    conn.execute(f'alter table "{table}" rename to "Elsewhere"'.encode())
    with refused("42P01", "backfill_log_id_pkey"):
        call(conn, function)


@CALLS
@pytest.mark.parametrize("privilege", ["select", "usage"])
def test_the_hint_is_the_grant_that_is_missing(
    conn: Connection, function: str, privilege: str
) -> None:
    conn.execute(TABLES)
    if privilege == "usage":
        conn.execute(GRANTS)
        conn.execute("revoke usage on schema public from public")
    with refused("42501", "backfill_log_id_pkey") as refusal, conn.transaction():
        call(conn, function)
    conn.execute((refusal.value.diag.message_hint or "").partition(": ")[2].encode())
    call(conn, function)


@CALLS
def test_a_policy_that_hides_logs_is_an_error(conn: Connection, function: str) -> None:
    make_host(conn)
    add_log(conn)
    conn.execute('alter table "VerificationLog" enable row level security')
    with refused("42501"):
        call(conn, function)


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("level", [IsolationLevel.REPEATABLE_READ, IsolationLevel.SERIALIZABLE])
def test_an_old_snapshot_is_refused(
    host_dsn: str, connect: Connect, level: IsolationLevel, dry_run: bool
) -> None:
    conn = connect()
    add_log(conn)
    conn.commit()
    conn.isolation_level = level
    with refused("25000"):
        call(conn, "backfill_verification_log", dry_run=dry_run)


def test_a_dry_run_writes_nothing(host_dsn: str) -> None:
    with psycopg.connect(host_dsn) as conn:
        add_log(conn)
        conn.commit()
        conn.read_only = True
        assert call(conn, "backfill_verification_log") == [(1, 1, 1, 2, 0, 0)]
        assert rows(conn, "select * from pgjobs.backfill_report") == []
