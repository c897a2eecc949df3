"""O16: an application of the version before or after a migration works, or is told by a code."""

from __future__ import annotations

import psycopg
import pytest

from forgea_pgjobs import schema
from forgea_pgjobs.schema import runner
from tests.helpers import Connection, claim, complete, enqueue, rows
from tests.migrations.conftest import LATER, Folder

NAMES = [*schema.migration_files(), LATER]
# A function, a view, the schema is not there, or not for this caller.
NOT_THERE = {"42883", "42P01", "3F000", "42501"}
# Each function with nulls, which reach it and are refused there, and each view.
CALLS = """
select proname as name, 'select pgjobs.' || proname || '(' || coalesce((
    select string_agg('null::' || format_type(type, null), ', ' order by position)
    from unnest(proargtypes::oid[]) with ordinality as argument (type, position)
), '') || ')' as call
from pg_proc where pronamespace = to_regnamespace('pgjobs') and proname not like '\\_%'
union all
select viewname, 'select * from pgjobs.' || viewname from pg_views where schemaname = 'pgjobs'
"""
TABLES = "select tablename as name from pg_tables where schemaname = 'pgjobs' order by 1"


def run(conn: Connection, statements: list[str]) -> None:
    """Run the statements of a migration and leave its transaction open."""
    for statement in statements:
        conn.execute(statement.encode())


def calls(conn: Connection) -> dict[str, str]:
    """Return everything that an application of this version can call."""
    return {row.name: row.call for row in rows(conn, CALLS)}


def content(conn: Connection) -> dict[str, list[object]]:
    return {table: rows(conn, f"select * from pgjobs.{table}") for (table,) in rows(conn, TABLES)}


def call_each(app: Connection, version: dict[str, str]) -> set[str]:
    """Make every call of a version and return the names of those that are not there."""
    missing = set()
    for name, call in version.items():
        try:
            app.execute(call.encode())
        except psycopg.Error as error:
            # Ours names the schema: backfill_reconcile looks for the host's tables.
            if error.sqlstate in NOT_THERE and error.diag.schema_name is None:
                missing.add(name)
            elif error.sqlstate not in {"22004", "42P01"}:
                raise
    return missing


@pytest.mark.parametrize("name", NAMES)
def test_o16_either_version_works_or_is_told_and_nothing_wrong_is_written(
    name: str, empty_dsn: str, folder: Folder
) -> None:
    folder.add(
        "create function pgjobs.later() returns bigint language plpgsql as"
        " $$ begin return 1; end $$;\n"
        "create view pgjobs.verification_later as select job_id from pgjobs.job;",
        "drop view pgjobs.verification_later;\ndrop function pgjobs.later();",
    )
    up, down = folder.read(name)
    folder.keep([earlier for earlier in NAMES if earlier < name])
    with (
        psycopg.connect(empty_dsn) as operator,
        psycopg.connect(empty_dsn, autocommit=True) as app,
    ):
        if name != NAMES[0]:
            runner.migrate(empty_dsn)
        app.execute("set lock_timeout = '1s'")
        old = calls(app)
        run(operator, up)
        new = calls(operator)

        # The new application is here before its migration has committed.
        before = content(app)
        assert call_each(app, new) == new.keys() - old.keys() != set()
        assert call_each(app, old) == set()
        assert content(app) == before
        # The old application works meanwhile.
        if old:
            made = enqueue(app)
            assert complete(app, claim(app)).job_id == made.job_id

        operator.commit()
        assert call_each(app, new) == set()
        operator.execute("set local pgjobs.force_rollback = on")
        run(operator, down)
        operator.commit()
        assert call_each(app, new) == new.keys() - old.keys()
