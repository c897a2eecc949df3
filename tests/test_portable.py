"""What a cell of Citus cannot run is in none of our functions: the catalogue is asked, no Citus.

There a statement that names a table is sent to that table's node, and only such a statement. What
it calls and draws has to mean the same there. docs/install.md says what else a cell takes.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.helpers import Connection, rows

# Functions with a query that reads tables and calls a function that reads tables. A cell needs
# citus.allow_nested_distributed_execution for them, which is sound where it lies on one node.
NESTED = {
    "_is_needed": "retention: whether the job of each artifact of a body is open",
    "_old_bodies": "retention: so many rows that pass the rule, not so many that are asked",
    "_details": "retention: the same",
    "erase_session": "retention: whether each artifact of a body still has a right to it",
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

    def has(self, pattern: str | re.Pattern[str]) -> bool:
        return re.search(pattern, self.text) is not None


class Catalogue:
    """The statements of our functions, and what the names in them are."""

    def __init__(self, conn: Connection) -> None:
        """Read them."""
        self.functions = rows(conn, FUNCTIONS)
        self.tables, self.sequences, volatile = (
            {name for (name,) in rows(conn, query)} for query in (TABLES, SEQUENCES, VOLATILE)
        )
        self.volatile = re.compile(rf"\b({'|'.join(volatile)})\s*\(|\w\)?\s*\[")
        self.statements = list(self._statements())
        self.readers = {each.function for each in self.statements if self.touches_table(each)}
        while more := {s.function for s in self.statements if self.calls_reader(s)} - self.readers:
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

    def calls_reader(self, statement: Statement) -> bool:
        return not self.readers.isdisjoint(CALLED.findall(statement.text))

    def assigns_volatile(self, statement: Statement) -> bool:
        return any(map(self.volatile.search, ASSIGNED.findall(statement.text)))


# What a statement may not do, and some that do it.
RULES: dict[str, tuple[Callable[[Catalogue, Statement], bool], list[str]]] = {
    "assigns_what_is_volatile_or_an_element": (
        lambda catalogue, each: each.has(WRITES) and catalogue.assigns_volatile(each),
        [
            "update pgjobs.lease set lease_token = gen_random_uuid() where job_id = 1",
            "update pgjobs.lease set job_id = v_ids[1]",
            "insert into pgjobs.lane values (1) on conflict do update set job_id = nextval('s')",
        ],
    ),
    "writes_by_a_simple_case": (
        lambda _, each: each.has(WRITES) and each.has(r"\bcase\b(?!\s+when\b)"),
        ["insert into pgjobs.verdict (status) values (case status when 'ERROR' then '' end)"],
    ),
    "draws_while_it_reads": (
        lambda catalogue, each: each.has(r"nextval\(") and catalogue.reads(each, catalogue.tables),
        ["select nextval('pgjobs.job_job_id_seq') from pgjobs.job"],
    ),
    "asks_a_table_and_something_else": (
        lambda catalogue, each: (
            catalogue.touches_table(each)
            and (
                each.has(r"\b(?:from|join)\s+pg_\w+") or catalogue.reads(each, catalogue.sequences)
            )
        ),
        [
            "select from pg_class join pgjobs.fingerprint on true",
            "select last_value >= (select max(job_id) from pgjobs.job) from pgjobs.job_job_id_seq",
        ],
    ),
    "joins_an_array_outwards_to_a_table": (
        lambda _, each: each.has("left join lateral") and each.has(r"unnest\("),
        ["select from unnest(job_ids) left join lateral (select from pgjobs.job) as job on true"],
    ),
    "inserts_by_the_way": (
        lambda _, each: each.has(r"\(\s*insert into\b"),
        ["with t as (insert into pgjobs.waiting values (1)) insert into pgjobs.ready values (1)"],
    ),
    "calls_a_reader_while_it_reads": (
        lambda catalogue, each: catalogue.touches_table(each) and catalogue.calls_reader(each),
        ["select from pgjobs.lease where run_no >= pgjobs._a_reader(job_id)"],
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_no_function_has_a_statement_that(conn: Connection, name: str) -> None:
    catalogue = Catalogue(conn)
    assert len(catalogue.statements) > 200
    found = [each for each in catalogue.statements if RULES[name][0](catalogue, each)]
    if name == "calls_a_reader_while_it_reads":
        assert {each.function for each in found} == set(NESTED)
    else:
        assert list(map(str, found)) == []


@pytest.mark.parametrize("name", RULES)
def test_a_statement_would_be_found_that(conn: Connection, name: str) -> None:
    rule, forbidden = RULES[name]
    define = "create function pgjobs.{}() returns void language plpgsql as $$ begin {}; end $$"
    conn.execute(define.format("_a_reader", "perform from pgjobs.job").encode())
    for number, statement in enumerate(forbidden):
        conn.execute(define.format(f"_bad_{number}", f"perform 1; {statement}").encode())
    catalogue = Catalogue(conn)
    found = {each.function for each in catalogue.statements if rule(catalogue, each)}
    assert {name for name in found if name.startswith("_bad_")} == {
        f"_bad_{number}" for number in range(len(forbidden))
    }


def test_no_function_says_how_to_plan(conn: Connection) -> None:
    settings = {setting for each in rows(conn, FUNCTIONS) for setting in each.settings or ()}
    assert settings
    assert [setting for setting in settings if setting.startswith("plan_cache_mode")] == []
