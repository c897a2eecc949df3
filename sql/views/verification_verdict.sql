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

create trigger verification_verdict_read_only instead of insert or update or delete
    on pgjobs.verification_verdict for each row execute function pgjobs._guard_ledger();
comment on trigger verification_verdict_read_only on pgjobs.verification_verdict is
    'Refuses INSERT, UPDATE and DELETE with 23V01.';
