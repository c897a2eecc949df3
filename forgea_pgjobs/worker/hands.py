"""One pair of hands of a worker: a thread that claims, runs and completes on its own connection."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from threading import Event
from typing import Any, TypeVar

import psycopg

from forgea_pgjobs._transient import is_transient
from forgea_pgjobs.models import Claimed
from forgea_pgjobs.worker.exchange import exchange, give_back, log, lose, write_singly
from forgea_pgjobs.worker.leases import Leases
from forgea_pgjobs.worker.verdict import Finished, Handler, Tally, run

T = TypeVar("T")

FIRST_PAUSE = 0.002
RECONNECT = 0.1
LAST_TRIES = 8


class Hands:
    """Claims, runs and completes until ``stopping``; unstarted jobs are given back on ``hurry``."""

    def __init__(  # the worker's own settings, handed on
        self,
        connect: Callable[[], psycopg.Connection[Any]],
        handler: Handler,
        leases: Leases,
        *,
        name: str,
        batch: int,
        lease_for: timedelta,
        poll_interval: float,
        listen: bool,
        until_empty: bool,
        stopping: Event,
        hurry: Event,
    ) -> None:
        self.tally = Tally()
        self._connect = connect
        self._handler = handler
        self._leases = leases
        self._name = name
        self._batch = batch
        self._lease_for = lease_for
        self._poll_interval = poll_interval
        self._listen = listen
        self._until_empty = until_empty
        self._stopping = stopping
        self._hurry = hurry
        self._conn: psycopg.Connection[Any] | None = None
        self._pause = FIRST_PAUSE

    def work(self) -> None:
        """Work until told to stop or, with ``until_empty``, until a claim answers nothing."""
        try:
            finished: list[Finished] = []
            while True:
                runs = self._deliver_and_claim(finished)
                if runs:
                    self._pause = FIRST_PAUSE
                    finished = self._run_all(runs)
                elif self._stopping.is_set() or self._until_empty:
                    return
                else:
                    finished = []
                    self._wait()
        finally:
            if self._conn is not None:
                self._conn.close()

    def _run_all(self, runs: list[Claimed]) -> list[Finished]:
        self._leases.hold(runs)
        finished = []
        for number, job in enumerate(runs):
            if self._hurry.is_set():
                for unstarted in runs[number:]:
                    self._give_back(unstarted, "worker stopped", timedelta(0))
                self._leases.drop(runs[number:])
                break
            finished.append(run(self._handler, job))
        return finished

    def _deliver_and_claim(self, finished: list[Finished]) -> list[Claimed]:
        verdicts = [one for one in finished if one.reason is None]
        for one in finished:
            if one.reason is not None:
                log.warning("job %s: released, %s", one.job.job_id, one.reason)
                self._give_back(one.job, one.reason)
        try:
            runs, refused = self._on_connection(lambda conn: self._exchange(conn, verdicts))
        except psycopg.DataError:
            if not verdicts:
                raise
            self.tally.add(self._on_connection(lambda conn: write_singly(conn, verdicts)))
            verdicts, refused = [], []
            runs, _ = self._on_connection(lambda conn: self._exchange(conn, []))
        for job_id, outcome in refused:
            lose(job_id, outcome)
        self.tally.add(Tally(written=len(verdicts) - len(refused), lost=len(refused)))
        self._leases.drop([one.job for one in finished])
        return runs

    def _give_back(self, job: Claimed, reason: str, retry_after: timedelta | None = None) -> None:
        self.tally.add(self._on_connection(lambda conn: give_back(conn, job, reason, retry_after)))

    def _exchange(
        self, conn: psycopg.Connection[Any], verdicts: list[Finished]
    ) -> tuple[list[Claimed], list[tuple[int, str]]]:
        max_jobs = 0 if self._stopping.is_set() else self._batch
        runs, refused, is_sure = exchange(
            conn, verdicts, worker=self._name, max_jobs=max_jobs, lease_for=self._lease_for
        )
        if not is_sure:
            # The wait for the standby was cancelled: write the same once more, until it is sure.
            exchange(conn, verdicts, worker=self._name, max_jobs=0, lease_for=self._lease_for)
        return runs, refused

    def _wait(self) -> None:
        """Wait for a wake-up or the next poll; polls are dense after work, then ever rarer."""
        pause = self._pause
        self._pause = min(2 * pause, self._poll_interval)
        if not self._listen:
            self._stopping.wait(pause)
            return

        def listen(conn: psycopg.Connection[Any]) -> None:
            for _ in conn.notifies(timeout=pause, stop_after=1):
                self._pause = FIRST_PAUSE

        self._on_connection(listen)

    def _on_connection(self, unit: Callable[[psycopg.Connection[Any]], T]) -> T:
        """Run a repeatable unit; after the loss of the connection on a new one, for as long as it
        takes, but once told to stop only for a few tries.
        """
        pause, tries = RECONNECT, 0
        while True:
            try:
                if self._conn is None or self._conn.closed:
                    self._conn = self._open()
                return unit(self._conn)
            except psycopg.Error as error:
                is_connected = self._conn is not None and not self._conn.closed
                tries += self._stopping.is_set() or self._until_empty
                if not is_transient(error, is_connected=is_connected) or tries > LAST_TRIES:
                    raise
                log.warning("trying again: %s", str(error).partition("\n")[0])
            self._stopping.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311  # a pause
            pause = min(2 * pause, 5.0)

    def _open(self) -> psycopg.Connection[Any]:
        conn = self._connect()
        conn.autocommit = True
        if self._listen:
            conn.execute("listen pgjobs")
        return conn
