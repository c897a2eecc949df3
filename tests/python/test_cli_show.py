"""``show``: what a person sees of a commit."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

import forgea_pgjobs as pgjobs
from tests.helpers import sha
from tests.python.test_cli import Run, assert_error, run

__all__ = ["run"]  # the fixture
COMMIT = sha(0xC0FFEE)
SESSION = UUID(int=1)
DECISION: Any = {"reason": "flaky\u202eet", "actor": "ada", "approver": "grace", "ticket": "T-1"}
TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
STORY = """\
commit     0000000000000000000000000000000000c0ffee
status     FAILED
effective  PASSED since YYYY-MM-DD HH:MM:SS UTC
job        1, lab version 1.4, priority 2
session    00000000-0000-0000-0000-000000000001
pushed     by Ada on main
runs       2 of at most 3
not done   next (priority 3, review_id 3)

runs
run  outcome   worker  started, UTC         seconds  reason
1    RELEASED  w1      YYYY-MM-DD HH:MM:SS  0.0      no disk
2    FAILED    w2      YYYY-MM-DD HH:MM:SS  0.0      -

artifacts
id  run  kind    name       bytes    kept
1   2    LOG     check.log  12, cut  here
2   2    REPORT  r.html     1,234    s3://lab/r

amendments
no  status  at, UTC              actor  approver  ticket  reason
1   PASSED  YYYY-MM-DD HH:MM:SS  ada    grace     T-1     flaky et

reviews
id  status  requested, UTC       actor  approver  ticket  reason
3   QUEUED  YYYY-MM-DD HH:MM:SS  ada    grace     T-1     flaky et

timeline
at, UTC              event           run  actor  detail
YYYY-MM-DD HH:MM:SS  recorded        -    -      attempt_id 1
YYYY-MM-DD HH:MM:SS  enqueued        -    -      job_id 1, max_runs 3, priority 2, lab_version 1.4
YYYY-MM-DD HH:MM:SS  claimed         1    w1
YYYY-MM-DD HH:MM:SS  released        1    w1     reason no disk
YYYY-MM-DD HH:MM:SS  claimed         2    w2
YYYY-MM-DD HH:MM:SS  artifact_added  2    -      kind LOG, name check.log, truncated true, \
size_bytes 12, artifact_id 1
YYYY-MM-DD HH:MM:SS  artifact_added  2    -      kind REPORT, name r.html, size_bytes 1234, \
artifact_id 2
YYYY-MM-DD HH:MM:SS  completed       2    w2     status FAILED
YYYY-MM-DD HH:MM:SS  amended         -    ada    login postgres, reason flaky et, status PASSED, \
ticket T-1, approver grace
YYYY-MM-DD HH:MM:SS  review_queued   -    ada    login postgres, reason flaky et, ticket T-1, \
approver grace, review_id 3, lab_version 1.4
"""


@pytest.fixture
def story(fresh_dsn: str) -> str:
    """A database where a commit has been through everything."""
    with psycopg.connect(fresh_dsn, autocommit=True) as conn:
        pgjobs.enqueue(
            conn, session_id=SESSION, commit_sha=COMMIT, lab_version="1.4", author="Ada",
            branch="main",
        )  # fmt: skip
        pgjobs.release(conn, **lease(conn, "w1"), reason="no disk", retry_after=timedelta(0))
        held = lease(conn, "w2")
        pgjobs.add_artifact(
            conn, **held, kind="LOG", name="check.log", content=b"twelve bytes", truncated=True
        )
        pgjobs.add_artifact(
            conn, **held, kind="REPORT", name="r.html", location="s3://lab/r", sha256=bytes(32),
            size_bytes=1234,
        )  # fmt: skip
        pgjobs.complete(conn, **held, status="FAILED")
        pgjobs.amend(conn, job_id=held["job_id"], status="PASSED", **DECISION)
        pgjobs.reverify(conn, job_ids=[held["job_id"]], **DECISION)
    return fresh_dsn


def lease(conn: psycopg.Connection, worker: str) -> dict[str, Any]:
    [claimed] = pgjobs.claim(conn, worker=worker)
    return {"job_id": claimed.job_id, "lease_token": claimed.lease_token}


def test_show_tells_a_mere_reader_the_story_of_a_commit(story: str, run: Run) -> None:
    login = make_conninfo(story, options="-c role=pgjobs_reader")
    done = run("show", COMMIT, "--dsn", login)
    assert (done.code, done.err) == (0, "")
    shown = TIME.sub("YYYY-MM-DD HH:MM:SS", done.out)
    assert re.sub(r"(?<=HH:MM:SS  )\d+\.\d", "0.0", shown) == STORY


def test_show_says_why_an_open_job_is_not_done(fresh_dsn: str, run: Run) -> None:
    with psycopg.connect(fresh_dsn, autocommit=True) as conn:
        for number in (1, 2):
            pgjobs.enqueue(conn, session_id=SESSION, commit_sha=sha(number), lab_version="1")
    assert "\nnot done  session_busy (ahead 1, job_id 1, running false)\n" in (
        run("show", sha(2), "--dsn", fresh_dsn).out
    )


def test_show_tells_times_to_the_second(fresh_dsn: str, run: Run) -> None:
    pushed_at = datetime(2026, 1, 1, 12, 0, 0, 123456, UTC)
    with psycopg.connect(fresh_dsn) as conn:
        pgjobs.enqueue(
            conn, session_id=SESSION, commit_sha=COMMIT, lab_version="1", pushed_at=pushed_at,
            available_at=datetime.now(UTC) + timedelta(hours=1),
        )  # fmt: skip
    out = run("show", COMMIT, "--dsn", fresh_dsn).out
    assert "pushed_at 2026-01-01 12:00:00 UTC" in out
    assert re.search(r"^not done  delayed \(.*available_at T UTC\)$", TIME.sub("T", out), re.M)


def test_show_can_tell_a_time_that_python_does_not_know(fresh_dsn: str, run: Run) -> None:
    with psycopg.connect(fresh_dsn) as conn:
        conn.execute(
            "insert into pgjobs.lab_attempt (session_id, commit_sha, recorded_at, pushed_at)"
            " values (%s, %s, now(), '20000-06-15')",
            [SESSION, COMMIT],
        )
        pgjobs.enqueue(conn, session_id=SESSION, commit_sha=COMMIT, lab_version="1")
    assert "pushed_at 20000-06-15T" in run("show", COMMIT, "--dsn", fresh_dsn).out


def test_show_refuses_what_is_no_known_commit(fresh_dsn: str, run: Run) -> None:
    assert_error(run("show", sha(1), "--dsn", fresh_dsn), "P0002")
    assert_error(run("show", "HEAD", "--dsn", fresh_dsn), "22023")
