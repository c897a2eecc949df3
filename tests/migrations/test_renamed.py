"""The package under another schema name, alone and beside the first one."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from forgea_pgjobs import embedded, schema
from forgea_pgjobs.schema.rename import KEYWORDS, MOST_BYTES, renamed
from tests.helpers import Connection, refused, rows, sha
from tests.migrations.conftest import RunProgram

NAME = "verification_2"
TEXT = schema.recorded_install_sql()
LONGEST = "x" * (MOST_BYTES - len("_operator"))


@pytest.fixture
def lab(new_server: embedded.Server, run_program: RunProgram, tmp_path: Path) -> str:
    """A database with both installations, by psql alone."""
    for name in (NAME, "pgjobs"):
        file = tmp_path / f"{name}.sql"
        file.write_text(renamed(TEXT, name), encoding="utf-8")
        run_program("psql", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-f", file, new_server.dsn())
    return new_server.dsn()


def act_as(conn: Connection, role: str) -> None:
    conn.execute(sql.SQL("set session authorization {}").format(sql.Identifier(role)))


def live(conn: Connection, name: str, commit: str) -> int:
    """Bring a commit from the push to its verdict by the roles and functions of a schema."""
    act_as(conn, f"{name}_app")
    [made] = rows(
        conn, f"select * from {name}.enqueue(%(id)s, %(sha)s, '1')", id=uuid4(), sha=commit
    )
    assert made.created
    act_as(conn, f"{name}_worker")
    [run] = rows(conn, f"select * from {name}.claim('w')")
    lease = {"job": run.job_id, "token": run.lease_token}
    rows(conn, f"select * from {name}.heartbeat(%(job)s, %(token)s)", **lease)
    rows(conn, f"select {name}.add_artifact(%(job)s, %(token)s, 'LOG', 'l', 'x'::bytea)", **lease)
    rows(conn, f"select {name}.complete(%(job)s, %(token)s, 'FAILED')", **lease)
    act_as(conn, f"{name}_approver")
    rows(conn, f"select {name}.amend(%(job)s, 'PASSED', 'r', 'a', 'b', 't')", job=made.job_id)
    rows(conn, f"select {name}.reverify(array[%(job)s], 'r', 'a', 'b', 't')", job=made.job_id)
    act_as(conn, f"{name}_operator")
    rows(conn, f"select {name}.expire_artifacts('0', dry_run => false)")
    rows(conn, f"select {name}.cancel(%(job)s, 'r', 'a')", job=made.job_id)
    act_as(conn, f"{name}_reader")
    [job] = rows(conn, f"select * from {name}.verification_job")
    assert (job.commit_sha, job.status, job.effective_status) == (commit, "FAILED", "PASSED")
    assert rows(conn, f"select from {name}.timeline(%(sha)s)", sha=commit)
    return int(made.job_id)


def test_both_live_side_by_side_and_know_nothing_of_each_other(lab: str) -> None:
    commit = sha()
    with psycopg.connect(lab, autocommit=True) as conn:
        for name in (NAME, "pgjobs"):
            assert live(conn, name, commit) == 1
            with refused("42501"):
                act_as(conn, f"{name}_app")
                conn.execute(f"select {name}.rescue()".encode())
        act_as(conn, f"{NAME}_worker")
        with refused("42501"):
            conn.execute("select pgjobs.claim('w')")
        act_as(conn, "postgres")
        for table in ("verdict", "job", "lab_attempt"):
            for statement in (f"delete from {NAME}.{table}", f"truncate {NAME}.{table} cascade"):
                with refused("23V01") as caught:
                    conn.execute(statement.encode())
                assert caught.value.diag.schema_name == NAME


def test_the_other_name_has_all_that_ours_has(lab: str) -> None:
    objects = """
        select proname, proconfig, proowner::regrole::text, proacl::text, prosrc
        from pg_proc where pronamespace = %(name)s::regnamespace
        union all
        select relname, reloptions, relowner::regrole::text, relacl::text, relkind::text
        from pg_class where relnamespace = %(name)s::regnamespace
        order by 1
    """
    with psycopg.connect(lab) as conn:
        ours, theirs = (rows(conn, objects, name=name) for name in ("pgjobs", NAME))
        assert len(ours) > 100
        assert [renamed(repr(row), NAME) for row in ours] == [repr(row) for row in theirs]
        assert {
            tuple(f.proconfig or ())[:1]
            for f in rows(
                conn, f"select proconfig from pg_proc where pronamespace = '{NAME}'::regnamespace"
            )
        } == {("search_path=pg_catalog, pg_temp",), ()}


def test_either_is_as_released(lab: str) -> None:
    with psycopg.connect(lab) as conn:
        for name in (NAME, "pgjobs"):
            found = rows(conn, f"select * from {name}.verify() where severity = 'error'")
            assert found == []
        conn.execute(f"alter table {NAME}.job enable trigger job_append_only".encode())
        [found] = rows(conn, f"select object from {NAME}.verify() where severity = 'error'")
        assert found.object == f"trigger job_append_only on {NAME}.job"


def test_the_longest_name_installs(new_server: embedded.Server) -> None:
    with psycopg.connect(new_server.dsn()) as conn:
        conn.execute(renamed(TEXT, LONGEST).encode())
        assert rows(conn, f"select to_regrole('{LONGEST}_operator') as role")[0].role


def test_our_own_name_changes_nothing() -> None:
    assert renamed(TEXT, "pgjobs") == TEXT
    assert "forgea_pgjobs" in renamed(TEXT, NAME)


@pytest.mark.parametrize(
    "name",
    [
        *("", "Lab", "2lab", "lab-2", "lab.x", "läb", 'l"b', "lab\n", "lab;", " lab"),
        *("pg_lab", "select", "analyse", "strict", "information_schema", "public", "pg_catalog"),
        *("job", "verdict", "claim", "v_job", "verification", f"{LONGEST}x"),
    ],
)
def test_a_name_that_would_not_do_is_refused(name: str) -> None:
    with pytest.raises(ValueError):
        renamed(TEXT, name)


def test_every_keyword_of_the_server_is_known(conn: Connection) -> None:
    keywords = rows(conn, "select word from pg_get_keywords() where catcode <> 'U'")
    assert {word for (word,) in keywords} <= set(KEYWORDS.split())
