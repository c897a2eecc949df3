"""Prisma 7 reads the ledger through its views and calls it by $queryRaw."""

import re
from pathlib import Path

import psycopg
import pytest

from tests import helpers
from tests.clients import node
from tests.clients.scenario import HERE

needs_node = pytest.mark.skipif(node.missing() is not None, reason=str(node.missing()))

TSX = ("node", "--import", "tsx")
PRISMA = "node_modules/.bin/prisma"
# As documented in docs/prisma.md.
TYPES = {
    "bigint": ("BigInt", ""),
    "integer": ("Int", ""),
    "jsonb": ("Json", ""),
    "text": ("String", ""),
    "text[]": ("String[]", ""),
    "timestamp with time zone": ("DateTime", "Timestamptz(6)"),
    "uuid": ("String", "Uuid"),
}
FIELD = re.compile(
    r'^  (\w+) +(\w+(?:\[\])?)(\?)?( @unique)?(?: @map\("(\w+)"\))?(?: @db\.(\S+))?$'
)
COLUMNS = """
select attribute.attname, format_type(attribute.atttypid, attribute.atttypmod) as type
from pg_attribute as attribute
where attribute.attrelid = ('pgjobs.' || %(view)s)::regclass and attribute.attnum > 0
order by attribute.attnum
"""

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


def models() -> dict[str, list[re.Match[str]]]:
    """Return the fields of every view in the schema file, by the name of the view."""
    text = re.sub(r" +", " ", (HERE / "pgjobs.prisma").read_text(encoding="utf-8"))
    blocks = re.findall(r"^view \w+ \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL)
    found = {}
    for block in blocks:
        lines = [line for line in block.splitlines() if line and not line.startswith(" @@")]
        fields = [FIELD.fullmatch(f" {line}") for line in lines]
        assert None not in fields, lines
        [name] = re.findall(r'@@map\("(\w+)"\)', block)
        found[name] = [field for field in fields if field]
    return found


def column(field: re.Match[str]) -> str:
    return field[5] or field[1]


def camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda letter: letter[1].upper(), name)


@pytest.fixture(scope="module")
def generated() -> Path:
    """The project with both of its clients generated, which validates the schema files as well."""
    project = node.install()
    for schema in ("schema.prisma", "pgjobs.prisma"):
        node.run(PRISMA, "generate", "--schema", schema)
    return project


def test_every_field_is_a_column_with_its_type(conn: helpers.Connection) -> None:
    assert models().keys() == {
        "verification_job", "verification_verdict", "verification_attempt",
    }  # fmt: skip
    for view, fields in models().items():
        columns = helpers.rows(conn, COLUMNS, view=view)
        assert [(column(field), (field[2], field[6] or "")) for field in fields] == [
            (name, TYPES[kind]) for name, kind in columns
        ]
        assert [field[1] for field in fields] == [camel(name) for name, _ in columns]


def test_a_field_is_optional_where_a_column_is_null_in_some_state(conn: helpers.Connection) -> None:
    running, cancelled, passed, queued = (helpers.enqueue(conn) for _ in range(4))
    helpers.call(conn, "cancel", job_id=cancelled.job_id, reason="r", actor="a")
    helpers.call(conn, "cancel", job_id=queued.job_id, reason="r", actor="a")
    for job in (running, passed):
        run = helpers.claim(conn)
        assert run.job_id == job.job_id
    helpers.complete(conn, run)
    helpers.enqueue(conn)
    for view, fields in models().items():
        lists = {column(field) for field in fields if field[2].endswith("[]")}
        optional = {column(field) for field in fields if field[3]} | lists
        shown = helpers.rows(conn, f"select * from pgjobs.{view}")
        null = {name for row in shown for name, value in row._asdict().items() if value is None}
        assert null == optional, view


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
