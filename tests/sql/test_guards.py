"""P3: a ledger row never changes, for its owner and for a superuser, in any replication role."""

import pytest

from tests.helpers import Connection, refused, rows

# Table: a column that tells what happened, and its primary key.
LEDGER = {
    "lab_attempt": ("commit_sha", "lab_attempt_attempt_id_pkey"),
    "attempt_detail": ("author", "attempt_detail_attempt_id_pkey"),
    "job": ("lab_version", "job_job_id_pkey"),
    "job_payload": ("payload", "job_payload_job_id_pkey"),
    "verdict": ("status", "verdict_job_id_pkey"),
    "verdict_summary": ("summary", "verdict_summary_job_id_pkey"),
    "aborted_run": ("reason", "aborted_run_job_id_run_no_pkey"),
    "review": ("reason", "review_review_id_pkey"),
    "review_result": ("outcome", "review_result_review_id_pkey"),
    "review_summary": ("summary", "review_summary_review_id_pkey"),
    "amendment": ("status", "amendment_amendment_id_pkey"),
    "artifact": ("name", "artifact_artifact_id_pkey"),
    "body": ("content", "body_body_id_pkey"),
    "expiry": ("login", "expiry_kind_id_pkey"),
    "hold": ("reason", "hold_session_id_ticket_hold_no_pkey"),
    "backfill": ("reason", "backfill_log_id_pkey"),
}
NOT_LEDGER = {"lane", "ready", "lease", "waiting", "migration", "fingerprint"}
PARENTS = {
    "lab_attempt": "attempt_id",
    "job": "job_id",
    "verdict": "job_id",
    "review": "review_id",
    "review_result": "review_id",
}
VIEWS = [
    "verification_job",
    "verification_verdict",
    "verification_run",
    "verification_attempt",
    "verification_artifact",
    "verification_amendment",
    "verification_review",
    "verification_hold",
    "backfill_report",
]
ROLES = ["pgjobs_owner", "none"]  # none: the superuser of the connection
MODES = ["origin", "replica", "local"]
ROW_WRITES = {
    "update": "update pgjobs.{table} set {column} = default",
    "no_op_update": "update pgjobs.{table} set {column} = {column}",
    "delete": "delete from pgjobs.{table}",
    "merge_update": "merge into pgjobs.{table} as t using (select) as s on true"
    " when matched then update set {column} = default",
    "merge_delete": "merge into pgjobs.{table} as t using (select) as s on true"
    " when matched then delete",
    "upsert": "insert into pgjobs.{table} overriding system value select * from pgjobs.{table}"
    " on conflict on constraint {pkey} do update set {column} = excluded.{column}",
}


def act_as(conn: Connection, role: str, mode: str) -> None:
    conn.execute(f"set local session_replication_role = {mode}".encode())
    conn.execute(f"set local role {role}".encode())


def test_every_table_but_the_hot_ones_is_of_the_ledger_and_has_a_row(ledger: Connection) -> None:
    tables = rows(ledger, "select tablename from pg_tables where schemaname = 'pgjobs'")
    assert {name for (name,) in tables} == LEDGER.keys() | NOT_LEDGER
    views = rows(ledger, "select viewname from pg_views where schemaname = 'pgjobs'")
    assert {name for (name,) in views} == set(VIEWS)
    for name in [*LEDGER, *VIEWS]:
        assert rows(ledger, f"select from pgjobs.{name}"), name


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("table", LEDGER)
@pytest.mark.parametrize("write", ROW_WRITES)
def test_o01_s01_no_row_is_changed_or_deleted(
    ledger: Connection, write: str, table: str, role: str, mode: str
) -> None:
    column, pkey = LEDGER[table]
    act_as(ledger, role, mode)
    with refused("23V01", f"{table}_append_only"):
        ledger.execute(ROW_WRITES[write].format(table=table, column=column, pkey=pkey).encode())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("table", LEDGER)
def test_o01_no_table_is_truncated(ledger: Connection, table: str, role: str, mode: str) -> None:
    act_as(ledger, role, mode)
    # A parent alone: PostgreSQL asks for the foreign keys before any trigger.
    alone = ("0A000", None) if table in PARENTS else ("23V01", f"{table}_no_truncate")
    with refused(*alone), ledger.transaction():
        ledger.execute(f"truncate pgjobs.{table}".encode())
    with refused("23V01", f"{table}_no_truncate"), ledger.transaction():
        ledger.execute(f"truncate pgjobs.{table} restart identity cascade".encode())
    with refused("23V01"):
        ledger.execute(b"truncate " + ", ".join(f"pgjobs.{name}" for name in LEDGER).encode())


@pytest.mark.parametrize("table", PARENTS)
@pytest.mark.parametrize("mode", MODES)
def test_o02_a_parent_is_neither_deleted_nor_given_another_key(
    ledger: Connection, table: str, mode: str
) -> None:
    key = PARENTS[table]
    act_as(ledger, "pgjobs_owner", mode)
    for write in (f"delete from pgjobs.{table}", f"update pgjobs.{table} set {key} = default"):
        with refused("23V01", f"{table}_append_only"), ledger.transaction():
            ledger.execute(f"{write} where {key} > 0".encode())


@pytest.mark.parametrize("position", ["aaa", "zzz"])
@pytest.mark.parametrize("table", LEDGER)
def test_o04_another_before_trigger_cannot_undo_a_guard(
    ledger: Connection, table: str, position: str
) -> None:
    column, _ = LEDGER[table]
    ledger.execute(
        f"create function public.{position}() returns trigger language plpgsql as"
        f" $$ begin new.{column} := null; return new; end $$".encode()
    )
    ledger.execute(
        f"create trigger {position} before update on pgjobs.{table}"
        f" for each row execute function public.{position}()".encode()
    )
    with refused("23V01", f"{table}_append_only"):
        ledger.execute(f"update pgjobs.{table} set {column} = {column}".encode())


def test_a19_a_role_that_may_write_all_data_changes_nothing(ledger: Connection) -> None:
    ledger.execute("create role pgjobs_test_bulk in role pg_write_all_data, pg_read_all_data")
    ledger.execute("grant usage on schema pgjobs to pgjobs_test_bulk")
    ledger.execute("set local role pgjobs_test_bulk")
    for table, (column, _) in LEDGER.items():
        with refused("23V01", f"{table}_append_only"), ledger.transaction():
            ledger.execute(f"update pgjobs.{table} set {column} = {column}".encode())
