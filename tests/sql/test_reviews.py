"""Reviews: a finished job goes through the lane once more, and its answer is an amendment."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.types.json import Jsonb

from tests.calls import (
    DECISION,
    cancel,
    complete_many,
    enqueue_many,
    finish,
    lease,
    new,
    release,
    reverify,
)
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
    sha,
)
from tests.races.ledger import violations


def review(conn: Connection) -> Any:
    [row] = rows(conn, "select * from pgjobs.verification_review")
    return row


@pytest.fixture
def conn(conn: Connection) -> Any:
    """The test's connection; at its end nothing that must hold is broken."""
    yield conn
    assert violations(conn) == []


def test_each_job_is_answered_in_input_order(conn: Connection) -> None:
    done, open_job = finish(conn, "FAILED"), enqueue(conn)
    found = reverify(conn, 0, done.job_id, open_job.job_id, done.job_id)
    assert found == [
        (1, 0, None, "not_found"),
        (2, done.job_id, review(conn).review_id, "queued"),
        (3, open_job.job_id, None, "not_final"),
        (4, done.job_id, None, "already_queued"),
    ]
    assert reverify(conn, done.job_id) == [(1, done.job_id, None, "already_queued")]
    assert reverify(conn) == []


def test_a_review_is_claimed_and_its_answer_amends(conn: Connection) -> None:
    done = finish(conn, "FAILED")
    assert (done.review_id, done.run_no) == (None, 1)
    before = rows(conn, "select xmin::text, * from pgjobs.verdict")
    [queued] = reverify(conn, done.job_id, lab_version="2", priority=1)
    run = claim(conn)
    assert (run.review_id, run.job_id, run.run_no) == (queued.review_id, done.job_id, 2)
    assert (run.lab_version, run.priority) == ("2", 1)
    assert (run.session_id, run.commit_sha) == (done.session_id, done.commit_sha)
    answer = complete(conn, run, "PASSED", summary=Jsonb({"tests": 3}))
    assert answer[:2] == (done.job_id, "PASSED")
    assert rows(conn, "select xmin::text, * from pgjobs.verdict") == before
    [amended] = rows(conn, "select * from pgjobs.verification_amendment")
    assert amended._replace(amendment_id=0, amended_at=None) == (
        *(0, done.job_id, 1, "PASSED", "2", *DECISION.values()),
        *("postgres", queued.review_id, None),
    )
    shown = job(conn, done.job_id)
    assert (shown.status, shown.effective_status, shown.run_no) == ("FAILED", "PASSED", 1)
    assert (review(conn).status, review(conn).summary) == ("PASSED", {"tests": 3})
    assert call(conn, "claim", worker="w") == []


def test_without_a_lab_version_it_is_the_jobs(conn: Connection) -> None:
    done = finish(conn, "FAILED")
    reverify(conn, done.job_id)
    run = claim(conn)
    assert (run.lab_version, run.priority) == ("1", 3)


def test_a_session_runs_jobs_and_reviews_one_at_a_time_in_the_order_they_came(
    conn: Connection,
) -> None:
    session = uuid4()
    first = finish(conn, session_id=session)
    second = enqueue(conn, session_id=session)
    reverify(conn, first.job_id)
    third = enqueue(conn, session_id=session)
    order = []
    for _ in range(3):
        [run] = call(conn, "claim", worker="w", max_jobs=10)
        assert violations(conn) == []
        order.append((run.job_id, run.review_id is not None))
        complete(conn, run)
    assert order == [(second.job_id, False), (first.job_id, True), (third.job_id, False)]


def test_while_it_is_reviewed_a_job_is_shown_once_with_its_verdict(conn: Connection) -> None:
    done, waiting = finish(conn, "FAILED"), finish(conn, "FAILED")
    enqueue(conn, session_id=waiting.session_id)
    reverify(conn, done.job_id, waiting.job_id)
    for _ in range(2):
        shown = rows(conn, "select job_id, status from pgjobs.verification_job order by job_id")
        assert [each.status for each in shown][:2] == ["FAILED", "FAILED"]
        assert len(shown) == 3
        [got] = call(conn, "get_job", commit_sha=done.commit_sha)
        assert got == job(conn, done.job_id)
        call(conn, "claim", worker="w", max_jobs=2)


def test_the_reason_of_an_error_is_its_detail_and_part_of_the_call(conn: Connection) -> None:
    run = finish(conn, "FAILED")
    reverify(conn, run.job_id)
    again = claim(conn)
    said = {**lease(again), "status": "ERROR", "reason": "no image"}
    assert [call(conn, "complete", **said)[0].replayed for _ in range(2)] == [False, True]
    with refused("23V02"), conn.transaction():
        call(conn, "complete", **{**said, "reason": "another"})
    assert rows(conn, "select detail from pgjobs.verification_review") == [("no image",)]


def test_the_same_answer_again_is_replayed_and_another_refused(conn: Connection) -> None:
    done = finish(conn, "FAILED")
    reverify(conn, done.job_id)
    run = claim(conn)
    with refused("23V05"), conn.transaction():
        complete(conn, run._replace(lease_token=UUID(int=1)))
    assert complete(conn, done, "FAILED").replayed
    answer = complete(conn, run, "PASSED")
    assert complete(conn, run, "PASSED") == answer._replace(replayed=True)
    with refused("23V02"), conn.transaction():
        complete(conn, run, "FAILED")
    assert complete(conn, done, "FAILED").replayed
    assert len(rows(conn, "select from pgjobs.amendment")) == 1


def test_a_batch_of_verdicts_and_answers(conn: Connection) -> None:
    done = [finish(conn, "FAILED") for _ in range(2)]
    reverify(conn, *(each.job_id for each in done))
    enqueue(conn)
    runs = call(conn, "claim", worker="w", max_jobs=3)
    batch = {
        "job_ids": [run.job_id for run in runs],
        "lease_tokens": [runs[0].lease_token, runs[1].lease_token, UUID(int=1)],
        "statuses": ["PASSED"] * 3,
    }
    outcomes = [each.outcome for each in call(conn, "complete_many", **batch)]
    assert outcomes == ["completed", "completed", "lease_lost"]
    batch["lease_tokens"][2] = runs[2].lease_token
    outcomes = [each.outcome for each in call(conn, "complete_many", **batch)]
    assert outcomes == ["replayed", "replayed", "completed"]
    counts = rows(conn, "select effective_status, count(*) from pgjobs.verification_job group by 1")
    assert counts == [("PASSED", 3)]


def test_a_review_has_max_runs_more_and_then_ends_without_an_answer(conn: Connection) -> None:
    done = finish(conn, "FAILED", max_runs=2)
    reverify(conn, done.job_id)
    answer = release(conn, claim(conn))
    assert (answer.status, answer.run_no) == ("QUEUED", 2)
    [[seconds]] = rows(
        conn, "select extract(epoch from available_at - clock_timestamp()) from pgjobs.ready"
    )
    assert 25 < seconds <= 30
    let_time_pass(conn, "1 minute")
    run = claim(conn)
    call(conn, "heartbeat", **lease(run))
    let_time_pass(conn, "10 minutes")
    assert call(conn, "rescue") == [(done.job_id, "FAILED")]
    shown = review(conn)
    assert (shown.status, shown.run_no, shown.worker) == ("RUNS_EXHAUSTED", 3, "worker")
    assert job(conn, done.job_id).effective_status == "FAILED"
    outcomes = rows(conn, "select outcome from pgjobs.verification_run order by run_no")
    assert outcomes == [("FAILED",), ("RELEASED",), ("LEASE_LOST",)]
    assert reverify(conn, done.job_id)[0].outcome == "queued"
    assert claim(conn).run_no == 4


@pytest.mark.parametrize("place", ["head", "waiting", "running"])
def test_a_review_is_cancelled_and_the_status_stays(conn: Connection, place: str) -> None:
    done = finish(conn, "FAILED")
    if place == "waiting":
        enqueue(conn, session_id=done.session_id)
    reverify(conn, done.job_id)
    run = claim(conn) if place == "running" else None
    answer = cancel(conn, done.job_id)
    assert (answer.job_id, answer.status) == (done.job_id, "FAILED")
    shown = review(conn)
    assert (shown.status, shown.detail) == ("CANCELLED", "withdrawn (cancelled by ops)")
    assert job(conn, done.job_id).effective_status == "FAILED"
    assert violations(conn) == []
    if run is not None:
        with refused("23V02"), conn.transaction():
            complete(conn, run)
    with refused("23V02"), conn.transaction():
        cancel(conn, done.job_id)
    assert reverify(conn, done.job_id)[0].outcome == "queued"


def test_a_full_session_refuses_the_whole_call(conn: Connection) -> None:
    done = finish(conn, "FAILED")
    enqueue_many(conn, *((done.session_id, sha()) for _ in range(100)))
    other = finish(conn, "FAILED")
    with refused("54V01", "lane_open_jobs_check") as caught, conn.transaction():
        reverify(conn, other.job_id, done.job_id)
    assert "element 2:" in str(caught.value)
    assert rows(conn, "select from pgjobs.review") == []


def test_ten_thousand_jobs_in_one_call(conn: Connection) -> None:
    size = 10_000
    enqueue_many(conn, *new(size))
    while runs := call(conn, "claim", worker="w", max_jobs=1000):
        complete_many(conn, runs, "ERROR")
    job_ids = [job_id for (job_id,) in rows(conn, "select job_id from pgjobs.job")]
    found = reverify(conn, *job_ids)
    assert [each.ordinal for each in found] == list(range(1, size + 1))
    assert {each.outcome for each in found} == {"queued"}
    assert len(call(conn, "claim", worker="w", max_jobs=1000)) == 1000
