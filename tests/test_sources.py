"""The rules of style that sql/ and migrations/ keep, asked of their text."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from forgea_pgjobs.errors import BY_SQLSTATE

ROOT = Path(__file__).parent.parent
SQL = ROOT / "sql"
FILES = sorted([*SQL.rglob("*.sql"), *(ROOT / "migrations").glob("*.sql")])
# What is said to an operator who changes the schema, not to a caller of its functions.
OPERATOR_CODES = {"0A000", "25P01", "42P06", "55000"}
# Raised and caught within one block: undoes the rows that claim the first pages of a table.
CAUGHT_CODES = {"P0001"}

STRING = r"'(?:[^']|'')*'"
FORBIDDEN = {
    "create or replace": r"\bor\s+replace\b",
    "cascade": r"\bcascade\b",
    "dynamic SQL": r"\bexecute\b(?!\s+(on\s+)?function\b)",
    "when others": r"\bwhen\s+others\b",
    "upper case": r"[A-Z]",
}
# Roles, guards, storage and grants are loops over our own names, run once. The table that
# link_lab_sessions refers to is the host's, and gets its name from the operator; which foreign keys
# verify() asks again, the catalogue knows.
ALLOWED = {
    "dynamic SQL": {
        "sql/base/roles.sql": 1,
        "sql/base/guards.sql": 2,
        "sql/ledger/storage.sql": 3,
        "sql/grants.sql": 2,
        "sql/host/link.sql": 2,
        "sql/verify/rows.sql": 1,
        "migrations/0001.ledger.sql": 8,
        "migrations/0002.host.sql": 4,
        "migrations/0003.verify.sql": 3,
    }
}


def code(file: Path) -> str:
    """Return a file's text without its comments."""
    text = re.sub(rf"({STRING})|--[^\n]*", lambda m: m[1] or "", file.read_text(encoding="utf-8"))
    return re.sub(r'"[^"\s]*"', '""', text)


def bare(file: Path) -> str:
    """Return a file's text without its comments and what stands between quotes."""
    return re.sub(STRING, "''", code(file))


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_has(what: str) -> None:
    found = {relative(file): re.findall(FORBIDDEN[what], bare(file)) for file in FILES}
    assert {file: len(finds) for file, finds in found.items() if finds} == ALLOWED.get(what, {})


def test_every_raise_has_an_errcode() -> None:
    raised = [
        statement for file in FILES for statement in re.findall(r"\braise\b[^;]*;", bare(file))
    ]
    errors = [statement for statement in raised if not statement.startswith("raise notice ")]
    assert errors
    assert not [
        statement
        for statement in errors
        if "errcode = ''" not in statement and "errcode = v_error.code" not in statement
    ]


def test_no_line_has_more_than_100_columns() -> None:
    assert not [
        f"{relative(file)}:{number}"
        for file in FILES
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > 100
    ]


def test_every_file_is_ascii() -> None:
    """Whatever encoding a client claims for the bytes of a file, it then sends the same SQL."""
    assert [relative(file) for file in FILES if not file.read_bytes().isascii()] == []


def test_no_string_of_the_package_but_the_words_of_its_screen_leaves_ascii() -> None:
    """The SQL of the package goes through the connections of others, whatever their encoding."""
    files = set((ROOT / "forgea_pgjobs").rglob("*.py")) - {ROOT / "forgea_pgjobs/demo/screen.py"}
    assert [name for file in sorted(files) for name in beyond_ascii(file)] == []


def beyond_ascii(file: Path) -> list[str]:
    """Return the lines with a string that is not ASCII and no docstring."""
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    docs = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    texts = [node for node in nodes if isinstance(node, ast.Constant) and id(node) not in docs]
    return [
        f"{relative(file)}:{node.lineno}"
        for node in texts
        if isinstance(node.value, str) and not node.value.isascii()
    ]


def test_every_code_raised_has_its_exception() -> None:
    codes = {
        sqlstate
        for file in FILES
        for sqlstate in re.findall(r"(?:errcode = |\('\w+', )'([0-9P]\w{4})'", code(file))
    }
    assert codes - OPERATOR_CODES - CAUGHT_CODES == BY_SQLSTATE.keys()


def test_the_invariants_name_every_code() -> None:
    text = (ROOT / "docs/invariants.md").read_text(encoding="utf-8")
    assert not {sqlstate for sqlstate in BY_SQLSTATE if sqlstate not in text}


def includes(file: Path) -> list[Path]:
    """Return the files that a file includes, and that these include."""
    names = re.findall(r"^\\ir (\S+)$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    direct = [file.parent / name for name in names]
    return [each for path in direct for each in (path, *includes(path))]


def test_install_sql_names_every_file_once_but_what_each_part_needs() -> None:
    names = Counter(includes(SQL / "install.sql"))
    again = dict.fromkeys((SQL / f"{name}.sql" for name in ("base/begin", "grants", "base/end")), 3)
    assert names == dict.fromkeys(set(SQL.rglob("*.sql")) - {SQL / "install.sql"}, 1) | again


def test_no_file_of_sql_has_more_than_300_lines() -> None:
    lengths = {relative(file): code(file).count("\n") for file in SQL.rglob("*.sql")}
    assert {name for name, length in lengths.items() if length > 300} == set()
