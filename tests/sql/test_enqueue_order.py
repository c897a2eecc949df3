"""Which refusal comes first when several apply, and back-pressure at exactly 100 open jobs."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.calls import cancel, enqueue_many
from tests.counts import untouched
from tests.helpers import Connection, call, claim, complete, enqueue, job, refused, rows, sha

DELIVERY_KEY = "lab_attempt_session_id_delivery_id_key"
COMMIT_KEY = "job_commit_sha_key"
LANE_CHECK = "lane_open_jobs_check"


@pytest.fixture
def full_session(conn: Connection) -> UUID:
    """A session with 100 open jobs; the first was delivered as "d"."""
    session_id = uuid4()
    commits = [(session_id, sha()) for _ in range(100)]
    enqueue_many(conn, *commits, delivery_ids=["d", *[None] * 99])
    return session_id


def first_of(conn: Connection, session_id: UUID) -> Any:
    query = "select * from pgjobs.verification_job where session_id = %(id)s order by job_id"
    first, *_ = rows(conn, query, id=session_id)
    return first


def test_a_used_delivery_id_is_refused_before_a_taken_commit(conn: Connection) -> None:
    taken = sha()
    enqueue(conn, commit_sha=taken)
    session_id = uuid4()
    enqueue(conn, session_id=session_id, delivery_id="d")
    with refused("23V04", DELIVERY_KEY), conn.transaction():
        enqueue(conn, session_id=session_id, commit_sha=taken, delivery_id="d")


def test_a_recorded_delivery_of_a_taken_commit_is_refused_as_taken(conn: Connection) -> None:
    taken = sha()
    enqueue(conn, commit_sha=taken)
    push = {"session_id": uuid4(), "commit_sha": taken, "delivery_id": "d"}
    call(conn, "record_attempt", **push)
    with refused("23V03", COMMIT_KEY), conn.transaction():
        enqueue(conn, **push)


@pytest.mark.parametrize("lab_version", ["1", "2"])
def test_a_taken_commit_is_refused_before_a_full_session(
    conn: Connection, full_session: UUID, lab_version: str
) -> None:
    taken = sha()
    enqueue(conn, commit_sha=taken)
    with refused("23V03", COMMIT_KEY), conn.transaction():
        enqueue(conn, session_id=full_session, commit_sha=taken, lab_version=lab_version)


def test_a_used_delivery_id_is_refused_before_a_full_session(
    conn: Connection, full_session: UUID
) -> None:
    with refused("23V04", DELIVERY_KEY), conn.transaction():
        enqueue(conn, session_id=full_session, delivery_id="d")


def test_a_full_session_still_answers_for_its_own_commits(
    conn: Connection, full_session: UUID
) -> None:
    first = first_of(conn, full_session)
    with untouched(conn):
        answer = enqueue(conn, session_id=full_session, commit_sha=first.commit_sha)
        assert answer == (first.job_id, first.attempt_id, "QUEUED", False)


def test_l17_the_hundred_and_first_open_job_is_refused_and_nothing_is_written(
    conn: Connection, full_session: UUID
) -> None:
    with untouched(conn), refused("54V01", LANE_CHECK), conn.transaction():
        enqueue(conn, session_id=full_session)
    assert rows(conn, "select open_jobs from pgjobs.lane") == [(100,)]
    assert enqueue(conn).created, "another session is not concerned"

    push = {"session_id": full_session, "commit_sha": sha()}
    assert call(conn, "record_attempt", **push)[0].created


@pytest.mark.parametrize("ending", ["complete", "cancel"])
def test_one_ended_job_makes_room_for_exactly_one(
    conn: Connection, full_session: UUID, ending: str
) -> None:
    if ending == "complete":
        complete(conn, claim(conn))
    else:
        last = first_of(conn, full_session).job_id + 99
        assert job(conn, last).status == "QUEUED"
        cancel(conn, last)
    assert enqueue(conn, session_id=full_session).created
    with refused("54V01", LANE_CHECK), conn.transaction():
        enqueue(conn, session_id=full_session)
