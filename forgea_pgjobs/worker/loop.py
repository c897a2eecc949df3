"""The worker: its settings, its threads, and how it is stopped."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from queue import Empty, SimpleQueue
from threading import Event, Thread
from types import FrameType
from typing import Any

import psycopg

from forgea_pgjobs.models import Claimed
from forgea_pgjobs.worker.hands import LOOK, Hands
from forgea_pgjobs.worker.leases import Leases
from forgea_pgjobs.worker.verdict import Handler, Tally


class Worker:
    """Runs a handler for one claimed job after the other until it is stopped.

    ``handler`` gets a ``Claimed`` and returns PASSED, FAILED or ERROR, or a ``Verdict`` with a
    summary. An exception is no verdict: the job is released with its kind and first words.

    connect: a connection string, or a function that opens a connection for the worker alone.
    name: who claims, 1 … 200 characters; host and process by default. batch: jobs a claim, 1 …
    1000; those behind the first wait for it. concurrency: threads, each with a connection and a
    batch of its own; the handler must bear it. lease_for: 1 s … 1 day; a third of it is the
    heartbeat. poll_interval: seconds between two looks at an empty queue; after work the looks are
    dense and become rarer. listen: be woken by ``wake`` as well, which a transaction pooler does
    not pass on.
    """

    def __init__(  # each is a setting
        self,
        connect: str | Callable[[], psycopg.Connection[Any]],
        handler: Handler,
        *,
        name: str | None = None,
        batch: int = 1,
        concurrency: int = 1,
        lease_for: timedelta = timedelta(minutes=5),
        poll_interval: float = 1.0,
        listen: bool = False,
    ) -> None:
        self._connect = _opener(connect)
        self._handler = handler
        self._name = name or f"{socket.gethostname()}:{os.getpid()}"
        self._batch = batch
        self._concurrency = concurrency
        self._lease_for = lease_for
        self._poll_interval = poll_interval
        self._listen = listen
        self._stopping = Event()
        self._hurry = Event()
        self._leases = Leases(self._connect, lease_for)

    def run(self) -> Tally:
        """Work until ``stop``, SIGTERM or SIGINT, and return what was done.

        The first signal: no further claim; what is claimed is finished, since a claim counts as a
        run. The second: what has not begun is released at once. Signals are heeded in the main
        thread only, and their handlers put back at the end.

        Raises: what the database says and no repetition mends, such as InvalidArgument.
        """
        return self._work(until_empty=False)

    def drain(self) -> Tally:
        """Work until a claim answers nothing, and return what was done."""
        return self._work(until_empty=True)

    def stop(self) -> None:
        """Claim no more; a second call also releases what has not begun."""
        if self._stopping.is_set():
            self._hurry.set()
        self._stopping.set()

    def is_lost(self, job: Claimed) -> bool:
        """Tell a handler whether its job is known to have lost its lease: its result is dropped."""
        return self._leases.is_lost(job)

    def _work(self, *, until_empty: bool) -> Tally:
        hands = [
            Hands(
                self._connect,
                self._handler,
                self._leases,
                name=self._name,
                batch=self._batch,
                lease_for=self._lease_for,
                poll_interval=self._poll_interval,
                listen=self._listen,
                until_empty=until_empty,
                stopping=self._stopping,
                hurry=self._hurry,
            )
            for _ in range(self._concurrency)
        ]

        # What happens to the waiting thread: one of the hands has ended, or None, a signal. A queue
        # of this kind may be put to by a signal handler; an Event may not, its lock may be held.
        news: SimpleQueue[Hands | None] = SimpleQueue()

        def work(pair: Hands) -> None:
            pair.work()
            news.put(pair)

        beater = Thread(target=self._leases.beat, name="pgjobs heartbeat", daemon=True)
        threads = [
            Thread(target=work, args=[pair], name=f"pgjobs worker {number}", daemon=True)
            for number, pair in enumerate(hands)
        ]
        with self._heeding_signals(lambda: news.put(None)):
            ended = 0
            try:
                for thread in (beater, *threads):
                    thread.start()
                while ended < len(hands):
                    # Not for ever: Python runs no handler for a signal just before the wait.
                    with suppress(Empty):
                        if news.get(timeout=LOOK) is None:
                            self.stop()
                        else:
                            ended += 1
            finally:
                self._stopping.set()
                self._leases.ended.set()
                for thread in (beater, *threads):
                    if thread.is_alive():
                        thread.join()
        # Not at the beginning: a stop that comes before it is meant for this run.
        for event in (self._stopping, self._hurry, self._leases.ended):
            event.clear()
        tally = Tally()
        for pair in hands:
            if pair.failure is not None:
                raise pair.failure
            tally.add(pair.tally)
        return tally

    @contextmanager
    def _heeding_signals(self, tell: Callable[[], None]) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def heed(_signum: int, _frame: FrameType | None) -> None:
            tell()

        former = {signum: signal.signal(signum, heed) for signum in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for signum, handler in former.items():
                signal.signal(signum, handler)


def _opener(
    connect: str | Callable[[], psycopg.Connection[Any]],
) -> Callable[[], psycopg.Connection[Any]]:
    if callable(connect):
        return connect
    conninfo = connect

    def open_connection() -> psycopg.Connection[Any]:
        return psycopg.connect(conninfo, autocommit=True)

    return open_connection
