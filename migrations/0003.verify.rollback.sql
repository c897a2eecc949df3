-- Undoes 0003.verify: its functions and the digests of this version. The ledger is not touched.
-- Locks on what exists: ACCESS EXCLUSIVE on pgjobs.fingerprint; ROW EXCLUSIVE on pgjobs.migration.
set local lock_timeout = '500ms';
set local search_path = pg_catalog, pg_temp;

do $$
begin
    if exists (select from pgjobs.migration where migration_id > '0003.verify') then
        raise exception 'a later migration is there, and stands on this one'
            using errcode = '55000', schema = 'pgjobs', table = 'migration',
                  constraint = 'migration_migration_id_pkey',
                  hint = 'Undo the later ones first, the newest before the others: '
                         'select migration_id from pgjobs.migration.';
    end if;
end
$$;

drop function
    pgjobs._installed, pgjobs.verify, pgjobs.verify_bodies, pgjobs._verify_objects,
    pgjobs._verify_open_jobs, pgjobs._verify_ledger, pgjobs._verify_roles, pgjobs._verify_server;
drop table
    pgjobs.fingerprint;
drop type
    pgjobs.finding, pgjobs.bodies_verified;

delete from pgjobs.migration where migration_id = '0003.verify';
