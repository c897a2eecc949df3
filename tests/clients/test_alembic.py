"""Alembic's autogenerate sees the host's tables alone, with the hook of docs/clients.md."""

import re
from collections.abc import Callable
from typing import Any

import psycopg
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.runtime.migration import MigrationContext
from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    MetaData,
    NullPool,
    Table,
    Text,
    create_engine,
)

from tests.clients.frameworks import sqlalchemy_url
from tests.clients.scenario import HERE
from tests.helpers import rows

PAGE = HERE.parent.parent / "docs/clients.md"
HOST = """
create schema host;
create table host.preview (job_id bigint primary key references pgjobs.job)
"""
TABLES = "select tablename from pg_tables where schemaname = 'pgjobs'"


def models() -> MetaData:
    """Return the host's: two tables that the database has, and one that is new."""
    metadata = MetaData()
    Table("push", metadata, Column("commit_sha", Text, primary_key=True))
    # Stands for the ledger's, so that a key can name it.
    Table("job", metadata, Column("job_id", BigInteger, primary_key=True), schema="pgjobs")
    key: Column[int] = Column("job_id", ForeignKey("pgjobs.job.job_id"), primary_key=True)
    Table("preview", metadata, key, schema="host")
    Table("grade", metadata, Column("grade", Text, primary_key=True))
    return metadata


def generated(dsn: str, **hooks: Callable[..., bool]) -> str:
    """Return the upgrade that autogenerate writes."""
    with create_engine(sqlalchemy_url(dsn), poolclass=NullPool).connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_schemas": True, **hooks})
        script = produce_migrations(context, models())
        assert script.upgrade_ops
        return render_python_code(script.upgrade_ops)


def test_autogenerate_leaves_the_ledger_out_with_the_documented_hook(host_dsn: str) -> None:
    with psycopg.connect(host_dsn) as conn:
        conn.execute(HOST)
        tables = {row.tablename for row in rows(conn, TABLES)}
    dropped = re.findall(r"drop_table\('(\w+)', schema='pgjobs'\)", generated(host_dsn))
    assert set(dropped) == tables - {"job"}

    hook: dict[str, Any] = {}
    [text] = re.findall(r"^def include_object.*?^```", PAGE.read_text("utf-8"), re.M | re.S)
    exec(text.removesuffix("```"), hook)  # noqa: S102 - it is our own page
    written = generated(host_dsn, include_object=hook["include_object"])
    assert re.findall(r"op\.(\w+)\('(\w+)'", written) == [("create_table", "grade")]
