"""complete_and_claim: the verdict and the next run together or not at all; wake."""

from typing import Any
from uuid import uuid4

import pytest
from psycopg.types.json import Jsonb

from tests.calls import lease
from tests.conftest import Connect
from tests.helpers import Connection, call, claim, enqueue, job, refused, rows


def test_it_writes_the_verdict_and_claims_the_next_job_of_the_same_session(
    conn: Connection,
) -> None:
    session_id = uuid4()
    first, second = (enqueue(conn, session_id=session_id) for _ in range(2))
    run = claim(conn)
    arguments = {"status": "FAILED", "summary": Jsonb({"tests": 3}), "lease_for": "1 hour"}
    [following] = call(conn, "complete_and_claim", **lease(run), **arguments, worker="next")
    done = job(conn, first.job_id)
    assert (done.status, done.summary) == ("FAILED", {"tests": 3})
    assert (following.job_id, following.run_no) == (second.job_id, 1)
    assert job(conn, second.job_id).worker == "next"


def test_with_nothing_left_it_completes_and_answers_no_row(conn: Connection) -> None:
    queued = enqueue(conn)
    run = claim(conn)
    assert call(conn, "complete_and_claim", **lease(run), status="PASSED", worker="w") == []
    assert job(conn, queued.job_id).status == "PASSED"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"lease_token": uuid4()}, "23V05"),
        ({"job_id": 0}, "P0002"),
        ({"lease_for": "2 days"}, "22023"),
    ],
)
def test_when_one_half_is_refused_neither_is_done(
    conn: Connection, change: dict[str, Any], code: str
) -> None:
    held = enqueue(conn)
    run = claim(conn)
    following = enqueue(conn)
    arguments = {**lease(run), "status": "PASSED", "worker": "w", **change}
    with refused(code), conn.transaction():
        call(conn, "complete_and_claim", **arguments)
    assert job(conn, held.job_id).status == "RUNNING"
    assert job(conn, following.job_id).status == "QUEUED"


def test_repeated_after_a_lost_answer_it_claims_more_and_writes_no_second_verdict(
    conn: Connection,
) -> None:
    queued = enqueue(conn)
    run = claim(conn)
    more = [enqueue(conn) for _ in range(2)]
    arguments = {**lease(run), "status": "PASSED", "worker": "w"}
    for following in more:
        [claimed] = call(conn, "complete_and_claim", **arguments)
        assert claimed.job_id == following.job_id
    assert rows(conn, "select job_id from pgjobs.verdict") == [(queued.job_id,)]


@pytest.mark.usefixtures("fresh_dsn")
def test_wake_reaches_who_listens_and_says_nothing_else(connect: Connect) -> None:
    listener, caller = connect(autocommit=True), connect(autocommit=True)
    listener.execute("listen pgjobs")
    call(caller, "wake")
    [notification] = listener.notifies(timeout=30, stop_after=1)
    assert (notification.channel, notification.payload) == ("pgjobs", "")
