"""The worker: its settings, its threads, and how it is stopped."""

from __future__ import annotations

import inspect
import math
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from itertools import count
from os import PathLike
from queue import Empty, SimpleQueue
from threading import Event, Thread
from types import FrameType

from forgea_pgjobs.worker.calls import Connect, Hook, Settings
from forgea_pgjobs.worker.connection import open_connection
from forgea_pgjobs.worker.heartbeat import Heartbeat
from forgea_pgjobs.worker.run import Handler
from forgea_pgjobs.worker.thread import LOOK, WorkerCounts, WorkerThread

LAST_SIGNAL = 3
EXIT_CODE = 128 + signal.SIGTERM
LAST_WAIT = 5.0  # seconds


class Worker:
    """Runs a handler for one claimed job after the other until it is stopped.

    ``handler`` gets a ``Run`` and returns PASSED, FAILED or ERROR, or a ``Verdict``. An exception
    is no verdict: the run is given back with its kind and first words, and not counted where the
    worker is stopping. ``Again`` says when the next run may begin.

    connect: a connection string, or a function that opens a connection for the worker alone, which
    closes it: no pool's ``getconn``.
    name: who claims, 1 … 200 characters; host and process by default. batch: jobs a claim, 1 …
    1000; those behind the first wait for it. concurrency: threads, each with a connection and a
    batch of its own; the handler must bear it. lease_for: 1 s … 1 day; a third of it, at most 15 s,
    is the heartbeat. time_limit: above 0, None for none; then ``Run.is_stopped``, and 10 s later
    the run is given back and another thread goes on. poll_interval: seconds between two looks at an
    empty queue; after work the looks are dense and become rarer. listen: be woken by ``wake`` as
    well, which a transaction pooler does not pass on. hook: called with the run, None and 0 when
    one begins, with its outcome and seconds when it has ended; must not raise. alive: a file,
    touched at every heartbeat.

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
        time_limit: timedelta | None = timedelta(hours=1),
        poll_interval: float = 1.0,
        listen: bool = False,
        hook: Hook | None = None,
        alive: PathLike[str] | None = None,
    ) -> None:
        if inspect.iscoroutinefunction(handler):
            raise TypeError("the handler is a coroutine function: run it in one, by asyncio.run")
        if not (1 <= batch <= 1000 and concurrency >= 1 and poll_interval > 0):
            raise ValueError("batch is 1 to 1000, concurrency 1 or more, poll_interval above 0")
        if not timedelta(seconds=1) <= lease_for <= timedelta(days=1):
            raise ValueError("lease_for is 1 s to 1 day")
        if time_limit is not None and time_limit <= timedelta(0):
            raise ValueError("time_limit is above 0, or None")
        self._settings = Settings(
            connect if callable(connect) else partial(open_connection, connect),
            handler,
            name or f"{socket.gethostname()}:{os.getpid()}",
            batch,
            concurrency,
            lease_for,
            math.inf if time_limit is None else time_limit.total_seconds(),
            poll_interval,
            listen,
            hook,
            alive,
        )
        self._stopping = Event()
        self._giving_back = Event()

    def run(self) -> WorkerCounts:
        """Work until ``stop``, SIGTERM or SIGINT, and return what was done.

        The first signal: no further claim; what is claimed is finished, or given back uncounted by
        a handler that heeds ``Run.is_stopped``. The second: what has not begun is given back at
        once. The third ends the process. Signals are heeded in the main thread only, and their
        handlers put back at the end.

        Raises: what the database says and no repetition mends, such as InvalidArgument.
        """
        return self._work(until_empty=False)

    def drain(self) -> WorkerCounts:
        """Work until a claim answers nothing, and return what was done."""
        return self._work(until_empty=True)

    def stop(self) -> None:
        """Claim no more; a second call also gives back what has not begun."""
        if self._stopping.is_set():
            self._giving_back.set()
        self._stopping.set()

    def _work(self, *, until_empty: bool) -> WorkerCounts:
        # What happens to the waiting thread: another has ended, or None, a signal. A queue of this
        # kind may be put to by a signal handler; an Event may not, its lock may be held.
        happened: SimpleQueue[WorkerThread | None] = SimpleQueue()
        heartbeat = Heartbeat(self._settings)
        workers = [
            WorkerThread(self._settings, heartbeat, self._stopping, self._giving_back, until_empty)
            for _ in range(self._settings.concurrency)
        ]

        beating = Thread(target=heartbeat.beat, name="pgjobs heartbeat", daemon=True)
        with _heeding_signals(lambda: happened.put(None)):
            try:
                beating.start()
                self._supervise(workers, happened)
            finally:
                self._stopping.set()
                heartbeat.ended.set()
                # It may hang on its connection, and owes nothing.
                beating.join(LAST_WAIT)
        # Not at the beginning: a stop that comes before it is meant for this run.
        for event in (self._stopping, self._giving_back):
            event.clear()
        counts = WorkerCounts()
        for worker in workers:
            if worker.failure is not None:
                raise worker.failure
            counts.add(worker.counts)
        return counts

    def _supervise(
        self, workers: list[WorkerThread], happened: SimpleQueue[WorkerThread | None]
    ) -> None:
        def work(worker: WorkerThread) -> None:
            if worker.work():
                happened.put(worker)

        to_start, working = list(workers), set(workers)
        while working:
            for worker in to_start:
                Thread(target=work, args=[worker], name="pgjobs worker", daemon=True).start()
            # Not for ever: Python runs no handler for a signal just before the wait.
            with suppress(Empty):
                ended = happened.get(timeout=LOOK)
                if ended is None:
                    self.stop()
                else:
                    working.discard(ended)
            to_start = [worker for worker in working if worker.replace()]


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
