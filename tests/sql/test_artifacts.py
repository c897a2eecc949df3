"""Artifacts at their edges: whose lease it is, what counts for a run, what a refusal leaves."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.helpers import (
    Connection,
    call,
    claim,
    complete,
    enqueue,
    let_time_pass,
    refused,
    rows,
    traces,
)
from tests.sql.test_add_artifact import ELSEWHERE, add, read
from tests.sql.test_reviews import reverify

MOST = bytes(1_048_576)


@pytest.fixture
def run(conn: Connection) -> Any:
    enqueue(conn)
    return claim(conn)


def runs_of_artifacts(conn: Connection) -> list[int]:
    found = rows(conn, "select run_no from pgjobs.verification_artifact order by artifact_id")
    return [artifact.run_no for artifact in found]


def test_a_lease_is_of_its_own_job_alone(conn: Connection, run: Any) -> None:
    behind = enqueue(conn, session_id=run.session_id)
    with refused("23V05", "lease_session_id_pkey"):
        add(conn, run._replace(job_id=behind.job_id))


def test_a_job_that_nobody_runs_takes_none(conn: Connection) -> None:
    queued = enqueue(conn)
    lease = {"job_id": queued.job_id, "lease_token": UUID(int=1)}
    with refused("23V05", "lease_session_id_pkey"):
        call(conn, "add_artifact", **lease, kind="LOG", name="log", content=b"log")


def test_a_review_has_artifacts_of_its_own_run(conn: Connection, run: Any) -> None:
    first = add(conn, run)
    complete(conn, run)
    reverify(conn, run.job_id)
    again = claim(conn)
    with refused("23V05", "lease_session_id_pkey"), conn.transaction():
        add(conn, run, name="late")
    second = add(conn, again, content=b"another log")
    assert second.created
    assert runs_of_artifacts(conn) == [1, 2]
    complete(conn, again)
    with refused("23V02", "verdict_job_id_pkey"), conn.transaction():
        add(conn, again, name="late")
    assert read(conn, first.artifact_id) == b"log"
    assert read(conn, second.artifact_id) == b"another log"


def test_what_a_lost_run_has_used_up_is_not_counted_for_the_next(
    conn: Connection, run: Any
) -> None:
    for number in range(16):
        add(conn, run, name=f"{number}", content=MOST)
    for number in range(16, 100):
        add(conn, run, name=f"{number}", **ELSEWHERE)
    let_time_pass(conn, "10 minutes")
    again = claim(conn)
    assert add(conn, again, name="0", content=MOST).created
    assert runs_of_artifacts(conn) == [1] * 100 + [2]


def test_what_lies_elsewhere_is_not_counted_as_content(conn: Connection, run: Any) -> None:
    add(conn, run, **{**ELSEWHERE, "size_bytes": 2**62})
    for number in range(16):
        add(conn, run, name=f"{number}", content=MOST)
    with refused("22023", "add_artifact_content_check"):
        add(conn, run, name="16", content=b"a")


@pytest.mark.parametrize(("number", "artifact"), [(100, ELSEWHERE), (16, {"content": MOST})])
def test_what_a_full_run_refuses_leaves_nothing(
    conn: Connection, run: Any, number: int, artifact: dict[str, Any]
) -> None:
    for each in range(number):
        add(conn, run, name=f"{each}", **artifact)
    before = traces(conn)
    with refused("22023"), conn.transaction():
        add(conn, run, name="more", content=b"not stored yet")
    assert traces(conn) == before


def test_hash_and_size_of_the_content_may_be_given(conn: Connection, run: Any) -> None:
    first = add(conn, run)
    known = {"sha256": first.sha256, "size_bytes": first.size_bytes}
    assert add(conn, run, **known) == first._replace(created=False)
    assert add(conn, run, name="other", **known)[1:] == (first.sha256, 3, True)


@pytest.mark.parametrize(
    "name", ["a/b/c.log", ".hidden", "a/.git", "...", "..a", "a..b", "a..", "n\u00e4me", "x" * 200]
)
def test_a_name_that_leads_nowhere_else_is_taken(conn: Connection, run: Any, name: str) -> None:
    add(conn, run, name=name)
    assert rows(conn, "select name from pgjobs.verification_artifact") == [(name,)]


def test_a_location_has_1024_characters_of_any_script(conn: Connection, run: Any) -> None:
    location = "\U0001f4dc" * 1024
    add(conn, run, **{**ELSEWHERE, "location": location})
    assert rows(conn, "select location from pgjobs.verification_artifact") == [(location,)]
