"""Who installs and who goes on: superusers, owners with CREATEROLE or not, the owner's members."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from forgea_pgjobs import embedded, schema
from forgea_pgjobs.cli import main
from forgea_pgjobs.errors import Refused
from forgea_pgjobs.schema import runner
from tests.helpers import refused
from tests.migrations.conftest import RunProgram

DOWN = list(schema.migration_files().values())[-1].with_suffix(".rollback.sql")
GROUPS = {
    *("pgjobs_owner", "pgjobs_app", "pgjobs_worker", "pgjobs_reader", "pgjobs_operator"),
    "pgjobs_approver",
}
SCHEMA_OWNER = "select nspowner::regrole::text from pg_namespace where nspname = 'pgjobs'"
OTHER_OWNERS = """
select relname from pg_class
where relnamespace = 'pgjobs'::regnamespace and relowner <> %s::text::regrole
union all
select proname from pg_proc
where pronamespace = 'pgjobs'::regnamespace and proowner <> %s::text::regrole
"""
HOLDS = """
select pg_describe_object(classid, objid, 0) from pg_shdepend
where refobjid = %s::text::regrole and deptype = 'a' and classid <> 'pg_default_acl'::regclass
    and dbid = (select oid from pg_database where datname = current_database())
"""
# As AWS DMS logs the changes of a schema.
LOGGED = """
create table ddl_log (tag text);
create function log_ddl() returns event_trigger language plpgsql
as 'begin insert into public.ddl_log values (tg_tag); end';
create event trigger log_ddl on ddl_command_end execute function log_ddl();
"""
OPEN_TO_PUBLIC = """
select proname from pg_proc
where pronamespace = 'pgjobs'::regnamespace and has_function_privilege('stranger', oid, 'execute')
union all
select relname from pg_class
where relnamespace = 'pgjobs'::regnamespace and relkind in ('r', 'v')
    and has_table_privilege('stranger', oid, 'select, insert, update, delete, truncate')
"""


@pytest.mark.parametrize(
    ("login", "attributes", "owner", "groups"),
    [
        ("postgres", "superuser", "pgjobs_owner", GROUPS),
        ("creator", "createrole", "pgjobs_owner", GROUPS),
        ("plain", "nocreaterole", "plain", set()),
    ],
)
def test_installing_as(
    login: str, attributes: str, owner: str, groups: set[str], new_server: embedded.Server
) -> None:
    admin = new_server.dsn()
    with psycopg.connect(admin, autocommit=True) as conn:
        if login != "postgres":
            conn.execute(f"create role {login} login {attributes}")
        conn.execute("create role stranger")
        conn.execute(f"create database lab owner {login}")
    lab = make_conninfo(admin, dbname="lab", user=login)
    notices: list[str] = []

    assert runner.migrate(lab, notify=notices.append) == list(schema.migration_files())
    with psycopg.connect(lab) as conn:
        assert conn.execute(SCHEMA_OWNER).fetchone() == (owner,)
        assert conn.execute(OTHER_OWNERS, [owner, owner]).fetchall() == []
        assert conn.execute(OPEN_TO_PUBLIC).fetchall() == []
        existing = {name for (name,) in conn.execute("select rolname from pg_roles")}
        assert {name for name in existing if name.startswith("pgjobs_")} == groups
        # The one who may not create roles is told how to grant by hand, the others need nothing.
        assert bool(notices) == (not groups)
        job = conn.execute(
            "select created from pgjobs.enqueue(gen_random_uuid(), %s, '1')", ["ab" * 20]
        )
        assert job.fetchone() == (True,)

    for name in reversed(schema.migration_files()):
        assert runner.rollback(lab, force=True) == [name]
    assert runner.migrate(lab)


@pytest.mark.parametrize("installer", ["postgres", "creator", "plain", "noinherit"])
def test_another_member_of_the_owner_goes_on(
    installer: str, new_server: embedded.Server, run_program: RunProgram, tmp_path: Path
) -> None:
    with psycopg.connect(new_server.dsn(), autocommit=True) as conn:
        conn.execute("create role creator login createrole; create role plain login")
        conn.execute("create role noinherit login createrole noinherit")
        conn.execute("create role member login; create role quiet_member login noinherit")
        conn.execute(f"create database lab owner {installer}".encode())
    admin, first, member, quiet = (
        make_conninfo(new_server.dsn(), dbname="lab", user=name)
        for name in ("postgres", installer, "member", "quiet_member")
    )
    ledger, *later = schema.migration_files().values()
    owner = "plain" if installer == "plain" else "pgjobs_owner"

    def run(dsn: str, file: Path) -> None:
        run_program("psql", "-q", "-v", "ON_ERROR_STOP=1", "-f", file, dsn)

    def assert_owned() -> None:
        with psycopg.connect(admin, autocommit=True) as conn:
            assert conn.execute(SCHEMA_OWNER).fetchone() == (owner,)
            assert conn.execute(OTHER_OWNERS, [owner, owner]).fetchall() == []

    runner.migrate(first)
    with psycopg.connect(admin, autocommit=True) as conn:
        conn.execute(f"grant {owner} to member, quiet_member".encode())
    # Each sees where it stands, and goes on where another one has stopped: by the runner, by psql.
    for dsn in (quiet, member, first):
        assert main(["status", "--dsn", dsn]) == 0
        assert runner.rollback(dsn) == [later[-1].stem]
        assert runner.migrate(dsn) == [later[-1].stem]
        assert_owned()
    for dsn, other in ((quiet, member), (first, quiet)):
        for file in reversed(later):
            run(dsn, file.with_suffix(".rollback.sql"))
        for file in later:
            run(other, file)
        assert_owned()
    # A dump is restored into another database by whoever may become the owner.
    run_program("pg_dump", "-Fc", f"--role={owner}", "-f", tmp_path / "lab.dump", "-d", first)
    with psycopg.connect(admin, autocommit=True) as conn:
        conn.execute(f"create database new owner {installer}".encode())
        conn.execute(f"grant create on database new to {owner}".encode())
    for login in (installer, "quiet_member"):
        new = make_conninfo(new_server.dsn(), dbname="new", user=login)
        run_program("pg_restore", "-e", f"--role={owner}", "-d", new, tmp_path / "lab.dump")
        with psycopg.connect(admin, dbname="new", autocommit=True) as conn:
            errors = conn.execute("select * from pgjobs.verify() where severity = 'error'")
            assert errors.fetchall() == []
            conn.execute("drop schema pgjobs cascade")

    run(quiet, later[-1].with_suffix(".rollback.sql"))
    assert runner.rollback(quiet, to=ledger.stem) == [later[0].stem]
    assert runner.rollback(quiet) == [ledger.stem]


def test_a_login_that_is_no_member_is_told_so(fresh_dsn: str) -> None:
    name = f"stranger_{uuid4().hex}"
    with psycopg.connect(fresh_dsn, autocommit=True) as conn:
        conn.execute(f"create role {name} login".encode())
        try:
            with pytest.raises(Refused, match="pgjobs") as refusal:
                runner.migrate(make_conninfo(fresh_dsn, user=name))
            assert (refusal.value.sqlstate, refusal.value.hint) == ("42501", runner.RIGHTS)
            with psycopg.connect(fresh_dsn, user=name) as stranger, refused("42501"):
                stranger.execute(DOWN.read_bytes())
        finally:
            conn.execute(f"drop role {name}".encode())


def test_what_an_event_trigger_needs_is_told_and_can_be_granted(
    new_server: embedded.Server,
) -> None:
    with psycopg.connect(new_server.dsn(), autocommit=True) as conn:
        conn.execute("create role lab_owner login createrole")
        conn.execute("create database lab owner lab_owner")
    lab = make_conninfo(new_server.dsn(), dbname="lab", user="lab_owner")
    with psycopg.connect(new_server.dsn("lab"), autocommit=True) as conn:
        conn.execute(LOGGED)
        with pytest.raises(Refused, match="ddl_log") as refusal:
            runner.migrate(lab)
        assert (refusal.value.sqlstate, refusal.value.hint) == ("42501", runner.RIGHTS)
        assert conn.execute("select to_regnamespace('pgjobs')").fetchone() == (None,)
        conn.execute("create role pgjobs_owner; grant pgjobs_owner to lab_owner")
        conn.execute("grant insert on ddl_log to pgjobs_owner, lab_owner")
        runner.migrate(lab)
        assert conn.execute(SCHEMA_OWNER).fetchone() == ("pgjobs_owner",)


def test_a_timeout_of_the_login_does_not_end_a_migration(new_server: embedded.Server) -> None:
    with psycopg.connect(new_server.dsn(), autocommit=True) as conn:
        conn.execute("create role lab_owner login")
        conn.execute("create database lab owner lab_owner")
        conn.execute("alter role lab_owner set statement_timeout = '20ms'")
    lab = make_conninfo(new_server.dsn(), dbname="lab", user="lab_owner")
    assert runner.migrate(lab) == list(schema.migration_files())


def test_what_default_privileges_give_away_is_taken_back(new_server: embedded.Server) -> None:
    admin = new_server.dsn()
    with psycopg.connect(admin, autocommit=True) as conn:
        conn.execute("create role lab_owner login; create role readonly login")
        conn.execute("create database lab owner lab_owner")
    lab = make_conninfo(admin, dbname="lab", user="lab_owner")
    with psycopg.connect(lab, autocommit=True) as conn:
        conn.execute("create schema pgjobs")  # made beforehand, and taken as it is
        for right, what in (
            *(("select", "tables"), ("insert", "tables"), ("usage", "sequences")),
            *(("execute", "functions"), ("usage", "types")),
        ):
            conn.execute(f"alter default privileges grant {right} on {what} to readonly".encode())
        conn.execute("alter default privileges in schema pgjobs grant all on tables to readonly")
        runner.migrate(lab)
        assert conn.execute(HOLDS, ["readonly"]).fetchall() == []
        # What is granted later stays through a migration, of whose objects nothing is given away.
        conn.execute("grant select on pgjobs.verification_job to readonly")
        runner.rollback(lab)
        runner.migrate(lab)
        held = conn.execute(HOLDS, ["readonly"]).fetchall()
        assert held == [("view pgjobs.verification_job",)]
        errors = conn.execute("select object from pgjobs.verify() where severity = 'error'")
        assert errors.fetchall() == []
        conn.execute("grant select on pgjobs.lease to readonly")
        errors = conn.execute("select object from pgjobs.verify() where severity = 'error'")
        assert errors.fetchall() == [("grant select on table pgjobs.lease to readonly",)]


def test_the_second_database_of_a_cluster_is_told_and_its_callers_are_named(
    new_server: embedded.Server,
) -> None:
    notices: list[str] = []
    callers = (
        "select object from pgjobs.verify()"
        " where severity = 'warning' and finding ~ 'another installation'"
    )
    with psycopg.connect(new_server.dsn(), autocommit=True) as admin:
        admin.execute(
            "create role one_owner login createrole; create role two_owner login createrole"
        )
        for name in ("one", "two"):
            admin.execute(f"create database {name} owner {name}_owner".encode())
            notices.clear()
            runner.migrate(make_conninfo(new_server.dsn(), dbname=name), notify=notices.append)
            assert any("another database" in notice for notice in notices) == (name == "two")
            admin.execute(f"create role web_{name} login in role pgjobs_app".encode())
        with psycopg.connect(new_server.dsn("two"), autocommit=True) as conn:
            assert {name for (name,) in conn.execute(callers)} == {"role web_one", "role web_two"}
            for name in ("one", "two"):
                admin.execute(f"revoke connect on database {name} from public".encode())
                admin.execute(f"grant connect on database {name} to web_{name}".encode())
            assert conn.execute(callers).fetchall() == []
            admin.execute("grant connect on database two to pgjobs_app")
            assert conn.execute(callers).fetchall() == [("role web_one",)]


def test_a_login_that_always_acts_for_a_team_installs_for_the_team(
    new_server: embedded.Server,
) -> None:
    with psycopg.connect(new_server.dsn(), autocommit=True) as conn:
        conn.execute("create role team; create role deployer login in role team")
        conn.execute("alter role deployer set role = team")
        conn.execute("create database lab owner team")
    lab = make_conninfo(new_server.dsn(), dbname="lab", user="deployer")
    runner.migrate(lab)
    with psycopg.connect(lab, autocommit=True) as conn:
        assert conn.execute(SCHEMA_OWNER).fetchone() == ("team",)
        assert conn.execute(OTHER_OWNERS, ["team", "team"]).fetchall() == []
        errors = conn.execute("select * from pgjobs.verify() where severity = 'error'")
        assert errors.fetchall() == []
    assert runner.rollback(lab) == [list(schema.migration_files())[-1]]
