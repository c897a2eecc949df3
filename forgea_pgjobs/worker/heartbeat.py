"""The heartbeat of a worker: keeps the leases of held jobs while their handlers run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from threading import Event, Lock
from time import monotonic
from typing import Any
from uuid import UUID

import psycopg

from forgea_pgjobs import BeatOutcome, heartbeat_many
from forgea_pgjobs.worker.calls import Settings, log
from forgea_pgjobs.worker.run import Run, reason_of

BEATS_PER_LEASE = 3
# Seconds: a job that is cancelled is known so soon, however long its lease.
LONGEST_BEAT = 15.0
# Seconds until a beat that failed is tried again; then twice as long each time.
AGAIN = 0.1


class Heartbeat:
    """Beats for the jobs that a worker holds, and knows which of them it has lost."""

    def __init__(self, settings: Settings) -> None:
        self._connect = settings.connect
        self._lease_for = settings.lease_for
        self._alive = settings.alive
        self._lock = Lock()
        # By token: a job that was taken away may be claimed again by the same worker.
        self._held: dict[UUID, Run] = {}
        self._lost: set[UUID] = set()
        # By our own clock: from then on a lease may have been taken, whatever we hear.
        self._ends: dict[UUID, float] = {}
        self.ended = Event()

    def hold(self, runs: Sequence[Run]) -> None:
        """Beat for these from now on."""
        with self._lock:
            self._held.update((run.lease_token, run) for run in runs)
            self._ends |= dict.fromkeys((run.lease_token for run in runs), self._end())

    def drop(self, runs: Sequence[Run]) -> None:
        """Beat for these no more."""
        with self._lock:
            for run in runs:
                self._held.pop(run.lease_token, None)
                self._ends.pop(run.lease_token, None)
                self._lost.discard(run.lease_token)

    def is_lost(self, run: Run) -> bool:
        """Tell whether the lease of a held job is known to be gone, or over by our own clock."""
        with self._lock:
            is_over = self._ends.get(run.lease_token, math.inf) < monotonic()
            return is_over or run.lease_token in self._lost

    def beat(self) -> None:
        """Beat until ``ended``; connect for the first beat."""
        conn: psycopg.Connection[Any] | None = None
        every = min(self._lease_for.total_seconds() / BEATS_PER_LEASE, LONGEST_BEAT)
        pause = every
        again = AGAIN
        try:
            while not self.ended.wait(pause):
                with self._lock:
                    held = [run for token, run in self._held.items() if token not in self._lost]
                pause = every
                try:
                    if held and (conn is None or conn.closed):
                        conn = self._connect()
                        conn.autocommit = True
                    if conn is not None and held:
                        self._beat_all(conn, held)
                    if self._alive is not None:
                        Path(self._alive).touch()
                    again = AGAIN
                except Exception as error:  # whatever it is: without beats the leases end
                    log.warning("no heartbeat: %s", reason_of(error))
                    pause = min(every, again)
                    again *= 2
                    if conn is not None:
                        conn.close()  # a server that was demoted stays one
        finally:
            if conn is not None:
                conn.close()

    def _beat_all(self, conn: psycopg.Connection[Any], held: Sequence[Run]) -> None:
        end = self._end()
        beats = heartbeat_many(
            conn,
            job_ids=[run.job_id for run in held],
            lease_tokens=[run.lease_token for run in held],
            lease_for=self._lease_for,
        )
        for run, beat in zip(held, beats, strict=True):
            with self._lock:
                if run.lease_token not in self._held:
                    continue
                if beat.outcome is BeatOutcome.HELD:
                    self._ends[run.lease_token] = end
                elif beat.outcome is BeatOutcome.LEASE_LOST:
                    self._lost.add(run.lease_token)

    def _end(self) -> float:
        return monotonic() + self._lease_for.total_seconds()
