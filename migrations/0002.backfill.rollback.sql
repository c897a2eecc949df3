-- Undoes 0002.backfill: its functions and its view. The rows that a backfill has written are ledger
-- rows and stay; after the next up it goes on where it was.
set local lock_timeout = '500ms';
set local search_path = pg_catalog, pg_temp;

drop view pgjobs.backfill_report;
drop function
    pgjobs.backfill_verification_log, pgjobs.backfill_reconcile, pgjobs._check_host,
    pgjobs._ledger_sha256, pgjobs._log_content, pgjobs._log_reason, pgjobs._log_sha256,
    pgjobs._next_logs;
drop type pgjobs.backfilled, pgjobs.backfill_check, pgjobs.backfill_log;

delete from pgjobs.fingerprint where migration_id = '0002.backfill';
delete from pgjobs.migration where migration_id = '0002.backfill';
