-- verification_review: every review, where it stands: it has its result, or its job runs, or it
-- waits.
create view pgjobs.verification_review as
select
    review.review_id,
    review.job_id,
    job.session_id,
    job.commit_sha,
    coalesce(
        result.outcome,
        case when lease.job_id is null then 'QUEUED' else 'RUNNING' end collate "C"
    ) as status,
    review.priority::integer as priority,
    review.lab_version,
    review.reason,
    review.actor,
    review.approver,
    review.ticket,
    review.login,
    review.requested_at,
    coalesce(result.started_at, ready.started_at, lease.started_at) as started_at,
    result.ended_at,
    coalesce(result.run_no, ready.run_no, lease.run_no, review.runs_before)::integer as run_no,
    coalesce(result.worker, ready.worker, lease.worker) as worker,
    result.detail || coalesce(' (cancelled by ' || result.actor || ')', '') as detail,
    summary.summary
from pgjobs.review as review
join pgjobs.job as job on job.job_id = review.job_id
left join pgjobs.review_result as result on result.review_id = review.review_id
left join pgjobs.ready as ready
    on ready.job_id = review.job_id and ready.review_id = review.review_id
left join pgjobs.lease as lease
    on lease.session_id = job.session_id and lease.review_id = review.review_id
left join pgjobs.review_summary as summary on summary.review_id = review.review_id;

comment on view pgjobs.verification_review is
    'Every review: QUEUED, RUNNING, PASSED, FAILED or ERROR (as amended), RUNS_EXHAUSTED or '
    'CANCELLED (no answer). Read-only.';

create trigger verification_review_read_only instead of insert or update or delete
    on pgjobs.verification_review for each row execute function pgjobs._guard_ledger();
comment on trigger verification_review_read_only on pgjobs.verification_review is
    'Refuses INSERT, UPDATE and DELETE with 23V01.';
