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


def test_expire_refuses_a_reader_and_an_age_that_is_too_long(stored: str, run: Run) -> None:
    reader = make_conninfo(stored, options="-c role=pgjobs_reader")
    assert_error(run("expire", "--dsn", reader, "--older-than", "90d"), "42501")
    assert_error(run("expire", "--dsn", stored, "--older-than", "51y"), "22023")
