"""What decides whether a worker lives, and what becomes of a verdict that cannot be stored."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from forgea_pgjobs import Claimed, _call_text
from forgea_pgjobs.worker import Run, Verdict, Worker, WorkerCounts, calls, connection, run, thread
from tests.conftest import Connect
from tests.helpers import Connection, call, enqueue, job, rows
from tests.python.faults import Pauses
from tests.python.workers import passing, until

pytestmark = pytest.mark.usefixtures("fresh_dsn")


@pytest.fixture
def observer(connect: Connect) -> Connection:
    return connect(autocommit=True)


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    """The pauses of a worker that owes verdicts, which are none here."""
    pauses = Pauses()
    monkeypatch.setattr(connection, "sleep", pauses)
    return pauses


def fail(observer: Connection, sqlstate: str, *, times: int, table: str = "verdict") -> None:
    """Let the next INSERTs of a verdict, or else, fail with this SQLSTATE."""
    observer.execute("create sequence public.tries")
    observer.execute(
        f"""
        create function public.fail() returns trigger language plpgsql security definer as $$ begin
            if nextval('public.tries') <= {times} then
                raise exception 'fault' using errcode = '{sqlstate}';
            end if;
            return new;
        end $$
        """.encode()
    )
    observer.execute(
        f"create trigger a_fault before insert on pgjobs.{table}"
        " for each row execute function public.fail()".encode()
    )


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("sqlstate", ["53100", "53200", "57014", "25P04", "42501", "XX000"])
def test_trouble_of_the_database_delays_a_verdict(
    sqlstate: str, batch: int, fresh_dsn: str, observer: Connection, pauses: Pauses
) -> None:
    for _ in range(batch):
        enqueue(observer)
    fail(observer, sqlstate, times=2)
    assert Worker(fresh_dsn, passing, batch=batch).drain() == WorkerCounts(written=batch)
    assert len(pauses) == 2


@pytest.mark.parametrize("sqlstate", ["22000", "54000", "55P03"])
def test_a_claim_that_is_refused_later_is_tried_again(
    sqlstate: str, fresh_dsn: str, observer: Connection, pauses: Pauses
) -> None:
    first, _second = enqueue(observer), enqueue(observer)

    def handler(run: Run) -> str:
        if run.job_id == first.job_id:
            fail(observer, sqlstate, times=2, table="lease")
        return "PASSED"

    worker = Worker(fresh_dsn, handler)
    assert worker.drain() == WorkerCounts(written=2)
    assert rows(observer, "select last_value from public.tries") == [(3,)]


@pytest.mark.parametrize("batch", [1, 2])
def test_a_demoted_server_is_left_for_the_primary(
    batch: int, fresh_dsn: str, observer: Connection
) -> None:
    for _ in range(batch):
        enqueue(observer)
    opened: list[psycopg.Connection] = []

    def connect() -> psycopg.Connection:
        opened.append(psycopg.connect(fresh_dsn))
        return opened[-1]

    def handler(_run: Run) -> str:
        opened[0].execute("set default_transaction_read_only = on")
        return "PASSED"

    assert Worker(connect, handler, batch=batch).drain() == WorkerCounts(written=batch)
    assert len(opened) == 2
    assert opened[0].closed


@pytest.mark.parametrize("fault", [OSError("no token"), ValueError("no password"), TypeError("?")])
def test_whatever_connect_raises_is_an_outage(
    fault: Exception, fresh_dsn: str, observer: Connection, pauses: Pauses
) -> None:
    enqueue(observer)
    opened = 0

    def connect() -> psycopg.Connection:
        nonlocal opened
        opened += 1
        if opened == 1:
            raise fault
        conn = psycopg.connect(fresh_dsn)
        conn.execute("select 1")  # and a transaction that is left open is ended
        return conn

    assert Worker(connect, passing).drain() == WorkerCounts(written=1)


def test_only_what_the_first_claim_says_ends_a_worker(fresh_dsn: str) -> None:
    with pytest.raises(psycopg.DataError, match="worker"):
        Worker(fresh_dsn, passing, name="a\tb").run()
    with pytest.raises(psycopg.errors.InvalidSchemaName):
        Worker(f"{fresh_dsn} dbname=template1", passing).run()


@pytest.mark.parametrize(
    ("summary", "stored"),
    [
        ({"log": "a\0b", "path": "\\u0000"}, {"log": "a\ufffdb", "path": "\\u0000"}),
        ({"log": "\ud800 and \U0001f600"}, {"log": "? and \U0001f600"}),
        ({"seconds": float("nan"), "most": float("inf")}, {"seconds": "NaN", "most": "Infinity"}),
        ("x" * 70_000, {"cut_of_bytes": 70_002, "begins": '"' + "x" * 8191}),
        ({1, 2}, {"not_stored": "TypeError: Object of type set is not JSON serializable"}),
    ],
    ids=["NUL", "half a pair", "NaN", "too large", "no JSON"],
)
@pytest.mark.parametrize("batch", [1, 2])
def test_a_summary_that_cannot_be_stored_is_cut_and_the_verdict_written(
    batch: int, summary: Any, stored: Any, fresh_dsn: str, observer: Connection
) -> None:
    made = [enqueue(observer) for _ in range(batch)]
    worker = Worker(fresh_dsn, lambda _job: Verdict("FAILED", summary), batch=batch)
    assert worker.drain() == WorkerCounts(written=batch)
    for each in made:
        found = job(observer, each.job_id)
        assert (found.status, found.summary) == ("FAILED", stored)


def test_a_summary_that_the_database_refuses_is_left_out(
    fresh_dsn: str, observer: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [enqueue(observer) for _ in range(2)]
    monkeypatch.setattr(run, "MOST_BYTES", 10**6)

    def handler(claimed: Run) -> Verdict:
        return Verdict("FAILED", "x" * 70_000 if claimed.job_id == made[0].job_id else "short")

    assert Worker(fresh_dsn, handler, batch=2).drain() == WorkerCounts(written=2)
    first, second = (job(observer, each.job_id) for each in made)
    assert first.status == "FAILED"
    assert first.summary["not_stored"].startswith("InvalidParameterValue: ")
    assert second.summary == "short"


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("batch", [1, 2])
def test_a_job_that_is_gone_is_lost_and_no_other(
    batch: int, fails: bool, fresh_dsn: str, observer: Connection
) -> None:
    made = [enqueue(observer) for _ in range(batch)]

    def handler(claimed: Run) -> str:
        if claimed.job_id == made[0].job_id:  # as after an asynchronous failover
            with observer.transaction():
                observer.execute("set local session_replication_role = replica")
                observer.execute("alter table pgjobs.job disable trigger all")
                for table in ("lease", "job"):
                    query = f"delete from pgjobs.{table} where job_id = %s"
                    observer.execute(query.encode(), [claimed.job_id])
                observer.execute("alter table pgjobs.job enable trigger all")
                observer.execute("alter table pgjobs.job enable always trigger job_append_only")
        if fails:
            raise LookupError
        return "PASSED"

    worker = Worker(fresh_dsn, handler, batch=batch)
    others = {"released" if fails else "written": batch - 1}
    assert worker.drain() == WorkerCounts(lost=1, **others)


@pytest.mark.parametrize(
    "wrong",
    [
        {"concurrency": 0},
        {"batch": 0},
        {"batch": 1001},
        {"poll_interval": 0.0},
        {"lease_for": timedelta(0)},
        {"lease_for": timedelta(days=2)},
        {"time_limit": timedelta(0)},
    ],
)
def test_a_setting_out_of_range_is_refused(wrong: dict[str, Any], fresh_dsn: str) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Worker(fresh_dsn, passing, **wrong)


def test_a_handler_that_would_have_to_be_awaited_is_refused(fresh_dsn: str) -> None:
    async def handler(_run: Run) -> str:
        return "PASSED"

    with pytest.raises(TypeError, match=r"asyncio\.run"):
        Worker(fresh_dsn, handler)  # type: ignore[arg-type]


@pytest.mark.parametrize("answer", [None, "passed", 1])
def test_an_answer_that_is_no_verdict_stops_the_worker_at_once(
    answer: Any, fresh_dsn: str, observer: Connection
) -> None:
    made = [enqueue(observer) for _ in range(3)]
    with pytest.raises(TypeError, match="no verdict"):
        Worker(fresh_dsn, lambda _job: answer).drain()
    assert [job(observer, each.job_id).run_no for each in made] == [1, 0, 0]


def broken() -> Exception:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    return Broken()


@pytest.mark.parametrize("make", [broken, lambda: Exception("x" * 10**7)])
def test_an_exception_without_words_or_with_too_many_gives_the_job_back(
    make: Callable[[], Exception], fresh_dsn: str, observer: Connection
) -> None:
    enqueue(observer)

    def handler(_run: Run) -> str:
        raise make()

    assert Worker(fresh_dsn, handler).drain() == WorkerCounts(released=1)
    [(reason,)] = rows(observer, "select reason from pgjobs.aborted_run")
    assert len(reason) <= 200


def test_a_run_without_a_verdict_is_one_line(
    fresh_dsn: str, observer: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    broken, gone = enqueue(observer).job_id, enqueue(observer).job_id

    def handler(run: Run) -> str:
        if run.job_id == broken:
            raise LookupError("nowhere")
        call(observer, "cancel", job_id=gone, reason="why", actor="who")
        until(lambda: run.is_stopped)
        return "PASSED"

    Worker(fresh_dsn, handler, batch=2, lease_for=timedelta(seconds=1)).drain()
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    first, second = sorted(caplog.messages)
    assert first.startswith(f"job {broken}: RELEASED after 0.")
    assert first.endswith(" s, LookupError: nowhere")
    assert second.startswith(f"job {gone}: LOST after ")
    # With the traceback.
    assert "in handler" in caplog.text


def test_a_child_of_the_handler_does_not_speak_for_the_worker(
    fresh_dsn: str, observer: Connection
) -> None:
    made = enqueue(observer)
    codes: list[int] = []

    def handler(_run: Run) -> str:
        for leaves in (True, False):
            child = os.fork()
            if child == 0 and leaves:
                sys.exit(3)
            if child == 0:
                return "FAILED"
            codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        return "PASSED"

    assert Worker(fresh_dsn, handler).drain() == WorkerCounts(written=1)
    assert codes == [70, 70]
    assert job(observer, made.job_id).status == "PASSED"


def test_wakes_that_came_meanwhile_are_one(
    fresh_dsn: str, observer: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueue(observer)
    claims = 0
    exchange = calls.exchange

    def counted(*args: Any, **how: Any) -> Any:
        nonlocal claims
        claims += 1
        if claims == 6:
            worker.stop()
        return exchange(*args, **how)

    def handler(_run: Run) -> str:
        for _ in range(200):
            observer.execute("select pgjobs.wake()")
        return "PASSED"

    monkeypatch.setattr(thread, "exchange", counted)
    monkeypatch.setattr(thread, "FIRST_PAUSE", 0.3)
    worker = Worker(fresh_dsn, handler, listen=True, poll_interval=0.3)
    start = datetime.now().astimezone()
    assert worker.run() == WorkerCounts(written=1)
    # The first claim, that with the verdict, one for all wakes; the rest are polls.
    assert datetime.now().astimezone() - start > timedelta(seconds=0.6)


def test_a_call_names_the_columns_so_that_a_later_version_may_answer_more() -> None:
    assert _call_text.text("claim", Claimed, ("worker",)) == (
        b"select job_id, attempt_id, session_id, commit_sha, lab_version, priority, run_no,"
        b" lease_token, lease_expires_at, created_at, payload, review_id"
        b" from pgjobs.claim(worker => %(worker)s::text)"
    )


def test_after_five_failures_in_a_row_a_worker_leaves_the_jobs_to_others(
    fresh_dsn: str, observer: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(10):
        enqueue(observer)
    breaks: list[float] = []
    handled = 0

    def handler(_run: Run) -> str:
        nonlocal handled
        handled += 1
        if handled == 8:
            return "PASSED"
        raise LookupError

    worker = Worker(fresh_dsn, handler)
    monkeypatch.setattr(worker._stopping, "wait", breaks.append)
    assert worker.drain() == WorkerCounts(written=1, released=9)
    assert breaks == [2.0, 4.0, 8.0]
    assert thread.LONGEST_BREAK == 60.0


def test_each_run_is_a_line_with_its_fields(
    fresh_dsn: str, observer: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "forgea_pgjobs.worker")
    session = uuid4()
    made = enqueue(observer, session_id=session)
    Worker(fresh_dsn, passing, name="w1").drain()
    [record] = caplog.records
    fields = vars(record)
    assert record.getMessage().startswith(f"job {made.job_id}: PASSED after ")
    assert 0 <= fields.pop("seconds") < 60
    assert (
        fields.items()
        >= {
            "lab_session_id": str(session),
            "verification_job_id": made.job_id,
            "worker_id": "w1",
            "outcome": "PASSED",
        }.items()
    )
