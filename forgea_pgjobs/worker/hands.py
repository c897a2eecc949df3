"""One pair of hands of a worker: a thread that claims, runs and completes on its own connection."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from threading import Event
from time import monotonic
from typing import Any

import psycopg

from forgea_pgjobs.errors import LeaseLost, VerdictFinal
from forgea_pgjobs.models import Claimed
from forgea_pgjobs.worker.exchange import exchange, give_back, log, lose, write_singly
from forgea_pgjobs.worker.leases import Leases
from forgea_pgjobs.worker.link import Link, NothingOwed
from forgea_pgjobs.worker.verdict import Finished, Handler, Tally, reason_of, run

FIRST_PAUSE = 0.002
LOOK = 0.2


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
        self.failure: BaseException | None = None
        self._link = Link(connect, stopping, listen=listen, patient=not until_empty)
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
        self._pause = FIRST_PAUSE

    def work(self) -> None:
        """Work until told to stop or, with ``until_empty``, until a claim answers nothing.

        What ends it otherwise is its ``failure``, and stops the others.
        """
        try:
            self._work()
        except NothingOwed:
            pass
        except BaseException as error:  # raised again in the caller's thread
            self._fail(error)
        finally:
            self._link.close()

    def _work(self) -> None:
        finished: list[Finished] = []
        while finished or not self._stopping.is_set():
            runs = self._deliver_and_claim(finished)
            finished = self._run_all(runs)
            if runs:
                self._pause = FIRST_PAUSE
            elif self._until_empty:
                return
            else:
                self._wait()

    def _fail(self, error: BaseException) -> None:
        self.failure = error
        self._stopping.set()

    def _run_all(self, runs: list[Claimed]) -> list[Finished]:
        self._leases.hold(runs)
        finished = []
        for number, job in enumerate(runs):
            if self._hurry.is_set():
                for unstarted in runs[number:]:
                    self._give_back(unstarted, "worker stopped", timedelta(0))
                self._leases.drop(runs[number:])
                break
            try:
                finished.append(run(self._handler, job))
            except BaseException as error:  # sys.exit, say: after what is held is written
                finished.append(Finished(job, reason=reason_of(error)))
                self._fail(error)
                self._hurry.set()
        return finished

    def _deliver_and_claim(self, finished: list[Finished]) -> list[Claimed]:
        verdicts = [one for one in finished if one.reason is None]
        for one in finished:
            if one.reason is not None:
                log.warning("job %s: released, %s", one.job.job_id, one.reason)
                self._give_back(one.job, one.reason)
        try:
            runs, refused = self._link.run(
                lambda conn: self._exchange(conn, verdicts), owing=bool(verdicts)
            )
        except (psycopg.DataError, LeaseLost, VerdictFinal):
            if not verdicts:
                raise
            self.tally.add(self._link.run(lambda conn: write_singly(conn, verdicts)))
            self._leases.drop([one.job for one in finished])
            return self._deliver_and_claim([])
        for job_id, outcome in refused:
            lose(job_id, outcome)
        self.tally.add(Tally(written=len(verdicts) - len(refused), lost=len(refused)))
        self._leases.drop([one.job for one in finished])
        return runs

    def _give_back(self, job: Claimed, reason: str, retry_after: timedelta | None = None) -> None:
        self.tally.add(self._link.run(lambda conn: give_back(conn, job, reason, retry_after)))

    def _exchange(
        self, conn: psycopg.Connection[Any], verdicts: list[Finished]
    ) -> tuple[list[Claimed], list[tuple[int, str]]]:
        max_jobs = 0 if self._stopping.is_set() else self._batch
        runs, refused, is_sure = exchange(
            conn, verdicts, worker=self._name, max_jobs=max_jobs, lease_for=self._lease_for
        )
        while verdicts and not is_sure:
            # The wait for the standby was cancelled: write the same once more.
            *_, is_sure = exchange(
                conn, verdicts, worker=self._name, max_jobs=0, lease_for=self._lease_for
            )
        return runs, refused

    def _wait(self) -> None:
        """Wait for a wake-up or the next poll; polls are dense after work, then ever rarer."""
        pause = self._pause
        self._pause = min(2 * pause, self._poll_interval)
        if not self._listen:
            self._stopping.wait(pause)
            return
        end = monotonic() + pause

        def listen(conn: psycopg.Connection[Any]) -> None:
            while not self._stopping.is_set() and (left := end - monotonic()) > 0:
                for _ in conn.notifies(timeout=min(left, LOOK), stop_after=1):
                    self._pause = FIRST_PAUSE
                    return

        self._link.run(listen, owing=False)
