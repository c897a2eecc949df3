-- verification_job: every job once, where it stands. Each branch has its status as a constant, so
-- that a filter on QUEUED or RUNNING never reads the verdicts: with one branch for all verdicts it
-- would read them all.
create view pgjobs.verification_job as
with open_job as not materialized (
    select
        job.job_id,
        attempt.attempt_id,
        attempt.session_id,
        job.commit_sha,
        job.lab_version,
        job.priority::integer as priority,
        payload.payload,
        job.created_at,
        coalesce(job.available_at, job.created_at) as available_at,
        job.max_runs::integer as max_runs
    from pgjobs.job as job
    join pgjobs.lab_attempt as attempt
        on attempt.session_id = job.session_id and attempt.commit_sha = job.commit_sha
    left join pgjobs.job_payload as payload on payload.job_id = job.job_id
)
select
    open_job.job_id,
    open_job.attempt_id,
    open_job.session_id,
    open_job.commit_sha,
    open_job.lab_version,
    'QUEUED'::text collate "C" as status,
    open_job.priority,
    open_job.payload,
    open_job.created_at,
    open_job.available_at,
    null::timestamptz as started_at,
    null::timestamptz as completed_at,
    0 as run_no,
    open_job.max_runs,
    null::text collate "C" as worker,
    null::text collate "C" as error_reason,
    null::text as error_detail,
    null::jsonb as summary,
    'QUEUED'::text collate "C" as effective_status,
    null::timestamptz as amended_at,
    'QUEUE'::text collate "C" as origin
from pgjobs.waiting as waiting
join open_job on open_job.session_id = waiting.session_id and open_job.job_id = waiting.turn_no
where waiting.reviewed_job_id is null
union all
select
    open_job.job_id,
    open_job.attempt_id,
    open_job.session_id,
    open_job.commit_sha,
    open_job.lab_version,
    'QUEUED'::text collate "C",
    open_job.priority,
    open_job.payload,
    open_job.created_at,
    ready.available_at,
    ready.started_at,
    null,
    ready.run_no::integer,
    open_job.max_runs,
    ready.worker,
    null,
    null,
    null,
    'QUEUED'::text collate "C",
    null,
    'QUEUE'::text collate "C"
from pgjobs.lane as lane
join pgjobs.ready as ready on ready.job_id = lane.head_job_id
join open_job on open_job.session_id = lane.session_id and open_job.job_id = lane.head_job_id
where ready.review_id is null
union all
select
    open_job.job_id,
    open_job.attempt_id,
    open_job.session_id,
    open_job.commit_sha,
    open_job.lab_version,
    'RUNNING'::text collate "C",
    open_job.priority,
    open_job.payload,
    open_job.created_at,
    lease.available_at,
    lease.started_at,
    null,
    lease.run_no::integer,
    open_job.max_runs,
    lease.worker,
    null,
    null,
    null,
    'RUNNING'::text collate "C",
    null,
    'QUEUE'::text collate "C"
from pgjobs.lease as lease
join open_job on open_job.session_id = lease.session_id and open_job.job_id = lease.job_id
where lease.review_id is null
union all
select
    job_id, attempt_id, session_id, commit_sha, lab_version, 'PASSED'::text collate "C", priority,
    payload, created_at, available_at, started_at, completed_at, run_no, max_runs, worker,
    error_reason, error_detail, summary, effective_status, amended_at, origin
from pgjobs.verification_verdict
where status = 'PASSED'
union all
select
    job_id, attempt_id, session_id, commit_sha, lab_version, 'FAILED'::text collate "C", priority,
    payload, created_at, available_at, started_at, completed_at, run_no, max_runs, worker,
    error_reason, error_detail, summary, effective_status, amended_at, origin
from pgjobs.verification_verdict
where status = 'FAILED'
union all
select
    job_id, attempt_id, session_id, commit_sha, lab_version, 'ERROR'::text collate "C", priority,
    payload, created_at, available_at, started_at, completed_at, run_no, max_runs, worker,
    error_reason, error_detail, summary, effective_status, amended_at, origin
from pgjobs.verification_verdict
where status = 'ERROR';

comment on view pgjobs.verification_job is
    'Every job once: QUEUED, RUNNING, PASSED, FAILED or ERROR. started_at and worker are those of'
    ' the latest run; origin is BACKFILL where a host''s history says so. Read-only.';

create trigger verification_job_read_only instead of insert or update or delete
    on pgjobs.verification_job for each row execute function pgjobs._guard_ledger();
comment on trigger verification_job_read_only on pgjobs.verification_job is
    'Refuses INSERT, UPDATE and DELETE with 23V01.';
