-- Undoes 0002.host: its functions, its view, and the link to the host's sessions, if there is one.
-- What a backfill has written are ledger rows, and stay; after the next up it goes on where it was.
-- Locks on what exists: ACCESS EXCLUSIVE on pgjobs.backfill_report, pgjobs.lab_attempt, the linked
-- table of sessions; ROW EXCLUSIVE on pgjobs.migration.

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


if exists (select from pgjobs.migration where migration_id > '0002.host') then
    raise exception 'a later migration is there, and stands on this one'
        using errcode = '55000', schema = 'pgjobs', table = 'migration',
              constraint = 'migration_migration_id_pkey',
              hint = 'Undo the later ones first, the newest before the others: '
                     'select migration_id from pgjobs.migration.';
end if;

drop function
    pgjobs.backfill_verification_log, pgjobs._check_host, pgjobs._log_reason, pgjobs._waiting_logs,
    pgjobs._next_logs, pgjobs._log_content, pgjobs._log_sha256, pgjobs._ledger_sha256,
    pgjobs.backfill_reconcile, pgjobs.link_lab_sessions, pgjobs.unlink_lab_sessions;
drop view
    pgjobs.backfill_report;
drop type
    pgjobs.backfilled, pgjobs.backfill_log, pgjobs.backfill_check, pgjobs.session_link;
alter table pgjobs.lab_attempt drop constraint if exists lab_attempt_session_id_fkey;

delete from pgjobs.migration where migration_id = '0002.host';


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
