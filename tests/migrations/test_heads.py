"""The head of a migration states the locks it takes on what exists; the dry run prints the text."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest

from forgea_pgjobs import schema
from forgea_pgjobs.errors import Refused
from forgea_pgjobs.schema import runner
from tests.helpers import Connection, rows
from tests.lock_times import MODES
from tests.migrations.conftest import LATER, Dump, Folder, RunProgram

UPS = list(schema.migration_files().values())
DOWNS = [path.with_suffix(".rollback.sql") for path in reversed(UPS)]
RELATIONS = """
select class.oid, class.oid::regclass::text as name, class.relkind::text as kind
from pg_class as class
where class.relkind in ('r', 'v') and class.relnamespace::regnamespace::text !~ '^(pg_|info)'
"""
HELD = """
select relation, mode from pg_locks
where pid = pg_backend_pid() and locktype = 'relation' and granted
"""
SESSIONS = """
create table public."LabSession" (id uuid primary key);
grant select, references on public."LabSession" to pgjobs_owner;
"""


def stated(file: Path, existing: dict[str, str]) -> dict[str, str]:
    """Return the strongest lock that a file's head states, by relation."""
    head = re.match(r"(?:--[^\n]*\n)+", file.read_text(encoding="utf-8"))
    assert head
    text = re.sub(r"\n-- ?", " ", head[0])
    found = re.search(r"Locks on what exists: (.*?)\. *(?:With psql|$)", text)
    assert found, file
    if found[1] == "none":
        return {}
    groups = {
        "the views": [name for name, kind in existing.items() if kind == "v"],
        "every table and view of the schema": list(existing),
        "the linked table of sessions": ['"LabSession"'],
    }
    locks: dict[str, str] = {}
    for part in found[1].split("; "):
        mode, _on, names = part.partition(" on ")
        camel = "".join(word.capitalize() for word in mode.split()) + "Lock"
        for name in names.split(", "):
            locks |= dict.fromkeys(groups.get(name, [name]), camel)
    return locks


def taken(conn: Connection, file: Path, existing: dict[int, str]) -> dict[str, str]:
    """Run a file and return the strongest lock it holds at its end, by relation."""
    conn.execute(file.read_bytes())
    held = sorted(rows(conn, HELD), key=lambda lock: MODES.index(lock.mode))
    return {existing[lock.relation]: lock.mode for lock in held if lock.relation in existing}


def test_the_head_of_each_file_states_its_locks(empty_dsn: str) -> None:
    with psycopg.connect(empty_dsn) as conn:
        conn.execute(SESSIONS)
    for file in [*UPS, *DOWNS]:
        with psycopg.connect(empty_dsn) as conn:
            before = rows(conn, RELATIONS)
            said = stated(file, {each.name: each.kind for each in before if "." in each.name})
            held = taken(conn, file, {each.oid: each.name for each in before})
            if conn.info.server_version < 180000:  # a GRANT on a view locked nothing
                granted = {each.name for each in before if each.kind == "v"} - held.keys()
                said = {name: mode for name, mode in said.items() if name not in granted}
            assert held == said, file.name
        if file == UPS[1]:
            with psycopg.connect(empty_dsn) as conn:
                conn.execute("select pgjobs.link_lab_sessions()")


def test_the_dry_run_is_what_migrate_runs(
    empty_dsn: str, fresh_dsn: str, dump: Dump, run_program: RunProgram, tmp_path: Path
) -> None:
    script = tmp_path / "dry_run.sql"
    script.write_text(runner.dry_run(empty_dsn), encoding="utf-8")
    run_program("psql", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-f", script, empty_dsn)
    assert dump(empty_dsn) == dump(fresh_dsn)
    assert runner.migrate(empty_dsn) == []
    assert runner.dry_run(empty_dsn) == "-- nothing to apply\n"


def test_the_dry_run_prints_each_pending_migration_once_in_order(
    empty_dsn: str, folder: Folder
) -> None:
    runner.migrate(empty_dsn)
    folder.add("alter table pgjobs.job add column later integer;\nselect 1;", "select 1;")
    text = runner.dry_run(empty_dsn)
    assert text.startswith(f"-- pending: {LATER}, ")
    assert text.count((folder.path / f"{LATER}.sql").read_text(encoding="utf-8")) == 1


def test_the_hosts_part_can_be_left_out_and_come_later(
    empty_dsn: str, fresh_dsn: str, dump: Dump
) -> None:
    names = list(schema.migration_files())
    without = ["0002.host"]
    assert "-- pending: 0002.host" not in runner.dry_run(empty_dsn, without=without)
    assert runner.migrate(empty_dsn, without=without) == [names[0], names[2]]
    assert runner.migrate(empty_dsn, without=without) == []
    with psycopg.connect(empty_dsn) as conn:
        assert conn.execute("select to_regproc('pgjobs.link_lab_sessions')").fetchone() == (None,)
        errors = conn.execute("select * from pgjobs.verify() where severity = 'error'").fetchall()
        assert errors == []
    assert runner.migrate(empty_dsn) == without
    assert dump(empty_dsn) == dump(fresh_dsn)
    with psycopg.connect(empty_dsn) as conn:
        errors = conn.execute("select * from pgjobs.verify() where severity = 'error'").fetchall()
        assert errors == []


@pytest.mark.parametrize("name", ["0001.ledger", "0003.verify", "0009.unknown"])
def test_nothing_else_can_be_left_out(empty_dsn: str, name: str) -> None:
    with pytest.raises(Refused, match="cannot be left out") as refusal:
        runner.migrate(empty_dsn, without=[name])
    assert refusal.value.sqlstate == "22023"
    assert list(schema.migration_files()) == runner.pending(empty_dsn)
