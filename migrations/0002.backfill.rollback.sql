-- Undoes 0002.backfill: its functions and its view. The rows that a backfill has written are ledger
-- rows and stay; after the next up it goes on where it was.
set local lock_timeout = '5s';
set local search_path = pg_catalog, pg_temp;

drop view pgjobs.backfill_report;

delete from pgjobs.migration where migration_id = '0002.backfill';
