-- The backfill: the history of the host that stood here before moves in beside it. It reads
-- "VerificationLog", "LabSession" and "Lab" of schema public and writes to none of them. A
-- migration of its own: functions and a view, to be reviewed and removed alone. What they have
-- written are ledger rows, and stay.
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


create type pgjobs.backfilled as (
    seen bigint,
    attempts bigint,
    jobs bigint,
    artifacts bigint,
    skipped bigint
);
comment on type pgjobs.backfilled is
    'Answer of backfill_verification_log: logs looked at, rows made, logs that gave no job.';


create type pgjobs.backfill_check as (
    check_name text,
    expected text,
    actual text,
    ok boolean
);
comment on type pgjobs.backfill_check is 'Answer of backfill_reconcile.';


create type pgjobs.backfill_log as (
    log_id uuid,
    session_id uuid,
    commit_sha text,
    verified_at timestamptz,
    lab_version text,
    session_status text,
    artifacts integer,
    outcome text,
    reason text
);
comment on type pgjobs.backfill_log is
    'A log of the host, and what it comes to by itself; commit_sha is null when it is skipped.';
\ir functions/_backfill.sql
\ir functions/backfill_verification_log.sql
\ir functions/backfill_reconcile.sql
\ir views/backfill_report.sql


revoke all on pgjobs.backfill_report from public;
revoke all on type pgjobs.backfilled, pgjobs.backfill_check, pgjobs.backfill_log from public;
revoke all on function
    pgjobs._check_host, pgjobs._ledger_sha256, pgjobs._log_content, pgjobs._log_reason,
    pgjobs._log_sha256, pgjobs._next_logs, pgjobs.backfill_reconcile,
    pgjobs.backfill_verification_log
from public;

do $$
begin
    if to_regrole('pgjobs_reader') is null or to_regrole('pgjobs_operator') is null then
        raise notice 'installed without the group roles; % owns everything', current_user
            using hint = 'Grant what the end of sql/backfill.sql grants to roles of your own.';
        return;
    end if;

    grant execute on function pgjobs.backfill_verification_log, pgjobs.backfill_reconcile
    to pgjobs_operator;
    grant select on pgjobs.backfill_report to pgjobs_reader, pgjobs_operator;
end
$$;
\ir fingerprints/backfill.sql
