"""One thread of a worker: claims, runs and completes on a connection of its own."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Event
from time import monotonic, sleep
from typing import Any, TypeVar

import psycopg

from forgea_pgjobs.errors import LeaseLost, VerdictFinal, is_transient
from forgea_pgjobs.models import Claimed
from forgea_pgjobs.worker.calls import (
    Exchanged,
    Finished,
    Settings,
    WorkerCounts,
    exchange,
    give_back,
    log,
    lose,
    reason_of,
    run,
    write_singly,
)
from forgea_pgjobs.worker.heartbeat import Heartbeat

T = TypeVar("T")

# All in seconds: the first pause between two polls, the longest time that a stop goes unseen, and
# the first and the longest rest before the database is tried again.
FIRST_PAUSE = 0.002
LOOK = 0.2
FIRST_REST = 0.1
LAST_REST = 5.0
# How often it is tried again once nobody is to wait for it.
LAST_TRIES = 8
# A standby that is not yet promoted, a lock timeout, a statement timeout: these pass as well.
PASSING = {"25006", "55P03", "57014"}


class NothingOwed(Exception):
    """Told to stop, and no verdict waits to be written: the database need not be asked."""


@dataclass(eq=False, slots=True)
class ReconnectingConnection:
    """Runs units on a connection, opened again when lost, for as long as it is needed.

    ``patient`` is false where nobody is to wait for a database.
    """

    settings: Settings
    stopping: Event
    patient: bool
    _conn: psycopg.Connection[Any] | None = None

    def run(self, unit: Callable[[psycopg.Connection[Any]], T], *, owing: bool = True) -> T:
        """Run a repeatable unit, again on a new connection where the old one is lost.

        For as long as it takes; once told to stop, or not patient, only a few times.

        Raises: NothingOwed: told to stop and not ``owing``. What no repetition mends, at once.
        """
        rest, tries = FIRST_REST, 0
        while owing or not self.stopping.is_set():
            try:
                if self._conn is None or self._conn.closed:
                    self._conn = self._open()
                return unit(self._conn)
            except psycopg.Error as error:
                is_connected = self._conn is not None and not self._conn.closed
                passes = error.sqlstate in PASSING or is_transient(error, is_connected=is_connected)
                tries += self.stopping.is_set() or not self.patient
                if not passes or tries > LAST_TRIES:
                    raise
                log.warning("trying again: %s", str(error).partition("\n")[0])
            pause = sleep if owing else self.stopping.wait
            pause(rest * random.uniform(0.5, 1.0))  # noqa: S311  # a pause, not a secret
            rest = min(2 * rest, LAST_REST)
        raise NothingOwed

    def close(self) -> None:
        """Close the connection."""
        if self._conn is not None:
            self._conn.close()

    def _open(self) -> psycopg.Connection[Any]:
        conn = self.settings.connect()
        conn.autocommit = True
        if self.settings.listen:
            conn.execute("listen pgjobs")
        return conn


@dataclass(eq=False, slots=True)
class WorkerThread:
    """Works until ``stopping`` or, with ``until_empty``, until a claim answers nothing.

    What has not begun is given back on ``giving_back``. What ends it otherwise is its ``failure``,
    and stops the others.
    """

    settings: Settings
    heartbeat: Heartbeat
    stopping: Event
    giving_back: Event
    until_empty: bool
    counts: WorkerCounts = field(init=False, default_factory=WorkerCounts)
    failure: BaseException | None = field(init=False, default=None)
    _connection: ReconnectingConnection = field(init=False)
    _pause: float = field(init=False, default_factory=lambda: FIRST_PAUSE)

    def work(self) -> None:
        """Work; this is what the thread runs."""
        self._connection = ReconnectingConnection(
            self.settings, self.stopping, patient=not self.until_empty
        )
        try:
            self._work()
        except NothingOwed:
            pass
        except BaseException as error:  # raised again in the caller's thread
            self._fail(error)
        finally:
            self._connection.close()

    def _work(self) -> None:
        finished: list[Finished] = []
        while finished or not self.stopping.is_set():
            runs = self._deliver_and_claim(finished)
            finished = self._run_all(runs)
            if runs:
                self._pause = FIRST_PAUSE
            elif self.until_empty:
                return
            else:
                self._wait()

    def _fail(self, error: BaseException) -> None:
        self.failure = error
        self.stopping.set()

    def _run_all(self, runs: list[Claimed]) -> list[Finished]:
        self.heartbeat.hold(runs)
        finished = []
        for number, job in enumerate(runs):
            if self.giving_back.is_set():
                for unstarted in runs[number:]:
                    self._give_back(unstarted, "worker stopped", timedelta(0))
                self.heartbeat.drop(runs[number:])
                break
            try:
                finished.append(run(self.settings.handler, job))
            except BaseException as error:  # sys.exit, say: after what is held is written
                finished.append(Finished(job, reason=reason_of(error)))
                self._fail(error)
                self.giving_back.set()
        return finished

    def _deliver_and_claim(self, finished: list[Finished]) -> list[Claimed]:
        verdicts = [one for one in finished if one.reason is None]
        for one in finished:
            if one.reason is not None:
                log.warning("job %s: released, %s", one.job.job_id, one.reason)
                self._give_back(one.job, one.reason)
        try:
            done = self._connection.run(
                lambda conn: self._exchange(conn, verdicts), owing=bool(verdicts)
            )
        except (psycopg.DataError, LeaseLost, VerdictFinal):
            if not verdicts:
                raise
            self.counts.add(self._connection.run(lambda conn: write_singly(conn, verdicts)))
            self.heartbeat.drop([one.job for one in finished])
            return self._deliver_and_claim([])
        for job_id, outcome in done.not_taken:
            lose(job_id, outcome)
        lost = len(done.not_taken)
        self.counts.add(WorkerCounts(written=len(verdicts) - lost, lost=lost))
        self.heartbeat.drop([one.job for one in finished])
        return done.runs

    def _give_back(self, job: Claimed, reason: str, retry_after: timedelta | None = None) -> None:
        self.counts.add(
            self._connection.run(lambda conn: give_back(conn, job, reason, retry_after))
        )

    def _exchange(self, conn: psycopg.Connection[Any], verdicts: list[Finished]) -> Exchanged:
        max_jobs = 0 if self.stopping.is_set() else self.settings.batch
        done = again = exchange(conn, verdicts, self.settings, max_jobs)
        while verdicts and not again.is_sure:
            # The wait for the standby was cancelled: write the same once more.
            again = exchange(conn, verdicts, self.settings, max_jobs=0)
        return done

    def _wait(self) -> None:
        """Wait for a wake-up or the next poll; polls are dense after work, then ever rarer."""
        pause = self._pause
        self._pause = min(2 * pause, self.settings.poll_interval)
        if not self.settings.listen:
            self.stopping.wait(pause)
            return
        end = monotonic() + pause

        def listen(conn: psycopg.Connection[Any]) -> None:
            while not self.stopping.is_set() and (left := end - monotonic()) > 0:
                for _ in conn.notifies(timeout=min(left, LOOK), stop_after=1):
                    self._pause = FIRST_PAUSE
                    return

        self._connection.run(listen, owing=False)
