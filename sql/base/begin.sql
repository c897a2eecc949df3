-- How every part begins. It runs with its own role and settings, and end.sql puts back those it has
-- found, because the rest of the transaction may be another tool's.
do $$
begin
    perform
        pg_catalog.set_config(
            'pgjobs.former_search_path', pg_catalog.current_setting('search_path'), true
        ),
        pg_catalog.set_config(
            'pgjobs.former_lock_timeout', pg_catalog.current_setting('lock_timeout'), true
        ),
        pg_catalog.set_config('pgjobs.former_role', pg_catalog.current_setting('role'), true);
end
$$;
set local lock_timeout = '500ms';
-- Names below mean PostgreSQL's own, whatever stands in the installing session's path.
set local search_path = pg_catalog, pg_temp;

-- Where the schema is there already, the rest is done as its owner, whoever of its members runs it.
do $$
begin
    perform set_config('role', pg_get_userbyid(namespace.nspowner), true)
    from pg_namespace as namespace
    where namespace.nspname = 'pgjobs';
end
$$;
