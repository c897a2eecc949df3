-- verification_verdict: the finished jobs. What stands is the verdict, or the last amendment. Both
-- have completed_at behind the status in an index, and the union below has one plain table a
-- branch: so "the newest 50 FAILED", or whose effective status is FAILED, walks two indexes
-- backwards. Over verification_job, whose branches are joins, it could not.
create view pgjobs.verification_verdict as
select
    standing.job_id,
    attempt.attempt_id,
    attempt.session_id,
    job.commit_sha,
    job.lab_version,
    standing.status,
    job.priority::integer as priority,
    payload.payload,
    job.created_at,
    coalesce(job.available_at, job.created_at) as available_at,
    coalesce(standing.started_at, amended.started_at) as started_at,
    standing.completed_at,
    coalesce(standing.run_no, amended.run_no)::integer as run_no,
    job.max_runs::integer as max_runs,
    coalesce(standing.worker, amended.worker) as worker,
    coalesce(standing.error_reason, amended.error_reason) as error_reason,
    coalesce(standing.error_detail, amended.error_detail)
        || coalesce(' (cancelled by ' || coalesce(standing.actor, amended.actor) || ')', '')
        as error_detail,
    summary.summary,
    standing.effective_status,
    standing.amended_at,
    coalesce(standing.origin, amended.origin, 'QUEUE' collate "C") as origin
from (
    select
        verdict.job_id, verdict.status, verdict.status as effective_status, verdict.completed_at,
        null::timestamptz as amended_at, 0::smallint as amendment_no, verdict.started_at,
        verdict.run_no, verdict.worker, verdict.error_reason, verdict.error_detail, verdict.actor,
        verdict.origin
    from pgjobs.verdict as verdict
    union all
    select
        amendment.job_id, amendment.verdict_status, amendment.status, amendment.completed_at,
        amendment.amended_at, amendment.amendment_no,
        -- Without names of their own these read otherwise after a restore than before.
        null as started_at, null as run_no, null as worker, null as error_reason,
        null as error_detail, null as actor, null as origin
    from pgjobs.amendment as amendment
) as standing
-- Foreign keys make these two inner joins; as outer ones a count leaves them out.
left join pgjobs.job as job on job.job_id = standing.job_id
left join pgjobs.lab_attempt as attempt
    on attempt.session_id = job.session_id and attempt.commit_sha = job.commit_sha
left join pgjobs.verdict as amended
    on amended.job_id = standing.job_id and standing.amendment_no > 0
left join pgjobs.job_payload as payload on payload.job_id = standing.job_id
left join pgjobs.verdict_summary as summary on summary.job_id = standing.job_id
where not exists (
    select from pgjobs.amendment as later
    where later.job_id = standing.job_id and later.amendment_no > standing.amendment_no
);

comment on view pgjobs.verification_verdict is
    'The finished jobs, one row each: status is the verdict, effective_status the last amendment '
    'where there is one. Read-only.';


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
    coalesce(ready.run_no, 0)::integer,
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
    ' the latest run; origin is BACKFILL where a host''s history says so. It is for one job, for '
    'those of one session, and for what is QUEUED or RUNNING; a join reads all of it: '
    'verification_attempt has the status of many sessions'' attempts. Read-only.';
