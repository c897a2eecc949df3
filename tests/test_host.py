"""The tables of docs/host.md have every word of the source, and the transitions of the model."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from forgea_pgjobs import otel
from forgea_pgjobs.errors import BY_SQLSTATE, TRANSIENT
from forgea_pgjobs.worker import Run, Worker
from tests.helpers import Connection, enqueue, rows
from tests.races.transitions import PAGE, TABLE, rendered

TEXT = PAGE.read_text(encoding="utf-8")
REFERENCE = PAGE.with_name("reference.md").read_text(encoding="utf-8")
CODE = re.compile(r"\b[0-9A-Z]{5}\b(?=`? *[|,])")
METRIC = re.compile(r"verification\.[a-z_.]+")
# Of the contract, and not in this installation yet.
COMING: set[str] = set()
CHECKED = """
select distinct found[1] as word
from pg_constraint as rule,
    regexp_matches(pg_get_constraintdef(rule.oid), '''([A-Z_]+)''', 'g') as found
where rule.connamespace = 'pgjobs'::regnamespace and rule.conname = any (%(names)s)
"""
WORDS = {
    ("Outcomes", 0): ["verdict_status_check"],
    ("Outcomes", 1): ["verdict_error_reason_check"],
    ("Runs, and what is tried again", 2): ["verdict_status_check", "aborted_run_outcome_check"],
    ("Artifacts", 1): ["artifact_kind_check"],
}
OF_NO_CHECK = {
    ("Outcomes", 1): {"ERROR"},  # which the check also names
    ("Runs, and what is tried again", 2): {"RUNNING", "CANCELLED"},
}


def table(heading: str, text: str = TEXT) -> list[list[str]]:
    """Return the cells of the rows of the first table under a heading."""
    [section] = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    lines = [line[1:-1] for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.split("|")] for line in lines[2:]]


def column(heading: str, number: int) -> set[str]:
    return {row[number].strip("`") for row in table(heading)} - {""}


@pytest.mark.parametrize(("heading", "number"), WORDS)
def test_every_word_stands_in_its_table(heading: str, number: int, conn: Connection) -> None:
    found = {row.word for row in rows(conn, CHECKED, names=WORDS[heading, number])}
    assert found
    found ^= OF_NO_CHECK.get((heading, number), set())
    assert found <= column(heading, number) <= found | COMING


def test_every_role_stands_in_its_table(conn: Connection) -> None:
    names = rows(conn, "select rolname from pg_roles where rolname like 'pgjobs\\_%'")
    found = {name for (name,) in names}
    assert found <= column("Roles", 1) <= found | COMING


def test_every_code_has_its_http_status() -> None:
    shown = {
        code: status for code, status, *_ in table("Codes") for code in CODE.findall(f"{code} |")
    }
    documented = {
        code for row in table("Errors", REFERENCE) for code in CODE.findall(f"{row[0]} |")
    }
    assert BY_SQLSTATE.keys() | TRANSIENT | documented <= shown.keys()
    assert {code for code, status in shown.items() if not re.fullmatch("4..|50[03]", status)} == {
        "0A000", "55000",
    }  # fmt: skip


def test_every_metric_stands_in_its_table(conn: Connection) -> None:
    counters, gauges = (
        {name for row in table("Metrics and log") for name in METRIC.findall(row[number])}
        for number in (0, 1)
    )
    source = Path(otel.__file__).read_text(encoding="utf-8")
    assert counters == set(re.findall(r'"(verification\.[a-z_.]+)"', source))
    assert not counters & gauges
    if rows(conn, "select from pg_proc where proname = 'metrics'"):
        assert gauges >= {row.name for row in rows(conn, "select name from pgjobs.metrics()")}


def passing(run: Run) -> str:
    return "PASSED"


def test_the_fields_of_a_workers_line_are_named(
    fresh_dsn: str, observer: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    enqueue(observer)
    with caplog.at_level(logging.INFO, "forgea_pgjobs.worker"):
        Worker(fresh_dsn, passing).drain()
    [record] = caplog.records
    fields = vars(record).keys() - vars(logging.makeLogRecord({})).keys() - {"message"}
    [sentence] = re.findall(r"log for a run has the fields(.*?);", TEXT, re.DOTALL)
    assert fields == set(re.findall(r"`(\w+)`", sentence))


def test_the_transitions_are_those_of_the_model() -> None:
    assert TABLE.findall(TEXT) == [rendered()]
