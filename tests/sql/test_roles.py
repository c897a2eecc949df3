"""P11: each role has its functions and views and nothing else; PUBLIC has nothing."""

import pytest

from tests.helpers import Connection, enqueue, refused, rows

ASK = {"is_passed", "timeline", "why_waiting", "attempts"}
READ = {"read_artifact", "metrics", *ASK}
EXECUTE = {
    "pgjobs_app": {"enqueue", "enqueue_many", "record_attempt", "get_job", "wake", *ASK},
    "pgjobs_worker": {
        *(
            "claim",
            "heartbeat",
            "heartbeat_many",
            "complete",
            "complete_many",
            "complete_and_claim",
            "release",
        ),
        "add_artifact",
    },
    "pgjobs_operator": {
        *("cancel", "revoke_lease", "rescue", "wake", "expire_artifacts", "expire_details"),
        *("expire_locations", "hold", "lift_hold", "erase_session"),
        *("verify", "verify_bodies", "backfill_verification_log", "backfill_reconcile"),
        *("link_lab_sessions", "unlink_lab_sessions", *READ),
    },
    "pgjobs_approver": {"amend", "reverify", *READ},
    "pgjobs_reader": READ,
    "pgjobs_test_stranger": set[str](),
}
READS_VIEWS = {"pgjobs_reader", "pgjobs_operator", "pgjobs_approver"}
STRANGER = "pgjobs_test_stranger"
PUBLIC_FUNCTIONS = set[str]().union(*EXECUTE.values())

RELATIONS = r"""
    select c.oid::int, c.relname, c.relkind::text, c.oid::regclass::text as name,
        c.relkind = 'v' and c.relname not like '\_%' as is_open_view,
        (select attname from pg_attribute where attrelid = c.oid and attnum = 2) as column
    from pg_class as c
    where c.relnamespace = 'pgjobs'::regnamespace and c.relkind in ('r', 'v', 'm', 'p', 'f')
"""
FUNCTIONS = """
    select p.oid::int, p.proname, 'pgjobs.' || p.proname || '(' || coalesce((
        select string_agg('null::' || format_type(type, null), ', ' order by position)
        from unnest(p.proargtypes::oid[]) with ordinality as argument (type, position)
    ), '') || ')' as call
    from pg_proc as p where p.pronamespace = 'pgjobs'::regnamespace
"""


@pytest.fixture(params=EXECUTE)
def role(request: pytest.FixtureRequest, conn: Connection) -> str:
    """A role of the installation, or a login of the cluster that was granted nothing."""
    conn.execute(f"create role {STRANGER}".encode())
    return str(request.param)


def act_as(conn: Connection, role: str) -> None:
    conn.execute(f"set local session authorization {role}".encode())


def granted(conn: Connection, kind: str, role: str, oid: int, privileges: str) -> bool:
    query = f"select has_{kind}_privilege(%(role)s, %(oid)s::oid, %(privileges)s) as has"
    [row] = rows(conn, query, role=role, oid=oid, privileges=privileges)
    return bool(row.has)


def test_every_public_function_is_somebodys(conn: Connection) -> None:
    names = {function.proname for function in rows(conn, FUNCTIONS)}
    assert {name for name in names if not name.startswith("_")} == PUBLIC_FUNCTIONS


def test_the_catalogue_grants_exactly_the_functions_of_the_role(
    conn: Connection, role: str
) -> None:
    held = {
        function.proname
        for function in rows(conn, FUNCTIONS)
        if granted(conn, "function", role, function.oid, "execute")
    }
    assert held == EXECUTE[role]


def test_the_catalogue_grants_select_on_views_and_nothing_on_tables(
    conn: Connection, role: str
) -> None:
    writes = "insert, update, delete, truncate, references, trigger"
    if conn.info.server_version >= 170000:
        writes += ", maintain"
    for relation in rows(conn, RELATIONS):
        assert not granted(conn, "table", role, relation.oid, writes), relation.name
        assert not granted(conn, "any_column", role, relation.oid, "insert, update, references")
        reads = role in READS_VIEWS and relation.is_open_view
        assert granted(conn, "table", role, relation.oid, "select") is reads, relation.name
        assert granted(conn, "any_column", role, relation.oid, "select") is reads, relation.name


def test_the_catalogue_grants_nothing_on_sequences_types_and_the_schema(
    conn: Connection, role: str
) -> None:
    sequences = "select oid::int, relname from pg_class where relkind = 'S'"
    for sequence in rows(conn, f"{sequences} and relnamespace = 'pgjobs'::regnamespace"):
        assert not granted(conn, "sequence", role, sequence.oid, "usage, select, update")
    types = "select oid::int from pg_type where typtype in ('c', 'd') and typcategory <> 'A'"
    tables = "select reltype from pg_class where relkind <> 'c'"
    for ours in rows(
        conn, f"{types} and typnamespace = 'pgjobs'::regnamespace and oid not in ({tables})"
    ):
        assert not granted(conn, "type", role, ours.oid, "usage")
    [schema] = rows(conn, "select 'pgjobs'::regnamespace::oid::int as oid")
    assert granted(conn, "schema", role, schema.oid, "usage") is (role != STRANGER)
    assert not granted(conn, "schema", role, schema.oid, "create")


def test_a07_n01_every_function_of_another_role_is_refused(conn: Connection, role: str) -> None:
    functions = rows(conn, FUNCTIONS)
    act_as(conn, role)
    for function in functions:
        if function.proname in {"unlink_lab_sessions", "verify", "wake"} & EXECUTE[role]:
            continue  # without an argument, it never fails
        # A permitted call gets as far as its first argument.
        code = "22004" if function.proname in EXECUTE[role] else "42501"
        with refused(code), conn.transaction():
            conn.execute(f"select {function.call}".encode())


STATEMENTS = {
    "r01_select": "select * from {name}",
    "r01_copy_to": "copy {name} to stdout",
    "r02_for_update": "select from {name} for update",
    "r02_for_share": "select from {name} for share",
    "r02_for_key_share": "select from {name} for key share",
    "w16_lock_row_share": "lock table {name} in row share mode",
    "w16_lock_exclusive": "lock table {name} in exclusive mode",
    "w16_lock_access_exclusive": "lock table {name}",
    "a01_insert": "insert into {name} default values",
    "w08_update": "update {name} set {column} = default",
    "w17_no_op_update": "update {name} set {column} = {column}",
    "a01_delete": "delete from {name}",
    "a01_merge": "merge into {name} using (select) as s on true when matched then delete",
    "a01_copy_from": "copy {name} from stdin",
    "a01_truncate": "truncate {name}",
    "a02_overriding": "insert into {name} ({column}) overriding system value values (default)",
    "a03_trigger": "create trigger t after insert on {name}"
    " for each statement execute function pgjobs._guard_ledger()",
    "a03_rule": "create rule r as on update to {name} do instead nothing",
    "a03_index": "create index on {name} ({column})",
    "a03_references": "create table mine.t (c bigint references {name})",
    "a03_alter": "alter table {name} add column mine integer",
    "a03_drop": "drop table {name}",
}
# PostgreSQL asks what a relation is before it asks who may: on a view these fail for anybody.
NOT_FOR_VIEWS = {"a01_truncate", "a03_index", "a03_trigger", "a03_references", "a03_drop"}
READS = {"r01_select", "r01_copy_to"}


@pytest.mark.parametrize("statement", STATEMENTS)
def test_nothing_of_a_relation_is_open_but_the_views_to_readers(
    conn: Connection, role: str, statement: str
) -> None:
    enqueue(conn)
    conn.execute("create schema mine")
    conn.execute("grant all on schema mine to public")
    relations = rows(conn, RELATIONS)
    act_as(conn, role)
    for relation in relations:
        if relation.relkind == "v":
            if statement in NOT_FOR_VIEWS or statement == "r01_copy_to":
                continue
            if statement == "r01_select" and role in READS_VIEWS and relation.is_open_view:
                conn.execute(f"select * from {relation.name}".encode())
                continue
            if statement == "a01_merge" and conn.info.server_version < 170000:
                continue
        query = STATEMENTS[statement].format(name=relation.name, column=relation.column)
        with refused("42501"), conn.transaction():
            conn.execute(query.encode())


@pytest.mark.parametrize("function", ["nextval", "currval", "setval"])
def test_a02_no_sequence_is_moved_or_read(conn: Connection, role: str, function: str) -> None:
    sequences = rows(
        conn, "select sequencename as name from pg_sequences where schemaname = 'pgjobs'"
    )
    assert sequences
    act_as(conn, role)
    more = ", 1" if function == "setval" else ""
    for sequence in sequences:
        with refused("42501"), conn.transaction():
            conn.execute(f"select {function}('pgjobs.{sequence.name}'{more})".encode())


@pytest.mark.parametrize(
    "statement",
    [
        "set session_replication_role = replica",
        "set role pgjobs_owner",
        "set role postgres",
        "create table pgjobs.mine ()",
        "create function pgjobs.mine() returns int language sql as 'select 1'",
        "alter function pgjobs.claim(text, integer, interval) security invoker",
        "alter schema pgjobs rename to mine",
        "grant pgjobs_owner to current_user",
    ],
)
def test_a04_no_role_becomes_more_than_it_is(conn: Connection, role: str, statement: str) -> None:
    act_as(conn, role)
    with refused("42501"):
        conn.execute(statement.encode())


def test_a04_no_group_role_can_log_in_or_has_any_attribute(conn: Connection) -> None:
    attributes = (
        "rolcanlogin or rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls"
    )
    query = f"select rolname, {attributes} from pg_roles where rolname like 'pgjobs\\_%'"
    found = dict(tuple(row) for row in rows(conn, query))
    assert found == {**{name: False for name in EXECUTE if name != STRANGER}, "pgjobs_owner": False}
