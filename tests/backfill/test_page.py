"""docs/backfill.md followed as it is written, on a host whose sessions pass after the backfill."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from forgea_pgjobs import embedded
from tests.backfill.host import TABLES, add_log
from tests.conftest import install
from tests.helpers import Connection, call, complete, enqueue, refused, rows, sha
from tests.runbook import Desk, steps

LOGINS = """
create role host_owner login;
create role host_writer login;
create role oncall login in role pgjobs_operator;
create role examiner login in role pgjobs_approver;
grant usage, create on schema public to host_owner;
set role host_owner;
"""
PASSES = "update \"LabSession\" set status = 'VERIFIED_PASS' where status = 'STUCK'"


@dataclass(frozen=True, slots=True)
class Host:
    conn: Connection
    desk: Desk

    def move(self) -> None:
        call(self.conn, "backfill_verification_log", dry_run=False, settle="0")

    def named(self) -> list[str]:
        checks = call(self.conn, "backfill_reconcile", settle="0")
        return [check.check_name for check in checks if not check.ok]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A host with logins of its own, after what the page shows above its first section."""
    with embedded.run_server(fsync=False) as server:
        install(conninfo=server.dsn())
        with psycopg.connect(server.dsn(), autocommit=True) as conn:
            conn.execute(LOGINS)
            conn.execute(TABLES)
            conn.execute('grant insert, select on "VerificationLog" to host_writer')
            conn.execute("reset role")
            desk = Desk(server.binaries, tmp_path, {"lab": server.dsn()})
            granted, without_job, *_ = steps("Move a history in")
            desk.do(granted)
            assert "(0 rows)" in desk.do(without_job)
            yield Host(conn, desk)


def numbers(answer: str) -> list[int]:
    """Return the numbers in the first row of an answer."""
    return [int(number) for number in re.findall(r"\d+", answer.splitlines()[2])]


def test_the_unknown_are_counted_and_amended_in_bulk(host: Host) -> None:
    commit = sha()
    for status in ("STUCK", "STUCK", "DEFERRED", "VERIFIED_PASS"):
        add_log(host.conn, status=status)
    # One more that is unknown, and the session that passes is another one's with its commit.
    add_log(host.conn, status="DEFERRED", commit_sha=commit, verified_at="2026-01-01")
    add_log(host.conn, status="STUCK", commit_sha=commit, verified_at="2026-01-02")
    host.move()
    counted, amended = steps("The unknown")
    assert numbers(host.desk.do(counted)) == [4, 0]
    assert host.named() == []
    host.conn.execute(PASSES.encode())
    assert host.named() == ["unknown, and its session is VERIFIED_PASS now"]
    assert numbers(host.desk.do(counted)) == [4, 3]
    assert numbers(host.desk.do(amended)) == [3]
    assert host.named() == []
    assert numbers(host.desk.do(counted)) == [4, 0]
    assert numbers(host.desk.do(amended)) == [0]
    statuses = "select effective_status, status from pgjobs.verification_verdict order by 1, 2"
    assert rows(host.conn, statuses) == [
        *[("ERROR", "ERROR")],
        *[("PASSED", "ERROR")] * 3,
        *[("PASSED", "PASSED")],
    ]


def test_the_switch_closes_the_old_path_and_can_be_undone(host: Host) -> None:
    add_log(host.conn)
    log = (
        'insert into "VerificationLog" (id, "sessionId", "commitSha", "prDiff", "ciOutput")'
        " select gen_random_uuid(), id, 'late', '', '' from \"LabSession\" limit 1"
    )
    closed, decided, opened = steps("The day of the switch")
    host.desk.do(closed)
    host.move()
    assert host.named() == []
    enqueue(host.conn)
    [run] = call(host.conn, "claim", worker="w")
    complete(host.conn, run, "FAILED")
    assert "FAILED" in host.desk.do(decided)
    host.conn.execute('drop index "VerificationLog_sessionId_key"')
    host.conn.execute('grant select on "LabSession" to host_writer')
    host.conn.execute("set session authorization host_writer")
    with refused("42501"):
        host.conn.execute(log.encode())
    host.desk.do(opened)
    host.conn.execute(log.encode())
    host.conn.execute("reset session authorization")
    host.move()
    assert host.named() == []


def test_a_renamed_log_table_is_missed_until_a_view_has_its_name(host: Host) -> None:
    add_log(host.conn)
    host.move()
    [renamed] = steps("When the log table is renamed")
    with host.conn.transaction(force_rollback=True):
        host.conn.execute('alter table "VerificationLog" rename to "Elsewhere"')
        for function in ("backfill_verification_log", "backfill_reconcile"):
            with refused("42P01"), host.conn.transaction():
                call(host.conn, function)
    assert host.desk.do(renamed).endswith("GRANT\n")
    assert host.named() == []
    assert call(host.conn, "backfill_verification_log", settle="0") == [(0, 0, 0, 0, 0, 0)]
