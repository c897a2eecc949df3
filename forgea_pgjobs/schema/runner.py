"""Run migrations through yoyo, with pgjobs.migration as the truth.

Each migration is one transaction, which waits for its turn, looks at what is applied, and applies
the next: it records itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from itertools import islice

import psycopg
from yoyo import read_migrations
from yoyo.migrations import Migration, MigrationList

from forgea_pgjobs.errors import Refused
from forgea_pgjobs.schema.files import checksum, migration_files, migrations_folder
from forgea_pgjobs.schema.record import act_as_owner, recorded
from forgea_pgjobs.schema.yoyo_backend import LOCK_TIMEOUT, Backend, Notify

TRIES = 5
PAUSE = 2.0  # seconds
HOLDERS = (
    "select pid, usename, state, xact_start, query from pg_stat_activity"
    " where datname = current_database() and pid in"
    " (select pid from pg_locks where relation::regclass::text like 'pgjobs.%') order by xact_start"
)
NOT_OURS = """
select from pg_catalog.pg_depend
where refclassid = 'pg_catalog.pg_namespace'::regclass and refobjid = to_regnamespace('pgjobs')
    and classid <> 'pg_catalog.pg_default_acl'::regclass
"""
RIGHTS = (
    "The owner of the schema does a migration: be a member of it. It needs CREATE on a"
    " default_tablespace, and the rights of what an event trigger runs (docs/install.md)."
)
# A host without the tables that it reads may leave it out.
OPTIONAL = frozenset({"0002.host"})


def _silent(_message: str) -> None:
    pass


def pending(dsn: str) -> list[str]:
    """Return the ids that ``migrate`` would apply; changes nothing.

    Raises: Refused.
    """
    with psycopg.connect(dsn, client_encoding="UTF8") as conn:
        act_as_owner(conn)
        has = _checked(conn)
    return [name for name in migration_files() if name not in has]


def dry_run(dsn: str, *, without: Collection[str] = ()) -> str:
    """Return the SQL that ``migrate`` would run, a script for psql; changes nothing.

    Raises: Refused.
    """
    left_out = _optional(without)
    files = migration_files()
    names = [name for name in pending(dsn) if name not in left_out]
    if not names:
        return "-- nothing to apply\n"
    texts = {name: files[name].read_text(encoding="utf-8") for name in names}
    return "\n".join(
        [
            *(f"-- pending: {name}, {text.count(chr(10)):,} lines" for name, text in texts.items()),
            "-- Each is one statement and says at its head which locks it takes on what exists.",
            f"-- None is waited for longer than {LOCK_TIMEOUT}.",
            "-- By hand: psql -v ON_ERROR_STOP=1.",
            *(f"\n\n-- {name}\n{text}" for name, text in texts.items()),
        ]
    )


def migrate(dsn: str, *, without: Collection[str] = (), notify: Notify = _silent) -> list[str]:
    """Apply the pending migrations and return their ids; ``notify`` gets notices and repairs.

    ``without`` names what to leave out: of ``OPTIONAL``. A later call applies it.

    Raises: Refused, psycopg.Error.
    """
    left_out = _optional(without)

    def next_up(backend: Backend, migrations: MigrationList) -> Migration | None:
        return next(
            (each for each in backend.to_apply(migrations) if each.id not in left_out), None
        )

    with Backend(dsn, {}, notify) as backend:
        return list(_turns(backend, "apply", next_up, notify))


def rollback(
    dsn: str,
    *,
    to: str | None = None,
    force: bool = False,
    notify: Notify = _silent,
) -> list[str]:
    """Undo the newest migration, or every migration after ``to``, and return their ids.

    ``force`` sets ``pgjobs.force_rollback``, without which a down refuses to destroy ledger rows.

    Raises: Refused, psycopg.Error.
    """

    def next_down(backend: Backend, migrations: MigrationList) -> Migration | None:
        has = recorded(backend.connection)
        if to is not None and to not in has:
            raise Refused(
                "22023",
                f"the database has no migration {to}",
                f"It has: {', '.join(has) or 'none'}.",
            )
        newest = next(iter(backend.to_rollback(migrations)), None)
        return None if newest is None or newest.id == to else newest

    with Backend(dsn, {"pgjobs.force_rollback": "on"} if force else {}, notify) as backend:
        turns = _turns(backend, "rollback", next_down, notify)
        return list(turns if to is not None else islice(turns, 1))


def _turns(
    backend: Backend,
    direction: str,
    choose: Callable[[Backend, MigrationList], Migration | None],
    notify: Notify,
) -> Iterator[str]:
    """Run what is chosen, one migration after another, and yield its id."""
    migrations = read_migrations(str(migrations_folder()))
    left = TRIES
    while True:
        name = ""
        try:
            with backend.turn():
                _checked(backend.connection)
                migration = choose(backend, migrations)
                if migration is None:
                    return
                name = migration.id
                migration.process_steps(backend, direction)
        except psycopg.errors.LockNotAvailable:
            left -= 1
            if left == 0:
                raise Refused(
                    "55P03",
                    f"{name} changed nothing: {TRIES} times a lock that it needs was not free",
                    f"See who holds one, end that transaction, and run it again: {HOLDERS};",
                ) from None
            notify(f"{name} did not get a lock in time and was undone; tries left: {left}")
            time.sleep(PAUSE)
        except psycopg.errors.InsufficientPrivilege as error:
            raise Refused("42501", error.diag.message_primary or str(error), RIGHTS) from error
        else:
            left = TRIES
            yield name


def _optional(without: Collection[str]) -> frozenset[str]:
    if needed := set(without) - OPTIONAL:
        raise Refused(
            "22023",
            f"{', '.join(sorted(needed))} cannot be left out",
            f"What can: {', '.join(sorted(OPTIONAL))}.",
        )
    return frozenset(without)


def _checked(conn: psycopg.Connection) -> dict[str, str]:
    """Return what the database has, refusing what this package cannot continue from."""
    files = migration_files()
    has = recorded(conn)
    if not has and conn.execute(NOT_OURS).rowcount:
        raise Refused(
            "55000",
            "schema pgjobs is not empty, but does not say which migrations it has",
            "If it came from sql/: run the inserts into pgjobs.migration of `forgea-pgjobs sql`.",
        )
    for name, recorded_checksum in has.items():
        if name not in files:
            raise Refused(
                "55000",
                f"the database has migration {name}, which this version does not know",
                "Install the version of forgea-pgjobs that applied it, or a newer one.",
            )
        if checksum(files[name]) != recorded_checksum:
            raise Refused(
                "55000",
                f"migration {name} was edited after it was applied",
                "Restore the file as released; put the change into a new migration.",
            )
    return has
