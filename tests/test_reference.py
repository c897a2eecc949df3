"""docs/reference.md is complete: every name and signature of the package stands there."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import forgea_pgjobs
from forgea_pgjobs import aio
from forgea_pgjobs.cli import COMMANDS
from forgea_pgjobs.cli.parser import Parser, new_parser
from tests.helpers import Connection, rows

REFERENCE = (Path(__file__).parent.parent / "docs/reference.md").read_text(encoding="utf-8")

SIGNATURES = """
select
    proc.proname,
    pg_get_function_arguments(proc.oid),
    coalesce(
        string_agg(
            attribute.attname || ' ' || format_type(attribute.atttypid, null),
            ', ' order by attribute.attnum
        ),
        lower(pg_get_function_result(proc.oid))
    )
from pg_proc as proc
left join pg_class as answer on answer.reltype = proc.prorettype and answer.relkind = 'c'
left join pg_attribute as attribute on attribute.attrelid = answer.oid and attribute.attnum > 0
where proc.pronamespace = 'pgjobs'::regnamespace and proc.proname not like '\\_%'
group by proc.oid
"""
VIEWS = """
select class.relname, array_agg(attribute.attname::text)
from pg_class as class
join pg_attribute as attribute on attribute.attrelid = class.oid and attribute.attnum > 0
where class.relnamespace = 'pgjobs'::regnamespace and class.relkind = 'v'
    and class.relname not like '\\_%'
group by class.oid
"""
CODES = """
select distinct (regexp_matches(prosrc, 'errcode = ''(\\w{5})''', 'g'))[1]
from pg_proc
where pronamespace = 'pgjobs'::regnamespace
"""


def section(heading: str) -> str:
    """Return the part of the reference under a heading; its names stand in backticks or code."""
    found = re.search(rf"^#+ `{heading}`\n(.*?)(?=^#|\Z)", REFERENCE, re.MULTILINE | re.DOTALL)
    assert found, f"docs/reference.md has no heading `{heading}`"
    return found[1]


def test_every_python_name_is_documented() -> None:
    for name in {*vars(forgea_pgjobs)["__all__"], *vars(aio)["__all__"]}:
        assert re.search(rf"`{name}\b", REFERENCE), name


def test_every_function_is_documented_with_its_signature(conn: Connection) -> None:
    conn.execute("set local intervalstyle = postgres_verbose")
    for name, arguments, answer in rows(conn, SIGNATURES):
        signature = f"{name}({arguments}) -> {answer}"
        for pattern, written in (
            (r"DEFAULT NULL", "= null"),
            (r"DEFAULT '@ (\d+) mins'", r"= '\1 minutes'"),
            (r"DEFAULT", "="),
            (r"::[\w ]+(\[\])?", ""),
            (r"timestamp with time zone", "timestamptz"),
        ):
            signature = re.sub(pattern, written, signature)
        assert signature in " ".join(section(name).split())


def test_every_view_is_documented_with_its_columns(conn: Connection) -> None:
    for name, columns in rows(conn, VIEWS):
        for column in columns:
            assert f"`{column}`" in section(name), (name, column)


def test_every_error_and_role_is_documented(conn: Connection) -> None:
    roles = rows(conn, "select rolname from pg_roles where rolname like 'pgjobs\\_%'")
    for (name,) in [*rows(conn, CODES), *roles]:
        assert f"`{name}`" in REFERENCE, name


def test_every_command_and_option_is_documented() -> None:
    commands: argparse._SubParsersAction[Parser] = new_parser().add_subparsers()
    for command in COMMANDS:
        command.add(commands)
    for name, parser in commands.choices.items():
        for option in parser._option_string_actions:
            assert option in ("-h", "--help") or f"`{option}" in section(f"forgea-pgjobs {name}")
