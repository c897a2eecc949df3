"""Weaken the schema, one object at a time, and see a test go red: ``python -m tests.mutate``.

Every guard, constraint, unique index, revoke, pinned path and ``security definer`` that the
catalogue knows is dropped in turn. Tests of behaviour come first; where they stay green, those of
the catalogue; where these do too, the whole suite. Exit 1 if a weakening survives all of them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import psycopg
from psycopg.conninfo import make_conninfo

from forgea_pgjobs import embedded
from tests.conftest import SETTINGS, install

CATALOGUE = "tests/test_catalog.py"
ROLES = "tests/sql/test_roles.py"
# The first pattern that a weakening matches names the tests of behaviour to try.
BEHAVIOUR = {
    r"trigger verification_": "tests/sql/test_view_guards.py",
    r"trigger ": "tests/sql/test_guards.py",
    r"drop (constraint|index)": "tests/sql/test_constraints.py",
    r"grant execute|invoker": f"{ROLES}::test_a07_n01_every_function_of_another_role_is_refused",
    r"grant .* sequence": f"{ROLES}::test_a02_no_sequence_is_moved_or_read",
    r"grant .* (type|schema)": ROLES,
    r"grant ": f"{ROLES}::test_nothing_of_a_relation_is_open_but_the_views_to_readers",
    # A helper has the path of the function that called it: only the catalogue tells them apart.
    r"function pgjobs\._.* search_path": CATALOGUE,
    r"search_path": "tests/sql/test_shadowing.py",
}
# These compare the whole schema with a text and would see anything.
WHOLE_SUITE = (
    "tests",
    "--ignore=tests/verify",
    "--deselect=tests/migrations/test_up_and_down.py::test_the_migrations_give_what_sql_gives",
)

WEAKENINGS = """
with trigger as (
    select tgname, tgrelid::regclass as relation, tgenabled
    from pg_trigger join pg_class on pg_class.oid = tgrelid
    where relnamespace = 'pgjobs'::regnamespace and not tgisinternal
),
function as (
    select oid::regprocedure as name, prosecdef, proconfig from pg_proc
    where pronamespace = 'pgjobs'::regnamespace
),
relation as (
    select oid::regclass as name, relkind from pg_class
    where relnamespace = 'pgjobs'::regnamespace
)
select format('drop trigger %I on %s', tgname, relation) from trigger
union all
select format('alter table %s enable trigger %I', relation, tgname) from trigger
where tgenabled = 'A'
union all
select format('alter table %s drop constraint %I cascade', conrelid::regclass, conname)
from pg_constraint
where connamespace = 'pgjobs'::regnamespace and contype <> 'n' and contypid = 0
union all
select format('alter domain %s drop constraint %I', contypid::regtype, conname)
from pg_constraint where connamespace = 'pgjobs'::regnamespace and contypid <> 0
union all
select format('drop index %s', indexrelid::regclass)
from pg_index join relation on relation.name = indexrelid
where indisunique and not exists (select from pg_constraint where conindid = indexrelid)
union all
select format('grant execute on function %s to public', name) from function
union all
select format('grant %s on %s to %s', privilege, name, grantee)
from relation, (
    values
        ('r', 'select', 'pgjobs_reader'), ('r', 'insert', 'pgjobs_app'),
        ('v', 'select', 'pgjobs_worker'), ('v', 'insert', 'pgjobs_reader')
) as open (kind, privilege, grantee)
where relkind = kind
union all
select format('grant usage on sequence %s to public', name) from relation where relkind = 'S'
union all
select format('grant usage on type %s to public', name) from relation where relkind = 'c'
union all
select format('grant %s on schema pgjobs to public', privilege)
from unnest(array['usage', 'create']) as privilege
union all
select format('alter function %s reset search_path', name) from function
where proconfig is not null
union all
select format('alter function %s set search_path = pg_catalog', name) from function where prosecdef
union all
select format('alter function %s security invoker', name) from function where prosecdef
"""


def main() -> int:
    """Print each weakening and the test that saw it; return the exit code."""
    with embedded.run_server(fsync=False, settings=SETTINGS) as server:
        first_red = partial(first_failure, server.dsn())
        weakenings = list_weakenings(server.dsn())
        require_green(first_red(*{*BEHAVIOUR.values(), CATALOGUE}))
        unseen = []
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = pool.map(lambda each: first_red(*tests_for(each), weakening=each), weakenings)
            for weakening, red in zip(weakenings, found, strict=True):
                if red is None:
                    unseen.append(weakening)
                else:
                    print(f"{weakening}\n    {red}", flush=True)
        if unseen:
            require_green(first_red(*WHOLE_SUITE))
        survivors = 0
        for weakening in unseen:
            red = first_red(*WHOLE_SUITE, weakening=weakening)
            survivors += red is None
            print(f"{weakening}\n    {red or 'SURVIVED'}", flush=True)
    print(f"{len(weakenings)} weakenings, {survivors} survived")
    return 1 if survivors else 0


def require_green(red: str | None) -> None:
    """End the program when a test is red before anything is weakened: it would see everything."""
    if red is not None:
        sys.exit(f"red before anything is weakened: {red}")


def list_weakenings(dsn: str) -> list[str]:
    """Return a statement for each object of an installed schema that can be weakened."""
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute("create database catalogue")
    catalogue = make_conninfo(dsn, dbname="catalogue")
    install(conninfo=catalogue)
    with psycopg.connect(catalogue) as conn:
        return list_statements(conn)


def list_statements(conn: psycopg.Connection) -> list[str]:
    """Return a statement for each object of the schema that can be weakened."""
    return [statement for (statement,) in conn.execute(WEAKENINGS)]


def tests_for(weakening: str) -> tuple[str, str]:
    """Return the tests to try first, those of behaviour before those of the catalogue."""
    tests = next(tests for pattern, tests in BEHAVIOUR.items() if re.search(pattern, weakening))
    return tests, CATALOGUE


def first_failure(dsn: str, *tests: str, weakening: str = "") -> str | None:
    """Run the tests against the weakened schema and return the first that fails.

    Raises RuntimeError when they could not run: a weakening that does not apply proves nothing.
    """
    options = ["-x", "-q", "--tb=short", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *tests],
        env={**os.environ, "PGJOBS_TEST_DSN": dsn, "PGJOBS_MUTATION": weakening},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return None
    failed = re.search(r"^FAILED (.+?)(?: - .*)?$", done.stdout, flags=re.MULTILINE)
    if failed is None:
        raise RuntimeError(f"{weakening}\n{done.stdout}{done.stderr}")
    return failed[1]


if __name__ == "__main__":
    sys.exit(main())
