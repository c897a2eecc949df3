-- Undoes 0003.verify: its functions and the digests of this version. The ledger is not touched.
-- Locks on what exists: ACCESS EXCLUSIVE on pgjobs.fingerprint; ROW EXCLUSIVE on pgjobs.migration.

do $migration$
begin

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


if exists (select from pgjobs.migration where migration_id > '0003.verify') then
    raise exception 'a later migration is there, and stands on this one'
        using errcode = '55000', schema = 'pgjobs', table = 'migration',
              constraint = 'migration_migration_id_pkey',
              hint = 'Undo the later ones first, the newest before the others: '
                     'select migration_id from pgjobs.migration.';
end if;

drop function
    pgjobs._installed, pgjobs.verify, pgjobs.verify_bodies, pgjobs._verify_objects,
    pgjobs._verify_open_jobs, pgjobs._verify_ledger, pgjobs._verify_roles, pgjobs._verify_server;
drop table
    pgjobs.fingerprint;
drop type
    pgjobs.finding, pgjobs.bodies_verified;

delete from pgjobs.migration where migration_id = '0003.verify';


-- How every part ends: with the role and the settings that begin.sql has found.
do $$
begin
    perform
        set_config('role', current_setting('pgjobs.former_role'), true),
        set_config('lock_timeout', current_setting('pgjobs.former_lock_timeout'), true),
        set_config('search_path', current_setting('pgjobs.former_search_path'), true);
end
$$;

end
$migration$;
