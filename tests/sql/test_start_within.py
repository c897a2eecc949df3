"""A job that nobody begins in time ends as EXPIRED; one that was begun never does."""

from typing import Any
from uuid import uuid4

import pytest

from tests.calls import enqueue_many, finish, new, release, reverify, revoke, start
from tests.helpers import (
    Connection,
    call,
    claim,
    complete,
    enqueue,
    job,
    let_time_pass,
    overdue_now,
    refused,
    rows,
    sha,
)
from tests.races.ledger import open_places, violations

HOUR = {"start_within": "1 hour"}
DUE = "select job_id, extract(epoch from start_by - created_at)::int as within from pgjobs.job"


def claimed(conn: Connection) -> list[int]:
    return [run.job_id for run in call(conn, "claim", worker="w", max_jobs=9)]


def ends(conn: Connection) -> list[Any]:
    return rows(conn, "select job_id, error_reason from pgjobs.verdict order by job_id")


def test_a_job_not_begun_in_time_ends_with_error_and_without_a_run(conn: Connection) -> None:
    queued = enqueue(conn, **HOUR)
    assert rows(conn, DUE) == [(queued.job_id, 3600)]
    overdue_now(conn)
    assert claimed(conn) == []

    shown = job(conn, queued.job_id)
    assert (shown.status, shown.error_reason, shown.error_detail) == ("ERROR", "EXPIRED", None)
    assert (shown.run_no, shown.started_at, shown.worker) == (0, None, None)
    assert rows(conn, "select from pgjobs.verification_run") == []
    assert open_places(conn) == 0


def test_before_its_time_it_is_claimed(conn: Connection) -> None:
    queued = enqueue(conn, start_within="1 second")
    assert claimed(conn) == [queued.job_id]


def test_the_timeline_has_the_time_and_the_end(conn: Connection) -> None:
    commit = sha()
    enqueue(conn, commit_sha=commit, **HOUR)
    overdue_now(conn)
    claimed(conn)
    _, enqueued, expired = call(conn, "timeline", commit_sha=commit)
    assert enqueued.detail["start_by"]
    assert (expired.event, expired.run_no, expired.actor) == ("expired", None, None)
    assert expired.detail == {"status": "ERROR"}


@pytest.mark.parametrize("available_at", [None, "tomorrow"])
def test_a_waiting_job_expires_behind_a_head_that_does_not(
    conn: Connection, available_at: str | None
) -> None:
    session_id = uuid4()
    head = enqueue(conn, session_id=session_id, available_at=available_at).job_id
    jobs = [enqueue(conn, session_id=session_id, **more).job_id for more in (HOUR, {}, HOUR)]
    claimed(conn)
    overdue_now(conn)
    assert claimed(conn) == []
    assert ends(conn) == [(jobs[0], "EXPIRED"), (jobs[2], "EXPIRED")]
    assert rows(conn, "select head_job_id, open_jobs from pgjobs.lane") == [(head, 2)]
    assert violations(conn) == []


def test_behind_an_expired_head_the_next_one_in_time_is_claimed_at_once(conn: Connection) -> None:
    session_id = uuid4()
    jobs = [enqueue(conn, session_id=session_id, **HOUR).job_id for _ in range(3)]
    last = enqueue(conn, session_id=session_id).job_id
    overdue_now(conn)
    assert claimed(conn) == [last]
    assert ends(conn) == [(job_id, "EXPIRED") for job_id in jobs]
    assert violations(conn) == []


def test_a_delayed_job_expires_in_its_delay(conn: Connection) -> None:
    queued = enqueue(conn, available_at="tomorrow", **HOUR)
    overdue_now(conn)
    assert claimed(conn) == []
    assert ends(conn) == [(queued.job_id, "EXPIRED")]


def test_no_claim_hands_out_what_is_over_though_nobody_has_swept(conn: Connection) -> None:
    late, good, later, better = (enqueue(conn, **more).job_id for more in (HOUR, {}, HOUR, {}))
    conn.execute("update pgjobs.ready set start_by = now() where start_by is not null")
    mark = "floor(extract(epoch from clock_timestamp()) * 1000)::bigint"
    conn.execute(f"select setval('pgjobs.swept_at', {mark})".encode())
    assert claimed(conn) == [good, better]
    assert [job(conn, each).status for each in (late, later)] == ["QUEUED", "QUEUED"]


@pytest.mark.parametrize("ending", ["release", "interrupt", "revoke", "lose"])
def test_what_was_begun_once_does_not_expire(conn: Connection, ending: str) -> None:
    run = start(conn, **HOUR)
    if ending == "revoke":
        revoke(conn, run.job_id)
    elif ending == "lose":
        let_time_pass(conn, "1 hour")
        call(conn, "rescue")
    else:
        release(conn, run, retry_after="0", count_run=ending == "release")
    assert rows(conn, "select start_by from pgjobs.ready") == [(None,)]
    overdue_now(conn)
    assert claimed(conn) == [run.job_id]
    assert ends(conn) == []


def test_a_running_job_does_not_expire(conn: Connection) -> None:
    run = start(conn, **HOUR)
    overdue_now(conn)
    assert claimed(conn) == []
    assert complete(conn, run).status == "PASSED"


def test_an_expired_job_is_reviewed_like_any_and_its_review_does_not_expire(
    conn: Connection,
) -> None:
    queued = enqueue(conn, **HOUR)
    overdue_now(conn)
    claimed(conn)
    reverify(conn, queued.job_id)
    overdue_now(conn)
    release(conn, claim(conn), retry_after="0")
    assert [each for each in call(conn, "verify") if each.finding.startswith("has expired")] == []
    complete(conn, claim(conn))
    shown = job(conn, queued.job_id)
    assert (shown.status, shown.effective_status) == ("ERROR", "PASSED")


def test_a_waiting_job_keeps_its_time_when_it_becomes_the_head(conn: Connection) -> None:
    session_id = uuid4()
    run = start(conn, session_id=session_id)
    queued = enqueue(conn, session_id=session_id, **HOUR)
    complete(conn, run)
    [kept] = rows(
        conn,
        "select ready.start_by = job.start_by from pgjobs.ready, pgjobs.job"
        " where job.start_by is not null",
    )
    assert kept == (True,)
    overdue_now(conn)
    assert claimed(conn) == []
    assert ends(conn)[-1] == (queued.job_id, "EXPIRED")


def test_the_same_request_with_another_time_is_the_same(conn: Connection) -> None:
    request = {"session_id": uuid4(), "commit_sha": sha(), "delivery_id": "d"}
    first = enqueue(conn, **request, **HOUR)
    again = enqueue(conn, **request, start_within="1 minute", max_open_jobs=1)
    assert again == first._replace(created=False)
    overdue_now(conn)
    claimed(conn)
    assert enqueue(conn, **request).status == "ERROR"


def test_a_batch_has_one_time_for_heads_and_waiting_ones(conn: Connection) -> None:
    session_id = uuid4()
    said = enqueue_many(conn, *((session_id, sha()) for _ in range(2)), *new(1), **HOUR)
    assert {row.within for row in rows(conn, DUE)} == {3600}
    # One by one, since a rival's job stands in between.
    commits = ((session_id, sha()), (session_id, sha()))
    call(conn, "record_attempt", session_id=session_id, commit_sha=commits[0][1])
    said += enqueue_many(conn, *commits, **HOUR)
    overdue_now(conn)
    assert claimed(conn) == []
    assert ends(conn) == [(each.job_id, "EXPIRED") for each in said]


def test_a_sweep_ends_a_thousand_of_each_and_the_next_claim_goes_on(conn: Connection) -> None:
    enqueue_many(conn, *new(1001), **HOUR)
    enqueue_many(conn, *new(2))
    overdue_now(conn)
    for number in (1000, 1001):
        claim(conn)
        assert len(ends(conn)) == number


def test_nobody_else_expires(conn: Connection) -> None:
    run = finish(conn, **HOUR)
    enqueue(conn)
    overdue_now(conn)
    claim(conn)
    assert ends(conn) == [(run.job_id, None)]


@pytest.mark.parametrize("limit", [1, 5, 100])
def test_a_call_may_allow_fewer_open_jobs_than_100(conn: Connection, limit: int) -> None:
    session_id = uuid4()
    for _ in range(limit):
        assert enqueue(conn, session_id=session_id, max_open_jobs=limit).created
    with refused("54V01", "lane_open_jobs_check") as caught, conn.transaction():
        enqueue(conn, session_id=session_id, max_open_jobs=limit)
    assert str(limit) in str(caught.value.diag.message_primary)
    assert str(limit) in str(caught.value.diag.message_hint)
    assert rows(conn, "select open_jobs from pgjobs.lane") == [(limit,)]
    complete(conn, claim(conn))
    assert enqueue(conn, session_id=session_id, max_open_jobs=limit).created


def test_a_limit_counts_whatever_is_open_and_binds_only_its_call(conn: Connection) -> None:
    session_id = uuid4()
    first = {"session_id": session_id, "commit_sha": sha()}
    for commit in (first, {"session_id": session_id}, {"session_id": session_id}):
        enqueue(conn, **commit)
    with refused("54V01"), conn.transaction():
        enqueue(conn, session_id=session_id, max_open_jobs=2)
    assert not enqueue(conn, **first, max_open_jobs=1).created, "known, and not compared"
    assert enqueue(conn, session_id=session_id).created


@pytest.mark.parametrize("known", [0, 1])
def test_a_batch_has_the_same_limit_and_names_the_element(conn: Connection, known: int) -> None:
    session_id = uuid4()
    commits = [(session_id, sha()) for _ in range(4)]
    enqueue_many(conn, *commits[:known])
    with refused("54V01") as caught, conn.transaction():
        enqueue_many(conn, *commits, max_open_jobs=3)
    assert str(caught.value).startswith("element 4: ")
    assert len(rows(conn, "select from pgjobs.job")) == known
    assert len(enqueue_many(conn, *commits, max_open_jobs=4)) == 4
    assert violations(conn) == []
