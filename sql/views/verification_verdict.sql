-- verification_verdict: the finished jobs. "The newest 50 FAILED" over this view walks
-- verdict_status_completed_at_idx backwards; over verification_job, a union, it could not.
create view pgjobs.verification_verdict as
select
    verdict.job_id,
    attempt.attempt_id,
    attempt.session_id,
    job.commit_sha,
    job.lab_version,
    verdict.status,
    job.priority::integer as priority,
    payload.payload,
    job.created_at,
    coalesce(job.available_at, job.created_at) as available_at,
    verdict.started_at,
    verdict.completed_at,
    verdict.run_no::integer as run_no,
    job.max_runs::integer as max_runs,
    verdict.worker,
    verdict.error_reason,
    verdict.error_detail || coalesce(' (cancelled by ' || verdict.actor || ')', '') as error_detail,
    summary.summary
from pgjobs.verdict as verdict
join pgjobs.job as job on job.job_id = verdict.job_id
join pgjobs.lab_attempt as attempt
    on attempt.session_id = job.session_id and attempt.commit_sha = job.commit_sha
left join pgjobs.job_payload as payload on payload.job_id = verdict.job_id
left join pgjobs.verdict_summary as summary on summary.job_id = verdict.job_id;

comment on view pgjobs.verification_verdict is 'The finished jobs, one row each. Read-only.';

create trigger verification_verdict_read_only instead of insert or update or delete
    on pgjobs.verification_verdict for each row execute function pgjobs._guard_ledger();
comment on trigger verification_verdict_read_only on pgjobs.verification_verdict is
    'Refuses INSERT, UPDATE and DELETE with 23V01.';
