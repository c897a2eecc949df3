"""The worker: every claimed job ends in one verdict or is given back, whatever happens to it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import psycopg
import pytest
from psycopg.types.json import Jsonb
from psycopg.types.string import TextLoader

import forgea_pgjobs as pgjobs
from forgea_pgjobs import Claimed, JobStatus
from forgea_pgjobs.worker import Verdict, Worker, WorkerCounts, thread
from tests.conftest import Connect
from tests.helpers import Connection, call, enqueue, job, rows
from tests.python.workers import SECOND, passing, until

pytestmark = pytest.mark.usefixtures("fresh_dsn")


@pytest.fixture
def observer(connect: Connect) -> Connection:
    return connect(autocommit=True)


def test_each_handler_answer_becomes_a_verdict(fresh_dsn: str, observer: Connection) -> None:
    answers = ["PASSED", JobStatus.FAILED, Verdict("ERROR"), Verdict("FAILED", {"tests": 3})]
    queued = [enqueue(observer) for _ in answers]
    said = dict(zip((one.job_id for one in queued), answers, strict=True))
    worker = Worker(fresh_dsn, lambda claimed: said[claimed.job_id], name="ada", batch=3)
    assert worker.drain() == WorkerCounts(written=4)
    shown = [job(observer, one.job_id) for one in queued]
    assert [(one.status, one.summary, one.worker) for one in shown] == [
        ("PASSED", None, "ada"),
        ("FAILED", None, "ada"),
        ("ERROR", None, "ada"),
        ("FAILED", {"tests": 3}, "ada"),
    ]


@pytest.mark.parametrize("batch", [1, 2])
def test_a_handler_gets_its_jobs_whatever_their_connection_makes_of_text(
    fresh_dsn: str, observer: Connection, batch: int
) -> None:
    for _ in range(2 * batch):
        enqueue(observer, payload=Jsonb({"steps": ["test"]}))
    seen: list[Claimed] = []

    def connect() -> psycopg.Connection:
        conn = psycopg.connect(fresh_dsn, options="-c datestyle=german")
        conn.adapters.register_loader("jsonb", TextLoader)  # as Django does
        return conn

    def handler(claimed: Claimed) -> str:
        seen.append(claimed)
        return "PASSED"

    assert Worker(connect, handler, batch=batch).drain() == WorkerCounts(written=2 * batch)
    assert [run.payload for run in seen] == [{"steps": ["test"]}] * 2 * batch
    assert all(run.lease_expires_at > run.created_at for run in seen)


def test_an_exception_gives_the_job_back_and_is_no_verdict(
    fresh_dsn: str, observer: Connection
) -> None:
    broken, sound = enqueue(observer), enqueue(observer)

    def handler(claimed: Claimed) -> str:
        if claimed.job_id == broken.job_id:
            raise OSError("no space\nleft " + "x" * 300)
        return "PASSED"

    assert Worker(fresh_dsn, handler, batch=2).drain() == WorkerCounts(written=1, released=1)
    assert (job(observer, broken.job_id).status, job(observer, sound.job_id).status) == (
        "QUEUED",
        "PASSED",
    )
    [run] = rows(observer, "select * from pgjobs.aborted_run")
    assert (run.outcome, run.reason[:22], len(run.reason)) == (
        "RELEASED",
        "OSError: no space left",
        200,
    )


def test_threads_run_jobs_side_by_side(fresh_dsn: str, observer: Connection) -> None:
    for _ in range(6):
        enqueue(observer)
    both = Barrier(2)

    def handler(_job: Claimed) -> str:
        both.wait(timeout=60)
        return "PASSED"

    assert Worker(fresh_dsn, handler, concurrency=2).drain() == WorkerCounts(written=6)


def test_a_lost_connection_loses_no_verdict_and_writes_none_twice(
    fresh_dsn: str, observer: Connection
) -> None:
    queued = [enqueue(observer).job_id for _ in range(7)]
    seen: list[int] = []

    def handler(claimed: Claimed) -> str:
        seen.append(claimed.job_id)
        query = (
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        observer.execute(query.encode())
        return "PASSED"

    assert Worker(fresh_dsn, handler, batch=3).drain() == WorkerCounts(written=7)
    assert sorted(seen) == queued
    assert [row.job_id for row in rows(observer, "select * from pgjobs.verdict order by 1")] == (
        queued
    )


def test_heartbeats_keep_the_lease_of_a_long_job(fresh_dsn: str, observer: Connection) -> None:
    queued = enqueue(observer)
    query = "select lease_expires_at as at from pgjobs.lease where job_id = %(id)s"

    def handler(claimed: Claimed) -> str:
        at = claimed.lease_expires_at
        until(lambda: rows(observer, query, id=claimed.job_id)[0].at > at + SECOND)
        assert call(observer, "rescue") == []
        return "PASSED"

    assert Worker(fresh_dsn, handler, lease_for=SECOND).drain() == WorkerCounts(written=1)
    assert job(observer, queued.job_id).run_no == 1


def test_the_handler_of_a_job_that_was_taken_away_can_know_and_its_result_is_dropped(
    fresh_dsn: str, observer: Connection
) -> None:
    queued = enqueue(observer)

    def handler(claimed: Claimed) -> str:
        call(observer, "cancel", job_id=claimed.job_id, reason="why", actor="who")
        until(lambda: worker.is_lost(claimed))
        return "PASSED"

    worker = Worker(fresh_dsn, handler, lease_for=SECOND)
    assert worker.drain() == WorkerCounts(lost=1)
    assert job(observer, queued.job_id).error_reason == "CANCELLED"


def test_a_result_that_comes_too_late_is_dropped_out_of_its_batch(
    fresh_dsn: str, observer: Connection
) -> None:
    late, sound = enqueue(observer), enqueue(observer)

    def handler(claimed: Claimed) -> str:
        if claimed.job_id == late.job_id:
            call(observer, "cancel", job_id=claimed.job_id, reason="why", actor="who")
        return "PASSED"

    assert Worker(fresh_dsn, handler, batch=2).drain() == WorkerCounts(written=1, lost=1)
    assert job(observer, late.job_id).error_reason == "CANCELLED"
    assert job(observer, sound.job_id).status == "PASSED"


def test_wake_starts_a_listening_worker_at_once(
    fresh_dsn: str, observer: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thread, "FIRST_PAUSE", 600.0)
    done = Event()

    def handler(_job: Claimed) -> str:
        done.set()
        return "PASSED"

    worker = Worker(fresh_dsn, handler, name="idle", listen=True, poll_interval=600.0)
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(worker.run)
        looked = "select from pg_stat_activity where query ~ 'pgjobs.claim' and state = 'idle'"
        until(lambda: rows(observer, looked) or result.done())
        enqueue(observer)
        until(lambda: call(observer, "wake") and done.wait(0.2))
        worker.stop()
        assert result.result().written == 1


def test_polling_finds_a_job_without_a_wake(fresh_dsn: str, observer: Connection) -> None:
    worker = Worker(fresh_dsn, passing, poll_interval=0.01)
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(worker.run)
        queued = enqueue(observer)
        until(lambda: job(observer, queued.job_id).status == "PASSED" or result.done())
        worker.stop()
        assert result.result() == WorkerCounts(written=1)


def test_a_handler_learns_that_it_judges_again_and_its_answer_amends(
    fresh_dsn: str, observer: Connection
) -> None:
    made = [enqueue(observer).job_id for _ in range(3)]
    assert Worker(fresh_dsn, passing, batch=3).drain() == WorkerCounts(written=3)
    asked = call(
        observer, "reverify", job_ids=made, lab_version="2",
        reason="grader", actor="ann", approver="bob", ticket="T-1",
    )  # fmt: skip
    seen: dict[int, int | None] = {}

    def handler(claimed: Claimed) -> str:
        assert claimed.lab_version == "2"
        seen[claimed.job_id] = claimed.review_id
        return "FAILED"

    assert Worker(fresh_dsn, handler, batch=2).drain() == WorkerCounts(written=3)
    assert seen == {one.job_id: one.review_id for one in asked}
    for job_id in made:
        shown = job(observer, job_id)
        assert (shown.status, shown.effective_status) == ("PASSED", "FAILED")


def test_a_handler_stores_artifacts_on_a_connection_of_its_own(
    fresh_dsn: str, observer: Connection
) -> None:
    enqueue(observer)

    def handler(claimed: Claimed) -> str:
        with psycopg.connect(fresh_dsn) as conn:
            pgjobs.add_artifact(
                conn, job_id=claimed.job_id, lease_token=claimed.lease_token,
                kind="LOG", name="log", content=b"fine",
            )  # fmt: skip
        assert claimed.review_id is None
        return "PASSED"

    assert Worker(fresh_dsn, handler).drain() == WorkerCounts(written=1)
    [stored] = rows(observer, "select * from pgjobs.verification_artifact")
    assert pgjobs.read_artifact(observer, artifact_id=stored.artifact_id) == b"fine"
