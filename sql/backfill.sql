-- The backfill: the history of the host that stood here before moves in beside it. It reads
-- "VerificationLog", "LabSession" and "Lab" of schema public and writes to none of them. A
-- migration of its own: functions and a view, to be reviewed and removed alone. What they have
-- written are ledger rows, and stay.
set local lock_timeout = '5s';
set local search_path = pg_catalog, pg_temp;

do $$
begin
    perform set_config('role', owner.rolname, true)
    from pg_namespace as namespace
    join pg_roles as owner on owner.oid = namespace.nspowner
    where namespace.nspname = 'pgjobs';
end
$$;
\ir views/backfill_report.sql

revoke all on pgjobs.backfill_report from public;

do $$
begin
    if to_regrole('pgjobs_reader') is null or to_regrole('pgjobs_operator') is null then
        raise notice 'installed without the group roles; % owns everything', current_user
            using hint = 'Grant what the end of sql/backfill.sql grants to roles of your own.';
        return;
    end if;

    grant select on pgjobs.backfill_report to pgjobs_reader, pgjobs_operator;
end
$$;
