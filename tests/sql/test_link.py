"""The optional foreign key from attempts to the host's sessions: added, validated, undone."""

from functools import partial
from uuid import uuid4

import pytest

from tests.calls import enqueue_many, new
from tests.conftest import Connect
from tests.helpers import Connection, call, claim, complete, enqueue, refused, rows
from tests.races.rivals import background

HOST = 'public."LabSession"'
GRANTS = f"grant select (id), references (id) on {HOST} to pgjobs_owner"
STRONG = """
select relation::regclass::text as relation, mode from pg_locks
where pid = pg_backend_pid() and relation in ('pgjobs.lab_attempt'::regclass, %(host)s::regclass)
    and mode in ('ShareUpdateExclusiveLock', 'ShareRowExclusiveLock', 'AccessExclusiveLock')
"""
LINK = "select conname from pg_constraint where conname = 'lab_attempt_session_id_fkey'"


def make_host(conn: Connection) -> None:
    """Make the host's table, of an owner of its own, as the host has it."""
    conn.execute(f"create table {HOST} (id uuid primary key, status text)".encode())
    conn.execute(GRANTS.encode())


@pytest.fixture
def host(conn: Connection) -> Connection:
    make_host(conn)
    return conn


def link(conn: Connection, **arguments: str) -> tuple[str, int | None, int]:
    [answer] = call(conn, "link_lab_sessions", **arguments)
    return answer.state, answer.orphans, len(answer.examples)


def unlink(conn: Connection) -> bool:
    [answer] = call(conn, "unlink_lab_sessions")
    return bool(answer[0])


def add_session(conn: Connection) -> object:
    session_id = uuid4()
    conn.execute(f"insert into {HOST} values (%s)".encode(), [session_id])
    return session_id


def strong_locks(conn: Connection) -> dict[str, str]:
    names = {'"LabSession"': "host", HOST: "host", "pgjobs.lab_attempt": "attempts"}
    return {names[lock.relation]: lock.mode for lock in rows(conn, STRONG, host=HOST)}


def test_the_first_call_adds_and_the_second_validates(host: Connection) -> None:
    enqueue(host, session_id=add_session(host))
    assert link(host) == ("added", None, 0)
    assert link(host) == ("validated", 0, 0)
    assert link(host) == ("linked", 0, 0)
    [link_] = rows(host, LINK.replace("conname from", "convalidated, obj_description(oid) from"))
    assert link_.convalidated
    assert link_.obj_description


def test_orphans_are_reported_and_nothing_is_done(host: Connection) -> None:
    orphans = {made.attempt_id for made in enqueue_many(host, *new(12))}
    enqueue(host, session_id=add_session(host))
    assert link(host) == ("added", None, 0)
    assert link(host) == ("orphans", len(orphans), 10)
    [answer] = call(host, "link_lab_sessions")
    found = rows(
        host,
        "select attempt_id from pgjobs.lab_attempt where session_id = any (%(ids)s)",
        ids=answer.examples,
    )
    assert {row.attempt_id for row in found} <= orphans
    assert list(answer.examples) == sorted(answer.examples)

    host.execute(
        f"insert into {HOST} select distinct session_id from pgjobs.lab_attempt"
        " on conflict do nothing".encode()
    )
    assert link(host) == ("validated", 0, 0)


def test_a_session_with_two_attempts_is_one_orphan(host: Connection) -> None:
    session_id = uuid4()
    for _ in range(2):
        enqueue(host, session_id=session_id)
    link(host)
    assert link(host) == ("orphans", 1, 1)


def test_once_linked_an_unknown_session_is_refused(host: Connection) -> None:
    link(host)
    with refused("23503") as caught, host.transaction():
        enqueue(host)
    assert caught.value.diag.constraint_name == "lab_attempt_session_id_fkey"
    assert enqueue(host, session_id=add_session(host)).created


def test_o02_a_session_with_attempts_is_neither_deleted_nor_renamed(host: Connection) -> None:
    session_id = add_session(host)
    job = enqueue(host, session_id=session_id)
    link(host)
    for statement in (f"delete from {HOST}", f"update {HOST} set id = gen_random_uuid()"):
        with refused("23503"), host.transaction():
            host.execute(statement.encode())
    host.execute(f"update {HOST} set status = 'STUCK'".encode())
    assert not rows(host, "select from pgjobs.lab_attempt where session_id is null")
    assert complete(host, claim(host)).job_id == job.job_id


def test_unlink_says_whether_there_was_a_link(host: Connection) -> None:
    assert not unlink(host)
    link(host)
    assert unlink(host)
    assert not rows(host, LINK)
    assert enqueue(host).created
    assert link(host) == ("added", None, 0)


def test_an_operator_may_link_and_nobody_else(host: Connection) -> None:
    for role in ("pgjobs_app", "pgjobs_worker", "pgjobs_reader"):
        with refused("42501"), host.transaction():
            host.execute(f"set local session authorization {role}".encode())
            link(host)
    host.execute("set local session authorization pgjobs_operator")
    assert link(host) == ("added", None, 0)
    assert unlink(host)


def test_without_the_hosts_table_the_link_is_refused(conn: Connection) -> None:
    with refused("22004", "link_lab_sessions_target_check"), conn.transaction():
        link(conn)
    assert not unlink(conn)


@pytest.mark.parametrize(
    "definition",
    [
        "table wrong (id uuid)",
        "table wrong (id text primary key)",
        "table wrong (other uuid primary key)",
        "table wrong (id uuid, part integer, primary key (id, part))",
        "table wrong (id uuid unique deferrable)",
        "table wrong (id uuid); create unique index on wrong (id) where id is not null",
        "view wrong as select gen_random_uuid() as id",
        "table wrong (id uuid primary key) partition by hash (id)",
    ],
)
def test_a_target_without_a_uuid_key_named_id_is_refused(conn: Connection, definition: str) -> None:
    conn.execute(f"create {definition}; grant all on wrong to pgjobs_owner".encode())
    with refused("22023", "link_lab_sessions_target_check"):
        link(conn, target="wrong")


def test_another_table_than_the_linked_one_is_refused(host: Connection) -> None:
    link(host)
    host.execute("create table other (id uuid primary key); grant all on other to pgjobs_owner")
    with refused("22023", "link_lab_sessions_target_check"):
        link(host, target="other")


@pytest.mark.parametrize(
    "missing", [f"select (id) on {HOST}", f"references (id) on {HOST}", "usage on schema public"]
)
def test_a_missing_right_of_the_owner_is_named_with_its_grant(
    host: Connection, missing: str
) -> None:
    host.execute("revoke usage on schema public from public")
    host.execute("grant usage on schema public to pgjobs_owner")
    host.execute(f"revoke {missing} from pgjobs_owner".encode())
    with refused("42501", "link_lab_sessions_target_check") as caught, host.transaction():
        link(host)
    host.execute((caught.value.diag.message_hint or "").encode())
    assert link(host) == ("added", None, 0)


def test_the_row_policies_of_a_target_never_run_as_the_owner(host: Connection) -> None:
    link(host)
    host.execute(
        "create function public.trap() returns boolean language plpgsql as"
        " 'begin raise exception using errcode = ''EV1L1''; end';"
        f"create policy trap on {HOST} using (public.trap());"
        f"alter table {HOST} enable row level security"
    )
    assert enqueue(host, session_id=add_session(host)).created
    with refused("42501"):
        link(host)


def test_the_locks_of_each_step_are_the_weakest_there_are(fresh_dsn: str, connect: Connect) -> None:
    conn = connect()
    make_host(conn)
    conn.commit()
    share = "ShareRowExclusiveLock"
    assert link(conn) == ("added", None, 0)
    assert strong_locks(conn) == {"attempts": share, "host": share}
    conn.commit()
    assert link(conn) == ("validated", 0, 0)
    assert strong_locks(conn) == {"attempts": "ShareUpdateExclusiveLock"}
    conn.commit()
    assert link(conn) == ("linked", 0, 0)
    assert strong_locks(conn) == {}


@pytest.mark.parametrize("table", ["pgjobs.lab_attempt", HOST])
def test_a_step_gives_up_its_wait_and_the_application_goes_on(
    fresh_dsn: str, connect: Connect, table: str
) -> None:
    operator, holder, app = connect(autocommit=True), connect(), connect(autocommit=True)
    make_host(operator)
    session_id = add_session(operator)
    # The longest that a call of the application may wait, and with room for a slow machine.
    app.execute("set lock_timeout = '1s'")
    holder.execute(f"lock table {table} in row exclusive mode".encode())
    for step in (link, unlink):
        with background(operator, app, partial(step, operator)) as call_:
            assert call_.blockers() == [holder.info.backend_pid]
            assert enqueue(app, session_id=session_id).job_id
            complete(app, claim(app))
            with refused("55P03"):
                call_.result()
        holder.rollback()
        if step is link:
            assert link(operator) == ("added", None, 0)
            holder.execute(f"lock table {table} in row exclusive mode".encode())
    assert unlink(operator)
