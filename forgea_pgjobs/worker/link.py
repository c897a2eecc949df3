"""The connection of one pair of hands: opened again when lost, for as long as it is needed."""

from __future__ import annotations

import random
from collections.abc import Callable
from threading import Event
from time import sleep
from typing import Any, TypeVar

import psycopg

from forgea_pgjobs._transient import is_transient
from forgea_pgjobs.worker.exchange import log

T = TypeVar("T")

FIRST_REST = 0.1
LAST_REST = 5.0
LAST_TRIES = 8
# A standby that is not yet promoted, a lock timeout, a statement timeout: these pass as well.
PASSING = {"25006", "55P03", "57014"}


class NothingOwed(Exception):
    """Told to stop, and no verdict waits to be written: the database need not be asked."""


class Link:
    """Runs units on a connection. ``patient`` is false where nobody is to wait for a database."""

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection[Any]],
        stopping: Event,
        *,
        listen: bool,
        patient: bool,
    ) -> None:
        self._connect = connect
        self._stopping = stopping
        self._listen = listen
        self._patient = patient
        self._conn: psycopg.Connection[Any] | None = None

    def run(self, unit: Callable[[psycopg.Connection[Any]], T], *, owing: bool = True) -> T:
        """Run a repeatable unit, again on a new connection where the old one is lost.

        For as long as it takes; once told to stop, or not patient, only a few times.

        Raises: NothingOwed: told to stop and not ``owing``. What no repetition mends, at once.
        """
        rest, tries = FIRST_REST, 0
        while owing or not self._stopping.is_set():
            try:
                if self._conn is None or self._conn.closed:
                    self._conn = self._open()
                return unit(self._conn)
            except psycopg.Error as error:
                is_connected = self._conn is not None and not self._conn.closed
                passes = error.sqlstate in PASSING or is_transient(error, is_connected=is_connected)
                tries += self._stopping.is_set() or not self._patient
                if not passes or tries > LAST_TRIES:
                    raise
                log.warning("trying again: %s", str(error).partition("\n")[0])
            pause = sleep if owing else self._stopping.wait
            pause(rest * random.uniform(0.5, 1.0))  # noqa: S311  # a pause, not a secret
            rest = min(2 * rest, LAST_REST)
        raise NothingOwed

    def close(self) -> None:
        """Close the connection."""
        if self._conn is not None:
            self._conn.close()

    def _open(self) -> psycopg.Connection[Any]:
        conn = self._connect()
        conn.autocommit = True
        if self._listen:
            conn.execute("listen pgjobs")
        return conn
