"""A05: what a caller names like our objects or PostgreSQL's own never runs and is never written."""

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.calls import cancel, complete_many, lease, release
from tests.helpers import (
    Connection,
    call,
    claim,
    complete,
    enqueue,
    let_time_pass,
    refused,
    rows,
    sha,
)

NAMES = "text int8 int4 int2 bool timestamptz jsonb interval uuid bytea numeric float8"
TYPES = NAMES.split()
SPELLINGS = {
    "bigint": "int8",
    "integer": "int4",
    "smallint": "int2",
    "boolean": "bool",
    "timestamp with time zone": "timestamptz",
    "double precision": "float8",
    **{name: name for name in TYPES},
}
# Each trap raises EV1L1 when it runs. Functions and operators have the very signatures of those of
# pg_catalog that our functions use.
TRAPS = """
create schema mallory;
grant usage on schema mallory to public;
do $do$
declare
    c_trap constant text := 'begin raise exception using errcode = ''EV1L1''; end';
    r record;
begin
    execute format(
        'create function mallory.trap(text) returns boolean language plpgsql as %L', c_trap
    );
    for r in
        select proname, pg_get_function_arguments(p.oid) as arguments, prorettype::regtype as result
        from pg_proc as p
        where pronamespace = 'pg_catalog'::regnamespace and prokind = 'f' and proargmodes is null
            and not proargtypes::oid[] && array['internal', '"any"']::regtype[]::oid[]
            and exists (
                select from pg_proc as ours
                where ours.pronamespace = 'pgjobs'::regnamespace
                    and ours.prosrc ~ ('\\m' || p.proname || ' ?\\(')
            )
    loop
        execute format(
            'create function mallory.%I(%s) returns %s language plpgsql as %L',
            r.proname, r.arguments, r.result, c_trap
        );
    end loop;
    for r in
        select o.oid, oprname, oprleft::regtype as l, oprright::regtype as r, oprresult::regtype
        from pg_operator as o
        where oprnamespace = 'pg_catalog'::regnamespace
            and oprleft = any ($types$::regtype[]) and oprright = any ($types$::regtype[])
    loop
        execute format(
            'create function mallory.trap_%s(%s, %s) returns %s language plpgsql as %L',
            r.oid, r.l, r.r, r.oprresult, c_trap
        );
        execute format(
            'create operator mallory.%s (leftarg = %s, rightarg = %s, function = mallory.trap_%s)',
            r.oprname, r.l, r.r, r.oid
        );
    end loop;
end
$do$;
"""
OURS = "select relname, relkind::text from pg_class where relnamespace = 'pgjobs'::regnamespace"


def set_traps(conn: Connection) -> None:
    conn.execute(TRAPS.replace("$types$", "'{" + ",".join(TYPES) + "}'").encode())
    for name, kind in rows(conn, OURS + " and relkind in ('r', 'v', 'c', 'S')"):
        shadow = (
            f"create temp sequence {name}"
            if kind == "S"
            else f"create temp table {name} as select (null::pgjobs.{name}).* limit 0"
        )
        conn.execute(shadow.encode())
        conn.execute(f"grant all on pg_temp.{name} to public".encode())
    for schema in ("mallory", "pg_temp"):
        for name, base in SPELLINGS.items():
            conn.execute(
                f'create domain {schema}."{name}" as pg_catalog.{base}'
                " check (mallory.trap(value::pg_catalog.text))".encode()
            )


@pytest.fixture(scope="module")
def trapped(dsn: str) -> Iterator[Connection]:
    """A connection in a transaction with every trap, whose backend compiles all functions there."""
    with psycopg.connect(dsn, prepare_threshold=None) as conn:
        conn.execute(
            "create role pgjobs_test_mallory"
            " in role pgjobs_app, pgjobs_worker, pgjobs_operator, pgjobs_approver"
        )
        set_traps(conn)
        yield conn
        conn.rollback()


@pytest.fixture
def conn(trapped: Connection) -> Iterator[Connection]:
    """The connection among the traps, with what the test has done undone at its end."""
    with trapped.transaction(force_rollback=True):
        yield trapped


def become_mallory(conn: Connection) -> None:
    conn.execute("set local session authorization pgjobs_test_mallory")
    conn.execute("set local search_path = mallory, pg_temp, pg_catalog")


def become_superuser(conn: Connection) -> None:
    conn.execute("reset session authorization")
    conn.execute("set local search_path = pg_catalog, pg_temp")


def call_everything(conn: Connection) -> None:
    """Call every public function for a result and some for a refusal."""
    session_id = uuid4()
    push = {"session_id": session_id, "commit_sha": sha(), "delivery_id": "d", "author": "Ada"}
    detail = {"branch": "main", "changed_files": ["a"], "pushed_at": "2020-01-01"}
    assert call(conn, "record_attempt", **push, **detail)[0].created
    assert enqueue(conn, **push, **detail, payload=Jsonb([1])).created
    assert not enqueue(conn, **push, **detail, payload=Jsonb([1])).created
    batch = {"session_ids": [session_id, uuid4()], "commit_shas": [sha(), sha()]}
    answers = call(conn, "enqueue_many", **batch, lab_versions=["1"] * 2, payloads=[Jsonb(1)] * 2)
    enqueue(conn, available_at="tomorrow")
    with refused("23V04"), conn.transaction():
        enqueue(conn, **{**push, "author": "Eve"})
    with refused("22023"), conn.transaction():
        enqueue(conn, delivery_id="\n")

    first, second = call(conn, "claim", worker="w", max_jobs=9, lease_for="1 minute")
    assert call(conn, "heartbeat", **lease(first), lease_for="2 minutes")
    assert release(conn, first, retry_after="0").status == "QUEUED"
    again = claim(conn)
    assert complete(conn, again, summary=Jsonb({"a": 1})).status == "PASSED"
    assert complete(conn, again, summary=Jsonb({"a": 1})).replayed
    [done] = complete_many(conn, [second], "FAILED", summaries=[Jsonb(1)])
    assert done.outcome == "completed"
    assert claim(conn).job_id == answers[0].job_id
    become_superuser(conn)
    let_time_pass(conn, "2 days")
    become_mallory(conn)
    assert call(conn, "rescue") == [(answers[0].job_id, "QUEUED")]
    assert [len(call(conn, "claim", worker="w", max_jobs=9)) for _ in range(2)] == [1, 1]
    assert cancel(conn, answers[0].job_id).status == "ERROR"
    assert call(conn, "get_job", commit_sha=push["commit_sha"])[0].status == "PASSED"


def test_a05_no_trap_of_a_caller_is_sprung(conn: Connection) -> None:
    become_mallory(conn)
    call_everything(conn)

    become_superuser(conn)
    for name, kind in rows(conn, OURS + " and relkind in ('r', 'v', 'c', 'S')"):
        touched = "is_called" if kind == "S" else "true"
        assert not rows(conn, f"select from pg_temp.{name} where {touched}"), name


def test_a05_the_traps_are_armed(conn: Connection) -> None:
    [traps] = rows(
        conn, "select count(*) from pg_proc where pronamespace = 'mallory'::regnamespace"
    )
    assert traps.count > 100
    become_mallory(conn)
    for expression in ("clock_timestamp()", "1 + 1", "'a' || 'b'::pg_catalog.text", "1::int8"):
        with refused("EV1L1"), conn.transaction():
            conn.execute(f"select {expression}".encode())
