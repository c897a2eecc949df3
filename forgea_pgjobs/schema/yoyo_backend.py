"""yoyo's backend without tables of its own: what is applied stands in pgjobs.migration."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import DatabaseURI
from yoyo.migrations import get_migration_hash

from forgea_pgjobs.errors import Refused
from forgea_pgjobs.schema.record import act_as_owner, recorded

# Any number that no other program of the database uses for its advisory locks.
LOCK = 6_310_747_002
# How long a runner waits for another one; nobody else waits for either.
TURN_TIMEOUT = "10s"
# Whoever comes behind a waiting ALTER or DROP waits with it, so a long wait for one idle reader
# would stop the application. A short one, given up and repeated, stops it for half a second.
LOCK_TIMEOUT = "500ms"

Notify = Callable[[str], None]


class Backend(PostgresqlPsycopgBackend):  # type: ignore[misc]  # yoyo ships no types
    """One connection, of which everything is done in transactions and by their settings.

    A pooler in transaction mode may stand between: nothing stays in a session of its.
    """

    def __init__(self, dsn: str, settings: Mapping[str, str], notify: Notify) -> None:
        self._dsn = dsn
        self._notify = notify
        self._settings = settings
        super().__init__(DatabaseURI("postgresql+psycopg", *[None] * 5, {}), "pgjobs.migration")

    def connect(self, _dburi: DatabaseURI) -> psycopg.Connection[Any]:
        """Open the connection; notices are passed on."""
        connection: psycopg.Connection[Any] = psycopg.connect(
            self._dsn, autocommit=True, prepare_threshold=None, client_encoding="UTF8"
        )

        def pass_on(diagnostic: psycopg.errors.Diagnostic) -> None:
            hint = f" (hint: {diagnostic.message_hint})" if diagnostic.message_hint else ""
            self._notify(f"{diagnostic.severity}: {diagnostic.message_primary}{hint}")

        connection.add_notice_handler(pass_on)
        return connection

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Open a transaction in which no other runner works on this database.

        Raises: Refused.
        """
        with self.transaction():
            self.connection.execute("set transaction isolation level read committed")
            self._set({"statement_timeout": "0", "lock_timeout": TURN_TIMEOUT})
            try:
                self.connection.execute("select pg_advisory_xact_lock(%s)", [LOCK])
            except psycopg.errors.LockNotAvailable:
                raise Refused(
                    "55P03", "another migration of this database is running", "Run it again later."
                ) from None
            act_as_owner(self.connection)
            self._set({"lock_timeout": LOCK_TIMEOUT, **self._settings})
            yield

    def _set(self, settings: Mapping[str, str]) -> None:
        for name, value in settings.items():
            self.connection.execute("select set_config(%s, %s, true)", [name, value])

    def rollback(self) -> None:
        """Undo the transaction, of which nothing is left where the connection is lost."""
        if not self.connection.closed:
            super().rollback()

    def get_applied_migration_hashes(self) -> list[str]:
        """Return what yoyo asks for, from the table that each migration writes itself."""
        return [get_migration_hash(name) for name in recorded(self.connection)]
