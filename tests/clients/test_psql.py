"""psql tells the same story as every other client: examples/lifecycle.sql and what it prints."""

from __future__ import annotations

import re
import subprocess

from forgea_pgjobs import embedded
from tests.clients.scenario import HERE, SCENARIO
from tests.conftest import Postgres

EXAMPLE = HERE.parent.parent / "examples/lifecycle.sql"
SCRIPT = EXAMPLE.read_text(encoding="utf-8")
EXPECTED = EXAMPLE.with_suffix(".sql.out").read_text(encoding="utf-8")


def test_psql_prints_what_is_expected(fresh_dsn: str, pg: Postgres) -> None:
    psql = (pg.binaries or embedded.find_binaries()) / "psql"
    first, again = (
        subprocess.run(
            [psql, "-X", "-q", "-a", fresh_dsn],
            input=SCRIPT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        ).stdout
        for _ in range(2)
    )
    assert ranked(first) == ranked(again) == EXPECTED


def ranked(text: str) -> str:
    """Return what psql printed with job and attempt ids counted from 1: ids can be left out."""
    for ids in (r"^(\d+)(?=[| ])", r"^\d+\|(\d+)(?=\|QUEUED)"):
        drawn = sorted(map(int, set(re.findall(ids, text, re.MULTILINE))))
        ranks = {str(number): str(rank) for rank, number in enumerate(drawn, 1)}
        text = re.sub(
            ids,
            lambda found, ranks=ranks: found[0][: found.start(1) - found.start()] + ranks[found[1]],
            text,
            flags=re.MULTILINE,
        )
    return text


def test_the_script_takes_the_steps_of_the_scenario() -> None:
    taken = re.findall(r"from pgjobs\.(\w+)", SCRIPT)
    steps = [step.get("call") or step["view"] for step in SCENARIO]
    assert taken[: len(steps)] == steps
    codes = [step["refused"] for step in SCENARIO if "refused" in step]
    assert re.findall(r"^ERROR:  (\w+)$", EXPECTED, re.MULTILINE) == codes
