-- The guard of every ledger and detail table, and of the views: whatever would change a row raises
-- 23V01, for every role, in every session_replication_role. Row triggers, since a logical
-- replication apply fires no others; BEFORE, so that no foreign key action comes first and shows
-- keys.
create function pgjobs._guard_ledger()
    returns trigger
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception '% of pgjobs.% refused: the ledger is append-only', lower(tg_op), tg_table_name
        using errcode = '23V01',
              schema = tg_table_schema,
              table = tg_table_name,
              constraint = tg_name,
              hint = 'Ledger rows are never changed. A new commit gets a job of its own.';
end
$$;
comment on function pgjobs._guard_ledger is
    'Trigger: refuses every UPDATE, DELETE and TRUNCATE of a ledger row, and every write to a '
    'view, with 23V01.';
