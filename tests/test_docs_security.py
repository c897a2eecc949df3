"""The table of attacks in docs/security.md and the tests that bear its ids are one and the same."""

from __future__ import annotations

import re
from itertools import groupby

import pytest

from tests.test_docs import ROOT

TEXT = (ROOT / "docs/security.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| ([A-Z])(\d\d) \| (.+) \| (.+) \| (.+) \|$", re.MULTILINE)
ROWS = {letter + number: proof for letter, number, _, _, proof in ROW.findall(TEXT)}
LETTERS = "LAWRNOSF"
WITHDRAWN = {"A18", "R03"}
LINK = re.compile(r"\[`(test_\w+)`\]\(\.\./(tests/[\w/]+\.py)\)")
REASON = re.compile(r"seal|documented: \[[^]]+\]\([^)]+\)")
# A test bears ids at the beginning of its name, one of its cases at the beginning of its own.
IN_A_NAME = re.compile(rf"\bdef test_((?:[{LETTERS.lower()}]\d\d_)+)")
IN_A_CASE = re.compile(rf"\"((?:[{LETTERS.lower()}]\d\d_)+)")
BORNE = {
    (str(file.relative_to(ROOT)), each.upper())
    for file in (ROOT / "tests").rglob("test_*.py")
    for pattern in (IN_A_NAME, IN_A_CASE)
    for ids in pattern.findall(file.read_text(encoding="utf-8"))
    for each in ids.strip("_").split("_")
}


@pytest.mark.parametrize("attack", ROWS)
def test_an_attack_has_its_tests_or_its_reason(attack: str) -> None:
    tests = LINK.findall(ROWS[attack])
    for name, file in tests:
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), file
    rest = REASON.sub("", LINK.sub("", ROWS[attack])).replace(",", "").strip()
    assert rest == ""
    assert tests or REASON.search(ROWS[attack])


@pytest.mark.parametrize(("file", "attack"), sorted(BORNE))
def test_a_test_that_bears_an_id_stands_in_the_row_of_it(file: str, attack: str) -> None:
    assert file in {linked for _, linked in LINK.findall(ROWS[attack])}


def test_a_test_named_after_an_attack_is_named_by_its_row() -> None:
    for file in sorted({file for file, _ in BORNE}):
        text = (ROOT / file).read_text(encoding="utf-8")
        for name, ids in re.findall(rf"\bdef (test_((?:[{LETTERS.lower()}]\d\d_)+)\w+)", text):
            for attack in ids.strip("_").upper().split("_"):
                assert (name, file) in LINK.findall(ROWS[attack])


def test_no_id_is_missing_and_none_given_twice() -> None:
    found = [letter + number for letter, number, *_ in ROW.findall(TEXT)]
    assert len(found) == len(set(found))
    every = sorted({*found, *WITHDRAWN}, key=lambda each: (LETTERS.index(each[0]), each))
    assert [each for each in every if each not in WITHDRAWN] == found
    for letter, ids in groupby(every, key=lambda each: each[0]):
        numbers = [int(each[1:]) for each in ids]
        assert numbers == list(range(1, len(numbers) + 1)), letter
    assert {each[0] for each in found} == set(LETTERS)
