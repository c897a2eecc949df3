"""Everything that weakens an installation and shows in the catalogue is named by verify()."""

import re
from contextlib import suppress

import psycopg
import pytest
from psycopg import sql

from forgea_pgjobs import schema
from tests.conftest import Connect, Postgres
from tests.helpers import Connection, call, enqueue, rows
from tests.mutate import list_statements
from tests.races.rivals import LONG

# Statement: the object that has to be named, and the severity.
OTHERS = {
    "alter table pgjobs.job disable trigger job_append_only": "trigger job_append_only",
    "alter table pgjobs.job enable replica trigger job_append_only": "trigger job_append_only",
    "alter table pgjobs.job disable trigger all": "constraint job_session_id_commit_sha_fkey",
    "create trigger later before update on pgjobs.job for each row"
    " execute function pgjobs._guard_ledger()": "trigger later",
    "create or replace function pgjobs._guard_ledger() returns trigger language plpgsql"
    " set search_path = pg_catalog, pg_temp as 'begin return new; end'": "function _guard_ledger",
    "create or replace function pgjobs.verify() returns setof pgjobs.finding language plpgsql"
    " stable security definer set search_path = pg_catalog, pg_temp"
    " as 'begin return query select found.* from pgjobs._verify_objects() as found; end'": (
        "function verify"
    ),
    "create function pgjobs.enqueue(text) returns text language sql return $1": "function enqueue",
    "drop function pgjobs.release": "function release",
    "alter function pgjobs.claim volatile cost 7": "function claim",
    "alter function pgjobs.claim owner to postgres": "function claim",
    "alter table pgjobs.job owner to postgres": "table job",
    "alter view pgjobs.verification_job owner to postgres": "view verification_job",
    "alter type pgjobs.claimed owner to postgres": "type claimed",
    "alter table pgjobs.job add column extra text": "table job",
    "alter table pgjobs.verdict drop column login cascade": "table verdict",
    "alter table pgjobs.expiry alter column login type varchar using 'nobody'": "table expiry",
    "alter table pgjobs.verdict alter column status drop not null": "table verdict",
    "alter table pgjobs.verdict alter column status set default 'PASSED'": "table verdict",
    "alter table pgjobs.expiry set unlogged": "table expiry",
    "alter table pgjobs.job enable row level security": "table job",
    "create policy none on pgjobs.job": "policy none",
    "create rule quiet as on delete to pgjobs.job do instead nothing": "rule quiet",
    "create table public.heir () inherits (pgjobs.job)": "inheritance of public.heir from job",
    "alter table pgjobs.job rename to was; create table pgjobs.job (like pgjobs.was)": "table job",
    "alter table pgjobs.migration set schema public": "table migration",
    "create table pgjobs.notes (note text)": "table notes",
    "create view pgjobs.everything as select from pgjobs.lease": "view everything",
    "create type pgjobs.mood as enum ('good')": "type mood",
    "create or replace view pgjobs.verification_run as"
    ' select null::bigint as job_id, 1 as run_no, null::text collate "C" as worker,'
    " null::timestamptz as started_at, null::timestamptz as ended_at,"
    ' null::text collate "C" as outcome, null::text as reason,'
    " null::timestamptz as lease_expires_at": "view verification_run",
    "alter view pgjobs.verification_run set (security_invoker = on)": "view verification_run",
    "alter table pgjobs.verdict drop constraint verdict_status_check;"
    " alter table pgjobs.verdict add constraint verdict_status_check check (status <> '')": (
        "constraint verdict_status_check"
    ),
    "alter table pgjobs.aborted_run drop constraint aborted_run_job_id_fkey;"
    " alter table pgjobs.aborted_run add constraint aborted_run_job_id_fkey"
    " foreign key (job_id) references pgjobs.job not valid": ("constraint aborted_run_job_id_fkey"),
    "update pg_index set indisvalid = false"
    " where indexrelid = 'pgjobs.job_commit_sha_key'::regclass": "unique index job_commit_sha_key",
    "drop index pgjobs.verdict_status_completed_at_idx": "index verdict_status_completed_at_idx",
    "create unique index one on pgjobs.job (session_id)": "unique index one",
    "alter sequence pgjobs.idle_at increment -1": "sequence idle_at",
    "alter domain pgjobs.open_jobs set not null": "type open_jobs",
    "revoke execute on function pgjobs.claim from pgjobs_worker": "grant execute on function claim",
    "revoke select on pgjobs.verification_job from pgjobs_reader": (
        "grant select on view verification_job"
    ),
    "grant execute on function pgjobs.claim to pgjobs_worker with grant option": (
        "grant execute on function claim"
    ),
    "grant delete on pgjobs.lease to pg_monitor": "grant delete on table lease",
    "grant select (lease_token) on pgjobs.lease to pg_monitor": (
        "grant select on column lease.lease_token"
    ),
    "grant execute on function pgjobs._complete to pg_monitor": (
        "grant execute on function _complete"
    ),
    "grant update (status) on pgjobs.verdict to pg_monitor": (
        "grant update on column verdict.status"
    ),
    "grant set on parameter session_replication_role to pg_monitor": "role pg_monitor",
    "grant pgjobs_owner to pg_monitor": "role pg_monitor",
    "alter role pgjobs_owner login": "role pgjobs_owner",
    "alter role pgjobs_owner superuser": "role pgjobs_owner",
    "alter role pgjobs_worker set session_replication_role = replica": "role pgjobs_worker",
    "update pg_class set relhastriggers = false where oid = 'pgjobs.job'::regclass": "table job",
    "update pg_index set indimmediate = false"
    " where indexrelid = 'pgjobs.job_commit_sha_key'::regclass": "unique index job_commit_sha_key",
    "delete from pg_trigger where tgconstraint ="
    " (select oid from pg_constraint where conname = 'verdict_job_id_fkey')": (
        "constraint verdict_job_id_fkey"
    ),
    "create function public.evil(text) returns boolean language sql immutable return true;"
    " create index mine on pgjobs.verdict (job_id) where public.evil(status)": (
        "computed index mine"
    ),
    "create function public.tokens() returns setof uuid language sql security definer"
    " as 'select lease_token from pgjobs.lease'; alter function public.tokens owner to"
    " pgjobs_owner": "function public.tokens()",
    "create view public.v as select * from pgjobs.lease": "view public.v",
    "create table public.h (session_id uuid references pgjobs.lease)": (
        "constraint h_session_id_fkey on public.h"
    ),
    "alter table pgjobs.lab_attempt add constraint lab_attempt_session_id_fkey"
    " check (session_id is null)": "constraint lab_attempt_session_id_fkey",
    "create table public.other (id bigint primary key); alter table pgjobs.lab_attempt add"
    " constraint lab_attempt_session_id_fkey foreign key (attempt_id) references other": (
        "constraint lab_attempt_session_id_fkey"
    ),
    "alter sequence pgjobs.idle_at set unlogged": "sequence idle_at",
    "revoke insert on pgjobs.aborted_run from pgjobs_owner": (
        "revoke insert on table aborted_run from its owner"
    ),
    "grant references on pgjobs.lease to pg_monitor": "grant references on table lease",
    "alter default privileges for role pgjobs_owner grant all on tables to public": (
        "default privileges of pgjobs_owner"
    ),
    "create function pg_catalog.convert_to(text, text) returns bytea language sql"
    " return ''::bytea": "function convert_to(text,text)",
    "do $$ begin execute replace(pg_get_functiondef('pgjobs._verify_server'::regproc),"
    " quote_literal('pgjobs'), quote_literal('-')); end $$": "function _verify_server",
    "alter role pgjobs_app superuser": "role pgjobs_app",
    "alter role pgjobs_worker createrole": "role pgjobs_worker",
    "grant pgjobs_operator to pgjobs_app": "role pgjobs_app",
    "grant pgjobs_approver to pgjobs_operator": "role pgjobs_operator",
    "grant pgjobs_app to pgjobs_approver": "role pgjobs_approver",
    "grant select on pgjobs.job to pgjobs_approver": "grant select on table job",
    "grant pg_execute_server_program to pgjobs_worker": "role pgjobs_worker",
    "alter role pgjobs_worker set session_replication_role = 'Replica'": "role pgjobs_worker",
    "grant set on parameter allow_system_table_mods to pg_monitor": "role pg_monitor",
    "create role admin; grant set on parameter session_replication_role to admin;"
    " create role caller; grant admin, pgjobs_app to caller": "role admin",
    "delete from pgjobs.fingerprint where object like '%job_append_only%'": (
        "trigger job_append_only"
    ),
}
# What a DBA may do: it is said, and no error, or not said at all.
ALLOWED = {
    "create index mine on pgjobs.job (created_at)": "index mine",
    "grant execute on function pgjobs.claim to pg_monitor": "grant execute on function claim",
    "grant select on pgjobs.verification_job to pg_monitor": (
        "grant select on view verification_job"
    ),
    "grant select (job_id) on pgjobs.verification_job to pg_monitor": (
        "grant select on column verification_job.job_id"
    ),
    "grant pg_read_all_data to pgjobs_worker": "role pgjobs_worker",
    "alter role pgjobs_worker set synchronous_commit = off": "role pgjobs_worker",
    "grant references (job_id) on pgjobs.job to pg_monitor": None,
    "alter table pgjobs.job set (autovacuum_enabled = off)": None,
    "comment on table pgjobs.job is 'ours'": None,
    "set local quote_all_identifiers = on": None,
    "set local intervalstyle = 'iso_8601'": None,
    "create role pgjobs_metrics; grant select on pgjobs.verification_job to pgjobs_metrics": (
        "grant select on view verification_job"
    ),
    "create table public.preview (job_id bigint references pgjobs.job)": None,
    # A hosted service's administrators.
    "create role admin; grant set on parameter session_replication_role to admin": "role admin",
    # The installation gets another owner, or the owner another name.
    "create role lab_owner; reassign owned by pgjobs_owner to lab_owner": None,
    "create role lab_owner login; reassign owned by pgjobs_owner to lab_owner": "role lab_owner",
    "alter role pgjobs_owner rename to lab_owner": None,
    # The owner's rights on tables of its own.
    "alter default privileges for role pgjobs_owner in schema public grant select on tables"
    " to pg_monitor": None,
}


@pytest.fixture(scope="module")
def weakenings(pg: Postgres, dsn: str) -> list[str]:
    with psycopg.connect(dsn) as conn:
        return list_statements(conn)


def findings(conn: Connection, severity: str) -> set[str]:
    """Return the objects found with a severity, without the name of our schema."""
    return {
        each.object.replace("pgjobs.", "")
        for each in call(conn, "verify")
        if each.severity == severity
    }


def named_by(weakening: str) -> str:
    """Return how a finding has to begin for one of the mutation check's statements."""
    words = weakening.replace("pgjobs.", "")
    for pattern, name in (
        (r"drop trigger (\w+)", r"trigger \1"),
        (r".* enable trigger (\w+)", r"trigger \1"),
        (r".* drop constraint (\w+).*", r"constraint \1"),
        (r"drop index (\w+)", r"unique index \1"),
        (r"grant execute on function (\w+)\(.*\) to (\w+)", r"grant execute on function \1 to \2"),
        (
            r"grant (select|insert) on (verification_\w+|_installed|\w+_report) to (\w+)",
            r"grant \1 on view \2 to \3",
        ),
        (r"grant (select|insert) on (\w+) to (\w+)", r"grant \1 on table \2 to \3"),
        (r"grant usage on (sequence|type) (\w+) to (\w+)", r"grant usage on \1 \2 to \3"),
        (r"grant (\w+) on schema pgjobs to (\w+)", r"grant \1 on schema pgjobs to \2"),
        (r"alter function (\w+)\(.*", r"function \1"),
    ):
        found = re.match(pattern, words)
        if found:
            return found.expand(name).replace("to public", "to PUBLIC")
    raise AssertionError(weakening)


def test_a_new_installation_has_no_error(conn: Connection) -> None:
    assert findings(conn, "error") == set()


def test_every_weakening_of_the_mutation_check_is_named(
    conn: Connection, weakenings: list[str]
) -> None:
    assert len(weakenings) > 300
    # A constraint may take others along, so each goes alone; the long run tries all one by one.
    alone = [each for each in weakenings if LONG or " constraint " in each]
    others = [each for each in weakenings if each not in alone]
    batches = [[each] for each in alone]
    batches += [others[first : first + 10] for first in range(0, len(others), 10)]
    unnamed = []
    for batch in batches:
        with conn.transaction(force_rollback=True):
            conn.execute(";".join(batch).encode())
            found = findings(conn, "error")
        unnamed += [w for w in batch if not any(each.startswith(named_by(w)) for each in found)]
    assert unnamed == []


@pytest.mark.parametrize("statement", OTHERS)
def test_it_is_named(statement: str, conn: Connection) -> None:
    conn.execute("set local allow_system_table_mods = on")
    conn.execute(statement.encode())
    assert any(each.startswith(OTHERS[statement]) for each in findings(conn, "error"))


@pytest.mark.parametrize("statement", ALLOWED)
def test_it_is_no_error(statement: str, conn: Connection) -> None:
    before = findings(conn, "warning")
    conn.execute(statement.encode())
    assert findings(conn, "error") == set()
    warned = findings(conn, "warning") - before
    expected = ALLOWED[statement]
    assert [each.startswith(expected or "") for each in warned] == [True] * bool(expected)


def test_a_rule_that_is_named_like_a_views_own_is_named(conn: Connection) -> None:
    conn.execute("create rule quiet as on insert to pgjobs.aborted_run do instead nothing")
    # Some majors refuse this name themselves.
    with suppress(psycopg.errors.InvalidObjectDefinition), conn.transaction():
        conn.execute('alter rule quiet on pgjobs.aborted_run rename to "_RETURN"')
    assert any(each.endswith(" on aborted_run") for each in findings(conn, "error"))


def test_settings_that_lose_data_are_named(conn: Connection) -> None:
    risks = {
        "fsync": "off",
        "full_page_writes": "off",
        "synchronous_commit": "off",
        "data_checksums": "off",
        "zero_damaged_pages": "on",
        "ignore_checksum_failure": "on",
    }
    query = "select reset_val from pg_settings where name = %(name)s"
    risky = {name for name in risks if rows(conn, query, name=name) == [(risks[name],)]}
    named = {each for each in findings(conn, "warning") if each.startswith("setting ")}
    assert named == {f"setting {name}" for name in risky}


def test_o10_what_public_may_do_in_the_database_is_named(conn: Connection) -> None:
    name = f"database {conn.info.dbname}"
    assert name in findings(conn, "warning")
    database = sql.Identifier(conn.info.dbname)
    conn.execute(sql.SQL("revoke all on database {} from public").format(database))
    assert name not in findings(conn, "warning")


def test_o08_who_can_become_the_owner_is_named_and_an_error_where_he_also_calls(
    conn: Connection,
) -> None:
    conn.execute("create role dba; create role caller; create role group_of_both")
    conn.execute("grant pgjobs_owner to group_of_both; grant pgjobs_worker to caller")
    conn.execute("grant group_of_both to dba, caller")
    assert {"role group_of_both", "role dba"} <= findings(conn, "warning")
    assert findings(conn, "error") == {"role caller"}


def test_a14_a_prepared_transaction_is_named(connect: Connect, pg: Postgres) -> None:
    conn = connect(autocommit=True)
    if conn.execute("show max_prepared_transactions").fetchone() == ("0",):
        pytest.skip("the given server allows no prepared transactions")
    conn.execute("begin")
    enqueue(conn)
    conn.execute("prepare transaction 'a14'")
    try:
        assert "prepared transaction a14" in findings(conn, "warning")
    finally:
        conn.execute("rollback prepared 'a14'")


def test_n03_f12_an_abandoned_slot_is_named(conn: Connection) -> None:
    conn.execute("select pg_create_physical_replication_slot('left_behind', true)")
    try:
        assert "replication slot left_behind" in findings(conn, "warning")
    finally:
        conn.execute("select pg_drop_replication_slot('left_behind')")


def test_f11_a_sequence_near_its_end_or_behind_its_ids_is_named(conn: Connection) -> None:
    job = enqueue(conn)
    conn.execute("select setval('pgjobs.body_body_id_seq', 8000000000000000000)")
    assert "sequence body_body_id_seq" in findings(conn, "warning")
    for behind in ("%s, false", "%s - 1"):
        conn.execute(f"select setval('pgjobs.job_job_id_seq', {behind})".encode(), [job.job_id])
        assert findings(conn, "error") == {"sequence job_job_id_seq"}
    conn.execute("select setval('pgjobs.job_job_id_seq', %s, false)", [job.job_id + 1])
    assert findings(conn, "error") == set()


def test_without_group_roles_the_grants_are_the_owners_own(pg: Postgres) -> None:
    with pg.database() as dsn, psycopg.connect(dsn) as conn:
        conn.execute("create role plain_installer")
        database = sql.Identifier(conn.info.dbname)
        conn.execute(sql.SQL("grant create on database {} to plain_installer").format(database))
        conn.execute("set role plain_installer")
        conn.execute(schema.recorded_install_sql().encode())
        conn.execute("reset role")
        conn.execute("grant usage on schema pgjobs to pg_monitor")
        conn.execute("grant execute on function pgjobs.claim to pg_monitor")
        assert findings(conn, "error") == set()
        conn.execute("grant execute on function pgjobs.claim to public")
        assert findings(conn, "error") == {"grant execute on function claim to PUBLIC"}
        conn.rollback()


@pytest.mark.parametrize(
    "role", ["pgjobs_app", "pgjobs_worker", "pgjobs_reader", "pgjobs_approver"]
)
def test_only_an_operator_may_verify(role: str, connect: Connect) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        call(connect(role), "verify")


def test_an_operator_may_verify_in_a_read_only_transaction(connect: Connect) -> None:
    conn = connect("pgjobs_operator")
    conn.read_only = True
    assert findings(conn, "error") == set()
