"""psql tells the same story as every other client; lifecycle.out is what it prints."""

from __future__ import annotations

import re
import subprocess

from forgea_pgjobs import embedded
from tests.clients.scenario import HERE, SCENARIO
from tests.conftest import Postgres

SCRIPT = (HERE / "lifecycle.sql").read_text(encoding="utf-8")
EXPECTED = (HERE / "lifecycle.out").read_text(encoding="utf-8")


def test_psql_prints_what_is_expected(fresh_dsn: str, pg: Postgres) -> None:
    psql = (pg.binaries or embedded.find_binaries()) / "psql"
    done = subprocess.run(
        [psql, "-X", "-q", "-a", fresh_dsn],
        input=SCRIPT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    assert done.stdout == EXPECTED


def test_the_script_takes_the_steps_of_the_scenario() -> None:
    taken = re.findall(r"from pgjobs\.(\w+)", SCRIPT)
    steps = [step.get("call") or step["view"] for step in SCENARIO]
    assert taken[: len(steps)] == steps
    codes = [step["refused"] for step in SCENARIO if "refused" in step]
    assert re.findall(r"^ERROR:  (\w+)$", EXPECTED, re.MULTILINE) == codes
