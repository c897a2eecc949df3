"""docs/reference.md is complete and true: every name and signature of the package stands there.

It is the contract that other people's code is written against.
"""

import argparse
import re
from pathlib import Path

import forgea_pgjobs
from forgea_pgjobs import aio
from forgea_pgjobs.cli import COMMANDS
from forgea_pgjobs.cli.parser import Parser, new_parser
from forgea_pgjobs.schema.views import VIEWS
from tests.helpers import Connection, rows

REFERENCE = (Path(__file__).parent.parent / "docs/reference.md").read_text(encoding="utf-8")

# Functions that answer any number of rows, which their signature does not say.
MANY = {
    *("backfill_reconcile", "claim", "complete_and_claim", "complete_many", "enqueue_many"),
    "heartbeat_many",
    *("erase_session", "expire_details", "expire_locations", "get_job", "rescue", "reverify"),
    *("timeline", "verify", "attempts", "metrics"),
}
SIGNATURES = """
select
    proc.proname,
    proc.proretset as is_many,
    pg_get_function_arguments(proc.oid) as arguments,
    coalesce(
        string_agg(
            attribute.attname || ' ' || format_type(attribute.atttypid, attribute.atttypmod),
            ', ' order by attribute.attnum
        ),
        lower(pg_get_function_result(proc.oid))
    ) as answer
from pg_proc as proc
left join pg_class as answer on answer.reltype = proc.prorettype and answer.relkind = 'c'
left join pg_attribute as attribute on attribute.attrelid = answer.oid and attribute.attnum > 0
where proc.pronamespace = 'pgjobs'::regnamespace and proc.proname not like '\\_%'
group by proc.oid
"""
COLUMNS = """
select class.relname as view, attribute.attname as column,
    format_type(attribute.atttypid, attribute.atttypmod) as type
from pg_class as class
join pg_attribute as attribute on attribute.attrelid = class.oid and attribute.attnum > 0
where class.relnamespace = 'pgjobs'::regnamespace and class.relkind = 'v'
    and class.relname not like '\\_%'
order by class.oid, attribute.attnum
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


def in_our_words(text: str) -> str:
    """Return what PostgreSQL says of parameters and columns as the reference writes it."""
    for pattern, written in (
        (r"DEFAULT NULL", "= null"),
        (r"DEFAULT '@ (\d+) mins'", r"= '\1 minutes'"),
        (r"DEFAULT '@ ", "= '"),
        (r"DEFAULT", "="),
        (r"::[\w ]+(\[\])?", ""),
        (r"timestamp with time zone", "timestamptz"),
    ):
        text = re.sub(pattern, written, text)
    return text


def test_every_function_is_documented_with_its_signature(conn: Connection) -> None:
    conn.execute("set local intervalstyle = postgres_verbose")
    found = rows(conn, SIGNATURES)
    for name, _is_many, arguments, answer in found:
        [documented] = re.findall(r"^```text\n(.*?)^```$", section(name), re.M | re.S)
        assert in_our_words(f"{name}({arguments}) -> {answer}") == " ".join(documented.split())
    assert {each.proname for each in found if each.is_many} == MANY


def test_every_view_is_documented_with_its_columns(conn: Connection) -> None:
    for name, column, _type in rows(conn, COLUMNS):
        assert f"`{column}`" in section(name), (name, column)


def test_a_view_has_the_columns_of_the_contract(conn: Connection) -> None:
    found: dict[str, list[str]] = {}
    for name, column, kind in rows(conn, COLUMNS):
        found.setdefault(name, []).append(in_our_words(f"{column} {kind}"))
    expected = {
        name: [
            f"{column} {kind.replace('job_status', 'text')}" for column, kind, _ in view.parsed()
        ]
        for name, view in VIEWS.items()
    }
    assert found == expected


def test_the_contract_is_the_whole_of_what_is_public(conn: Connection) -> None:
    public = {each.proname for each in rows(conn, SIGNATURES)} | VIEWS.keys()
    functions, views = (
        re.search(rf"^## {title}\n(.*?)(?=^## )", REFERENCE, re.M | re.S)
        for title in ("Functions", "Views")
    )
    assert functions
    assert views
    assert set(re.findall(r"^### `(\w+)`$", functions[1] + views[1], re.M)) == public


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
