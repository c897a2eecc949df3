-- A later part is created by the role that owns the schema, as the first part was.
set local lock_timeout = '500ms';
set local search_path = pg_catalog, pg_temp;

do $$
begin
    perform set_config('role', owner.rolname, true)
    from pg_namespace as namespace
    join pg_roles as owner on owner.oid = namespace.nspowner
    where namespace.nspname = 'pgjobs';
end
$$;
