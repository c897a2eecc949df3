"""The documentation is executed and points at what exists; test_reference.py asks what is missing.

An ``sql`` block that a ``text`` block follows is a psql session: its statements are typed into
psql, and what comes out must be the text, line by line. An ``sql`` block that begins with the line
``-- psql URL`` is typed into that psql by the tests that use tests/runbook.py. Any other ``sql``
block runs in a transaction that is rolled back, "database lab" being the test's own. A ``python``
block runs as a program, its database in DATABASE_URL. Sessions and programs can be run again. Each
line of an ``sh`` block is a command that can be pasted, parsed by what it calls. Blocks of other
languages are parts of files in tests/clients, which the tests there run.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from forgea_pgjobs import embedded
from forgea_pgjobs.cli import COMMANDS
from forgea_pgjobs.cli.parser import new_parser
from forgea_pgjobs.schema import views
from tests.clients.scenario import url
from tests.conftest import Postgres
from tests.helpers import Connection

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "bench/README.md"])
MOVING_CLOCK = re.compile(r"clock_timestamp|timeofday", re.IGNORECASE)
QUOTED = {"ini", "js", "prisma", "ts"}
OTHER_PROGRAMS = {"bash", "git", "pg_dump", "pg_restore", "pip", "psql", "python", "python3", "uv"}


@dataclass(frozen=True, slots=True)
class Block:
    page: str
    line: int
    language: str
    text: str
    answer: str | None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def all_blocks() -> Iterator[Block]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for found in re.finditer(r"^```(.*)\n((?:.*\n)*?)```$", text, re.MULTILINE):
            line = text.count("\n", 0, found.start()) + 1
            answer = re.compile(r"\n\n```text\n((?:.*\n)*?)```$", re.MULTILINE).match(
                text, found.end()
            )
            name = str(page.relative_to(ROOT))
            yield Block(name, line, found[1], found[2], answer and answer[1])


BLOCKS = list(all_blocks())
SQL = [block for block in BLOCKS if block.language == "sql"]
SESSIONS = [block for block in SQL if block.answer]
STATEMENTS = [block for block in SQL if not block.answer and not block.text.startswith("-- psql ")]
PROGRAMS = [block for block in BLOCKS if block.language == "python"]
COMMAND_LINES = [
    line
    for block in BLOCKS
    if block.language == "sh"
    for line in block.text.replace("\\\n", "").splitlines()
    if line.strip()
]
LINKS = [
    (page, label, target)
    for page in PAGES
    for label, target in re.findall(r"\[([^]]+)\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    if "://" not in target
]


def parser() -> argparse.ArgumentParser:
    parser = new_parser()
    commands = parser.add_subparsers(required=True)
    for command in COMMANDS:
        command.add(commands)
    return parser


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def errors(text: str) -> list[str]:
    return [line for line in lines(text) if line.startswith("ERROR")]


def test_the_readme_has_a_session_a_program_and_at_most_150_lines() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
    assert {block.page for block in SESSIONS} >= {"README.md"}
    assert {block.page for block in PROGRAMS} >= {"README.md"}


def test_every_block_is_of_a_kind_that_is_checked() -> None:
    assert {block.language for block in BLOCKS} <= {"sql", "python", "sh", "text"} | QUOTED


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language in QUOTED], ids=str)
def test_a_quotation_is_part_of_a_file_that_is_run(block: Block) -> None:
    suffix = f".{block.language}".replace(".js", ".mjs")
    files = (ROOT / "tests/clients").glob(f"*{suffix}")
    texts = [views.prisma(), *(file.read_text(encoding="utf-8") for file in files)]
    assert any(block.text in text for text in texts)


def test_no_query_asks_a_clock_that_moves_while_it_is_read() -> None:
    # In a filter it keeps the planner from every index: now() does not.
    package = (ROOT / "forgea_pgjobs").rglob("*.py")
    texts = {str(block): block.text for block in BLOCKS} | {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in package
    }
    assert not [name for name, text in texts.items() if MOVING_CLOCK.search(text)]


@pytest.mark.parametrize("block", SESSIONS, ids=str)
def test_a_session_is_what_psql_shows(block: Block, fresh_dsn: str, pg: Postgres) -> None:
    psql = (pg.binaries or embedded.find_binaries()) / "psql"
    first, again = (
        subprocess.run(
            [psql, "-X", "-q", "-v", "SHOW_CONTEXT=never", fresh_dsn],
            input=block.text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        for _ in range(2)
    )
    assert lines(first.stdout) == lines(block.answer or "")
    assert errors(again.stdout) == errors(first.stdout)


@pytest.mark.parametrize("block", STATEMENTS, ids=str)
def test_statements_run(block: Block, conn: Connection) -> None:
    conn.execute(block.text.replace("database lab", f"database {conn.info.dbname}").encode())


@pytest.mark.parametrize("block", PROGRAMS, ids=str)
def test_a_program_runs(block: Block, fresh_dsn: str) -> None:
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", block.text],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": url(fresh_dsn)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_a_command_line_is_understood(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    # A shell that is typed into need not know comments.
    assert "#" not in line
    for command in re.split(r"\||&&", line):
        words = shlex.split(command)
        while "=" in words[0]:
            monkeypatch.setenv(*words.pop(0).split("=", 1))
        program = Path(words[0]).name
        if program == "forgea-pgjobs":
            parser().parse_args(words[1:])
        elif program == "make":
            makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
            assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE)
        else:
            assert program in OTHER_PROGRAMS


@pytest.mark.parametrize(
    ("page", "label", "target"), LINKS, ids=[f"{page.name}-{to}" for page, _, to in LINKS]
)
def test_a_link_leads_to_what_it_names(page: Path, label: str, target: str) -> None:
    path, _, anchor = target.partition("#")
    text = (page.parent / path if path else page).read_text(encoding="utf-8")
    if label.startswith("`test_"):
        assert re.search(rf"def {label.strip('`')}\(", text)
    if anchor:
        headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        slugs = [re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-") for name in headings]
        assert anchor in slugs
