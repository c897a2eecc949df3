"""yoyo's connection and tables, and the locks around a run.

yoyo's tables lie in a schema of their own, pgjobs_yoyo: not in pgjobs, which the first migration
creates and its down drops, and not in public, which belongs to the host (and may be closed to us).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import DatabaseURI

from forgea_pgjobs.errors import Refused

SCHEMA = "pgjobs_yoyo"
# Any number that no other program of the database uses for its advisory locks.
LOCK = 6_310_747_002
# How long a runner waits for another one; nobody else waits for either.
TURN_TIMEOUT = "10s"

Notify = Callable[[str], None]


class Backend(PostgresqlPsycopgBackend):  # type: ignore[misc]  # yoyo ships no types
    """yoyo's backend, with our settings on each of its connections and notices passed on."""

    def __init__(self, dsn: str, settings: Mapping[str, str], notify: Notify) -> None:
        self._ours = (dsn, settings, notify)
        args = {**conninfo_to_dict(dsn), "schema": SCHEMA}
        dbname = args.pop("dbname", None)
        super().__init__(
            DatabaseURI("postgresql+psycopg", None, None, None, None, dbname, args),
            "_yoyo_migration",
        )

    def copy(self) -> Backend:
        """Return a backend with a connection of its own; yoyo runs each migration in one."""
        return Backend(*self._ours)

    def connect(self, dburi: DatabaseURI) -> psycopg.Connection[Any]:
        """Open a connection."""
        _dsn, settings, notify = self._ours
        connection: psycopg.Connection[Any] = super().connect(dburi)

        def pass_on(diagnostic: psycopg.errors.Diagnostic) -> None:
            hint = f" (hint: {diagnostic.message_hint})" if diagnostic.message_hint else ""
            notify(f"{diagnostic.severity}: {diagnostic.message_primary}{hint}")

        connection.add_notice_handler(pass_on)
        for name, value in settings.items():
            connection.execute("select set_config(%s, %s, false)", [name, value])
        return connection


@contextmanager
def locked(dsn: str, settings: Mapping[str, str], notify: Notify) -> Iterator[Backend]:
    """Yield a backend while no other runner works on this database.

    The lock that counts is a session's advisory lock, which dies with its holder. yoyo's own lock
    is a row, which does not; behind ours such a row is stale unless its process still lives.

    Raises: Refused.
    """
    with psycopg.connect(dsn, autocommit=True) as guard:
        guard.execute("select set_config('lock_timeout', %s, false)", [TURN_TIMEOUT])
        try:
            guard.execute("select pg_advisory_lock(%s)", [LOCK])
        except psycopg.errors.LockNotAvailable:
            raise Refused(
                "55P03", "another migration of this database is running", "Run it again later."
            ) from None
        if guard.execute("select to_regnamespace(%s)", [SCHEMA]).fetchone() == (None,):
            guard.execute(f"create schema {SCHEMA}")
        with Backend(dsn, settings, notify) as backend:
            backend.init_database()
            _remove_stale_lock(backend, notify)
            with backend.lock():
                yield backend


def _remove_stale_lock(backend: Backend, notify: Notify) -> None:
    row = backend.execute("select pid from yoyo_lock").fetchone()
    if row is None:
        return
    if row[0] != os.getpid() and _is_alive(row[0]):
        raise Refused(
            "55P03",
            f"process {row[0]} holds yoyo's lock on this database",
            "If that process is no yoyo, empty the table pgjobs_yoyo.yoyo_lock.",
        )
    backend.break_lock()
    notify(f"removed the lock row of process {row[0]}, which is gone")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
