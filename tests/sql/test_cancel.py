"""cancel ends a job wherever it stands; the session's next job takes its place."""

from uuid import uuid4

import pytest

from tests.calls import cancel, release, start
from tests.helpers import Connection, call, claim, complete, enqueue, job, refused, rows
from tests.races.ledger import open_places


@pytest.mark.parametrize("available_at", [None, "tomorrow"])
def test_a_queued_job_is_cancelled_without_a_run(
    conn: Connection, available_at: str | None
) -> None:
    queued = enqueue(conn, available_at=available_at)
    answer = cancel(conn, queued.job_id)

    assert answer[:2] == (queued.job_id, "ERROR")
    shown = job(conn, queued.job_id)
    assert (shown.status, shown.error_reason) == ("ERROR", "CANCELLED")
    assert shown.error_detail == "withdrawn (cancelled by ops)"
    assert "ops" in shown.error_detail
    assert (shown.started_at, shown.worker, shown.run_no) == (None, None, 0)
    assert shown.completed_at == answer.completed_at >= shown.created_at
    assert rows(conn, "select from pgjobs.verification_run") == []
    assert open_places(conn) == 0


def test_a_running_job_is_cancelled_and_its_run_ends(conn: Connection) -> None:
    run = start(conn)
    cancel(conn, run.job_id)
    shown = job(conn, run.job_id)
    assert (shown.status, shown.error_reason, shown.worker) == ("ERROR", "CANCELLED", "worker")
    [run] = rows(conn, "select * from pgjobs.verification_run")
    assert (run.run_no, run.outcome, run.ended_at) == (1, "CANCELLED", shown.completed_at)
    assert run.reason == "withdrawn"


@pytest.mark.parametrize("status", ["PASSED", "FAILED", "ERROR"])
def test_p5_the_worker_of_a_cancelled_job_writes_nothing(conn: Connection, status: str) -> None:
    run = start(conn)
    cancel(conn, run.job_id)
    with refused("23V02", "verdict_job_id_pkey"), conn.transaction():
        complete(conn, run, status)
    assert job(conn, run.job_id).error_reason == "CANCELLED"


def test_a_backed_off_job_is_cancelled_with_the_runs_it_had(conn: Connection) -> None:
    run = start(conn)
    release(conn, run)
    cancel(conn, run.job_id)
    shown = job(conn, run.job_id)
    assert (shown.error_reason, shown.run_no) == ("CANCELLED", 1)
    assert rows(conn, "select run_no, outcome from pgjobs.verification_run") == [(1, "RELEASED")]


def test_a_finished_or_unknown_job_cannot_be_cancelled(conn: Connection) -> None:
    queued = enqueue(conn)
    cancel(conn, queued.job_id)
    with refused("23V02", "verdict_job_id_pkey"), conn.transaction():
        cancel(conn, queued.job_id)
    with refused("P0002", "job_job_id_pkey"), conn.transaction():
        cancel(conn, 0)


@pytest.fixture(params=[False, True], ids=["queued", "running"])
def jobs(request: pytest.FixtureRequest, conn: Connection) -> list[int]:
    """Three jobs of a session, the head running or not."""
    session_id = uuid4()
    jobs = [enqueue(conn, session_id=session_id).job_id for _ in range(3)]
    if request.param:
        claim(conn)
    return jobs


def test_cancelling_the_head_promotes_the_next_job(conn: Connection, jobs: list[int]) -> None:
    cancel(conn, jobs[0])
    assert [run.job_id for run in call(conn, "claim", worker="w", max_jobs=9)] == [jobs[1]]
    assert rows(conn, "select open_jobs from pgjobs.lane") == [(2,)]


def test_cancelling_a_waiting_job_leaves_the_head_alone(conn: Connection, jobs: list[int]) -> None:
    before = job(conn, jobs[0])
    cancel(conn, jobs[1])
    assert job(conn, jobs[0]) == before
    assert job(conn, jobs[1]).error_reason == "CANCELLED"
    call(conn, "claim", worker="w")
    [run] = rows(conn, "select * from pgjobs.lease")
    assert run.job_id == jobs[0]
    complete(conn, run)
    assert claim(conn).job_id == jobs[2]
