"""What ``migrate`` would run, statement by statement, and which locks that takes on what is there.

A form of statement is known or it is not: an unknown one is said to be unknown, never guessed
harmless. What the database does not have yet, nobody can wait for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, takewhile

import psycopg
from yoyo.migrations import read_sql_migration

from forgea_pgjobs.schema.patience import LOCK_TIMEOUT
from forgea_pgjobs.schema.resources import migration_files
from forgea_pgjobs.schema.runner import pending

# Who has to wait for a lock of a mode, the weakest first.
WAITS = {
    "ACCESS SHARE": "nobody waits but a DROP or ALTER",
    "ROW SHARE": "nobody waits but DDL",
    "ROW EXCLUSIVE": "nobody waits but DDL",
    "SHARE UPDATE EXCLUSIVE": "vacuum and DDL wait, no reader or writer does",
    "SHARE": "writers wait",
    "SHARE ROW EXCLUSIVE": "writers wait",
    "ACCESS EXCLUSIVE": "readers and writers wait",
}
CATALOGUE = "for milliseconds, whatever the size"
READ = "while it is read whole, with ROW SHARE on the table that it refers to"
BUILD = "while its index is built"

# The form of a statement without comments, strings and bodies, on one line; the mode of its lock on
# every relation that it names, and how long the statement takes.
NONE = ("", "")
FORMS: dict[str, tuple[str, str]] = {
    r"set local \w+ ": NONE,
    r"create (schema|domain|type|function .* language plpgsql)\b": NONE,
    r"create function .* language sql .*\breturn (?!.*\bselect\b)": NONE,
    r"create sequence (?!.* owned by)": NONE,
    r"create table \S+ \((?!.*(\blike |\) (inherits|as) ))": ("SHARE ROW EXCLUSIVE", CATALOGUE),
    r"create view ": ("ACCESS SHARE", CATALOGUE),
    r"create (unique )?index (?!concurrently)": ("SHARE", BUILD),
    r"create trigger ": ("SHARE ROW EXCLUSIVE", CATALOGUE),
    r"comment on (schema|domain|type|function) ": NONE,
    r"comment on (constraint|trigger) ": ("ACCESS SHARE", CATALOGUE),
    r"comment on (column|index|sequence|table|view) ": ("SHARE UPDATE EXCLUSIVE", CATALOGUE),
    r"alter table \S+ (enable|disable) (always )?trigger \w+;?$": (
        "SHARE ROW EXCLUSIVE",
        CATALOGUE,
    ),
    r"alter table \S+ set \([^)]*\);?$": ("SHARE UPDATE EXCLUSIVE", CATALOGUE),
    r"alter table \S+ validate constraint \w+;?$": ("SHARE UPDATE EXCLUSIVE", READ),
    r"alter table \S+ add constraint \w+ foreign key .* not valid;?$": (
        "SHARE ROW EXCLUSIVE",
        CATALOGUE,
    ),
    r"alter table \S+ add column \w+ [\w.]+;?$": ("ACCESS EXCLUSIVE", CATALOGUE),
    r"alter table \S+ drop column \w+;?$": ("ACCESS EXCLUSIVE", CATALOGUE),
    r"drop (function|domain|schema) ": NONE,
    r"drop view ": ("ACCESS EXCLUSIVE", CATALOGUE),
    r"(grant|revoke) [\w, ]+ on (all \w+ in schema|function|schema|type) ": NONE,
    r"(grant|revoke) ": ("ACCESS SHARE", CATALOGUE),
    r"reindex table (?!concurrently)": ("ACCESS EXCLUSIVE", BUILD),
    r"insert into pgjobs\.(fingerprint|migration) ": ("ROW EXCLUSIVE", CATALOGUE),
}
EXISTING = """
select nspname || '.' || relname
from pg_class join pg_namespace on pg_namespace.oid = relnamespace
where relkind <> 'c' and nspname not in ('pg_catalog', 'pg_toast', 'information_schema')
"""
NAME = r'"[^"]+"|\w+'


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock on what is there already; ``mode`` is None where the form is unknown, "" for none."""

    mode: str | None
    relations: tuple[str, ...] = ()
    time: str = ""

    def __str__(self) -> str:
        if self.mode is None:
            return "not known for this form of statement: read it"
        if not self.mode:
            return "no lock on a table or view that is there already"
        return f"{self.mode} on {', '.join(self.relations)}: {WAITS[self.mode]}, {self.time}"


def lock_of(statement: str, existing: set[str]) -> Lock:
    """Return the lock that a statement takes on relations that exist before it."""
    text = bare(statement)
    form = next((form for pattern, form in FORMS.items() if re.match(pattern, text)), None)
    if form is None:
        return Lock(None)
    mode, time = form
    named = {name.replace('"', "") for name in re.findall(rf"(?:{NAME})\.(?:{NAME})", text)}
    if mode and not named:
        return Lock(None)
    touched = tuple(sorted(named & existing))
    return Lock(mode, touched, time) if mode and touched else Lock("")


def existing_relations(conn: psycopg.Connection) -> set[str]:
    """Return every table, view, index and sequence of the database as ``schema.name``."""
    return {name for (name,) in conn.execute(EXISTING)}


def plan(dsn: str) -> str:
    """Return the SQL that ``migrate`` would run, a script for psql; changes nothing.

    Raises: MigrationRefused, psycopg.Error.
    """
    names = pending(dsn)
    with psycopg.connect(dsn) as conn:
        existing = existing_relations(conn)
    return "\n".join([*_lines(names, existing), ""]) if names else "-- nothing to apply\n"


def _lines(names: list[str], existing: set[str]) -> Iterator[str]:
    files = migration_files()
    read = {name: read_sql_migration(str(files[name])) for name in names}
    for name, (_directives, _comment, statements) in read.items():
        size = files[name].stat().st_size
        yield f"-- pending: {name}, {len(statements)} statements, {size:,} bytes"
    yield "-- Each is one transaction. A lock is held from its statement to its end, and none"
    yield f"-- is waited for longer than {LOCK_TIMEOUT}. By hand: psql -1 -v ON_ERROR_STOP=1."
    for name, (_directives, _comment, statements) in read.items():
        yield f"\n\n-- {name}"
        lines = files[name].read_text(encoding="utf-8").splitlines()
        yield from takewhile(lambda line: line.startswith("--"), lines)
        for lock, group in groupby(statements, lambda each: lock_of(each, existing)):
            alike = [statement.strip() for statement in group]
            count = f"{len(alike)} statements, each: " if len(alike) > 1 else ""
            yield f"\n-- lock: {count}{lock}"
            yield from alike


def bare(statement: str) -> str:
    """Return a statement without comments, strings and bodies, on one line."""
    parts = r"'(?:[^']|'')*'|--[^\n]*|\$(\w*)\$.*?\$\1\$"
    return " ".join(re.sub(parts, " ", statement, flags=re.DOTALL).split())
