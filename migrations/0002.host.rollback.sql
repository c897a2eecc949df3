-- Undoes 0002.host: its functions, its view, and the link to the host's sessions, if there is one.
-- What a backfill has written are ledger rows, and stay; after the next up it goes on where it was.
-- Locks on what exists: ACCESS EXCLUSIVE on pgjobs.backfill_report, pgjobs.lab_attempt, the linked
-- table of sessions; ROW EXCLUSIVE on pgjobs.migration.
set local lock_timeout = '500ms';
set local search_path = pg_catalog, pg_temp;

do $$
begin
    if exists (select from pgjobs.migration where migration_id > '0002.host') then
        raise exception 'a later migration is there, and stands on this one'
            using errcode = '55000', schema = 'pgjobs', table = 'migration',
                  constraint = 'migration_migration_id_pkey',
                  hint = 'Undo the later ones first, the newest before the others: '
                         'select migration_id from pgjobs.migration.';
    end if;
end
$$;

drop function
    pgjobs.backfill_verification_log, pgjobs._check_host, pgjobs._log_reason, pgjobs._next_logs,
    pgjobs._log_content, pgjobs._log_sha256, pgjobs._ledger_sha256, pgjobs.backfill_reconcile,
    pgjobs.link_lab_sessions, pgjobs.unlink_lab_sessions;
drop view
    pgjobs.backfill_report;
drop type
    pgjobs.backfilled, pgjobs.backfill_log, pgjobs.backfill_check, pgjobs.session_link;
alter table pgjobs.lab_attempt drop constraint if exists lab_attempt_session_id_fkey;

delete from pgjobs.migration where migration_id = '0002.host';
