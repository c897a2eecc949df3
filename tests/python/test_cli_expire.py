"""``expire``: counted first, dropped when told to, by an operator alone."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

import forgea_pgjobs as pgjobs
from forgea_pgjobs.cli import expire as command
from tests.helpers import sha
from tests.python.test_cli import Run, assert_error, run

__all__ = ["run"]  # the fixture
COMMIT = sha(0xC0FFEE)
FOUND = "2 bodies of 3 artifacts, 9 bytes"
NOTHING = "0 bodies of 0 artifacts, 0 bytes"


@pytest.fixture
def stored(fresh_dsn: str) -> str:
    """A database with three artifacts of a finished job, two of them equal."""
    with psycopg.connect(fresh_dsn) as conn:
        pgjobs.enqueue(conn, session_id=uuid4(), commit_sha=COMMIT, lab_version="1")
        [claimed] = pgjobs.claim(conn, worker="w")
        lease: dict[str, Any] = {"job_id": claimed.job_id, "lease_token": claimed.lease_token}
        for name, content in (("one", b"same"), ("two", b"same"), ("three", b"other")):
            pgjobs.add_artifact(conn, **lease, kind="LOG", name=name, content=content)
        pgjobs.complete(conn, **lease, status="PASSED")
    return fresh_dsn


def expire(run: Run, dsn: str, *options: str) -> str:
    done = run("expire", "--dsn", dsn, "--older-than", *options)
    assert (done.code, done.err) == (0, "")
    return done.out


def test_expire_counts_and_drops_nothing_unless_told_to(stored: str, run: Run) -> None:
    for _ in range(2):
        assert expire(run, stored, "0s") == (
            f"would drop {FOUND} (a dry run: --execute drops them)\n"
        )


def test_expire_drops_batch_by_batch_until_nothing_is_left(
    stored: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "BATCH", 1)
    login = make_conninfo(stored, options="-c role=pgjobs_operator")
    assert expire(run, login, "0s", "--execute") == f"dropped {FOUND}\n"
    assert expire(run, login, "0s", "--execute") == f"dropped {NOTHING}\n"
    assert run("show", COMMIT, "--dsn", login).out.count(" until ") == 3


@pytest.mark.parametrize("age", ["1m", "1h", "90d", "2w", "1y"])
def test_expire_keeps_what_is_younger(age: str, stored: str, run: Run) -> None:
    assert expire(run, stored, age, "--execute") == f"dropped {NOTHING}\n"


def test_a_dry_run_says_when_there_may_be_more_than_it_counts(
    stored: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "MOST", 1)
    assert expire(run, stored, "0s").startswith("would drop at least 1 body of ")


def test_expire_keeps_other_kinds_and_what_is_held_and_records_why(stored: str, run: Run) -> None:
    said = ("--execute", "--kinds", "LOG,DIFF", "--reason", "90 days", "--ticket", "T-1")
    assert expire(run, stored, "0s", "--execute", "--kinds", "REPORT") == f"dropped {NOTHING}\n"
    with psycopg.connect(stored) as conn:
        [[session]] = conn.execute("select session_id from pgjobs.lab_attempt").fetchall()
        hold: dict[str, Any] = {"session_id": session, "reason": "r", "actor": "a", "ticket": "t"}
        pgjobs.hold(conn, **hold)
    assert expire(run, stored, "0s", *said) == f"dropped {NOTHING}; on hold: 3\n"
    with psycopg.connect(stored) as conn:
        pgjobs.lift_hold(conn, **hold)
    assert expire(run, stored, "0s", *said) == f"dropped {FOUND}\n"
    with psycopg.connect(stored) as conn:
        recorded = conn.execute("select distinct reason, ticket from pgjobs.expiry").fetchall()
    assert recorded == [("90 days", "T-1")]
    assert_error(run("expire", "--dsn", stored, "--older-than", "0s", "--kinds", "X"), "22023")


def test_expire_refuses_a_reader_and_an_age_that_is_too_long(stored: str, run: Run) -> None:
    reader = make_conninfo(stored, options="-c role=pgjobs_reader")
    assert_error(run("expire", "--dsn", reader, "--older-than", "90d"), "42501")
    assert_error(run("expire", "--dsn", stored, "--older-than", "51y"), "22023")
