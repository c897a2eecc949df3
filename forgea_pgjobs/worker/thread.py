"""One thread of a worker: claims, runs and completes on a connection of its own."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from logging import INFO
from threading import Event
from time import monotonic, sleep
from typing import Any, TypeVar

import psycopg

from forgea_pgjobs.errors import UnknownOutcome
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
    not_stored,
    reason_of,
    run,
)
from forgea_pgjobs.worker.heartbeat import Heartbeat

T = TypeVar("T")

# All in seconds: the first pause between two polls, the longest time that a stop goes unseen, and
# the first and the longest rest before the database is tried again.
FIRST_PAUSE = 0.002
LOOK = 0.2
FIRST_REST = 0.1
LAST_REST = 5.0
# After so many failures in a row the next claim waits, twice as long each time, in seconds.
MANY_FAILURES = 5
LONGEST_BREAK = 60.0
# How often it is tried again once nobody is to wait for it.
LAST_TRIES = 8
# Of one verdict, not of the database: a summary that cannot be stored, a job that is gone, a limit.
OF_A_VERDICT = ("22", "54", "P0", "23V02", "23V05")
# What passes even before anything has worked: no connection yet, a standby that is not promoted,
# no room, a shutdown, a timeout. Later everything does: somebody mends it.
PASSING = ("08", "25006", "25P0", "40", "53", "55P03", "57")


def is_of_a_verdict(error: Exception) -> bool:
    """Tell whether a refusal is of one verdict, which the others need not share."""
    return (getattr(error, "sqlstate", None) or "").startswith(OF_A_VERDICT)


def may_pass(error: Exception) -> bool:
    """Tell whether a worker that has done nothing yet should wait."""
    if not isinstance(error, psycopg.Error):
        return isinstance(error, OSError)
    if error.sqlstate is None:
        return isinstance(error, psycopg.OperationalError)
    return error.sqlstate.startswith(PASSING)


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
    _has_worked: bool = False

    def run(self, unit: Callable[[psycopg.Connection[Any]], T], *, owing: bool = True) -> T:
        """Run a repeatable unit, again on a new connection where the old one is lost.

        For as long as it takes; once told to stop, or not patient, only a few times.

        Raises: NothingOwed: told to stop and not ``owing``. At once: what is of one verdict; before
        anything has worked, what no waiting mends.
        """
        rest, tries = FIRST_REST, 0
        while owing or not self.stopping.is_set():
            try:
                if self._conn is None or self._conn.closed:
                    self._conn = self._open()
                answer = unit(self._conn)
                self._has_worked = True
                return answer
            except (psycopg.Error, OSError) as error:
                tries += self.stopping.is_set() or not self.patient
                is_lasting = not (self._has_worked or may_pass(error))
                if is_of_a_verdict(error) or is_lasting or tries > LAST_TRIES:
                    raise
                if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
                    self.close()  # a server that was demoted stays one; the primary is elsewhere
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
        try:
            conn = self.settings.connect()
            conn.rollback()  # what it may have left open
            conn.autocommit = True
        except (psycopg.Error, OSError):
            raise
        except Exception as error:
            raise ConnectionError(reason_of(error)) from error
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
    _failures: int = field(init=False, default=0)
    _pid: int = field(init=False, default_factory=os.getpid)

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
            failure: BaseException | None = None
            start = monotonic()
            try:
                done = run(self.settings.handler, job)
            except BaseException as error:  # sys.exit, say: after what is held is written
                failure, done = error, Finished(job, reason=reason_of(error))
            if os.getpid() != self._pid:
                os._exit(70)  # a child that the handler forked must not speak for the worker
            finished.append(done)
            self._failures = 0 if done.reason is None else self._failures + 1
            self._tell(done, monotonic() - start)
            if failure is not None:
                self._fail(failure)
                self.giving_back.set()
        return finished

    def _tell(self, done: Finished, seconds: float) -> None:
        if log.isEnabledFor(INFO):
            outcome = done.status or "released"
            fields = {
                "lab_session_id": str(done.job.session_id),
                "verification_job_id": done.job.job_id,
                "worker_id": self.settings.name,
                "outcome": outcome,
                "seconds": seconds,
            }
            log.info("job %s: %s after %.3f s", done.job.job_id, outcome, seconds, extra=fields)

    def _deliver_and_claim(self, finished: list[Finished]) -> list[Claimed]:
        verdicts = [one for one in finished if one.reason is None]
        for one in finished:
            if one.reason is not None:
                log.warning("job %s: released, %s", one.job.job_id, one.reason)
                self._give_back(one.job, one.reason)
        if self._failures >= MANY_FAILURES:
            # It may be us and not the jobs, whose runs are few: the others shall have them.
            if verdicts:
                self._deliver(verdicts, claims=False)
            self.heartbeat.drop([one.job for one in finished])
            self.stopping.wait(min(LONGEST_BREAK, 2.0 ** (self._failures - MANY_FAILURES + 1)))
            return self._deliver([], claims=True)
        runs = self._deliver(verdicts, claims=True)
        self.heartbeat.drop([one.job for one in finished])
        return runs

    def _deliver(self, verdicts: list[Finished], *, claims: bool) -> list[Claimed]:
        """Write verdicts, together or else each alone, and claim."""
        try:
            return self._write(verdicts, claims=claims)
        except psycopg.Error as error:
            if not (verdicts and is_of_a_verdict(error)):
                raise
            # One bad summary does not hold up the verdicts of its batch.
            for one in verdicts:
                self._write_alone(one)
            return self._write([], claims=claims)

    def _write_alone(self, one: Finished) -> None:
        """Write a verdict, without its summary if need be; else give the job back."""
        for last in (False, True):
            try:
                self._write([one], claims=False)
                return
            except psycopg.Error as error:
                if not is_of_a_verdict(error):
                    raise
                log.warning("job %s: refused, %s", one.job.job_id, reason_of(error))
                if last:
                    self._give_back(one.job, reason_of(error))
                one = one._replace(summary=not_stored(error))

    def _write(self, verdicts: list[Finished], *, claims: bool) -> list[Claimed]:
        """Write verdicts until they are sure to last, and claim."""
        tries = count()

        def write(conn: psycopg.Connection[Any]) -> Exchanged:
            max_jobs = self.settings.batch if claims and not self.stopping.is_set() else 0
            is_first = not verdicts or next(tries) == 0
            return exchange(conn, verdicts, self.settings, max_jobs, is_first=is_first)

        def prove(conn: psycopg.Connection[Any]) -> None:
            if not exchange(conn, verdicts, self.settings, max_jobs=0, is_first=False).is_sure:
                raise UnknownOutcome("the wait for the synchronous standby was cancelled")

        done = self._connection.run(write, owing=bool(verdicts))
        if verdicts and not done.is_sure:
            self.heartbeat.hold(done.runs)
            self._connection.run(prove)
        for job_id, outcome in done.not_taken:
            lose(job_id, outcome)
        lost = len(done.not_taken)
        self.counts.add(WorkerCounts(written=len(verdicts) - lost, lost=lost))
        return done.runs

    def _give_back(self, job: Claimed, reason: str, retry_after: timedelta | None = None) -> None:
        self.counts.add(
            self._connection.run(lambda conn: give_back(conn, job, reason, retry_after))
        )

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
                # All that have come meanwhile are one wake-up.
                if list(conn.notifies(timeout=min(left, LOOK), stop_after=1)):
                    self._pause = FIRST_PAUSE
                    return

        self._connection.run(listen, owing=False)
