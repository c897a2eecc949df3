"""What a cell of Citus cannot run is in none of our functions: the catalogue is asked, no Citus.

There a statement that names a table is sent to that table's node, and only such a statement. What
it calls and draws has to mean the same there. docs/install.md says what else a cell takes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.helpers import Connection, rows

# Functions with a query that reads tables and calls a function that reads tables. A cell needs
# citus.allow_nested_distributed_execution for them, which is sound where it lies on one node.
NESTED = {
    "_is_shared": "retention: whether the job of each artifact of a body is open",
    "_old_bodies": "retention: so many rows that pass the rule, not so many that are asked",
    "_old_details": "retention: the same",
}

# But for those of the backfill: a history moves in before its database becomes a cell.
FUNCTIONS = """
select function.proname as name, function.prosrc as body, function.proconfig as settings
from pg_proc as function
where function.pronamespace = 'pgjobs'::regnamespace
    and not exists (
        select from pgjobs.fingerprint as published
        where published.migration_id = '0002.host'
            and published.object = 'function pgjobs.' || function.proname
    )
"""
TABLES = "select tablename from pg_tables where schemaname = 'pgjobs'"
SEQUENCES = "select sequencename from pg_sequences where schemaname = 'pgjobs'"
VOLATILE = "select distinct proname from pg_proc where provolatile = 'v'"

NOISE = re.compile(r"--[^\n]*|'(?:[^']|'')*'")
# What stands between two of these has one statement at most, and where that begins.
ENDS = re.compile(r";|\bloop\b|\b(?:then|else|begin)\n")
STATEMENT = re.compile(r"\b(with|insert into|update pgjobs|delete from|select|perform)\b.*", re.S)
WRITES = re.compile(r"\b(insert into|update|delete from)\s+pgjobs\.")
ASSIGNED = re.compile(r"\bset\b(.*?)(?=\bwhere\b|\breturning\b|$)", re.S)
TOUCHED = re.compile(r"\b(?:from|join|into|update)\s+pgjobs\.(\w+)")
READ = re.compile(r"\b(?:from|join)\s+pgjobs\.(\w+)")
CALLED = re.compile(r"\bpgjobs\.(\w+)\(")


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement of a function, without comments and texts."""

    function: str
    text: str

    def __str__(self) -> str:
        return f"{self.function}: {' '.join(self.text.split())}"


class Catalogue:
    """The statements of our functions, and what the names in them are."""

    def __init__(self, conn: Connection) -> None:
        """Read them."""
        self.functions = rows(conn, FUNCTIONS)
        self.tables, self.sequences, self.volatile = (
            {name for (name,) in rows(conn, query)} for query in (TABLES, SEQUENCES, VOLATILE)
        )
        self.statements = list(self._statements())
        self.readers = {each.function for each in self.statements if self.touches_table(each)}
        while (
            more := {each.function for each in self.statements if self.readers & self.called(each)}
            - self.readers
        ):
            self.readers |= more

    def _statements(self) -> Iterator[Statement]:
        for function in self.functions:
            for part in ENDS.split(NOISE.sub("''", function.body)):
                if found := STATEMENT.search(part):
                    yield Statement(function.name, found[0])

    def touches_table(self, statement: Statement) -> bool:
        return not self.tables.isdisjoint(TOUCHED.findall(statement.text))

    def reads(self, statement: Statement, names: set[str]) -> bool:
        return not names.isdisjoint(READ.findall(statement.text))

    def called(self, statement: Statement) -> set[str]:
        return set(CALLED.findall(statement.text))


def assigns_what_is_volatile_or_an_element(catalogue: Catalogue, statement: Statement) -> bool:
    volatile = re.compile(rf"\b({'|'.join(catalogue.volatile)})\s*\(|\w\)?\s*\[")
    return bool(WRITES.search(statement.text)) and any(
        volatile.search(values) for values in ASSIGNED.findall(statement.text)
    )


def writes_by_a_simple_case(catalogue: Catalogue, statement: Statement) -> bool:
    simple = re.search(r"\bcase\b(?!\s+when\b)", statement.text)
    return bool(WRITES.search(statement.text)) and bool(simple)


def draws_while_it_reads(catalogue: Catalogue, statement: Statement) -> bool:
    return "nextval(" in statement.text and catalogue.reads(statement, catalogue.tables)


def asks_a_table_and_something_else(catalogue: Catalogue, statement: Statement) -> bool:
    return catalogue.touches_table(statement) and (
        bool(re.search(r"\b(?:from|join)\s+pg_\w+", statement.text))
        or catalogue.reads(statement, catalogue.sequences)
    )


def joins_an_array_outwards_to_a_table(catalogue: Catalogue, statement: Statement) -> bool:
    return "left join lateral" in statement.text and "unnest(" in statement.text


def inserts_by_the_way(catalogue: Catalogue, statement: Statement) -> bool:
    return bool(re.search(r"\(\s*insert into\b", statement.text))


def calls_a_reader_while_it_reads(catalogue: Catalogue, statement: Statement) -> bool:
    return catalogue.touches_table(statement) and not catalogue.readers.isdisjoint(
        catalogue.called(statement)
    )


Rule = Callable[[Catalogue, Statement], bool]
# Each with statements that it forbids.
RULES: dict[Rule, list[str]] = {
    assigns_what_is_volatile_or_an_element: [
        "update pgjobs.lease set lease_token = gen_random_uuid() where job_id = 1",
        "update pgjobs.lease set job_id = v_ids[1]",
        "insert into pgjobs.lane values (1) on conflict do update set job_id = nextval('s')",
    ],
    writes_by_a_simple_case: [
        "insert into pgjobs.verdict (error_reason) values (case status when 'ERROR' then '' end)",
    ],
    draws_while_it_reads: ["select nextval('pgjobs.job_job_id_seq') from pgjobs.job"],
    asks_a_table_and_something_else: [
        "select from pg_class join pgjobs.fingerprint on true",
        "select last_value >= (select max(job_id) from pgjobs.job) from pgjobs.job_job_id_seq",
    ],
    joins_an_array_outwards_to_a_table: [
        "select from unnest(job_ids) left join lateral (select from pgjobs.job) as job on true",
    ],
    inserts_by_the_way: [
        "with added as (insert into pgjobs.waiting values (1)) insert into pgjobs.ready values (1)",
    ],
    calls_a_reader_while_it_reads: [
        "select from pgjobs.lease where pgjobs._is_open(job_id)",
    ],
}
EACH = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)


@EACH
def test_no_function_has_a_statement_that(conn: Connection, rule: Rule) -> None:
    catalogue = Catalogue(conn)
    assert len(catalogue.statements) > 200
    found = [each for each in catalogue.statements if rule(catalogue, each)]
    if rule is calls_a_reader_while_it_reads:
        assert {each.function for each in found} == set(NESTED)
    else:
        assert list(map(str, found)) == []


@EACH
def test_a_statement_would_be_found_that(conn: Connection, rule: Rule) -> None:
    for number, statement in enumerate(RULES[rule]):
        conn.execute(
            f"create function pgjobs._bad_{number}() returns void language plpgsql as"
            f" $$ begin perform 1; {statement}; end $$".encode()
        )
    catalogue = Catalogue(conn)
    found = {each.function for each in catalogue.statements if rule(catalogue, each)}
    assert {name for name in found if name.startswith("_bad_")} == {
        f"_bad_{number}" for number in range(len(RULES[rule]))
    }


def test_no_function_says_how_to_plan(conn: Connection) -> None:
    settings = {setting for each in rows(conn, FUNCTIONS) for setting in each.settings or ()}
    assert settings
    assert [setting for setting in settings if setting.startswith("plan_cache_mode")] == []
