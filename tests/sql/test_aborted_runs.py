"""Infrastructure trouble is not a verdict: lost leases and releases, until the runs are used up."""

from uuid import uuid4

import pytest

from tests.calls import finish, release, reverify, start, start_many
from tests.helpers import Connection, call, claim, complete, enqueue, job, let_time_pass, rows


def seconds_ahead(conn: Connection, job_id: int) -> float:
    shown = job(conn, job_id)
    [row] = rows(conn, "select clock_timestamp() as now")
    return float((shown.available_at - row.now).total_seconds())


def batches(conn: Connection, number: int) -> list[list[int]]:
    """Return the jobs of so many claims of ten."""
    claims = [call(conn, "claim", worker="w", max_jobs=10) for _ in range(number)]
    return [[run.job_id for run in claim] for claim in claims]


def test_the_backoff_doubles_from_30_seconds_to_15_minutes(conn: Connection) -> None:
    queued = enqueue(conn, max_runs=25)
    for run_no, backoff in enumerate([30, 60, 120, 240, 480, 900, 900], start=1):
        answer = release(conn, claim(conn))
        shown = job(conn, queued.job_id)
        assert answer == (queued.job_id, "QUEUED", run_no, shown.available_at)
        assert (shown.status, shown.run_no) == ("QUEUED", run_no)
        assert backoff - 5 < seconds_ahead(conn, queued.job_id) <= backoff
        let_time_pass(conn, f"{backoff} seconds")


def test_retry_after_zero_makes_the_job_claimable_at_once(conn: Connection) -> None:
    run = start(conn)
    assert release(conn, run, retry_after="0").status == "QUEUED"
    again = claim(conn)
    assert (again.job_id, again.run_no) == (run.job_id, 2)


def test_retry_after_replaces_the_backoff(conn: Connection) -> None:
    queued = enqueue(conn)
    release(conn, claim(conn), retry_after="2 hours")
    assert 7195 < seconds_ahead(conn, queued.job_id) <= 7200


def test_a_requeued_job_shows_its_latest_run(conn: Connection) -> None:
    queued = enqueue(conn)
    run = claim(conn)
    running = job(conn, queued.job_id)
    release(conn, run)
    shown = job(conn, queued.job_id)
    assert (shown.worker, shown.started_at) == ("worker", running.started_at)
    assert (shown.completed_at, shown.error_reason, shown.error_detail) == (None, None, None)


def test_the_last_release_ends_the_job_with_error(conn: Connection) -> None:
    session_id = uuid4()
    queued = enqueue(conn, session_id=session_id, max_runs=2)
    following = enqueue(conn, session_id=session_id)
    release(conn, claim(conn), reason="first", retry_after="0")
    answer = release(conn, claim(conn), reason="second", retry_after="1 day")

    assert answer == (queued.job_id, "ERROR", 2, None)
    shown = job(conn, queued.job_id)
    assert (shown.status, shown.error_reason) == ("ERROR", "RUNS_EXHAUSTED")
    assert (shown.error_detail, shown.run_no) == ("second", 2)
    assert claim(conn).job_id == following.job_id
    runs = "select run_no, outcome, reason from pgjobs.verification_run where job_id = %(id)s"
    assert sorted(rows(conn, runs, id=queued.job_id)) == [
        (1, "RELEASED", "first"),
        (2, "RELEASED", "second"),
    ]


def test_an_interrupted_run_does_not_count(conn: Connection) -> None:
    queued = enqueue(conn, max_runs=1)
    for run_no in range(1, 21):
        answer = release(conn, claim(conn), reason="stopped", count_run=False)
        assert (answer.status, answer.run_no) == ("QUEUED", run_no)
    # Twenty times is not the job's bad luck any more.
    assert release(conn, claim(conn), reason="stopped", count_run=False).status == "ERROR"
    shown = job(conn, queued.job_id)
    assert (shown.error_reason, shown.run_no, shown.max_runs) == ("RUNS_EXHAUSTED", 21, 1)
    outcomes = "select outcome, count(*) from pgjobs.verification_run group by outcome order by 1"
    assert rows(conn, outcomes) == [("INTERRUPTED", 20), ("RELEASED", 1)]


def test_an_interrupted_run_does_not_lengthen_the_backoff(conn: Connection) -> None:
    queued = enqueue(conn)
    release(conn, claim(conn), count_run=False)
    release(conn, claim(conn), count_run=False, retry_after="1 minute")
    assert 55 < seconds_ahead(conn, queued.job_id) <= 60, "asked for, it is waited for"
    let_time_pass(conn, "1 minute")
    release(conn, claim(conn))
    assert 25 < seconds_ahead(conn, queued.job_id) <= 30


def test_an_interrupted_review_has_all_its_runs(conn: Connection) -> None:
    run = finish(conn, max_runs=1)
    reverify(conn, run.job_id)
    release(conn, claim(conn), count_run=False)
    assert complete(conn, claim(conn), "FAILED").status == "FAILED"
    assert job(conn, run.job_id).effective_status == "FAILED"


def test_a_job_that_lost_its_lease_is_claimed_alone(conn: Connection) -> None:
    """What kills its worker takes a run of no other job with it more than once."""
    lost = [run.job_id for run in start_many(conn, 3)]
    let_time_pass(conn, "1 hour")
    urgent, fresh = enqueue(conn, priority=1).job_id, enqueue(conn).job_id
    call(conn, "rescue")
    last = enqueue(conn).job_id
    assert batches(conn, 5) == [[urgent, fresh, last], *([job_id] for job_id in lost), []]


def test_a_lost_head_is_claimed_before_those_behind_it(conn: Connection) -> None:
    lost = [run.job_id for run in start_many(conn, 2)]
    let_time_pass(conn, "1 hour")
    call(conn, "rescue")
    behind = [enqueue(conn).job_id for _ in range(2)]
    assert batches(conn, 4) == [*([job_id] for job_id in lost), behind, []]


def test_rescue_takes_only_leases_that_are_over(conn: Connection) -> None:
    enqueue(conn)
    enqueue(conn)
    short = claim(conn, lease_for="10 seconds")
    claim(conn, lease_for="1 hour")
    assert call(conn, "rescue") == []
    let_time_pass(conn, "10 seconds")
    assert call(conn, "rescue") == [(short.job_id, "QUEUED")]
    shown = job(conn, short.job_id)
    assert (shown.status, shown.run_no, shown.worker) == ("QUEUED", 1, "worker")
    assert seconds_ahead(conn, short.job_id) <= 0, "the lease was its backoff"


def test_rescue_takes_at_most_max_jobs(conn: Connection) -> None:
    start_many(conn, 3)
    let_time_pass(conn, "1 hour")
    assert [len(call(conn, "rescue", max_jobs=2)) for _ in range(3)] == [2, 1, 0]


def test_w09_claim_rescues_by_itself(conn: Connection) -> None:
    enqueue(conn)
    dead = claim(conn, worker="dead")
    let_time_pass(conn, "1 hour")
    alive = claim(conn, worker="alive")

    assert (alive.job_id, alive.run_no) == (dead.job_id, 2)
    assert alive.lease_token != dead.lease_token
    runs = "select run_no, worker, outcome, reason from pgjobs.verification_run order by run_no"
    assert rows(conn, runs) == [(1, "dead", "LEASE_LOST", None), (2, "alive", "RUNNING", None)]
    ended = "select started_at <= ended_at from pgjobs.verification_run where run_no = 1"
    assert rows(conn, ended) == [(True,)]
    held = "select run_no, lease_expires_at from pgjobs.verification_run order by run_no"
    assert rows(conn, held) == [(1, None), (2, alive.lease_expires_at)]


@pytest.mark.parametrize("rescuer", ["rescue", "claim"])
def test_w09_the_last_lost_lease_ends_the_job_with_error(conn: Connection, rescuer: str) -> None:
    session_id = uuid4()
    queued = enqueue(conn, session_id=session_id, max_runs=2)
    following = enqueue(conn, session_id=session_id)
    for _ in range(2):
        assert claim(conn).job_id == queued.job_id
        let_time_pass(conn, "1 hour")
    if rescuer == "rescue":
        assert call(conn, "rescue") == [(queued.job_id, "ERROR")]
    assert claim(conn).job_id == following.job_id

    shown = job(conn, queued.job_id)
    assert (shown.status, shown.error_reason, shown.run_no) == ("ERROR", "RUNS_EXHAUSTED", 2)
    assert shown.error_detail
    runs = "select run_no, outcome from pgjobs.verification_run where job_id = %(id)s"
    assert sorted(rows(conn, runs, id=queued.job_id)) == [(1, "LEASE_LOST"), (2, "LEASE_LOST")]


def test_f08_a_lease_from_a_clock_that_was_ahead_is_over(conn: Connection) -> None:
    enqueue(conn)
    run = claim(conn, lease_for="5 minutes")
    let_time_pass(conn, "-1 day")
    assert claim(conn).job_id == run.job_id


def test_a_rescued_job_keeps_its_place_in_its_session(conn: Connection) -> None:
    session_id = uuid4()
    first = enqueue(conn, session_id=session_id)
    enqueue(conn, session_id=session_id, priority=1)
    claim(conn)
    let_time_pass(conn, "1 hour")
    assert claim(conn).job_id == first.job_id


def test_runs_of_all_kinds_are_counted_together(conn: Connection) -> None:
    queued = enqueue(conn, max_runs=3)
    release(conn, claim(conn), retry_after="0")
    claim(conn)
    let_time_pass(conn, "1 hour")
    run = claim(conn)
    assert run.run_no == 3
    assert complete(conn, run, "FAILED").status == "FAILED"
    runs = "select outcome from pgjobs.verification_run where job_id = %(id)s order by run_no"
    outcomes = rows(conn, runs, id=queued.job_id)
    assert outcomes == [("RELEASED",), ("LEASE_LOST",), ("FAILED",)]
