"""A migration gives exactly what sql/ says, and its down takes exactly that away."""

from __future__ import annotations

import hashlib
from uuid import uuid4

import psycopg
import pytest

import forgea_pgjobs as pgjobs
from forgea_pgjobs import schema
from forgea_pgjobs.schema import record, runner
from tests.backfill.host import GRANTS, TABLES, add_log
from tests.helpers import refused
from tests.ledger_rows import fill_every_table
from tests.migrations.conftest import Dump, RunProgram

FOLDER = schema.migrations_folder()
DOWNS = [path.with_suffix(".rollback.sql") for path in reversed(schema.migration_files().values())]
ENQUEUE = "select pgjobs.enqueue(gen_random_uuid(), %s, '1', author => 'a', payload => '{}')"


def enqueue_a_commit(dsn: str) -> None:
    with psycopg.connect(dsn) as conn:
        conn.execute(ENQUEUE, ["ab" * 20])


def test_the_migrations_give_what_sql_gives(dsn: str, empty_dsn: str, dump: Dump) -> None:
    runner.migrate(empty_dsn)
    assert dump(empty_dsn) == dump(dsn)


def test_up_down_up_with_rows_gives_the_same_schema_again(empty_dsn: str, dump: Dump) -> None:
    nothing = dump(empty_dsn)
    names = runner.migrate(empty_dsn)
    everything = dump(empty_dsn)
    with psycopg.connect(empty_dsn, autocommit=True) as conn:
        fill_every_table(conn)
    for name in reversed(names):
        assert runner.rollback(empty_dsn, force=True) == [name]
    assert dump(empty_dsn) == nothing
    assert runner.migrate(empty_dsn) == names
    assert dump(empty_dsn) == everything
    enqueue_a_commit(empty_dsn)


def test_a_down_refuses_while_the_ledger_has_rows(empty_dsn: str, dump: Dump) -> None:
    first, *later = runner.migrate(empty_dsn)
    enqueue_a_commit(empty_dsn)
    assert runner.rollback(empty_dsn, to=first) == later[::-1]
    before = dump(empty_dsn)
    with refused("55000", "lab_attempt_append_only"):
        runner.rollback(empty_dsn)
    assert dump(empty_dsn) == before
    with psycopg.connect(empty_dsn) as conn:
        assert conn.execute("select count(*) from pgjobs.verification_job").fetchone() == (1,)
    assert runner.pending(empty_dsn) == later


def test_a_down_refuses_while_a_session_without_pushes_has_a_hold(empty_dsn: str) -> None:
    first, *_later = runner.migrate(empty_dsn)
    runner.rollback(empty_dsn, to=first)
    with psycopg.connect(empty_dsn) as conn:
        pgjobs.hold(conn, session_id=uuid4(), reason="r", actor="a", ticket="t")
    with refused("55000", "lab_attempt_append_only"):
        runner.rollback(empty_dsn)


def test_a_linked_ledger_goes_and_leaves_the_hosts_table(empty_dsn: str, dump: Dump) -> None:
    with psycopg.connect(empty_dsn) as conn:
        conn.execute('create table public."LabSession" (id uuid primary key)')
        conn.execute('insert into "LabSession" values (gen_random_uuid())')
        conn.execute('grant select, references on "LabSession" to pgjobs_owner')
    before = dump(empty_dsn)
    names = runner.migrate(empty_dsn)
    with psycopg.connect(empty_dsn) as conn:
        for state in ("added", "validated"):
            assert pgjobs.link_lab_sessions(conn).state == state
            conn.commit()
    for name in reversed(names):
        assert runner.rollback(empty_dsn) == [name]
    assert dump(empty_dsn) == before
    with psycopg.connect(empty_dsn) as conn:
        assert conn.execute('select count(*) from "LabSession"').fetchone() == (1,)


def test_a_down_never_takes_a_key_of_the_host_with_it(empty_dsn: str, dump: Dump) -> None:
    runner.migrate(empty_dsn)
    with psycopg.connect(empty_dsn) as conn:
        conn.execute("create table public.preview (job_id bigint references pgjobs.job (job_id))")
    before = dump(empty_dsn)
    for name in reversed(list(schema.migration_files())[1:]):
        assert runner.rollback(empty_dsn) == [name]
    with pytest.raises(psycopg.errors.DependentObjectsStillExist):
        runner.rollback(empty_dsn)
    runner.migrate(empty_dsn)
    assert dump(empty_dsn) == before


def test_a_down_without_rows_needs_no_force(empty_dsn: str, dump: Dump) -> None:
    nothing = dump(empty_dsn)
    names = runner.migrate(empty_dsn)
    assert [runner.rollback(empty_dsn) for _name in names] == [[name] for name in reversed(names)]
    assert dump(empty_dsn) == nothing
    assert runner.rollback(empty_dsn) == []


def test_the_downs_run_in_psql_the_newest_first(fresh_dsn: str, run_program: RunProgram) -> None:
    for down in DOWNS:
        run_program("psql", "-1", "-v", "ON_ERROR_STOP=1", "-f", down, fresh_dsn)
        with psycopg.connect(fresh_dsn) as conn:
            assert down.name.removesuffix(".rollback.sql") not in record.recorded(conn)


def test_a_down_refuses_while_a_later_migration_is_there(fresh_dsn: str) -> None:
    for down in DOWNS[1:]:
        with psycopg.connect(fresh_dsn) as conn, refused("55000"):
            conn.execute("set pgjobs.force_rollback = on")
            conn.execute(down.read_bytes())


def test_a_forced_down_runs_in_psql(fresh_dsn: str, run_program: RunProgram) -> None:
    enqueue_a_commit(fresh_dsn)
    force = ("-c", "set local pgjobs.force_rollback = on")
    for down in DOWNS:
        run_program("psql", "-1", "-v", "ON_ERROR_STOP=1", *force, "-f", down, fresh_dsn)
    with psycopg.connect(fresh_dsn) as conn:
        assert conn.execute("select to_regnamespace('pgjobs')").fetchone() == (None,)


def test_each_migration_records_its_own_checksum(fresh_dsn: str) -> None:
    written = {name: schema.checksum(path) for name, path in schema.migration_files().items()}
    for name, path in schema.migration_files().items():
        assert f"('{name}', '{written[name]}')" in path.read_text(encoding="utf-8")
    with psycopg.connect(fresh_dsn) as conn:
        assert record.recorded(conn) == written


def test_the_listed_sums_are_those_of_the_files() -> None:
    """A released line of SHA256SUMS never changes; before that `make generate` writes it."""
    listed = (FOLDER / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    files = sorted(FOLDER.glob("*.sql"))
    assert listed == [f"{hashlib.sha256(f.read_bytes()).hexdigest()}  {f.name}" for f in files]


def test_the_install_text_is_the_same_each_time() -> None:
    assert schema.recorded_install_sql() == schema.recorded_install_sql()
    assert "\\ir" not in schema.recorded_install_sql()


def test_the_down_of_the_backfill_leaves_its_rows_and_the_next_up_goes_on(empty_dsn: str) -> None:
    runner.migrate(empty_dsn)
    with psycopg.connect(empty_dsn, autocommit=True) as conn:
        conn.execute(TABLES)
        conn.execute(GRANTS)
        for _ in range(3):
            add_log(conn)
        assert pgjobs.backfill_verification_log(conn, batch_size=2, dry_run=False).jobs == 2
        assert runner.rollback(empty_dsn, to="0001.ledger") == ["0003.verify", "0002.host"]
        assert conn.execute("select count(*) from pgjobs.verification_job").fetchone() == (2,)
        assert runner.migrate(empty_dsn) == ["0002.host", "0003.verify"]
        assert pgjobs.backfill_verification_log(conn, dry_run=False).seen == 1
        assert [check for check in pgjobs.backfill_reconcile(conn) if not check.ok] == []
