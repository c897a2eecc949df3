-- verification_run: every run of every job, from the one place that recorded it: a setback, the
-- verdict or the review's result that ended it (its lease_token says so), or its lease.
create view pgjobs.verification_run as
select
    lease.job_id,
    lease.run_no::integer as run_no,
    lease.worker,
    lease.started_at,
    null::timestamptz as ended_at,
    'RUNNING'::text collate "C" as outcome,
    null::text as reason
from pgjobs.lease as lease
-- The lease of a job is found by its session.
join pgjobs.job as job on job.job_id = lease.job_id and job.session_id = lease.session_id
union all
select
    setback.job_id,
    setback.run_no::integer,
    setback.worker,
    setback.started_at,
    setback.ended_at,
    setback.outcome,
    setback.reason
from pgjobs.setback as setback
union all
select
    verdict.job_id,
    verdict.run_no::integer,
    verdict.worker,
    verdict.started_at,
    verdict.completed_at,
    case verdict.error_reason when 'CANCELLED' then 'CANCELLED' else verdict.status end collate "C",
    verdict.error_detail
from pgjobs.verdict as verdict
where verdict.lease_token is not null
union all
select
    result.job_id,
    result.run_no::integer,
    result.worker,
    result.started_at,
    result.ended_at,
    result.outcome,
    result.detail
from pgjobs.review_result as result
where result.lease_token is not null;

comment on view pgjobs.verification_run is
    'Every run of every job: RUNNING, PASSED, FAILED, ERROR, LEASE_LOST, RELEASED or CANCELLED. '
    'Read-only.';

create trigger verification_run_read_only instead of insert or update or delete
    on pgjobs.verification_run for each row execute function pgjobs._guard_ledger();
comment on trigger verification_run_read_only on pgjobs.verification_run is
    'Refuses INSERT, UPDATE and DELETE with 23V01.';
