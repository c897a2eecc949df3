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
