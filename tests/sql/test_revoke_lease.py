"""revoke_lease takes a run from its worker without a verdict, and gives the job back."""

from typing import Any
from uuid import uuid4

import pytest

from tests.calls import add, cancel, finish, lease, release, reverify, revoke, start
from tests.helpers import (
    Connection,
    call,
    claim,
    complete,
    enqueue,
    job,
    let_time_pass,
    refused,
    rows,
)

LEASE_KEY = "lease_session_id_pkey"


def test_a_revoked_run_is_on_record_and_the_job_claimable_at_once(conn: Connection) -> None:
    run = start(conn, max_runs=1)
    answer = revoke(conn, run.job_id)

    shown = job(conn, run.job_id)
    assert answer == (run.job_id, "QUEUED", 1, shown.available_at)
    assert (shown.status, shown.error_reason) == ("QUEUED", None)
    [ended] = rows(conn, "select worker, outcome, reason from pgjobs.verification_run")
    assert ended == ("worker", "REVOKED", "it hangs (revoked by ops)")
    assert rows(conn, "select actor, login = session_user from pgjobs.aborted_run") == [
        ("ops", True)
    ]
    again = claim(conn)
    assert (again.job_id, again.run_no) == (run.job_id, 2)
    assert again.lease_token != run.lease_token


def test_the_timeline_says_who_revoked(conn: Connection) -> None:
    run = start(conn)
    revoke(conn, run.job_id)
    *_, event = call(conn, "timeline", commit_sha=run.commit_sha)
    [login] = rows(conn, "select session_user as name")
    assert (event.event, event.run_no, event.actor) == ("revoked", 1, "ops")
    assert event.detail == {"reason": "it hangs", "login": login.name}


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("complete", {"status": "PASSED"}),
        ("heartbeat", {}),
        ("release", {"reason": "late"}),
        ("add_artifact", {"kind": "LOG", "name": "log", "content": b"log"}),
    ],
)
@pytest.mark.parametrize("runs_again", [False, True])
def test_p4_the_late_worker_writes_nothing(
    conn: Connection, function: str, arguments: dict[str, Any], runs_again: bool
) -> None:
    run = start(conn)
    revoke(conn, run.job_id)
    if runs_again:
        claim(conn)
    with refused("23V05", LEASE_KEY), conn.transaction():
        call(conn, function, **lease(run), **arguments)
    assert job(conn, run.job_id).status == ("RUNNING" if runs_again else "QUEUED")


def test_a_revoked_run_is_none_of_max_runs_however_often(conn: Connection) -> None:
    queued = enqueue(conn, max_runs=2)
    for _ in range(30):
        revoke(conn, claim(conn).job_id)
    assert release(conn, claim(conn)).status == "QUEUED"
    let_time_pass(conn, "1 minute")
    assert release(conn, claim(conn)).status == "ERROR"
    shown = job(conn, queued.job_id)
    assert (shown.error_reason, shown.run_no, shown.max_runs) == ("RUNS_EXHAUSTED", 32, 2)


def test_a_revoked_run_lengthens_no_backoff_and_uses_up_no_interruption(conn: Connection) -> None:
    queued = enqueue(conn, max_runs=1)
    revoke(conn, claim(conn).job_id)
    for _ in range(20):
        assert release(conn, claim(conn), count_run=False).status == "QUEUED"
    assert job(conn, queued.job_id).run_no == 21


def test_a_revoked_job_stays_before_the_later_ones_and_is_claimed_with_others(
    conn: Connection,
) -> None:
    session_id = uuid4()
    run = start(conn, session_id=session_id)
    enqueue(conn, session_id=session_id)
    other = enqueue(conn)
    revoke(conn, run.job_id)
    claimed = [each.job_id for each in call(conn, "claim", worker="w", max_jobs=9)]
    assert claimed == [other.job_id, run.job_id]


def test_a_lease_that_is_over_but_not_taken_can_be_revoked(conn: Connection) -> None:
    run = start(conn)
    let_time_pass(conn, "1 hour")
    assert revoke(conn, run.job_id).status == "QUEUED"
    assert call(conn, "rescue") == []


def test_what_a_revoked_run_left_stays_under_it(conn: Connection) -> None:
    run = start(conn)
    add(conn, run)
    revoke(conn, run.job_id)
    assert rows(conn, "select run_no, name from pgjobs.verification_artifact") == [(1, "log")]


def test_the_run_of_a_review_is_revoked_and_the_verdict_stands(conn: Connection) -> None:
    run = finish(conn, "FAILED", max_runs=1)
    reverify(conn, run.job_id)
    revoke(conn, claim(conn).job_id)
    assert rows(conn, "select status, run_no from pgjobs.verification_review") == [("QUEUED", 2)]
    assert job(conn, run.job_id).status == "FAILED"
    complete(conn, claim(conn), "PASSED")
    assert job(conn, run.job_id).effective_status == "PASSED"


@pytest.mark.parametrize("place", ["head", "waiting", "delayed", "released", "queued review"])
def test_what_does_not_run_cannot_be_revoked(conn: Connection, place: str) -> None:
    session_id = uuid4()
    job_id = enqueue(conn, session_id=session_id).job_id
    if place == "waiting":
        claim(conn)
        job_id = enqueue(conn, session_id=session_id).job_id
    elif place == "delayed":
        job_id = enqueue(conn, available_at="tomorrow").job_id
    elif place == "released":
        release(conn, claim(conn))
    elif place == "queued review":
        complete(conn, claim(conn))
        reverify(conn, job_id)
    with refused("55V01", LEASE_KEY), conn.transaction():
        revoke(conn, job_id)


def test_a_finished_or_unknown_job_cannot_be_revoked(conn: Connection) -> None:
    run = start(conn)
    complete(conn, run)
    with refused("23V02", "verdict_job_id_pkey"), conn.transaction():
        revoke(conn, run.job_id)
    cancelled = enqueue(conn).job_id
    cancel(conn, cancelled)
    with refused("23V02", "verdict_job_id_pkey"), conn.transaction():
        revoke(conn, cancelled)
    with refused("P0002", "job_job_id_pkey"), conn.transaction():
        revoke(conn, 0)
