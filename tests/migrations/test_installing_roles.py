"""Installing as a superuser, as an owner who may create roles, and as one who may not."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from forgea_pgjobs import embedded, schema
from forgea_pgjobs.schema import runner

GROUPS = {"pgjobs_owner", "pgjobs_app", "pgjobs_worker", "pgjobs_reader", "pgjobs_operator"}
SCHEMA_OWNER = "select nspowner::regrole::text from pg_namespace where nspname = 'pgjobs'"
OTHER_OWNERS = """
select relname from pg_class
where relnamespace = 'pgjobs'::regnamespace and relowner <> %s::text::regrole
union all
select proname from pg_proc
where pronamespace = 'pgjobs'::regnamespace and proowner <> %s::text::regrole
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
