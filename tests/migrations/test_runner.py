"""The runner is safe to repeat, to run twice at once, and to kill."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from forgea_pgjobs import schema
from forgea_pgjobs.errors import Refused
from forgea_pgjobs.schema import runner, yoyo_backend
from forgea_pgjobs.schema.yoyo_backend import LOCK
from tests.migrations.conftest import RunProgram

ALL = list(schema.migration_files())
WAITING = """
select count(*) from pg_stat_activity
where datname = current_database() and wait_event_type = 'Lock' and wait_event = 'advisory'
"""


def test_running_twice_applies_once(empty_dsn: str) -> None:
    assert runner.pending(empty_dsn) == ALL
    assert runner.migrate(empty_dsn) == ALL
    assert runner.migrate(empty_dsn) == []
    assert runner.pending(empty_dsn) == []


def test_two_runners_at_once_apply_once(empty_dsn: str) -> None:
    with psycopg.connect(empty_dsn, autocommit=True) as gate, ThreadPoolExecutor(2) as pool:
        gate.execute("select pg_advisory_lock(%s)", [LOCK])
        runs = [pool.submit(runner.migrate, empty_dsn) for _ in range(2)]
        while gate.execute(WAITING).fetchone() != (2,):
            assert not any(run.done() for run in runs)
        gate.execute("select pg_advisory_unlock(%s)", [LOCK])
        assert sorted(name for run in runs for name in run.result()) == ALL


def test_a_runner_waits_for_another_no_longer_than_its_timeout(
    empty_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yoyo_backend, "TURN_TIMEOUT", "10ms")
    with psycopg.connect(empty_dsn, autocommit=True) as other:
        other.execute("select pg_advisory_lock(%s)", [LOCK])
        with pytest.raises(Refused) as refusal:
            runner.migrate(empty_dsn)
    assert refusal.value.sqlstate == "55P03"
    monkeypatch.undo()
    assert runner.migrate(empty_dsn) == ALL


@pytest.mark.parametrize("source", ["the sql command", "the migration files"])
def test_an_installation_by_psql_is_recognised(
    source: str, empty_dsn: str, run_program: RunProgram, tmp_path: Path
) -> None:
    files = list(schema.migration_files().values())
    if source == "the sql command":
        files = [tmp_path / "install.sql"]
        files[0].write_text(schema.recorded_install_sql(), encoding="utf-8")
    for file in files:
        run_program("psql", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-f", file, empty_dsn)
    assert runner.pending(empty_dsn) == []
    assert runner.migrate(empty_dsn) == []
    assert runner.rollback(empty_dsn) == ALL[-1:]


def test_a_rollback_by_psql_is_recognised(empty_dsn: str, run_program: RunProgram) -> None:
    runner.migrate(empty_dsn)
    for name, file in reversed(schema.migration_files().items()):
        down = file.with_suffix(".rollback.sql")
        run_program("psql", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-f", down, empty_dsn)
        assert runner.pending(empty_dsn) == ALL[ALL.index(name) :]
    assert runner.rollback(empty_dsn) == []
    assert runner.migrate(empty_dsn) == ALL


def test_an_edited_applied_migration_is_noticed(fresh_dsn: str) -> None:
    with psycopg.connect(fresh_dsn) as conn:
        conn.execute("update pgjobs.migration set checksum = 'that of another text'")
    for call in (runner.pending, runner.migrate, runner.rollback):
        with pytest.raises(Refused) as refusal:
            call(fresh_dsn)
        assert refusal.value.sqlstate == "55000"


def test_a_migration_of_a_newer_version_is_noticed(fresh_dsn: str) -> None:
    with psycopg.connect(fresh_dsn) as conn:
        conn.execute("insert into pgjobs.migration values ('9999.later', 'x')")
    with pytest.raises(Refused) as refusal:
        runner.migrate(fresh_dsn)
    assert refusal.value.sqlstate == "55000"


def test_a_schema_without_a_record_is_left_alone(empty_dsn: str) -> None:
    with psycopg.connect(empty_dsn) as conn:
        conn.execute("create schema pgjobs")
        conn.execute("create table pgjobs.note (text text)")
    with pytest.raises(Refused) as refusal:
        runner.migrate(empty_dsn)
    assert refusal.value.sqlstate == "55000"


def test_rollback_to_an_unknown_migration_is_refused(fresh_dsn: str) -> None:
    with pytest.raises(Refused) as refusal:
        runner.rollback(fresh_dsn, to="0000.nothing")
    assert refusal.value.sqlstate == "22023"
    assert runner.rollback(fresh_dsn, to=ALL[-1]) == []


def test_the_runner_leaves_nothing_but_the_schema(empty_dsn: str) -> None:
    runner.migrate(empty_dsn)
    with psycopg.connect(empty_dsn) as conn:
        schemas = conn.execute(
            "select nspname from pg_namespace where nspname !~ '^(pg_|information_schema|public)'"
        )
        assert schemas.fetchall() == [("pgjobs",)]
        rows = conn.execute(
            "select relname from pg_class where relnamespace = 'public'::regnamespace"
        )
        assert rows.fetchall() == []
