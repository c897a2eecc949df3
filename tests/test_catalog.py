"""The rules that every object of the schema keeps, asked of the catalogue."""

from __future__ import annotations

import re
from pathlib import Path

from tests.helpers import Connection, rows

LEDGER = Path(__file__).parent.parent / "sql/ledger"
NOT_LEDGER = {"lane", "ready", "lease", "waiting", "migration", "fingerprint"}
DETAIL = {"attempt_detail", "job_payload", "verdict_summary", "review_summary", "body"}
STABLE = {
    *("verify", "verify_bodies", "_verify_ledger", "_verify_objects", "_verify_open_jobs"),
    *("_verify_roles", "_verify_server"),
    *("_check_host", "_ledger_sha256", "_log_content", "_log_reason", "_log_sha256", "_next_logs"),
    "_waiting_logs",
    *("backfill_reconcile", "get_job", "is_passed", "read_artifact", "timeline", "why_waiting"),
    *("attempts", "metrics"),
    *("_effective_status", "_find_attempt", "_find_job", "_is_open", "_is_held", "_is_needed"),
    *("_old_bodies", "_details", "_held_details", "_has_expired", "_status", "_installed"),
    *("_has_size", "_bad_push", "_bad_claim", "_bad_verdict", "_bad_decision", "_bad_order"),
}
# Rules of a value, in SQL: planned into whatever asks.
INLINED = {"_is_commit_sha", "_is_text", "_is_same_person", "_is_document", "_is_duration"}

OURS = "'pgjobs'::regnamespace"
FUNCTIONS = f"select * from pg_proc where pronamespace = {OURS}"
CONSTRAINTS = f"""
    select con.*, table_.relname, array(
        select attname::text from pg_attribute
        where attrelid = conrelid and attnum = any (conkey)
        order by array_position(conkey, attnum)
    ) as columns
    from pg_constraint as con
    join pg_class as table_ on table_.oid = con.conrelid
    where con.connamespace = {OURS}
"""
# An index that a constraint owns has the constraint's name and comment.
INDEXES = f"""
    select index.indexrelid, index.indisunique, pg_class.relname,
        index.indrelid::regclass::text as table, array(
            select pg_get_indexdef(index.indexrelid, position, false)
            from generate_series(1, index.indnkeyatts) as position
        ) as columns
    from pg_index as index
    join pg_class on pg_class.oid = index.indexrelid
    where pg_class.relnamespace = {OURS}
        and not exists (select from pg_constraint where conindid = index.indexrelid
            and contype in ('p', 'u', 'x'))
"""
TRIGGERS = f"""
    select trigger.*, pg_class.relname, pg_class.relkind::text, proname
    from pg_trigger as trigger
    join pg_class on pg_class.oid = trigger.tgrelid
    join pg_proc on pg_proc.oid = trigger.tgfoid
    where pg_class.relnamespace = {OURS} and not trigger.tgisinternal
"""
OBJECTS = f"""
    select 'pg_namespace'::regclass as class, {OURS}::oid as oid
    union all
    select 'pg_class'::regclass, oid
    from pg_class where relnamespace = {OURS} and relkind in ('r', 'v')
    union all
    select 'pg_proc'::regclass, oid from ({FUNCTIONS}) as function
    union all
    select 'pg_type'::regclass, pg_type.oid
    from pg_type left join pg_class on pg_class.oid = typrelid
    where typnamespace = {OURS} and typelem = 0 and coalesce(relkind, 'c') = 'c'
"""
GRANTS = f"""
    select nspname as name, aclexplode(nspacl) as acl from pg_namespace where oid = {OURS}
    union all
    select relname, aclexplode(relacl) from pg_class where relnamespace = {OURS}
    union all
    select attname, aclexplode(attacl)
    from pg_attribute join pg_class on pg_class.oid = attrelid where relnamespace = {OURS}
    union all
    select proname, aclexplode(coalesce(proacl, acldefault('f', proowner)))
    from pg_proc where pronamespace = {OURS}
    union all
    select typname, aclexplode(coalesce(typacl, acldefault('T', typowner)))
    from pg_type join pg_class on pg_class.oid = typrelid and relkind = 'c'
    where typnamespace = {OURS}
"""


def names(conn: Connection, query: str) -> set[str]:
    return {name for (name,) in rows(conn, query)}


def test_every_function_pins_its_search_path(conn: Connection) -> None:
    pinned = "search_path=pg_catalog, pg_temp"
    unpinned = [f for f in rows(conn, FUNCTIONS) if pinned not in (f.proconfig or [])]
    assert {f.proname for f in unpinned} == INLINED
    # Their names were bound when they were created, and nothing is looked up when they run.
    assert all(f.prosqlbody is not None and f.proconfig is None for f in unpinned)


def test_public_functions_and_no_others_run_as_their_owner(conn: Connection) -> None:
    functions = rows(conn, FUNCTIONS)
    definers = {function.proname for function in functions if function.prosecdef}
    assert definers == {f.proname for f in functions if not f.proname.startswith("_")}


def test_no_function_that_may_write_promises_not_to(conn: Connection) -> None:
    functions = rows(conn, FUNCTIONS)
    assert {f.proname for f in functions if f.provolatile != "v"} == STABLE | INLINED
    assert {f.provolatile for f in functions if f.proname in STABLE} == {"s"}
    assert {f.proparallel for f in functions if f.proname not in INLINED} == {"u"}


def test_a_helper_is_executable_by_its_owner_alone(conn: Connection) -> None:
    helpers = f"select name from ({GRANTS}) as grants where name like '\\_%'"
    assert names(conn, helpers)
    assert not names(conn, f"{helpers} and (acl).grantee <> 'pgjobs_owner'::regrole")


def test_public_has_nothing(conn: Connection) -> None:
    assert not names(conn, f"select name from ({GRANTS}) as grants where (acl).grantee = 0")


def test_pgjobs_owner_owns_everything(conn: Connection) -> None:
    owned = f"""
        select nspowner::regrole::text from pg_namespace where oid = {OURS}
        union select relowner::regrole::text from pg_class where relnamespace = {OURS}
        union select proowner::regrole::text from pg_proc where pronamespace = {OURS}
        union select typowner::regrole::text from pg_type where typnamespace = {OURS}
    """
    assert names(conn, owned) == {"pgjobs_owner"}


def test_every_table_view_function_and_type_has_a_comment(conn: Connection) -> None:
    assert not names(
        conn,
        "select pg_describe_object(class, object.oid, 0)"
        f" from ({OBJECTS}) as object where not exists (select from pg_description as d"
        " where (d.classoid, d.objoid, d.objsubid) = (class, object.oid, 0))",
    )


def test_every_constraint_is_named_after_its_table_and_columns(conn: Connection) -> None:
    suffixes = {"p": "pkey", "u": "key", "f": "fkey", "n": "not_null"}
    for con in rows(conn, CONSTRAINTS):
        if con.contype == "c":  # named after the column that the rule is about
            assert con.conname in {f"{con.relname}_{name}_check" for name in con.columns}
        else:
            expected = "_".join([con.relname, *con.columns, suffixes[con.contype]])
            assert con.conname == expected


def test_every_index_is_named_after_its_table_and_columns(conn: Connection) -> None:
    for index in rows(conn, INDEXES):
        table = index.table.removeprefix("pgjobs.")
        suffix = "key" if index.indisunique else "idx"
        assert index.relname == "_".join([table, *index.columns, suffix])


def test_every_ledger_table_has_its_two_guards_enabled_always(conn: Connection) -> None:
    every = names(conn, "select tablename from pg_tables where schemaname = 'pgjobs'")
    found = {
        (trigger.relname, trigger.tgname): (trigger.tgtype, trigger.tgenabled, trigger.proname)
        for trigger in rows(
            conn, TRIGGERS + " and relkind = 'r' and tgqual is null and tgattr = ''"
        )
    }
    # before + update + delete + row, and before + truncate
    row, truncate = 2 + 16 + 8 + 1, 2 + 32
    assert found == {
        (table, f"{table}_{rule}"): (kind, "A", guard)
        for table in every - NOT_LEDGER
        for rule, kind, guard in (
            ("append_only", row, "_guard_detail" if table in DETAIL else "_guard_ledger"),
            ("no_truncate", truncate, "_guard_ledger"),
        )
    }


def test_every_view_is_read_only(conn: Connection) -> None:
    every = names(conn, "select viewname from pg_views where schemaname = 'pgjobs'")
    found = {
        (trigger.relname, trigger.tgname): (trigger.tgtype, trigger.proname)
        for trigger in rows(conn, TRIGGERS + " and relkind = 'v'")
    }
    # instead of + update + delete + insert + row
    kind = 64 + 16 + 8 + 4 + 1
    assert found == {(view, f"{view}_read_only"): (kind, "_guard_ledger") for view in every}


def test_no_view_calls_a_volatile_function(conn: Connection) -> None:
    # A clock that moves while it is read, in a filter, keeps the planner from every index.
    assert not names(
        conn,
        "select format('%s: %s', ev_class::regclass, proname) from pg_rewrite"
        " cross join regexp_matches(ev_action::text, ':(?:op)?funcid (\\d+)', 'g') as found"
        " join pg_proc on pg_proc.oid = found[1]::oid join pg_class on pg_class.oid = ev_class"
        f" where relnamespace = {OURS} and provolatile = 'v'",
    )


def test_vacuum_comes_to_a_ledger_table_in_small_steps_and_freezes_at_once(
    conn: Connection,
) -> None:
    tables = rows(conn, f"select * from pg_class where relnamespace = {OURS} and relkind = 'r'")
    assert {table.relname for table in tables} > NOT_LEDGER
    assert {tuple(table.reloptions) for table in tables if table.relname not in NOT_LEDGER} == {
        (
            "vacuum_truncate=off",
            "autovacuum_vacuum_threshold=5000",
            "autovacuum_vacuum_insert_threshold=5000",
            "autovacuum_vacuum_insert_scale_factor=0.02",
            "autovacuum_freeze_min_age=0",
        )
    }


def test_no_value_of_a_ledger_row_comes_from_a_default(conn: Connection) -> None:
    columns = rows(
        conn,
        "select relname, attname, atthasdef, attidentity from pg_attribute"
        f" join pg_class on pg_class.oid = attrelid where relnamespace = {OURS}"
        " and relkind = 'r' and attnum > 0",
    )
    ledger = [column for column in columns if column.relname not in NOT_LEDGER]
    assert not [column for column in ledger if column.atthasdef]
    assert {(c.relname, c.attname, c.attidentity) for c in columns if c.attidentity} == {
        ("lab_attempt", "attempt_id", "a"),
        ("amendment", "amendment_id", "a"),
        ("artifact", "artifact_id", "a"),
        ("body", "body_id", "a"),
        ("job", "job_id", "a"),
    }


def test_every_foreign_key_has_an_index_or_a_reason(conn: Connection) -> None:
    keys = f"select con.* from ({CONSTRAINTS}) as con where contype = 'f'"
    unindexed = names(
        conn,
        f"select conname from ({keys}) as key where not exists (select from pg_index"
        " where indrelid = conrelid and indpred is null"
        " and (indkey::int2[])[0:cardinality(conkey) - 1] = conkey)",
    )
    tables = "".join(path.read_text(encoding="utf-8") for path in LEDGER.glob("*.sql"))
    assert unindexed < names(conn, f"select conname from ({keys}) as key")
    for name in unindexed:
        assert re.search(rf"-- [^\n]+\n +constraint {name} ", tables), name
