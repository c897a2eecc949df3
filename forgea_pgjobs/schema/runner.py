"""Run migrations through yoyo, with pgjobs.migration as the truth.

yoyo applies a migration and marks it in two transactions. Each of our migrations records itself in
pgjobs.migration in its own transaction; yoyo's marks are made to follow before anything else is
done, which mends a crash between the two and recognises an installation by psql.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from functools import partial

import psycopg
from yoyo import read_migrations
from yoyo.migrations import MigrationList

from forgea_pgjobs.errors import Refused
from forgea_pgjobs.schema.files import checksum, migration_files, migrations_folder
from forgea_pgjobs.schema.yoyo_backend import Backend, Notify, locked

# Whoever comes behind a waiting ALTER or DROP waits with it, so a long wait for one idle reader
# would stop the application. A short one, given up and repeated, stops it for half a second.
LOCK_TIMEOUT = "500ms"
TRIES = 5
PAUSE = 2.0  # seconds
HOLDERS = (
    "select pid, usename, state, xact_start, query from pg_stat_activity"
    " where datname = current_database() and pid in"
    " (select pid from pg_locks where relation::regclass::text like 'pgjobs.%') order by xact_start"
)
# A host without the tables that it reads may leave it out.
OPTIONAL = frozenset({"0002.host"})


def _silent(_message: str) -> None:
    pass


def recorded(conn: psycopg.Connection) -> dict[str, str]:
    """Return the checksum of every migration the database has, by id, the oldest first."""
    if conn.execute("select to_regclass('pgjobs.migration')").fetchone() == (None,):
        return {}
    rows = conn.execute("select migration_id, checksum from pgjobs.migration order by migration_id")
    return dict(rows.fetchall())


def pending(dsn: str) -> list[str]:
    """Return the ids that ``migrate`` would apply; changes nothing.

    Raises: Refused.
    """
    with psycopg.connect(dsn) as conn:
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
            "-- Each is one transaction and says at its head which locks it takes on what exists.",
            f"-- None is waited for longer than {LOCK_TIMEOUT}.",
            "-- By hand: psql -1 -v ON_ERROR_STOP=1.",
            *(f"\n\n-- {name}\n{text}" for name, text in texts.items()),
        ]
    )


def migrate(dsn: str, *, without: Collection[str] = (), notify: Notify = _silent) -> list[str]:
    """Apply the pending migrations and return their ids; ``notify`` gets notices and repairs.

    ``without`` names what to leave out: of ``OPTIONAL``. A later call applies it.

    Raises: Refused, psycopg.Error.
    """
    left_out = _optional(without)
    with locked(dsn, {"lock_timeout": LOCK_TIMEOUT}, notify) as backend:
        migrations = read_migrations(str(migrations_folder()))
        _mend(backend, migrations, notify)
        applied = [each for each in backend.to_apply(migrations) if each.id not in left_out]
        for migration in applied:
            _retry_on_lock_timeout(partial(backend.apply_one, migration), migration.id, notify)
        return [migration.id for migration in applied]


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
    settings = {"lock_timeout": LOCK_TIMEOUT}
    if force:
        settings["pgjobs.force_rollback"] = "on"
    with locked(dsn, settings, notify) as backend:
        migrations = read_migrations(str(migrations_folder()))
        has = _mend(backend, migrations, notify)
        if to is not None and to not in has:
            raise Refused(
                "22023",
                f"the database has no migration {to}",
                f"It has: {', '.join(has) or 'none'}.",
            )
        newest_first = list(backend.to_rollback(migrations))
        undone = [m for m in newest_first if m.id > to] if to is not None else newest_first[:1]
        for migration in undone:
            _retry_on_lock_timeout(partial(backend.rollback_one, migration), migration.id, notify)
        return [migration.id for migration in undone]


def _retry_on_lock_timeout(run: Callable[[], None], name: str, notify: Notify) -> None:
    """Run a migration, again from its start while a lock is not to be had."""
    for left in reversed(range(TRIES)):
        try:
            run()
            return
        except psycopg.errors.LockNotAvailable:
            if left == 0:
                raise Refused(
                    "55P03",
                    f"{name} changed nothing: {TRIES} times a lock that it needs was not free",
                    f"See who holds one, end that transaction, and run it again: {HOLDERS};",
                ) from None
            notify(f"{name} did not get a lock in time and was undone; tries left: {left}")
            time.sleep(PAUSE)


def _optional(without: Collection[str]) -> frozenset[str]:
    if needed := set(without) - OPTIONAL:
        raise Refused(
            "22023",
            f"{', '.join(sorted(needed))} cannot be left out",
            f"What can: {', '.join(sorted(OPTIONAL))}.",
        )
    return frozenset(without)


def _mend(backend: Backend, migrations: MigrationList, notify: Notify) -> dict[str, str]:
    """Make yoyo's marks say what pgjobs.migration says, and return that."""
    has = _checked(backend.connection)
    marked = {migration.id for migration in migrations if backend.is_applied(migration)}
    unmarked = migrations.filter(lambda m: m.id in has and m.id not in marked)
    stray = migrations.filter(lambda m: m.id in marked and m.id not in has)
    backend.mark_migrations(unmarked)
    backend.unmark_migrations(stray)
    for migration in unmarked:
        notify(f"marked {migration.id}, which was applied before")
    for migration in stray:
        notify(f"removed the mark of {migration.id}, which the database does not have")
    return has


def _checked(conn: psycopg.Connection) -> dict[str, str]:
    """Return what the database has, refusing what this package cannot continue from."""
    files = migration_files()
    has = recorded(conn)
    if not has and conn.execute("select to_regnamespace('pgjobs')").fetchone() != (None,):
        raise Refused(
            "55000",
            "schema pgjobs exists, but does not say which migrations it has",
            "If it came from sql/: run the insert at the end of `forgea-pgjobs sql`.",
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
