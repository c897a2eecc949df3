"""enqueue, case by case: which job answers a request, and what is refused."""

from uuid import uuid4

import pytest
from psycopg.types.json import Jsonb

from tests.counts import untouched
from tests.helpers import Connection, call, claim, complete, enqueue, refused, rows, sha

DELIVERY_KEY = "lab_attempt_session_id_delivery_id_key"
COMMIT_KEY = "job_commit_sha_key"


def test_a_new_commit_gets_an_attempt_and_a_queued_job(conn: Connection) -> None:
    answer = enqueue(conn, author="Ada", branch="main", changed_files=["a"], payload=Jsonb([1]))

    assert (answer.status, answer.created) == ("QUEUED", True)
    [job] = rows(conn, "select * from pgjobs.verification_job")
    assert (job.job_id, job.attempt_id) == (answer.job_id, answer.attempt_id)
    assert (job.status, job.priority, job.run_no, job.max_runs) == ("QUEUED", 2, 0, 3)
    assert job.payload == [1]
    assert job.available_at >= job.created_at
    [attempt] = rows(conn, "select * from pgjobs.verification_attempt")
    assert (attempt.author, attempt.branch, attempt.changed_files) == ("Ada", "main", ["a"])


def test_l09_the_same_request_again_writes_nothing_and_burns_no_id(conn: Connection) -> None:
    request = {"session_id": uuid4(), "commit_sha": sha(), "delivery_id": "d", "branch": "main"}
    first = enqueue(conn, **request)
    with untouched(conn):
        for delivery_id in ("d", "other", None):
            answer = enqueue(conn, **{**request, "delivery_id": delivery_id})
            assert answer == (first.job_id, first.attempt_id, "QUEUED", False)


@pytest.mark.parametrize("verdict", ["PASSED", "FAILED", "ERROR"])
def test_a_known_commit_is_answered_with_its_status(conn: Connection, verdict: str) -> None:
    request = {"session_id": uuid4(), "commit_sha": sha()}
    enqueue(conn, **request)
    run = claim(conn)
    assert enqueue(conn, **request).status == "RUNNING"
    complete(conn, run, verdict)
    with untouched(conn):
        assert enqueue(conn, **request) == (run.job_id, run.attempt_id, verdict, False)


def test_a_commit_recorded_before_gets_its_job_on_that_attempt(conn: Connection) -> None:
    push = {"session_id": uuid4(), "commit_sha": sha(), "delivery_id": "d", "author": "Ada"}
    [recorded] = call(conn, "record_attempt", **push)
    assert recorded.created
    assert call(conn, "record_attempt", **push) == [(recorded.attempt_id, False)]

    answer = enqueue(conn, **push)
    assert (answer.attempt_id, answer.created) == (recorded.attempt_id, True)
    assert enqueue(conn, **push).created is False


def test_a_delivery_id_is_stored_only_by_the_call_that_writes_the_attempt(conn: Connection) -> None:
    push = {"session_id": uuid4(), "commit_sha": sha()}
    enqueue(conn, **push, delivery_id="first")
    enqueue(conn, **push, delivery_id="second")
    assert rows(conn, "select delivery_id from pgjobs.lab_attempt") == [("first",)]
    # "second" is free: another commit may come with it.
    assert enqueue(conn, session_id=push["session_id"], delivery_id="second").created


@pytest.mark.parametrize("status", ["QUEUED", "RUNNING", "PASSED"])
def test_l12_a_classmates_commit_is_refused_and_tells_nothing(
    conn: Connection, status: str
) -> None:
    theirs = enqueue(conn)
    if status != "QUEUED":
        run = claim(conn)
        if status == "PASSED":
            complete(conn, run)
    [victim] = rows(conn, "select session_id::text, commit_sha from pgjobs.job")
    with untouched(conn):
        with refused("23V03", COMMIT_KEY) as caught, conn.transaction():
            enqueue(conn, commit_sha=victim.commit_sha)
        assert caught.value.diag.column_name is None
        text = f"{caught.value} {caught.value.diag.message_hint}"
        assert str(theirs.job_id) not in text.split()
        assert victim.session_id not in text
        assert status not in text
    [recorded] = call(conn, "record_attempt", session_id=uuid4(), commit_sha=victim.commit_sha)
    assert recorded.created


def test_l11_another_lab_version_is_refused(conn: Connection) -> None:
    push = {"session_id": uuid4(), "commit_sha": sha()}
    enqueue(conn, **push)
    with untouched(conn), refused("23V03", COMMIT_KEY) as caught, conn.transaction():
        enqueue(conn, **push, lab_version="2")
    assert caught.value.diag.column_name == "lab_version"
    assert "get_job" in (caught.value.diag.message_hint or "")


def test_another_lab_version_of_another_session_is_not_told_apart(conn: Connection) -> None:
    theirs, told = enqueue(conn, commit_sha=sha(1)), set()
    assert theirs.created
    for lab_version in ("1", "2"):
        with refused("23V03", COMMIT_KEY) as caught, conn.transaction():
            enqueue(conn, commit_sha=sha(1), lab_version=lab_version, delivery_id="d")
        diag = caught.value.diag
        told.add((diag.message_primary, diag.message_hint, diag.column_name))
    assert len(told) == 1


def test_l13_a_delivery_id_belongs_to_its_session(conn: Connection) -> None:
    assert enqueue(conn, delivery_id="d", branch="main").created
    assert enqueue(conn, delivery_id="d", branch="other").created


REQUEST = {
    "commit_sha": sha(1),
    "lab_version": "1",
    "branch": "main",
    "author": "Ada",
    "changed_files": ["a", "b"],
    "payload": Jsonb({"url": 1}),
}
OTHER = {
    "commit_sha": sha(2),
    "lab_version": "2",
    "branch": "Main",
    "author": "Eve",
    "changed_files": ["b", "a"],
    "payload": Jsonb({"url": 2}),
}


@pytest.mark.parametrize("field", OTHER)
def test_l10_a_delivery_id_used_for_another_request_is_refused(
    conn: Connection, field: str
) -> None:
    request = {"session_id": uuid4(), "delivery_id": "d", **REQUEST}
    enqueue(conn, **request)
    with untouched(conn), refused("23V04", DELIVERY_KEY) as caught, conn.transaction():
        enqueue(conn, **{**request, field: OTHER[field]})
    assert caught.value.diag.column_name == field
    assert ("get_job" in (caught.value.diag.message_hint or "")) is (field == "lab_version")


@pytest.mark.parametrize("field", ["branch", "author", "changed_files", "payload"])
def test_what_the_first_request_left_out_differs_when_it_is_given_later(
    conn: Connection, field: str
) -> None:
    request = {"session_id": uuid4(), "delivery_id": "d", **REQUEST, field: None}
    enqueue(conn, **request)
    with refused("23V04", DELIVERY_KEY), conn.transaction():
        enqueue(conn, **{**request, field: OTHER[field]})


@pytest.mark.parametrize("field", ["branch", "author", "changed_files", "payload"])
def test_null_is_not_compared(conn: Connection, field: str) -> None:
    request = {"session_id": uuid4(), "delivery_id": "d", **REQUEST}
    first = enqueue(conn, **request)
    again = enqueue(conn, **{**request, field: None})
    assert again == (first.job_id, first.attempt_id, "QUEUED", False)


def test_priority_delay_runs_and_push_time_are_not_compared(conn: Connection) -> None:
    request = {"session_id": uuid4(), "delivery_id": "d", **REQUEST}
    first = enqueue(conn, **request)
    other = {"priority": 4, "max_runs": 9, "available_at": "tomorrow", "pushed_at": "yesterday"}
    assert enqueue(conn, **request, **other).job_id == first.job_id


@pytest.mark.parametrize("branch", ["b" * 255, "\U0001f98a" * 200, "é" * 127 + "b"])
def test_a_branch_of_255_bytes_or_200_characters_is_recorded(conn: Connection, branch: str) -> None:
    enqueue(conn, branch=branch)
    assert rows(conn, "select branch from pgjobs.verification_attempt") == [(branch,)]
