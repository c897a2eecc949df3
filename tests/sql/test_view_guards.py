"""P3 on the views: whatever would write through one is refused, or does nothing at all."""

from typing import Any

import pytest

from tests.helpers import Connection, refused, rows

KEYS = {
    "verification_job": "job_id",
    "verification_verdict": "job_id",
    "verification_run": "job_id",
    "verification_attempt": "attempt_id",
    "verification_artifact": "job_id",
    "verification_amendment": "job_id",
    "verification_review": "job_id",
    "backfill_report": "job_id",
}
ROLES = ["pgjobs_owner", "none"]  # none: the superuser of the connection
INSERT = "insert into pgjobs.{view} select * from pgjobs.{view}"
MERGE = "merge into pgjobs.{view} as t using (select) as s on "
# INSTEAD OF triggers fire for these on every server.
WRITES = {
    "update": "update pgjobs.{view} set {key} = 0",
    "no_op_update": "update pgjobs.{view} set {key} = {key}",
    "delete": "delete from pgjobs.{view}",
    "insert": INSERT,
    "insert_or_nothing": INSERT + " on conflict do nothing",
}
# PostgreSQL 15 and 16 know no MERGE into a view; from 17 on it fires the same triggers.
MERGES = {
    "merge_update": MERGE + "true when matched then update set {key} = 0",
    "merge_delete": MERGE + "true when matched then delete",
    "merge_insert": MERGE + "false when not matched then insert ({key}) values (0)",
}
# Refused by PostgreSQL itself: a view has no unique constraint and cannot be truncated.
IMPOSSIBLE = {
    "upsert": (INSERT + " on conflict ({key}) do update set {key} = 0", "42P10"),
    "truncate": ("truncate pgjobs.{view}", "42809"),
    "truncate_cascade": ("truncate pgjobs.{view} cascade", "42809"),
}


def everything(conn: Connection) -> list[Any]:
    tables = ("lab_attempt", "job", "verdict", "aborted_run", "lane", "ready", "lease", "waiting")
    return [rows(conn, f"select t.xmin::text, t.* from pgjobs.{table} as t") for table in tables]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("view", KEYS)
@pytest.mark.parametrize("write", [*WRITES, *MERGES])
def test_r04_a_write_through_a_view_is_refused(
    ledger: Connection, write: str, view: str, role: str
) -> None:
    query = {**WRITES, **MERGES}[write].format(view=view, key=KEYS[view])
    ledger.execute(f"set local role {role}".encode())
    if write in MERGES and ledger.info.server_version < 170000:
        with refused("0A000"):
            ledger.execute(query.encode())
    else:
        with refused("23V01", f"{view}_read_only"):
            ledger.execute(query.encode())


@pytest.mark.parametrize("view", KEYS)
@pytest.mark.parametrize("write", IMPOSSIBLE)
def test_what_no_view_can_do_is_refused_by_postgresql(
    ledger: Connection, write: str, view: str
) -> None:
    query, sqlstate = IMPOSSIBLE[write]
    with refused(sqlstate):
        ledger.execute(query.format(view=view, key=KEYS[view]).encode())


@pytest.mark.parametrize("view", KEYS)
def test_s01_with_triggers_switched_off_a_write_through_a_view_does_nothing(
    ledger: Connection, view: str
) -> None:
    """No trigger of a view can be ENABLE ALWAYS; one that does not fire writes nothing either."""
    before = everything(ledger)
    with refused("42809"), ledger.transaction():
        ledger.execute(f"alter table pgjobs.{view} enable always trigger {view}_read_only".encode())
    ledger.execute("set local session_replication_role = replica")
    merges = MERGES if ledger.info.server_version >= 170000 else {}
    for query in [*WRITES.values(), *merges.values()]:
        ledger.execute(query.format(view=view, key=KEYS[view]).encode())
    assert everything(ledger) == before
