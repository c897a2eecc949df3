"""Prisma 7 reads the ledger through its views and calls it by $queryRaw."""

from pathlib import Path

import psycopg
import pytest

from forgea_pgjobs.schema import views
from tests import helpers
from tests.clients import node
from tests.clients.scenario import HERE

needs_node = pytest.mark.skipif(node.missing() is not None, reason=str(node.missing()))

TSX = ("node", "--import", "tsx")
PRISMA = "node_modules/.bin/prisma"
TABLES = """
select relname from pg_class where relnamespace = 'pgjobs'::regnamespace and relkind = 'r'
"""
PREVIEW = """
model Preview {
  jobId BigInt @id @map("job_id")

  @@map("preview")
  @@schema("public")
}
"""
NOTHING = "-- This is an empty migration."


@pytest.fixture(scope="module")
def generated() -> Path:
    """The project with both of its clients generated, which validates the schema files as well."""
    project = node.install()
    (project / "pgjobs.prisma").write_text(views.prisma(), encoding="utf-8")
    for schema in ("schema.prisma", "pgjobs.prisma"):
        node.run(PRISMA, "generate", "--schema", schema)
    return project


@needs_node
def test_what_prisma_does_in_the_ledger(generated: Path, host_dsn: str) -> None:
    node.run(*TSX, "--test", "prisma.test.ts", dsn=host_dsn)
    with psycopg.connect(host_dsn) as conn:
        shown = helpers.rows(conn, "select status from pgjobs.verification_job order by job_id")
    assert [row.status for row in shown] == ["FAILED", "QUEUED"]


def diff(schema: str, dsn: str, *external: str) -> str:
    """Return what Prisma's engine would do to the database."""
    return node.run(*TSX, "migrate_diff.ts", schema, *external, dsn=dsn).strip()


@needs_node
def test_prisma_migrate_leaves_the_ledger_alone(generated: Path, host_dsn: str) -> None:
    with psycopg.connect(host_dsn) as conn:
        tables = [f"pgjobs.{row.relname}" for row in helpers.rows(conn, TABLES)]

    assert diff("schema.prisma", host_dsn) == NOTHING
    assert diff("pgjobs.prisma", host_dsn, *tables) == NOTHING
    # What a schema file that lists pgjobs would do without that.
    assert diff("pgjobs.prisma", host_dsn).count("DROP TABLE") == len(tables)


@needs_node
def test_a_key_to_a_job_belongs_into_a_schema_that_prisma_does_not_list(
    generated: Path, host_dsn: str, tmp_path: Path
) -> None:
    schema = tmp_path / "schema.prisma"
    schema.write_text((HERE / "schema.prisma").read_text(encoding="utf-8") + PREVIEW)
    with psycopg.connect(host_dsn, autocommit=True) as conn:
        conn.execute("create schema elsewhere; create table preview (job_id bigint primary key)")
        conn.execute("create table elsewhere.preview (job_id bigint references pgjobs.job)")
        assert diff(str(schema), host_dsn) == NOTHING
        conn.execute("alter table preview add foreign key (job_id) references pgjobs.job")
        with pytest.raises(AssertionError, match="P4002"):
            diff(str(schema), host_dsn)
