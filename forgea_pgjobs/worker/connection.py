"""The connection of a worker: how it is opened, and which troubles it outlives."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from time import sleep
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import PipelineStatus, TransactionStatus

from forgea_pgjobs.worker.calls import Connect, log
from forgea_pgjobs.worker.run import reason_of

T = TypeVar("T")

# A connection of ours notices within seconds that nobody answers, and waits no longer for a lock.
BOUNDS = {
    "client_encoding": "UTF8",
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,  # milliseconds
}
OPTIONS = "-c lock_timeout=5s -c default_transaction_isolation=read\\ committed -c datestyle=ISO"
# All in seconds: the first and the longest rest before the database is tried again.
FIRST_REST = 0.1
LAST_REST = 5.0
# How often it is tried again once nobody is to wait for it.
LAST_TRIES = 8
# Of one verdict, not of the database: a summary that cannot be stored, a job that is gone, a limit,
# a session that somebody has locked.
OF_A_VERDICT = ("22", "54", "55P03", "P0", "23V02", "23V05", "23V06")
# What passes even before anything has worked: no connection yet, a standby that is not promoted,
# no room, a shutdown, a timeout. Later everything does: somebody mends it.
PASSING = ("08", "25006", "25P0", "40", "53", "55P03", "57")


def open_connection(dsn: str) -> psycopg.Connection[Any]:
    """Open a connection that does not wait for ever, unless the string says otherwise."""
    given = conninfo_to_dict(dsn)
    bounds: dict[str, Any] = {name: BOUNDS[name] for name in BOUNDS.keys() - given.keys()}
    options = given.get("options") or os.environ.get("PGOPTIONS", "")
    try:
        return psycopg.connect(dsn, **{**bounds, "options": f"{OPTIONS} {options}"})
    except psycopg.OperationalError as error:
        if "startup parameter" not in str(error):
            raise
        return psycopg.connect(dsn, **bounds)  # a pooler takes no options


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

    ``patient`` is false where nobody is to wait for a database; ``has_worked`` is true where it is
    known to be the right one.
    """

    connect: Connect
    listen: bool
    stopping: Event
    patient: bool
    has_worked: bool = False
    _conn: psycopg.Connection[Any] | None = None

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
                self.has_worked = True
                return answer
            except (psycopg.Error, OSError) as error:
                tries += self.stopping.is_set() or not self.patient
                is_lasting = not (self.has_worked or may_pass(error))
                if (owing and is_of_a_verdict(error)) or is_lasting or tries > LAST_TRIES:
                    raise
                if not self._is_sound_after(error):
                    self.close()
                log.warning("trying again: %s", str(error).partition("\n")[0])
                if isinstance(error, psycopg.errors.TransactionRollback):
                    rest = FIRST_REST  # a rival was faster, and is done
            pause = sleep if owing else self.stopping.wait
            pause(rest * random.uniform(0.5, 1.0))  # noqa: S311  # a pause, not a secret
            rest = min(2 * rest, LAST_REST)
        raise NothingOwed

    def _is_sound_after(self, error: Exception) -> bool:
        # A server that was demoted stays one; the primary is elsewhere.
        return (
            not isinstance(error, psycopg.errors.ReadOnlySqlTransaction)
            and self._conn is not None
            and self._conn.info.transaction_status is TransactionStatus.IDLE
            and self._conn.info.pipeline_status is PipelineStatus.OFF
        )

    def close(self) -> None:
        """Close the connection."""
        if self._conn is not None:
            self._conn.close()

    def _open(self) -> psycopg.Connection[Any]:
        try:
            conn = self.connect()
            conn.rollback()  # what it may have left open
            conn.autocommit = True
        except (psycopg.Error, OSError):
            raise
        except Exception as error:
            raise ConnectionError(reason_of(error)) from error
        if self.listen:
            conn.execute("listen pgjobs")
        return conn
