"""get_job answers the row of verification_job, wherever the job stands."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from tests.calls import cancel, release, start
from tests.helpers import Connection, call, claim, complete, enqueue, let_time_pass, rows, sha

COMMIT = sha()
REQUEST: dict[str, Any] = {"commit_sha": COMMIT, "payload": '{"steps": 1}', "author": "ann"}


def waiting(conn: Connection) -> None:
    session = uuid4()
    enqueue(conn, session_id=session)
    enqueue(conn, session_id=session, **REQUEST)


def claimable(conn: Connection) -> None:
    enqueue(conn, **REQUEST)


def delayed(conn: Connection) -> None:
    enqueue(conn, **REQUEST, available_at="tomorrow")


def running(conn: Connection) -> Any:
    return start(conn, **REQUEST)


def released(conn: Connection) -> None:
    release(conn, running(conn))


def running_again(conn: Connection) -> None:
    released(conn)
    let_time_pass(conn, "1 hour")
    claim(conn)


def passed(conn: Connection) -> None:
    complete(conn, running(conn), summary='{"tests": 3}')


def failed_while_the_session_goes_on(conn: Connection) -> None:
    session = uuid4()
    enqueue(conn, session_id=session, **REQUEST)
    enqueue(conn, session_id=session)
    complete(conn, claim(conn), "FAILED")


def reported_error(conn: Connection) -> None:
    complete(conn, running(conn), "ERROR")


def exhausted(conn: Connection) -> None:
    release(conn, start(conn, **REQUEST, max_runs=1))


def cancelled_while_queued(conn: Connection) -> None:
    cancel(conn, enqueue(conn, **REQUEST).job_id)


def cancelled_while_running(conn: Connection) -> None:
    cancel(conn, running(conn).job_id)


STATES = [
    waiting,
    claimable,
    delayed,
    running,
    released,
    running_again,
    passed,
    failed_while_the_session_goes_on,
    reported_error,
    exhausted,
    cancelled_while_queued,
    cancelled_while_running,
]


@pytest.mark.parametrize("state", STATES)
def test_get_job_is_the_row_of_the_view(
    state: Callable[[Connection], object], conn: Connection
) -> None:
    state(conn)
    enqueue(conn)
    answered = call(conn, "get_job", commit_sha=COMMIT)
    seen = rows(
        conn, "select * from pgjobs.verification_job where commit_sha = %(sha)s", sha=COMMIT
    )
    assert len(seen) == 1
    assert answered == seen


def test_an_unknown_commit_has_no_job(conn: Connection) -> None:
    assert call(conn, "get_job", commit_sha=sha()) == []


def test_a_finished_job_is_the_same_row_in_both_views(conn: Connection) -> None:
    passed(conn)
    [seen] = rows(conn, "select * from pgjobs.verification_job")
    [verdict] = rows(conn, "select * from pgjobs.verification_verdict")
    assert seen == verdict
    assert seen._fields == verdict._fields
