"""The run book of docs/backup.md, and what a restored ledger is compared by."""

import re
from pathlib import Path
from typing import Any

import pytest

from forgea_pgjobs import embedded
from tests.calls import add, amend
from tests.conftest import Postgres
from tests.helpers import Connection, call, complete, enqueue, rows
from tests.migrations.conftest import dump, run_program
from tests.runbook import Desk, section, steps

__all__ = ["dump", "run_program"]

LINE = re.compile(r"^\| ([^|]+) \| `([^|]+)` \| `([^|]+)` \|", re.MULTILINE)
# What the page says of each mode: its command of the dump and that of the restore.
MODES = {mode: (out, back) for mode, out, back in LINE.findall(section("Backup and restore"))}
assert MODES.keys() >= {"plain", "custom", "data-only", "data-only, triggers disabled"}
# The roles of a cluster, for a test with a cluster of its own.
ROLES = MODES.pop("roles, first")
# Without owners and rights: what a login that is to own everything gets.
BARE = MODES.pop("for another owner")
[FINDINGS, REPAIR] = [
    step for step in steps("Backup and restore") if "verify()" in step or "pg_trigger" in step
]


@pytest.fixture
def programs(pg: Postgres) -> Path:
    """The folder of pg_dump, pg_restore and psql."""
    return pg.binaries or embedded.find_binaries()


def findings(conn: Connection) -> list[Any]:
    """Return what is wrong with an installation, as the page asks for it."""
    return sorted(rows(conn, FINDINGS))


def restore(mode: str, desk: Desk) -> None:
    """Dump lab and restore it into new, as the page says."""
    for command in MODES[mode]:
        desk.do(command)


def assert_work_goes_on(conn: Connection, running: Any) -> None:
    """Finish the run that was claimed before, enqueue, and claim everything that is claimable.

    An id that was given before would be refused by its key.
    """
    claimable = {row.job_id for row in rows(conn, "select * from pgjobs.ready where ready_no > 0")}
    assert len(claimable) == 3
    add(conn, running, name="end", content=b"the end")
    assert complete(conn, running).status == "PASSED"
    made = enqueue(conn, author="b", payload='{"steps": 1}')
    assert made.created
    claimed = call(conn, "claim", worker="new", max_jobs=100)
    assert {run.job_id for run in claimed} == claimable | {made.job_id}
    amend(conn, running.job_id, "FAILED")
