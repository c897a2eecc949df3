"""The files as other tools run them: without a transaction, within theirs, or cut off half-way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from forgea_pgjobs import embedded, schema
from forgea_pgjobs.schema import runner
from tests.migrations.conftest import Dump, RunProgram

UPS = list(schema.migration_files().values())
DOWNS = [path.with_suffix(".rollback.sql") for path in reversed(UPS)]
INSTALL = schema.migrations_folder().parent / "sql/install.sql"
# Enough to notice any object, and any row of the record, that comes or goes.
STATE = """
select array[
    (select count(*) from pg_depend), (select count(*) from pg_class),
    (select count(*) from pg_proc), (select count(*) from pg_constraint),
    (select count(*) from pg_namespace), (select count(*) from pg_attribute)
]
"""
FOUND = """
select current_setting('role'), current_setting('search_path'), current_setting('lock_timeout')
"""
ENQUEUE = "select pgjobs.enqueue(gen_random_uuid(), %s, '1')"
DEFINERS = """
select distinct proowner::regrole::text from pg_proc
where pronamespace = 'pgjobs'::regnamespace and prosecdef
"""


def cuts(file: Path) -> Iterator[str]:
    """Yield what a file is up to the end of each of its statements but the last."""
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    for number, line in enumerate(lines[:-1], 1):
        if line.endswith(";\n"):
            yield "".join(lines[:number])


@pytest.mark.parametrize("way", [("-f", "{}"), ("-c", r"\i {}")])
@pytest.mark.parametrize("down", DOWNS)
def test_a_down_that_refuses_changes_nothing_in_psql_as_it_is_by_default(
    down: Path, way: tuple[str, str], fresh_dsn: str, run_program: RunProgram, dump: Dump
) -> None:
    with psycopg.connect(fresh_dsn) as conn:
        conn.execute(ENQUEUE, ["ab" * 20])
        # Something later stands on each of them.
        conn.execute("insert into pgjobs.migration values ('9999.later', 'x')")
    before = dump(fresh_dsn)
    run_program("psql", way[0], way[1].format(down), fresh_dsn)
    assert dump(fresh_dsn) == before
    with psycopg.connect(fresh_dsn) as conn:
        conn.execute("delete from pgjobs.migration where migration_id = '9999.later'")
        conn.execute("delete from pgjobs.migration where migration_id > '0001.ledger'")
    if down == DOWNS[-1]:  # now only the rows are in its way
        run_program("psql", way[0], way[1].format(down), fresh_dsn)
        assert dump(fresh_dsn) == before


def test_a_file_that_is_cut_off_at_any_statement_does_nothing(empty_dsn: str) -> None:
    with psycopg.connect(empty_dsn, autocommit=True) as conn:
        for file in [*UPS, *DOWNS]:
            before = conn.execute(STATE).fetchone()
            texts = list(cuts(file))
            assert len(texts) > 5
            for text in texts:
                with pytest.raises(psycopg.errors.SyntaxError, match="unterminated"):
                    conn.execute(text.encode())
            assert conn.execute(STATE).fetchone() == before, file.name
            if file == DOWNS[0]:
                conn.execute(ENQUEUE, ["ab" * 20])
            if file == DOWNS[-1]:
                with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
                    conn.execute(file.read_bytes())
                assert conn.execute(STATE).fetchone() == before
            else:
                conn.execute(file.read_bytes())
                assert conn.execute(STATE).fetchone() != before


@pytest.mark.parametrize("source", ["the migrations", "the sql command"])
def test_a_superuser_without_a_transaction_gets_the_whole(
    source: str, empty_dsn: str, fresh_dsn: str, run_program: RunProgram, dump: Dump, tmp_path: Path
) -> None:
    files = UPS
    if source == "the sql command":
        files = [tmp_path / "install.sql"]
        files[0].write_text(schema.recorded_install_sql(), encoding="utf-8")
    for file in files:
        run_program("psql", "-q", "-f", file, empty_dsn)
    assert dump(empty_dsn) == dump(fresh_dsn)
    with psycopg.connect(empty_dsn) as conn:
        assert conn.execute(DEFINERS).fetchall() == [("pgjobs_owner",)]


def test_sql_itself_without_a_transaction_installs_nothing(
    empty_dsn: str, run_program: RunProgram, dump: Dump
) -> None:
    before = dump(empty_dsn)
    run_program("psql", "-q", "-f", INSTALL, empty_dsn)
    assert dump(empty_dsn) == before
    run_program("psql", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-f", INSTALL, empty_dsn)
    assert dump(empty_dsn) != before


@pytest.mark.parametrize("role", ["none", '"Second Admin"'])
def test_a_file_puts_the_role_and_settings_of_the_transaction_back(
    role: str, new_server: embedded.Server
) -> None:
    with psycopg.connect(new_server.dsn()) as conn:
        conn.execute('create role "Second Admin" superuser; create schema host')
        conn.execute("set search_path = host, public; set lock_timeout = '7s'")
        conn.execute(f"set role {role}".encode())
        found = conn.execute(FOUND).fetchone()
        assert found
        for file in [*UPS, *DOWNS]:
            conn.execute(file.read_bytes())
            assert conn.execute(FOUND).fetchone() == found
            conn.execute("create table version (number integer); drop table version")


def test_files_with_the_line_ends_of_windows_install_what_was_released(
    empty_dsn: str, run_program: RunProgram, tmp_path: Path
) -> None:
    for file in UPS:
        copy = tmp_path / file.name
        copy.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
        run_program("psql", "-q", "-v", "ON_ERROR_STOP=1", "-f", copy, empty_dsn)
    with psycopg.connect(empty_dsn) as conn:
        [(source,)] = conn.execute("select prosrc from pg_proc where proname = 'claim'").fetchall()
        assert "\r\n" in source
        assert conn.execute("select * from pgjobs.verify() where severity = 'error'").rowcount == 0
    assert runner.migrate(empty_dsn) == []


@pytest.mark.parametrize("encoding", ["LATIN1", "WIN1252", "SQL_ASCII"])
def test_psql_of_any_encoding_installs_what_was_released(
    encoding: str, empty_dsn: str, run_program: RunProgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", encoding)
    for file in UPS:
        run_program("psql", "-q", "-v", "ON_ERROR_STOP=1", "-f", file, empty_dsn)
    monkeypatch.undo()
    with psycopg.connect(empty_dsn) as conn:
        assert conn.execute("select * from pgjobs.verify() where severity = 'error'").rowcount == 0


def test_a_run_leaves_no_error_in_the_servers_log(new_server: embedded.Server) -> None:
    runner.migrate(new_server.dsn())
    runner.migrate(new_server.dsn())
    while runner.rollback(new_server.dsn()):
        pass
    log = (new_server.folder / "log").read_text()
    assert "ready to accept connections" in log
    assert "ERROR" not in log
    assert "WARNING" not in log
