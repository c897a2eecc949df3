"""claim: by priority, then age; one running job per session, in the order of enqueuing."""

from itertools import pairwise
from uuid import UUID, uuid4

import pytest
from psycopg.types.json import Jsonb

from tests.calls import release, start, start_many
from tests.helpers import Connection, call, claim, complete, enqueue, job, let_time_pass, rows


def claimed(conn: Connection, max_jobs: int = 1000) -> list[int]:
    return [run.job_id for run in call(conn, "claim", worker="w", max_jobs=max_jobs)]


def test_a_run_carries_what_the_worker_needs(conn: Connection) -> None:
    session_id = uuid4()
    queued = enqueue(conn, session_id=session_id, priority=1, payload=Jsonb({"url": "u"}))
    run = claim(conn, lease_for="90 seconds")

    shown = job(conn, queued.job_id)
    assert (run.job_id, run.attempt_id) == (queued.job_id, queued.attempt_id)
    assert (run.session_id, run.lab_version) == (session_id, "1")
    assert (run.commit_sha, run.created_at) == (shown.commit_sha, shown.created_at)
    assert (run.priority, run.run_no, run.payload) == (1, 1, {"url": "u"})
    assert isinstance(run.lease_token, UUID)
    assert (shown.status, shown.worker, shown.run_no) == ("RUNNING", "worker", 1)
    assert shown.started_at >= shown.created_at
    assert (run.lease_expires_at - shown.started_at).total_seconds() == 90
    assert rows(conn, "select * from pgjobs.verification_run") == [
        (run.job_id, 1, "worker", shown.started_at, None, "RUNNING", None, run.lease_expires_at)
    ]


def test_an_empty_queue_gives_no_rows(conn: Connection) -> None:
    assert claimed(conn) == []


def test_priority_comes_first_then_age(conn: Connection) -> None:
    jobs = [enqueue(conn, priority=priority).job_id for priority in (4, 2, 1, 3, 2, 1)]
    expected = [jobs[index] for index in (2, 5, 1, 4, 3, 0)]
    assert claimed(conn, 4) + claimed(conn) == expected


def test_a_session_runs_one_job_at_a_time_in_order(conn: Connection) -> None:
    session_id = uuid4()
    jobs = [enqueue(conn, session_id=session_id, priority=p).job_id for p in (4, 3, 2, 1)]
    other = enqueue(conn).job_id

    assert claimed(conn) == [other, jobs[0]]
    assert claimed(conn) == []
    assert [job(conn, one).status for one in jobs] == ["RUNNING", "QUEUED", "QUEUED", "QUEUED"]
    for current, following in pairwise(jobs):
        [run] = rows(conn, f"select * from pgjobs.lease where job_id = {current}")
        complete(conn, run, "FAILED")
        assert claimed(conn) == [following]


def test_a_following_job_comes_behind_those_that_were_claimable_before(conn: Connection) -> None:
    session_id = uuid4()
    for _ in range(2):
        enqueue(conn, session_id=session_id)
    run = claim(conn)
    earlier = enqueue(conn)
    complete(conn, run)
    assert claimed(conn)[0] == earlier.job_id


def test_a_delayed_job_is_claimed_when_its_time_has_come(conn: Connection) -> None:
    queued = enqueue(conn, available_at="tomorrow")
    shown = job(conn, queued.job_id)
    assert shown.available_at > shown.created_at
    assert (shown.status, claimed(conn)) == ("QUEUED", [])
    let_time_pass(conn, "1 day")
    assert claimed(conn) == [queued.job_id]


def test_a_delayed_job_is_promoted_while_others_are_claimable(conn: Connection) -> None:
    delayed = enqueue(conn, priority=1, available_at="tomorrow")
    enqueue(conn)
    let_time_pass(conn, "1 day")
    assert claimed(conn, 1) == [delayed.job_id]


def test_a_delayed_head_keeps_its_place_and_the_session_waits(conn: Connection) -> None:
    session_id = uuid4()
    head = enqueue(conn, session_id=session_id, available_at="tomorrow")
    later = enqueue(conn, session_id=session_id, priority=1)
    other = enqueue(conn)

    assert claimed(conn) == [other.job_id]
    let_time_pass(conn, "1 day")
    assert later.job_id not in claimed(conn) + claimed(conn)  # the lost one comes alone
    assert job(conn, head.job_id).status == "RUNNING"
    assert job(conn, later.job_id).status == "QUEUED"


def test_a_delayed_job_that_becomes_the_head_is_still_delayed(conn: Connection) -> None:
    session_id = uuid4()
    enqueue(conn, session_id=session_id)
    delayed = enqueue(conn, session_id=session_id, available_at="tomorrow")
    available_at = job(conn, delayed.job_id).available_at

    complete(conn, claim(conn))
    assert job(conn, delayed.job_id).available_at == available_at
    assert claimed(conn) == []
    let_time_pass(conn, "1 day")
    assert claimed(conn) == [delayed.job_id]


def test_a_backed_off_head_keeps_its_place_and_the_session_waits(conn: Connection) -> None:
    session_id = uuid4()
    head = enqueue(conn, session_id=session_id)
    enqueue(conn, session_id=session_id)
    run = claim(conn)
    release(conn, run)

    assert claimed(conn) == []
    let_time_pass(conn, "30 seconds")
    assert claimed(conn) == [head.job_id]


@pytest.mark.parametrize("size", [1, 3])
def test_at_most_max_jobs_are_claimed(conn: Connection, size: int) -> None:
    for _ in range(4):
        enqueue(conn)
    assert len(claimed(conn, size)) == size


def test_tokens_are_random_and_new_for_every_run(conn: Connection) -> None:
    tokens = {run.lease_token for run in start_many(conn, 50)}
    let_time_pass(conn, "1 hour")
    tokens |= {claim(conn).lease_token for _ in range(50)}
    assert len(tokens) == 100
    assert {token.version for token in tokens} == {4}


def test_w14_no_view_shows_a_token(conn: Connection) -> None:
    run = start(conn)
    for view in ("job", "verdict", "run", "attempt"):
        shown = rows(conn, f"select row_to_json(v)::text from pgjobs.verification_{view} as v")
        assert str(run.lease_token) not in str(shown)
