"""Our files as migrations of other tools, each run by the tool itself, in its own transactions."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from forgea_pgjobs import embedded
from forgea_pgjobs.schema import runner
from tests import helpers
from tests.migrations import tools
from tests.migrations.conftest import RunProgram
from tests.migrations.tools import TOOLS, Command, Tool, ours
from tests.races.rivals import LONG

STEPS = ours()
ERRORS = "select object, finding from pgjobs.verify() where severity = 'error'"
OWNERS = """
select distinct owner::regrole::text
from (
    select relnamespace, relowner from pg_class
    union all select pronamespace, proowner from pg_proc
    union all select typnamespace, typowner from pg_type
    union all select oid, nspowner from pg_namespace
) as object (namespace, owner)
where namespace = 'pgjobs'::regnamespace
"""
TABLES = """
select schemaname || '.' || tablename, tableowner from pg_tables
where tablename = any (%s) order by schemaname, tablename
"""


def can_run(name: str) -> Tool:
    """Return a tool, or skip the test for the want of it."""
    if reason := TOOLS[name].missing():
        pytest.skip(reason)
    return TOOLS[name]


def database(server: embedded.Server, login: str, name: str = "lab") -> str:
    """Make a database that belongs to a login, who may create roles."""
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        if not admin.execute("select from pg_roles where rolname = %s", [login]).rowcount:
            admin.execute(sql.SQL("create role {} login createrole").format(sql.Identifier(login)))
        admin.execute(
            sql.SQL("create database {} owner {}").format(*map(sql.Identifier, (name, login)))
        )
    return make_conninfo(server.dsn(), dbname=name, user=login)


def definition(run_program: RunProgram, dsn: str) -> list[str]:
    """Return what pg_dump says of our schema."""
    text = run_program("pg_dump", "--schema-only", "--schema", "pgjobs", "-d", dsn)
    return [line for line in text.splitlines() if "restrict " not in line]


def succeed(tool: Tool, command: Command, folder: Path, dsn: str, **env: str) -> None:
    done = tool.run(command, folder, dsn, **env)
    assert done.returncode == 0, done.stdout + done.stderr


def count(dsn: str, table: str) -> int:
    with psycopg.connect(dsn) as conn:
        [(number,)] = helpers.rows(conn, f"select count(*) from {table}")
    return int(number)


@pytest.mark.parametrize(
    ("name", "login"),
    # The long run has each tool install as a superuser as well.
    list(product(TOOLS, ["lab_owner", "postgres"] if LONG else ["lab_owner"])),
)
def test_a_tool_installs_what_our_runner_does_and_undoes_it(
    name: str, login: str, new_server: embedded.Server, run_program: RunProgram, tmp_path: Path
) -> None:
    tool = can_run(name)
    dsn = database(new_server, login)
    tool.write(tmp_path, STEPS)
    succeed(tool, tool.up, tmp_path, dsn)
    assert count(dsn, tool.versions) == (1 if name == "Alembic" else len(STEPS))
    with psycopg.connect(dsn) as conn:
        assert conn.execute(ERRORS).fetchall() == []
        assert conn.execute(OWNERS).fetchall() == [("pgjobs_owner",)]
        # The tool's own table and the host's, made before and after ours, belong to the login.
        tables = ["push", tool.versions.partition(".")[2]]
        assert conn.execute(TABLES, [tables]).fetchall() == sorted(
            (table, login) for table in ("public.push", tool.versions)
        )
        helpers.enqueue(conn)
    reference = database(new_server, login, "reference")
    runner.migrate(reference)
    assert runner.pending(dsn) == []
    assert definition(run_program, dsn) == definition(run_program, reference)

    if tool.down is None:
        return
    for _ in STEPS:
        done = tool.run(tool.down, tmp_path, dsn)
        if done.returncode:
            break
    assert "the ledger has rows" in done.stdout + done.stderr
    assert count(dsn, tool.versions) >= 1
    assert count(dsn, "pgjobs.job") == 1
    succeed(tool, tool.down, tmp_path, dsn, PGOPTIONS="-c pgjobs.force_rollback=on")
    assert count(dsn, tool.versions) == 0
    with psycopg.connect(dsn) as conn:
        assert conn.execute("select to_regnamespace('pgjobs')").fetchone() == (None,)


def test_no_file_has_what_sqlalchemy_takes_for_a_parameter() -> None:
    # Alembic hands the text of op.execute() to text(), for which `:word` is one.
    texts = [text for step in STEPS for text in (step.up, step.down)]
    assert not [found for text in texts for found in re.findall(r"(?<![:\w\\]):\w+(?!:)", text)]


def test_the_script_that_alembic_prints_has_our_files_as_they_are(tmp_path: Path) -> None:
    alembic = TOOLS["Alembic"]
    alembic.write(tmp_path, STEPS)
    done = alembic.run((*alembic.up, "--sql"), tmp_path, "dbname=lab")
    assert [step.name for step in STEPS if step.up.strip() in done.stdout] == [
        step.name for step in STEPS
    ]


def test_knex_would_lose_a_bare_question_mark(
    new_server: embedded.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = can_run("knex")
    monkeypatch.setattr(tools, "documented", lambda _tool: ["knex.raw(sql)"])
    dsn = database(new_server, "lab_owner")
    tool.write(tmp_path, STEPS)
    succeed(tool, tool.up, tmp_path, dsn)
    with psycopg.connect(dsn) as conn:
        assert conn.execute(ERRORS).fetchall() != []
