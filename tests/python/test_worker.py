"""The worker: every claimed job ends in one verdict or is given back, whatever happens to it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Event

import psycopg
import pytest
from psycopg.types.json import Jsonb
from psycopg.types.string import TextLoader

import forgea_pgjobs as pgjobs
from forgea_pgjobs import JobStatus
from forgea_pgjobs.worker import Again, Run, Verdict, Worker, WorkerCounts, thread
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
    seen: list[Run] = []

    def connect() -> psycopg.Connection:
        conn = psycopg.connect(fresh_dsn, options="-c datestyle=german")
        conn.adapters.register_loader("jsonb", TextLoader)  # as Django does
        return conn

    def handler(claimed: Run) -> str:
        seen.append(claimed)
        return "PASSED"

    assert Worker(connect, handler, batch=batch).drain() == WorkerCounts(written=2 * batch)
    assert [run.payload for run in seen] == [{"steps": ["test"]}] * 2 * batch
    assert all(run.lease_expires_at > run.created_at for run in seen)


def test_an_exception_gives_the_job_back_and_is_no_verdict(
    fresh_dsn: str, observer: Connection
) -> None:
    broken, sound = enqueue(observer), enqueue(observer)

    def handler(claimed: Run) -> str:
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

    def handler(_job: Run) -> str:
        both.wait(timeout=60)
        return "PASSED"

    assert Worker(fresh_dsn, handler, concurrency=2).drain() == WorkerCounts(written=6)


def test_a_lost_connection_loses_no_verdict_and_writes_none_twice(
    fresh_dsn: str, observer: Connection
) -> None:
    queued = [enqueue(observer).job_id for _ in range(7)]
    seen: list[int] = []

    def handler(claimed: Run) -> str:
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

    def handler(claimed: Run) -> str:
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

    def handler(claimed: Run) -> str:
        call(observer, "cancel", job_id=claimed.job_id, reason="why", actor="who")
        until(lambda: claimed.is_stopped)
        return "PASSED"

    worker = Worker(fresh_dsn, handler, lease_for=SECOND)
    assert worker.drain() == WorkerCounts(lost=1)
    assert job(observer, queued.job_id).error_reason == "CANCELLED"


def test_a_result_that_comes_too_late_is_dropped_out_of_its_batch(
    fresh_dsn: str, observer: Connection
) -> None:
    late, sound = enqueue(observer), enqueue(observer)

    def handler(claimed: Run) -> str:
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

    def handler(_job: Run) -> str:
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

    def handler(claimed: Run) -> str:
        assert claimed.lab_version == "2"
        seen[claimed.job_id] = claimed.review_id
        return "FAILED"

    assert Worker(fresh_dsn, handler, batch=2).drain() == WorkerCounts(written=3)
    assert seen == {one.job_id: one.review_id for one in asked}
    for job_id in made:
        shown = job(observer, job_id)
        assert (shown.status, shown.effective_status) == ("PASSED", "FAILED")


@pytest.mark.parametrize("size", [0, 2**20, 2**20 + 1])
@pytest.mark.parametrize("is_file", [False, True])
def test_a_run_keeps_evidence_and_marks_what_is_cut(
    is_file: bool, size: int, fresh_dsn: str, observer: Connection, tmp_path: Path
) -> None:
    enqueue(observer)
    content = b"x" * size
    path = tmp_path / "log"
    path.write_bytes(content)

    def handler(run: Run) -> str:
        added = run.keep("LOG", "check.log", path if is_file else content, media_type="text/plain")
        assert added.created
        assert not run.keep("LOG", "check.log", content, media_type="text/plain").created
        return "PASSED"

    assert Worker(fresh_dsn, handler).drain() == WorkerCounts(written=1)
    [kept] = rows(observer, "select * from pgjobs.verification_artifact")
    assert (kept.kind, kept.media_type, kept.truncated) == ("LOG", "text/plain", size > 2**20)
    assert pgjobs.read_artifact(observer, artifact_id=kept.artifact_id) == content[: 2**20]


def test_evidence_of_a_run_that_is_over_is_refused_to_its_handler(
    fresh_dsn: str, observer: Connection
) -> None:
    enqueue(observer)

    def handler(run: Run) -> str:
        call(observer, "cancel", job_id=run.job_id, reason="why", actor="who")
        run.keep("LOG", "check.log", b"late")
        return "PASSED"

    assert Worker(fresh_dsn, handler).drain() == WorkerCounts(lost=1)


@pytest.mark.parametrize(
    ("said", "kept"), [("the registry\nis down", "the registry is down"), ("\t", "no reason")]
)
@pytest.mark.parametrize("after", [None, 10 * SECOND])
def test_a_handler_says_when_the_next_run_may_begin(
    after: timedelta | None, said: str, kept: str, fresh_dsn: str, observer: Connection
) -> None:
    queued = enqueue(observer)

    def handler(_run: Run) -> str:
        raise Again(said, after=after)

    assert Worker(fresh_dsn, handler).drain() == WorkerCounts(released=1)
    [ended] = rows(observer, "select ended_at, outcome, reason from pgjobs.aborted_run")
    assert (ended.outcome, ended.reason) == ("RELEASED", kept)
    pause = job(observer, queued.job_id).available_at - ended.ended_at
    assert abs(pause - (after or 30 * SECOND)) < SECOND


def test_a_pause_out_of_range_is_refused_where_it_is_said() -> None:
    for wrong in (timedelta(days=1, microseconds=1), timedelta(microseconds=-1)):
        with pytest.raises(ValueError, match="0 to 1 day"):
            Again("why", after=wrong)


@pytest.mark.parametrize("batch", [1, 2])
def test_the_reason_of_an_error_is_its_detail(
    batch: int, fresh_dsn: str, observer: Connection
) -> None:
    queued = [enqueue(observer).job_id for _ in range(batch)]
    worker = Worker(fresh_dsn, lambda _run: Verdict("ERROR", reason="no\timage"), batch=batch)
    assert worker.drain() == WorkerCounts(written=batch)
    for job_id in queued:
        shown = job(observer, job_id)
        assert (shown.error_reason, shown.error_detail) == ("REPORTED", "no image")


def test_a_reason_of_another_verdict_stops_the_worker(fresh_dsn: str, observer: Connection) -> None:
    enqueue(observer)
    with pytest.raises(TypeError, match="only an ERROR"):
        Worker(fresh_dsn, lambda _run: Verdict("FAILED", reason="why")).drain()


def test_the_hook_hears_of_every_run_twice(fresh_dsn: str, observer: Connection) -> None:
    passed, broken, gone = (enqueue(observer).job_id for _ in range(3))
    heard: list[tuple[int, str | None]] = []

    def handler(run: Run) -> str:
        if run.job_id == gone:
            call(observer, "cancel", job_id=gone, reason="why", actor="who")
        if run.job_id == broken:
            raise LookupError
        return "PASSED"

    def hook(run: Run, outcome: str | None, seconds: float) -> None:
        assert 0 <= seconds < 60
        heard.append((run.job_id, outcome))

    Worker(fresh_dsn, handler, hook=hook).drain()
    assert heard == [
        *((passed, None), (passed, "PASSED")),
        *((broken, None), (broken, "RELEASED")),
        *((gone, None), (gone, "LOST")),
    ]


def test_the_alive_file_is_touched_at_every_beat(fresh_dsn: str, tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    worker = Worker(fresh_dsn, passing, alive=alive, lease_for=SECOND)
    with ThreadPoolExecutor(1) as pool:
        counts = pool.submit(worker.run)
        until(alive.exists)
        first = alive.stat().st_mtime_ns
        until(lambda: alive.stat().st_mtime_ns > first)
        worker.stop()
        assert counts.result() == WorkerCounts()
