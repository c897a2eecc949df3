"""A worker in trouble: no verdict that it owes is forgotten, and nobody has to stop it twice."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from threading import Event
from threading import enumerate as enumerate_threads
from time import sleep
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from forgea_pgjobs import heartbeat_many
from forgea_pgjobs.worker import Run, Worker, WorkerCounts, connection, heartbeat, thread
from forgea_pgjobs.worker import worker as worker_module
from forgea_pgjobs.worker.calls import Settings, exchange
from forgea_pgjobs.worker.connection import BOUNDS, open_connection
from forgea_pgjobs.worker.heartbeat import Heartbeat
from tests.calls import add
from tests.conftest import Connect
from tests.helpers import Connection, call, enqueue, job, let_time_pass, rows, sha
from tests.python.faults import Pauses
from tests.python.workers import PATIENCE, SECOND, passing, until

pytestmark = pytest.mark.usefixtures("fresh_dsn")


@pytest.fixture
def observer(connect: Connect) -> Connection:
    return connect(autocommit=True)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    """The pauses of a worker that owes verdicts, which are none here."""
    pauses = Pauses()
    monkeypatch.setattr(connection, "sleep", pauses)
    return pauses


def refuse() -> psycopg.Connection:
    """Find nobody listening."""
    return psycopg.connect("host=/nonexistent")


def test_a_stopped_worker_waits_for_the_database_to_take_its_verdicts(
    fresh_dsn: str, observer: Connection, pauses: Pauses
) -> None:
    queued = enqueue(observer)
    opened: list[psycopg.Connection] = []

    def connect() -> psycopg.Connection:
        opened.append(refuse() if opened and len(pauses) < 3 else psycopg.connect(fresh_dsn))
        return opened[-1]

    def handler(_run: Run) -> str:
        worker.stop()
        worker.stop()
        opened[0].close()
        return "PASSED"

    worker = Worker(connect, handler)
    assert worker.run() == WorkerCounts(written=1)
    assert len(pauses) == 3
    assert job(observer, queued.job_id).status == "PASSED"


def test_a_worker_that_owes_nothing_stops_without_a_database() -> None:
    refused = Event()

    def connect() -> psycopg.Connection:
        refused.set()
        return refuse()

    worker = Worker(connect, passing)
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(worker.run)
        assert refused.wait(PATIENCE)
        worker.stop()
        assert result.result() == WorkerCounts()


def test_a_stop_before_the_run_holds_for_that_run_only(
    fresh_dsn: str, observer: Connection
) -> None:
    enqueue(observer)
    worker = Worker(fresh_dsn, passing)
    worker.stop()
    assert worker.run() == WorkerCounts()
    assert worker.drain() == WorkerCounts(written=1)


def test_a_listening_worker_stops_before_its_next_poll(
    fresh_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thread, "FIRST_PAUSE", 600.0)
    listens = Event()

    class Listening(psycopg.Connection[Any]):
        def notifies(self, **how: Any) -> Generator[psycopg.Notify, None, None]:
            listens.set()
            return super().notifies(**how)

    worker = Worker(lambda: Listening.connect(fresh_dsn), passing, listen=True, poll_interval=600.0)
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(worker.run)
        assert listens.wait(PATIENCE)
        worker.stop()
        assert result.result(PATIENCE) == WorkerCounts()


@pytest.mark.parametrize("batch", [1, 20])
@pytest.mark.parametrize("fails", [False, True])
def test_a_session_that_somebody_has_locked_holds_up_no_other(
    fails: bool, batch: int, fresh_dsn: str, connect: Connect, observer: Connection
) -> None:
    queued = [enqueue(observer).job_id for _ in range(20)]
    other, ended = connect(), []

    def handler(run: Run) -> str:
        if run.job_id == queued[0]:
            enqueue(other, session_id=run.session_id)  # and leaves its transaction open
            add(other, run, name="log", content=b"log")
        ended.append(run.job_id)
        if len(ended) == 20 and batch == 1:
            statuses = rows(observer, "select status from pgjobs.verification_job order by job_id")
            assert statuses == [("RUNNING",), *[("PASSED",)] * 18, ("RUNNING",)]
            other.rollback()
        if fails and run.job_id == queued[0]:
            raise LookupError
        return "PASSED"

    def free() -> None:
        until(lambda: len(rows(observer, "select from pgjobs.verdict")) == 19)
        other.rollback()

    with ThreadPoolExecutor(1) as pool:
        freed = pool.submit(free)
        # What is given back never waits, whatever the connection says.
        dsn = f"{fresh_dsn} options='-c lock_timeout={0 if fails else 100}'"
        worker = Worker(dsn, handler, batch=batch, lease_for=5 * SECOND)
        assert worker.drain() == WorkerCounts(written=20 - fails, released=int(fails))
        freed.result()
    assert [job(observer, job_id).run_no for job_id in queued] == [1] * 20


def test_a_worker_that_is_stopped_does_not_wait_for_ever_for_a_locked_session(
    fresh_dsn: str, connect: Connect, observer: Connection, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    enqueue(observer)
    other = connect()

    def handler(run: Run) -> str:
        add(other, run, name="log", content=b"log")
        worker.stop()
        return "PASSED"

    waits: list[bool] = []

    def counted(*args: Any, **how: Any) -> Any:
        waits.append(not how["briefly"])
        return exchange(*args, **how)

    monkeypatch.setattr(thread, "ASIDE_EVERY", 0.0)
    monkeypatch.setattr(thread, "LOOK", 0.01)
    monkeypatch.setattr(thread, "exchange", counted)
    worker = Worker(f"{fresh_dsn} options='-c lock_timeout=10'", handler)
    assert worker.run() == WorkerCounts(lost=1)
    # The claim, and the verdict once as the connection has it; then never longer than a moment.
    assert waits == [True, True, *[False] * 10]
    assert caplog.messages[-1].endswith("its session is locked")


def test_a_handler_that_does_not_come_back_is_told_and_then_replaced(
    fresh_dsn: str, observer: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued = [enqueue(observer).job_id for _ in range(4)]
    monkeypatch.setattr(thread, "GRACE", 0.3)
    told, ended = Event(), Event()

    def handler(run: Run) -> str:
        if run.job_id == queued[1]:
            until(lambda: run.is_stopped)
            told.set()
            assert ended.wait(PATIENCE)
        return "PASSED"

    worker = Worker(fresh_dsn, handler, batch=3, time_limit=SECOND / 5)
    assert worker.drain() == WorkerCounts(written=3, released=1)
    assert told.is_set()
    statuses = [job(observer, job_id).status for job_id in queued]
    assert statuses == ["PASSED", "QUEUED", "PASSED", "PASSED"]
    aborted_runs = rows(observer, "select job_id, outcome, reason from pgjobs.aborted_run")
    assert aborted_runs == [(queued[1], "RELEASED", "over its time limit")]
    # What it says at last is heard by nobody.
    ended.set()
    until(lambda: sum(each.name == "pgjobs worker" for each in enumerate_threads()) == 0)
    assert job(observer, queued[1]).status == "QUEUED"


def test_a_worker_that_is_stopped_gives_its_run_back_uncounted(
    fresh_dsn: str, observer: Connection
) -> None:
    enqueue(observer, max_runs=1)

    def handler(run: Run) -> str:
        assert not run.is_stopped
        worker.stop()
        assert run.is_stopped
        raise LookupError("killed with the rest")

    worker = Worker(fresh_dsn, handler)
    assert worker.run() == WorkerCounts(released=1)
    aborted_runs = rows(observer, "select outcome, reason from pgjobs.aborted_run")
    assert aborted_runs == [("INTERRUPTED", "LookupError: killed with the rest")]
    # Nor is the job to wait: the next worker is there.
    assert Worker(fresh_dsn, passing).drain() == WorkerCounts(written=1)


def test_a_handler_that_exits_ends_the_worker_but_takes_no_other_result_along(
    fresh_dsn: str, observer: Connection
) -> None:
    queued = [enqueue(observer).job_id for _ in range(3)]

    def handler(run: Run) -> str:
        if run.job_id == queued[1]:
            raise SystemExit(3)
        return "PASSED"

    with pytest.raises(SystemExit) as caught:
        Worker(fresh_dsn, handler, batch=3).drain()
    assert caught.value.code == 3
    assert [job(observer, job_id).status for job_id in queued] == ["PASSED", "QUEUED", "QUEUED"]
    aborted_runs = rows(
        observer, "select job_id, outcome, reason from pgjobs.aborted_run order by 1"
    )
    never = "the worker was stopped before it began"
    assert aborted_runs == [
        (queued[1], "RELEASED", "SystemExit: 3"),
        (queued[2], "INTERRUPTED", never),
    ]


def test_a_job_taken_away_and_claimed_again_by_the_same_worker_is_a_lease_of_its_own(
    fresh_dsn: str, observer: Connection
) -> None:
    enqueue(observer)
    taken, known = Event(), Event()

    def handler(run: Run) -> str:
        if run.run_no == 1:
            with observer.transaction():
                let_time_pass(observer, "1 hour")
                assert call(observer, "rescue")
            assert taken.wait(PATIENCE)
            until(lambda: run.is_stopped)
            known.set()
        else:
            taken.set()
            assert known.wait(PATIENCE)
            assert not run.is_stopped
            worker.stop()
        return "PASSED"

    worker = Worker(fresh_dsn, handler, concurrency=2, lease_for=SECOND, poll_interval=0.01)
    assert worker.run() == WorkerCounts(written=1, lost=1)


@pytest.mark.parametrize("fault", [OSError("no token"), psycopg.errors.ReadOnlySqlTransaction()])
def test_a_heartbeat_that_fails_is_tried_again(
    fresh_dsn: str, observer: Connection, fault: Exception
) -> None:
    enqueue(observer)
    opened = 0

    def connect() -> psycopg.Connection:
        nonlocal opened
        opened += 1
        if opened == 2:
            raise fault
        return psycopg.connect(fresh_dsn)

    def handler(run: Run) -> str:
        query = "select from pgjobs.lease where lease_expires_at > %(at)s and job_id = %(id)s"
        at = run.lease_expires_at
        until(lambda: rows(observer, query, at=at, id=run.job_id))
        return "PASSED"

    assert Worker(connect, handler, lease_for=SECOND).drain() == WorkerCounts(written=1)
    assert opened == 3


def test_a_lease_that_is_locked_holds_up_the_beats_of_no_other(
    fresh_dsn: str, observer: Connection, connect: Connect
) -> None:
    locked, other = enqueue(observer), enqueue(observer)
    adding, is_locked, is_beaten = connect(), Event(), Event()

    def handler(run: Run) -> str:
        if run.job_id == locked.job_id and run.run_no == 1:
            add(adding, run, name="log", content=b"log")  # and leaves its transaction open
            is_locked.set()
            assert is_beaten.wait(PATIENCE)
            adding.commit()
        elif run.job_id == other.job_id:
            assert is_locked.wait(PATIENCE)
            query = "select from pgjobs.lease where job_id = %(id)s and lease_expires_at > %(at)s"
            for _ in range(2):  # the first beat may have been on its way before the lock
                [(end,)] = rows(
                    observer,
                    "select lease_expires_at from pgjobs.lease where job_id = %(id)s",
                    id=run.job_id,
                )
                until(partial(rows, observer, query, at=end, id=run.job_id))
            is_beaten.set()
        return "PASSED"

    # The locked one may be over before it is free again, and run once more.
    assert Worker(fresh_dsn, handler, concurrency=2, lease_for=3 * SECOND).drain().written == 2
    found = job(observer, other.job_id)
    assert (found.status, found.run_no) == ("PASSED", 1)


def test_all_leases_are_beaten_by_one_statement(
    fresh_dsn: str, observer: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(200):
        enqueue(observer)
    beats: list[int] = []

    def counted(*args: Any, **how: Any) -> Any:
        beats.append(len(how["job_ids"]))
        return heartbeat_many(*args, **how)

    def handler(_run: Run) -> str:
        until(lambda: 200 in beats or len(beats) > 1)
        return "PASSED"

    monkeypatch.setattr(heartbeat, "heartbeat_many", counted)
    worker = Worker(fresh_dsn, handler, batch=200, lease_for=SECOND)
    assert worker.drain() == WorkerCounts(written=200)
    assert beats[0] == 200


def test_a_heartbeat_leaves_a_demoted_server(fresh_dsn: str, observer: Connection) -> None:
    enqueue(observer)
    opened = 0

    def connect() -> psycopg.Connection:
        nonlocal opened
        opened += 1
        read_only = " options='-c default_transaction_read_only=on'" if opened == 2 else ""
        return psycopg.connect(fresh_dsn + read_only)

    def handler(run: Run) -> str:
        query = "select from pgjobs.lease where lease_expires_at > %(at)s"
        until(lambda: rows(observer, query, at=run.lease_expires_at))
        return "PASSED"

    assert Worker(connect, handler, lease_for=SECOND).drain() == WorkerCounts(written=1)
    assert opened == 3


def test_a_heartbeat_that_failed_is_tried_again_soon_and_then_ever_later() -> None:
    pauses: list[float] = []

    class Ended(Event):
        def wait(self, timeout: float | None = None) -> bool:
            pauses.append(timeout or 0.0)
            return len(pauses) == 4

    beating = Heartbeat(Worker(refuse, passing, lease_for=600 * SECOND)._settings)
    beating.ended = Ended()
    now = datetime.now(UTC)
    beating.hold([Run(1, 1, uuid4(), sha(), "1", 2, 1, uuid4(), now, now, None, None)])
    beating.beat()
    assert pauses == [15.0, 0.1, 0.2, 0.4]


def test_a_verdict_whose_commit_may_not_have_reached_the_standby_is_written_once_more(
    fresh_dsn: str, observer: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        enqueue(observer)
    observer.execute(
        "create function public.warn() returns trigger language plpgsql as $$ begin"
        " raise warning 'fault' using errcode = '01000'; return null; end $$"
    )
    observer.execute(
        "create constraint trigger warn after insert on pgjobs.verdict"
        " deferrable initially deferred for each row execute function public.warn()"
    )
    calls: list[tuple[int, int]] = []

    def counted(
        conn: Connection, done: Sequence[Any], settings: Settings, max_jobs: int, **how: bool
    ) -> Any:
        calls.append((len(done), max_jobs))
        return exchange(conn, done, settings, max_jobs, **how)

    monkeypatch.setattr(thread, "exchange", counted)
    assert Worker(fresh_dsn, passing, batch=2).drain() == WorkerCounts(written=2)
    assert calls == [(0, 2), (2, 2), (2, 0)]


def test_the_signal_handlers_of_the_program_are_put_back(fresh_dsn: str) -> None:
    former = signal.getsignal(signal.SIGTERM)
    Worker(fresh_dsn, passing).drain()
    assert signal.getsignal(signal.SIGTERM) is former


PROGRAM = """
import sys
from forgea_pgjobs.worker import Worker

def handler(job):
    print(job.job_id, flush=True)
    sys.stdin.readline()
    return "PASSED"

class Loud(Worker):
    def stop(self):
        super().stop()
        print("stop", flush=True)

worker = Loud(sys.argv[1], handler, batch=3)
counts = worker.run()
print(counts.written, counts.released, flush=True)
"""


@pytest.mark.parametrize(
    ("signals", "said", "statuses"),
    [(1, "3 0", ["PASSED"] * 3), (2, "1 2", ["PASSED", "QUEUED", "QUEUED"])],
    ids=["once_finishes_what_is_claimed", "twice_gives_back_what_has_not_begun"],
)
def test_sigterm(
    fresh_dsn: str, observer: Connection, signals: int, said: str, statuses: list[str]
) -> None:
    queued = [enqueue(observer).job_id for _ in range(3)]
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, fresh_dsn],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == f"{queued[0]}\n"
        later = enqueue(observer).job_id
        for _ in range(signals):
            process.send_signal(signal.SIGTERM)
            assert process.stdout.readline() == "stop\n"
        process.stdin.write("\n" * 3)
        rest = process.stdout.read().split("\n")
        assert process.wait(timeout=60) == 0
    assert rest[-2] == said
    assert [job(observer, job_id).status for job_id in queued] == statuses
    assert job(observer, later).status == "QUEUED"


def test_a_third_signal_ends_the_process(fresh_dsn: str, observer: Connection) -> None:
    queued = [enqueue(observer).job_id for _ in range(3)]
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, fresh_dsn],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"{queued[0]}\n"
        for _ in range(2):
            process.send_signal(signal.SIGTERM)
            assert process.stdout.readline() == "stop\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 143
    assert [job(observer, job_id).status for job_id in queued] == ["RUNNING"] * 3


def test_a_heartbeat_that_hangs_leaves_no_lease_unknown_and_ends_nobody(
    fresh_dsn: str, observer: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueue(observer)
    monkeypatch.setattr(worker_module, "LAST_WAIT", 0.1)
    hangs, known = Event(), Event()

    def connect() -> psycopg.Connection:
        if hangs.is_set():
            assert known.wait(PATIENCE)
            sleep(PATIENCE)
        hangs.set()
        return psycopg.connect(fresh_dsn)

    def handler(run: Run) -> str:
        until(lambda: run.is_stopped)
        known.set()
        return "PASSED"

    worker = Worker(connect, handler, lease_for=SECOND)
    # Nobody has taken the lease, so its token still works.
    assert worker.drain() == WorkerCounts(written=1)


def test_a_connection_of_its_own_does_not_wait_for_a_lock_for_ever(
    fresh_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shown(dsn: str) -> list[str]:
        names = ("lock_timeout", "default_transaction_isolation", "datestyle")
        with open_connection(dsn) as conn:
            return [rows(conn, f"show {name}")[0][0] for name in names]

    monkeypatch.setenv(
        "PGOPTIONS", "-c datestyle=German -c default_transaction_isolation=serializable"
    )
    assert shown(f"{fresh_dsn} options=''") == ["5s", "serializable", "German, DMY"]
    monkeypatch.delenv("PGOPTIONS")
    assert shown(fresh_dsn) == ["5s", "read committed", "ISO, MDY"]
    assert shown(f"{fresh_dsn} options='-c lock_timeout=1s'")[0] == "1s"


def test_a_connection_of_its_own_does_not_wait_for_a_dead_network(fresh_dsn: str) -> None:
    with open_connection(f"{fresh_dsn} keepalives_idle=7") as conn:
        parameters = conn.info.get_parameters()
        assert {name: parameters[name] for name in BOUNDS} == {
            **{name: str(value) for name, value in BOUNDS.items()},
            "keepalives_idle": "7",
        }
