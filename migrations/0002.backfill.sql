-- The functions and the view that move a host's history into the ledger.
-- depends: 0001.ledger
--
-- For the operator: adds functions and a view, and locks no table. The host's tables need not be
-- there, and are not touched. With psql alone:
-- psql -1 -v ON_ERROR_STOP=1 -f migrations/0002.backfill.sql

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


-- backfill_report: what became of every log that the backfill has looked at.
create view pgjobs.backfill_report as
select
    backfill.log_id,
    backfill.session_id,
    backfill.outcome,
    backfill.reason,
    backfill.attempt_id,
    backfill.job_id,
    attempt.commit_sha,
    backfill.backfilled_at,
    backfill.login
from pgjobs.backfill as backfill
left join pgjobs.lab_attempt as attempt on attempt.attempt_id = backfill.attempt_id;

comment on view pgjobs.backfill_report is
    'What became of every log of the host: a JOB, an ATTEMPT without a job of its own, or SKIPPED; '
    'and why. Read-only.';

create trigger backfill_report_read_only instead of insert or update or delete
    on pgjobs.backfill_report for each row execute function pgjobs._guard_ledger();
comment on trigger backfill_report_read_only on pgjobs.backfill_report is
    'Refuses INSERT, UPDATE and DELETE with 23V01.';

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


insert into pgjobs.migration (migration_id, checksum)
values ('0002.backfill', 'c7e926dbe13b77963f8dda2d4f264a8bd76d13633311b90062b07b8227596571');
