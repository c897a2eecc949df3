"""The heartbeat of a worker: keeps the leases of held jobs while their handlers run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from threading import Event, Lock
from time import monotonic
from typing import Any
from uuid import UUID

import psycopg

from forgea_pgjobs import BeatOutcome, heartbeat_many
from forgea_pgjobs.models import Claimed
from forgea_pgjobs.worker.calls import Connect, log, reason_of

BEATS_PER_LEASE = 3
# Seconds until a beat that failed is tried again; then twice as long each time.
AGAIN = 0.1


class Heartbeat:
    """Beats for the jobs that a worker holds, and knows which of them it has lost."""

    def __init__(self, connect: Connect, lease_for: timedelta) -> None:
        self._connect = connect
        self._lease_for = lease_for
        self._lock = Lock()
        # By token: a job that was taken away may be claimed again by the same worker.
        self._held: dict[UUID, Claimed] = {}
        self._lost: set[UUID] = set()
        # By our own clock: from then on a lease may have been taken, whatever we hear.
        self._ends: dict[UUID, float] = {}
        self.ended = Event()

    def hold(self, runs: Sequence[Claimed]) -> None:
        """Beat for these from now on."""
        with self._lock:
            self._held.update((run.lease_token, run) for run in runs)
            self._ends |= dict.fromkeys((run.lease_token for run in runs), self._end())

    def drop(self, runs: Sequence[Claimed]) -> None:
        """Beat for these no more."""
        with self._lock:
            for run in runs:
                self._held.pop(run.lease_token, None)
                self._ends.pop(run.lease_token, None)
                self._lost.discard(run.lease_token)

    def is_lost(self, job: Claimed) -> bool:
        """Tell whether the lease of a held job is known to be gone, or over by our own clock."""
        with self._lock:
            is_over = self._ends.get(job.lease_token, math.inf) < monotonic()
            return is_over or job.lease_token in self._lost

    def beat(self) -> None:
        """Beat until ``ended``; connect for the first beat, which a short job never needs."""
        conn: psycopg.Connection[Any] | None = None
        every = self._lease_for.total_seconds() / BEATS_PER_LEASE
        pause = every
        again = AGAIN
        seen: set[UUID] = set()
        try:
            while not self.ended.wait(pause):
                with self._lock:
                    held = [run for token, run in self._held.items() if token not in self._lost]
                # One claimed since the last beat has most of its lease before it.
                due = [run for run in held if run.lease_token in seen]
                seen = {run.lease_token for run in held}
                pause = every
                try:
                    if due and (conn is None or conn.closed):
                        conn = self._connect()
                        conn.autocommit = True
                    if conn is not None and due:
                        self._beat_all(conn, due)
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

    def _beat_all(self, conn: psycopg.Connection[Any], due: Sequence[Claimed]) -> None:
        end = self._end()
        beats = heartbeat_many(
            conn,
            job_ids=[run.job_id for run in due],
            lease_tokens=[run.lease_token for run in due],
            lease_for=self._lease_for,
        )
        for run, beat in zip(due, beats, strict=True):
            with self._lock:
                if run.lease_token not in self._held:
                    continue
                if beat.outcome is BeatOutcome.HELD:
                    self._ends[run.lease_token] = end
                elif beat.outcome is BeatOutcome.LEASE_LOST:
                    self._lost.add(run.lease_token)
                    log.warning("job %s: its lease is lost", run.job_id)

    def _end(self) -> float:
        return monotonic() + self._lease_for.total_seconds()
