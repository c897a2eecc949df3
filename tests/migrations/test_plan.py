"""The dry run prints what would run, and its locks are no weaker than those that are taken."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest
from yoyo.migrations import read_sql_migration

from forgea_pgjobs import schema
from forgea_pgjobs.schema import runner
from forgea_pgjobs.schema.plan import FORMS, WAITS, bare, existing_relations, lock_of, plan
from tests.helpers import Connection, rows
from tests.migrations.conftest import LATER, Dump, Folder, RunProgram

MODES = [mode.title().replace(" ", "") + "Lock" for mode in WAITS]
# What is there and can be locked, each under the name it is printed by: an index is its table's.
NAMED = """
select locked.oid::bigint, nspname || '.' || relation.relname as name
from pg_class as locked
left join pg_index on indexrelid = locked.oid
join pg_class as relation on relation.oid = coalesce(indrelid, locked.oid)
join pg_namespace on pg_namespace.oid = relation.relnamespace
where nspname not in ('pg_catalog', 'pg_toast')
"""
HELD = """
select relation::bigint, mode from pg_locks
where pid = pg_backend_pid() and locktype = 'relation' and database <> 0
"""
# A statement of each form, and whether the table it names is there.
ON_A_TABLE = [
    "create table pgjobs.later (job_id bigint references pgjobs.job (job_id))",
    "create view pgjobs.later as select * from pgjobs.job",
    "create index on pgjobs.job (priority)",
    "create unique index on pgjobs.job (session_id, job_id)",
    "create trigger later before insert on pgjobs.job"
    " for each row execute function pgjobs._guard_ledger()",
    "comment on table pgjobs.job is 'a -- b'",
    "comment on column pgjobs.job.job_id is 'pgjobs.verdict'",
    "comment on trigger job_append_only on pgjobs.job is 'c'",
    "comment on constraint job_job_id_pkey on pgjobs.job is 'c'",
    "comment on view pgjobs.verification_job is 'c'",
    "comment on sequence pgjobs.idle_at is 'c'",
    "alter table pgjobs.job enable always trigger job_append_only",
    "alter table pgjobs.job set (fillfactor = 90)",
    "alter table pgjobs.verdict add constraint later_fkey foreign key (job_id)"
    " references pgjobs.lab_attempt (attempt_id) not valid",
    "alter table pgjobs.job add column later bigint",
    "alter table pgjobs.job drop column payload_sha256 -- and so on",
    "drop view pgjobs.verification_attempt",
    "reindex table pgjobs.job",
    "insert into pgjobs.migration (migration_id, checksum) values ('9', '9')",
]
VALIDATE = "alter table pgjobs.verdict validate constraint later_fkey"
GRANT = "grant references on pgjobs.job to pgjobs_reader"  # locks the table since PostgreSQL 18
WITHOUT_A_LOCK = [
    "set local search_path = pg_catalog",
    "create schema later",
    "create domain pgjobs.later as integer",
    "create type pgjobs.later as (job pgjobs.job)",
    "create sequence pgjobs.later",
    "create table pgjobs.later (job_id bigint generated always as identity)",
    "comment on schema pgjobs is 'pgjobs.job'",
    "comment on type pgjobs.claimed is 'pgjobs.job'",
    "comment on domain pgjobs.priority is 'pgjobs.job'",
    "comment on function pgjobs.claim is 'pgjobs.job'",
    "create function pgjobs.later(job pgjobs.job) returns setof pgjobs.job language plpgsql as"
    " $$ declare v pgjobs.verdict; begin return query select * from pgjobs.job; end $$",
    "create function pgjobs.later(value text) returns boolean language sql immutable"
    " return value <> 'pgjobs.job'",
    "drop function pgjobs.why_waiting",
    "grant usage on schema pgjobs to pgjobs_reader",
    "revoke all on type pgjobs.claimed from public",
    "grant execute on function pgjobs.claim to pgjobs_reader",
    "revoke all on all tables in schema pgjobs from public",
]
UNKNOWN = [
    "do $$ begin end $$",
    "select 1",
    "update pgjobs.ready set priority = 1",
    "insert into pgjobs.job select * from pgjobs.job",
    "drop table pgjobs.waiting",
    "alter table job add column later integer",
    "alter table pgjobs.job add column later integer default 0",
    "alter table pgjobs.job add column later integer, alter column job_id type integer",
    "alter table pgjobs.job alter column session_id set not null",
    "create table pgjobs.later as select * from pgjobs.job",
    "create table pgjobs.later partition of pgjobs.job default",
    "create table pgjobs.later (like pgjobs.job)",
    "create index concurrently on pgjobs.job (priority)",
    "create function pgjobs.later() returns bigint language sql begin atomic select 1; end",
    "create function pgjobs.later() returns bigint language sql"
    " return (select count(*) from pgjobs.job)",
    "vacuum pgjobs.job",
]


def held(conn: Connection) -> set[tuple[int, int]]:
    return {(lock.relation, MODES.index(lock.mode)) for lock in rows(conn, HELD)}


def relations(conn: Connection) -> dict[int, str]:
    return dict(rows(conn, NAMED))


def locks_taken(conn: Connection, statement: str, names: dict[int, str]) -> dict[str, int]:
    """Run a statement and return the strongest lock it has added on each relation with a name."""
    before = held(conn)
    conn.execute(statement.encode())
    added = sorted(held(conn) - before, key=lambda lock: lock[1])
    return {names[oid]: mode for oid, mode in added if oid in names}


def printed(statement: str, existing: set[str]) -> dict[str, int] | None:
    lock = lock_of(statement, existing)
    if lock.mode is None:
        return None
    modes = list(WAITS)
    return {relation: modes.index(lock.mode) for relation in lock.relations}


@pytest.mark.parametrize("statement", ON_A_TABLE)
def test_a_form_takes_the_lock_that_is_printed(conn: Connection, statement: str) -> None:
    existing = existing_relations(conn)
    said = printed(statement, existing)
    assert said
    assert locks_taken(conn, statement, relations(conn)) == said


def test_a_validation_takes_the_lock_that_is_printed(fresh_dsn: str) -> None:
    with psycopg.connect(fresh_dsn) as conn:
        conn.execute(
            "alter table pgjobs.verdict add constraint later_fkey foreign key (job_id)"
            " references pgjobs.lab_attempt (attempt_id) not valid"
        )
        conn.commit()
        existing = existing_relations(conn)
        taken = locks_taken(conn, VALIDATE, relations(conn))
        assert list(WAITS)[taken.pop("pgjobs.lab_attempt")] == "ROW SHARE"
        assert taken == printed(VALIDATE, existing)


def test_a_grant_takes_no_more_than_is_printed(conn: Connection) -> None:
    said = printed(GRANT, existing_relations(conn))
    assert said
    assert locks_taken(conn, GRANT, relations(conn)).items() <= said.items()


@pytest.mark.parametrize("statement", WITHOUT_A_LOCK)
def test_a_form_without_a_lock_takes_none(conn: Connection, statement: str) -> None:
    existing = existing_relations(conn)
    assert printed(statement, existing) == {}
    assert locks_taken(conn, statement, relations(conn)) == {}


@pytest.mark.parametrize("statement", UNKNOWN)
def test_an_unknown_form_is_not_guessed(statement: str) -> None:
    assert lock_of(statement, set()).mode is None


def test_every_form_has_an_example() -> None:
    examples = [*ON_A_TABLE, *WITHOUT_A_LOCK, VALIDATE, GRANT]
    used = {next(form for form in FORMS if re.match(form, bare(each))) for each in examples}
    assert used == set(FORMS)


def test_no_statement_of_a_migration_takes_more_than_is_printed(
    empty_dsn: str, folder: Folder
) -> None:
    folder.add("alter table pgjobs.job add column later integer;\n" + UNKNOWN[0] + ";", "select 1;")
    unknown = []
    for name, file in schema.migration_files().items():
        with psycopg.connect(empty_dsn) as conn:
            existing, names = existing_relations(conn), relations(conn)
            for statement in read_sql_migration(str(file))[2]:
                taken, said = locks_taken(conn, statement, names), printed(statement, existing)
                if said is None:
                    unknown.append(statement)
                    continue
                assert taken.keys() <= said.keys(), statement
                assert all(mode <= said[relation] for relation, mode in taken.items()), statement
            assert name in runner.recorded(conn)
    assert {statement.split()[0] for statement in map(bare, unknown)} == {"do"}


def test_the_dry_run_is_what_migrate_runs(
    empty_dsn: str, fresh_dsn: str, dump: Dump, run_program: RunProgram, tmp_path: Path
) -> None:
    script = tmp_path / "plan.sql"
    script.write_text(plan(empty_dsn), encoding="utf-8")
    run_program("psql", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-f", script, empty_dsn)
    assert dump(empty_dsn) == dump(fresh_dsn)
    assert runner.migrate(empty_dsn) == []


def test_the_dry_run_prints_each_statement_once_in_order(empty_dsn: str, folder: Folder) -> None:
    runner.migrate(empty_dsn)
    folder.add("alter table pgjobs.job add column later integer;\nselect 1;", "select 1;")
    text = plan(empty_dsn)
    statements = read_sql_migration(str(folder.path / f"{LATER}.sql"))[2]
    places = [text.index(statement.strip()) for statement in statements]
    assert len(places) == 3
    assert places == sorted(places)
    assert text.count("-- lock: ") == 3
    assert "-- lock: ACCESS EXCLUSIVE on pgjobs.job: " in text
    assert "-- lock: not known" in text
