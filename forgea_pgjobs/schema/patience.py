"""How long a migration waits for a lock: briefly, and then again from its start.

Whoever comes behind a waiting ALTER or DROP waits with it, so a long wait for one idle reader would
stop the application. A short one, given up and repeated, stops it for half a second at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg

from forgea_pgjobs.schema.bookkeeping import Notify
from forgea_pgjobs.schema.errors import MigrationRefused

LOCK_TIMEOUT = "500ms"
TRIES = 5
PAUSE = 2.0  # seconds

HOLDERS = (
    "select pid, usename, state, xact_start, query from pg_stat_activity"
    " where datname = current_database() and pid in"
    " (select pid from pg_locks where relation::regclass::text like 'pgjobs.%') order by xact_start"
)


def patiently(run: Callable[[], None], name: str, notify: Notify) -> None:
    """Run a migration, again from its start while a lock is not to be had.

    Raises: MigrationRefused, psycopg.Error.
    """
    for left in reversed(range(TRIES)):
        try:
            run()
            return
        except psycopg.errors.LockNotAvailable:
            if left == 0:
                raise MigrationRefused(
                    "55P03",
                    f"{name} changed nothing: {TRIES} times a lock that it needs was not free",
                    f"See who holds one, end that transaction, and run it again: {HOLDERS};",
                ) from None
            notify(f"{name} did not get a lock in time and was undone; tries left: {left}")
            time.sleep(PAUSE)
