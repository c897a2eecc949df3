"""O13: a migration that is killed leaves the old schema or the new, and the next run mends it."""

from __future__ import annotations

import signal
import subprocess
import sys

import psycopg
import pytest
from pytest_postgresql.executors import NoopExecutor

from forgea_pgjobs import schema
from forgea_pgjobs.schema import files, record, runner
from tests.conftest import Postgres
from tests.helpers import rows
from tests.migrations.conftest import Dump
from tests.races.rivals import LONG

ALL = list(schema.migration_files())
OTHERS = """
select from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
"""
# An ordinary run is killed once, the long one as often again before the same step.
TIMES = 2 if LONG else 1


def run(direction: str, dsn: str, end: str = "killed", last: int = -1) -> tuple[int, list[str]]:
    """Run up or down in a process; return its code and, where it came to the end, its steps."""
    program = [sys.executable, "-m", "tests.migrations.killed", direction, dsn, end, str(last)]
    done = subprocess.run(program, cwd=files.PACKAGE.parent, capture_output=True, text=True)
    with psycopg.connect(dsn, autocommit=True) as conn:
        while rows(conn, OTHERS):
            pass  # the server has not noticed yet that the process is gone
    return done.returncode, done.stdout.splitlines()


@pytest.fixture(scope="module")
def states(pg: Postgres, installed: NoopExecutor, dump: Dump) -> list[str]:
    """The schema before the first migration and after each."""
    with pg.database() as dsn:
        runner.migrate(dsn)
        found = [dump(dsn)]
        while runner.rollback(dsn):
            found.append(dump(dsn))
    return found[::-1]


def telling(steps: list[str]) -> set[int]:
    """Return what to end a run before: a migration, which is one statement, its commit, the rest.

    In an ordinary run that is the last migration.
    """
    found = [number for number, step in enumerate(steps) if step.startswith("do $migration$")]
    assert len(found) == len(ALL)
    assert {steps[number + 1] for number in found} == {"COMMIT"}
    return {number + more for number in (found if LONG else found[-1:]) for more in range(3)}


def assert_mended(
    pg: Postgres, dump: Dump, states: list[str], direction: str, end: str, wanted: set[int]
) -> None:
    """End a run before each of the steps, and see what it left and that the next one mends it."""
    for number in sorted(wanted):
        with pg.database() as dsn:
            if direction == "down":
                runner.migrate(dsn)
            for _time in range(TIMES):
                code, _steps = run(direction, dsn, end, number)
                assert code in {-signal.SIGKILL, 0} if end == "killed" else code in {1, 0}
                with psycopg.connect(dsn) as conn:
                    has = list(record.recorded(conn))
                assert has == ALL[: len(has)]
                assert dump(dsn) == states[len(has)], f"{direction}, step {number}"

            if direction == "up":
                runner.migrate(dsn)
            while direction == "down" and runner.rollback(dsn):
                pass
            wanted_names = ALL if direction == "up" else []
            assert dump(dsn) == states[len(wanted_names)]


@pytest.mark.parametrize("direction", ["up", "down"])
def test_o13_a_run_killed_before_any_step_leaves_old_or_new_and_the_next_one_mends_it(
    direction: str, pg: Postgres, empty_dsn: str, dump: Dump, states: list[str]
) -> None:
    if direction == "down":
        runner.migrate(empty_dsn)
    code, steps = run(direction, empty_dsn)
    assert code == 0
    assert_mended(pg, dump, states, direction, "killed", telling(steps))


@pytest.mark.parametrize("direction", ["up", "down"])
def test_o13_a_run_that_loses_its_connection_leaves_old_or_new_and_the_next_one_mends_it(
    direction: str, pg: Postgres, empty_dsn: str, dump: Dump, states: list[str]
) -> None:
    if direction == "down":
        runner.migrate(empty_dsn)
    _code, steps = run(direction, empty_dsn)
    assert_mended(pg, dump, states, direction, "cut off", telling(steps))
