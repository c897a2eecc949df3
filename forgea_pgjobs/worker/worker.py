"""The worker: its settings, its threads, and how it is stopped."""

from __future__ import annotations

import inspect
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from itertools import count
from queue import Empty, SimpleQueue
from threading import Event, Thread
from types import FrameType
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from forgea_pgjobs.models import Claimed
from forgea_pgjobs.worker.calls import Connect, Handler, Settings, WorkerCounts
from forgea_pgjobs.worker.heartbeat import Heartbeat
from forgea_pgjobs.worker.thread import LOOK, WorkerThread

# A connection of ours notices within seconds that nobody answers.
BOUNDS = {
    "client_encoding": "UTF8",
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,  # milliseconds
}
LAST_SIGNAL = 3
EXIT_CODE = 128 + signal.SIGTERM
LAST_WAIT = 5.0  # seconds


def open_connection(dsn: str) -> psycopg.Connection[Any]:
    """Open a connection that does not wait for a dead network, unless the string says otherwise."""
    given = conninfo_to_dict(dsn)
    bounds: dict[str, Any] = {name: BOUNDS[name] for name in BOUNDS.keys() - given.keys()}
    return psycopg.connect(dsn, **bounds)


class Worker:
    """Runs a handler for one claimed job after the other until it is stopped.

    ``handler`` gets a ``Claimed`` and returns PASSED, FAILED or ERROR, or a ``Verdict`` with a
    summary. An exception is no verdict: the job is released with its kind and first words.

    connect: a connection string, or a function that opens a connection for the worker alone, which
    closes it: no pool's ``getconn``.
    name: who claims, 1 … 200 characters; host and process by default. batch: jobs a claim, 1 …
    1000; those behind the first wait for it. concurrency: threads, each with a connection and a
    batch of its own; the handler must bear it. lease_for: 1 s … 1 day; a third of it is the
    heartbeat. poll_interval: seconds between two looks at an empty queue; after work the looks are
    dense and become rarer. listen: be woken by ``wake`` as well, which a transaction pooler does
    not pass on.

    Raises: ValueError, TypeError: a setting out of its range, a handler that is a coroutine.
    """

    def __init__(  # each is a setting
        self,
        connect: str | Connect,
        handler: Handler,
        *,
        name: str | None = None,
        batch: int = 1,
        concurrency: int = 1,
        lease_for: timedelta = timedelta(minutes=5),
        poll_interval: float = 1.0,
        listen: bool = False,
    ) -> None:
        if inspect.iscoroutinefunction(handler):
            raise TypeError("the handler is a coroutine function, and would never be awaited")
        if not (1 <= batch <= 1000 and concurrency >= 1 and poll_interval > 0):
            raise ValueError("batch is 1 to 1000, concurrency 1 or more, poll_interval above 0")
        if not timedelta(seconds=1) <= lease_for <= timedelta(days=1):
            raise ValueError("lease_for is 1 s to 1 day")
        self._settings = Settings(
            connect if callable(connect) else partial(open_connection, connect),
            handler,
            name or f"{socket.gethostname()}:{os.getpid()}",
            batch,
            concurrency,
            lease_for,
            poll_interval,
            listen,
        )
        self._stopping = Event()
        self._giving_back = Event()
        self._heartbeat = Heartbeat(self._settings.connect, lease_for)

    def run(self) -> WorkerCounts:
        """Work until ``stop``, SIGTERM or SIGINT, and return what was done.

        The first signal: no further claim; what is claimed is finished, since a claim counts as a
        run. The second: what has not begun is released at once. The third ends the process. Signals
        are heeded in the main thread only, and their handlers put back at the end.

        Raises: what the database says and no repetition mends, such as InvalidArgument.
        """
        return self._work(until_empty=False)

    def drain(self) -> WorkerCounts:
        """Work until a claim answers nothing, and return what was done."""
        return self._work(until_empty=True)

    def stop(self) -> None:
        """Claim no more; a second call also releases what has not begun."""
        if self._stopping.is_set():
            self._giving_back.set()
        self._stopping.set()

    def is_lost(self, job: Claimed) -> bool:
        """Tell a handler whether its job is known to have lost its lease: its result is dropped."""
        return self._heartbeat.is_lost(job)

    def _work(self, *, until_empty: bool) -> WorkerCounts:
        # What happens to the waiting thread: another has ended, or None, a signal. A queue of this
        # kind may be put to by a signal handler; an Event may not, its lock may be held.
        happened: SimpleQueue[WorkerThread | None] = SimpleQueue()

        def work(worker: WorkerThread) -> None:
            worker.work()
            happened.put(worker)

        workers = [
            WorkerThread(
                self._settings, self._heartbeat, self._stopping, self._giving_back, until_empty
            )
            for _ in range(self._settings.concurrency)
        ]
        threads = [
            Thread(target=self._heartbeat.beat, name="pgjobs heartbeat", daemon=True),
            *(
                Thread(target=work, args=[worker], name=f"pgjobs worker {number}", daemon=True)
                for number, worker in enumerate(workers)
            ),
        ]
        with _heeding_signals(lambda: happened.put(None)):
            ended = 0
            try:
                for thread in threads:
                    thread.start()
                while ended < len(workers):
                    # Not for ever: Python runs no handler for a signal just before the wait.
                    with suppress(Empty):
                        if happened.get(timeout=LOOK) is None:
                            self.stop()
                        else:
                            ended += 1
            finally:
                self._stopping.set()
                self._heartbeat.ended.set()
                for thread in threads:
                    if thread.is_alive():
                        # The heartbeat may hang on its connection; it owes nothing.
                        thread.join(LAST_WAIT if thread is threads[0] else None)
        # Not at the beginning: a stop that comes before it is meant for this run.
        for event in (self._stopping, self._giving_back, self._heartbeat.ended):
            event.clear()
        counts = WorkerCounts()
        for worker in workers:
            if worker.failure is not None:
                raise worker.failure
            counts.add(worker.counts)
        return counts


@contextmanager
def _heeding_signals(tell: Callable[[], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    heeded = count(1)

    def heed(_signum: int, _frame: FrameType | None) -> None:
        if next(heeded) == LAST_SIGNAL:
            os._exit(EXIT_CODE)
        tell()

    former = {signum: signal.signal(signum, heed) for signum in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for signum, handler in former.items():
            signal.signal(signum, handler)
