"""One thread of a worker: claims, runs and completes on a connection of its own."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from logging import INFO, WARNING
from threading import Event, Lock
from time import monotonic, sleep
from typing import Any

import psycopg

from forgea_pgjobs.errors import JobNotFound, LeaseLost, UnknownOutcome, VerdictFinal
from forgea_pgjobs.worker.calls import Exchanged, Settings, exchange, give_back, log
from forgea_pgjobs.worker.connection import (
    LAST_TRIES,
    NothingOwed,
    ReconnectingConnection,
    is_of_a_verdict,
)
from forgea_pgjobs.worker.heartbeat import Heartbeat
from forgea_pgjobs.worker.run import Finished, Run, judge, not_stored, reason_of

# All in seconds: the first pause between two polls, the longest time that a stop goes unseen, how
# long a handler has to heed its time limit, and how often what was put aside is tried again.
FIRST_PAUSE = 0.002
LOOK = 0.2
GRACE = 10.0
ASIDE_EVERY = 1.0
# After so many failures in a row the next claim waits, twice as long each time, in seconds.
MANY_FAILURES = 5
LONGEST_BREAK = 60.0


@dataclass(slots=True)
class WorkerCounts:
    """What a worker has done: verdicts written, runs given back, results whose lease was lost."""

    written: int = 0
    released: int = 0
    lost: int = 0

    def add(self, other: WorkerCounts) -> None:
        """Count what another has done as well."""
        self.written += other.written
        self.released += other.released
        self.lost += other.lost


class Replaced(Exception):
    """The handler came back after its run was taken from it: another thread goes on."""


@dataclass(eq=False, slots=True)
class WorkerThread:
    """Works until ``stopping`` or, with ``until_empty``, until a claim answers nothing.

    What has not begun is given back on ``giving_back``. What ends it otherwise is its ``failure``,
    and stops the others. Its thread is replaced where a handler does not come back.
    """

    settings: Settings
    heartbeat: Heartbeat
    stopping: Event
    giving_back: Event
    until_empty: bool
    counts: WorkerCounts = field(init=False, default_factory=WorkerCounts)
    failure: BaseException | None = field(init=False, default=None)
    # Claimed, and not begun; ended, and not said; said, but of a session that somebody has locked.
    _pending: deque[Run] = field(init=False, default_factory=deque)
    _finished: list[Finished] = field(init=False, default_factory=list)
    _aside: list[Finished] = field(init=False, default_factory=list)
    _aside_at: float = field(init=False, default=0.0)
    _aside_tries: int = field(init=False, default=0)
    # The run that the handler has, and since when; guarded against who takes it away.
    _lock: Lock = field(init=False, default_factory=Lock)
    _current: tuple[Run, float] | None = field(init=False, default=None)
    _generation: int = field(init=False, default=0)
    _connection: ReconnectingConnection = field(init=False)
    _pause: float = field(init=False, default=FIRST_PAUSE)
    _failures: int = field(init=False, default=0)
    _pid: int = field(init=False, default_factory=os.getpid)

    def work(self) -> bool:
        """Work; this is what the thread runs. False when another does so in its place."""
        connection = self._connection = ReconnectingConnection(
            self.settings.connect,
            self.settings.listen,
            self.stopping,
            patient=not self.until_empty,
            has_worked=self._generation > 0,
        )
        try:
            self._work(self._generation)
        except NothingOwed:
            pass
        except Replaced:
            return False
        except BaseException as error:  # raised again in the caller's thread
            self._fail(error)
        finally:
            connection.close()
        return True

    def replace(self) -> bool:
        """Take a run away whose handler does not heed its time limit; the thread is not ours then.

        Called by another thread, which starts a new one when told True.
        """
        with self._lock:
            if self._current is None:
                return False
            run, start = self._current
            seconds = monotonic() - start
            if seconds < self.settings.time_limit + GRACE:
                return False
            self._generation += 1
            self._current = None
            self._finished.append(Finished(run, reason="over its time limit", seconds=seconds))
            return True

    def _work(self, generation: int) -> None:
        while True:
            while self._pending:
                self._run_next(generation)
            if self.stopping.is_set() and not (self._finished or self._aside):
                return
            runs = self._deliver_and_claim()
            self.heartbeat.hold(runs)
            self._pending.extend(runs)
            if runs:
                self._pause = FIRST_PAUSE
            elif self.until_empty and not self._aside:
                return
            else:
                self._wait()

    def _fail(self, error: BaseException) -> None:
        self.failure = error
        self.stopping.set()

    def _run_next(self, generation: int) -> None:
        run = self._pending.popleft()
        if self.giving_back.is_set():
            reason = "the worker was stopped before it began"
            self._finished.append(Finished(run, reason=reason, count_run=False))
            return
        failure: BaseException | None = None
        start = monotonic()
        run._thread, run._connection = self, self._connection
        run._end = start + self.settings.time_limit
        if self.settings.hook is not None:
            self.settings.hook(run, None, 0.0)
        self._current = run, start
        try:
            done = judge(self.settings.handler, run)
        except BaseException as error:  # sys.exit, say: after what is held is written
            failure, done = error, Finished(run, reason=reason_of(error))
        if os.getpid() != self._pid:
            os._exit(70)  # a child that the handler forked must not speak for the worker
        if self.stopping.is_set() and not done.status and failure is None:
            done.count_run, done.after, done.error = False, None, None
        done.seconds = monotonic() - start
        with self._lock:
            if self._generation != generation:
                raise Replaced
            self._current = None
            self._finished.append(done)
        self._failures = 0 if done.status else self._failures + 1
        if failure is not None:
            self.giving_back.set()
            self._fail(failure)

    def is_to_end(self, run: Run, end: float, *, must: bool) -> bool:
        """Tell whether a run should end, or must, as where the worker is told so twice."""
        is_told = self.giving_back if must else self.stopping
        return is_told.is_set() or monotonic() > end or self.heartbeat.is_lost(run)

    def _deliver_and_claim(self) -> list[Run]:
        finished, self._finished = self._finished, []
        verdicts = [one for one in finished if one.status]
        for one in finished:
            if not one.status:
                self._settle(one)
        if self._aside and monotonic() >= self._aside_at:
            self._settle_aside()
        if self._failures < MANY_FAILURES:
            return self._deliver(verdicts, claims=True)
        # It may be us and not the jobs, whose runs are few: the others shall have them.
        if verdicts:
            self._deliver(verdicts, claims=False)
        self.stopping.wait(min(LONGEST_BREAK, 2.0 ** (self._failures - MANY_FAILURES + 1)))
        return self._deliver([], claims=True)

    def _deliver(self, verdicts: Sequence[Finished], *, claims: bool) -> list[Run]:
        """Write verdicts, together or else each alone, and claim."""
        if not verdicts and self.stopping.is_set():
            return []
        try:
            return self._write(verdicts, claims=claims)
        except psycopg.Error as error:
            if not (verdicts and is_of_a_verdict(error)):
                raise
            # One bad summary does not hold up the verdicts of its batch.
            for one in verdicts:
                self._settle(one)
            return self._deliver([], claims=claims)

    def _settle(self, one: Finished, *, is_last: bool = False) -> None:
        """Write a verdict alone, at last without its summary, or give the run back."""
        try:
            if not one.status:
                self._connection.run(lambda conn: give_back(conn, one))
                self.heartbeat.drop([one.run])
                self._tell(one, "RELEASED" if one.count_run else "INTERRUPTED")
                return
            self._write([one], claims=False, briefly=True)
        except psycopg.errors.LockNotAvailable:
            self._aside.append(one)
            self._aside_at = monotonic() + ASIDE_EVERY
        except (JobNotFound, LeaseLost, VerdictFinal) as error:
            self.heartbeat.drop([one.run])
            self._tell(one, "LOST", words=str(error))
        except psycopg.Error as error:
            if not is_of_a_verdict(error) or not one.status:
                raise
            log.warning("job %s: refused, %s", one.run.job_id, reason_of(error))
            if is_last:
                self._settle(replace(one, status="", reason=reason_of(error)))
            else:
                self._settle(replace(one, summary=not_stored(error)), is_last=True)

    def _settle_aside(self) -> None:
        """Try once more what was put aside; give it up where nobody is to wait any longer."""
        aside, self._aside = self._aside, []
        for one in aside:
            self._settle(one)
        self._aside_tries += self.stopping.is_set() or self.until_empty
        if self._aside_tries > LAST_TRIES:
            self.heartbeat.drop([one.run for one in self._aside])
            for one in self._aside:
                self._tell(one, "LOST", words="its session is locked")
            self._aside = []

    def _write(
        self, verdicts: Sequence[Finished], *, claims: bool, briefly: bool = False
    ) -> list[Run]:
        """Write verdicts until they are sure to last, and claim."""
        tries = count()

        def write(conn: psycopg.Connection[Any]) -> Exchanged:
            max_jobs = self.settings.batch if claims and not self.stopping.is_set() else 0
            is_first = not verdicts or next(tries) == 0
            return exchange(
                conn, verdicts, self.settings, max_jobs, is_first=is_first, briefly=briefly
            )

        def prove(conn: psycopg.Connection[Any]) -> None:
            if not exchange(conn, verdicts, self.settings, max_jobs=0, is_first=False).is_sure:
                raise UnknownOutcome("the wait for the synchronous standby was cancelled")

        done = self._connection.run(write, owing=bool(verdicts))
        if verdicts and not done.is_sure:
            self.heartbeat.hold(done.runs)
            self._connection.run(prove)
        self.heartbeat.drop([one.run for one in verdicts])
        for one in verdicts:
            refusal = done.not_taken.get(one.run.job_id)
            self._tell(one, "LOST" if refusal else one.status, words=refusal)
        return done.runs

    def _tell(self, done: Finished, outcome: str, *, words: str | None = None) -> None:
        """Count, log and report a run that has ended."""
        if outcome == "LOST":
            self.counts.lost += 1
        elif done.status:
            self.counts.written += 1
        else:
            self.counts.released += 1
        level = INFO if outcome == done.status else WARNING
        if log.isEnabledFor(level):
            run, why = done.run, words or done.reason
            log.log(
                level,
                "job %s: %s after %.3f s%s",
                *(run.job_id, outcome, done.seconds, f", {why}" if why else ""),
                exc_info=done.error,
                extra={
                    "lab_session_id": str(run.session_id),
                    "verification_job_id": run.job_id,
                    "worker_id": self.settings.name,
                    "outcome": outcome,
                    "seconds": done.seconds,
                },
            )
        if self.settings.hook is not None:
            self.settings.hook(done.run, outcome, done.seconds)

    def _wait(self) -> None:
        """Wait for a wake-up or the next poll; polls are dense after work, then ever rarer."""
        pause = self._pause
        self._pause = min(2 * pause, self.settings.poll_interval)
        if self.stopping.is_set():
            sleep(LOOK)  # what was put aside is still owed
        elif not self.settings.listen:
            self.stopping.wait(pause)
        else:
            self._listen(monotonic() + pause)

    def _listen(self, end: float) -> None:
        def listen(conn: psycopg.Connection[Any]) -> None:
            while not self.stopping.is_set() and (left := end - monotonic()) > 0:
                # All that have come meanwhile are one wake-up.
                if list(conn.notifies(timeout=min(left, LOOK), stop_after=1)):
                    self._pause = FIRST_PAUSE
                    return

        self._connection.run(listen, owing=False)
