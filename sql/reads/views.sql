-- verification_attempt: the learner's page: the attempt ledger, its detail where still kept, and
-- how the verification of each stands. All of it hangs on the attempt by unique keys, so a query
-- reads no table whose columns it does not name.
create view pgjobs.verification_attempt as
select
    attempt.attempt_id,
    attempt.session_id,
    attempt.commit_sha,
    attempt.delivery_id,
    attempt.recorded_at,
    attempt.pushed_at,
    detail.author,
    detail.branch,
    detail.changed_files,
    job.job_id,
    standing.status,
    coalesce(
        (
            select amendment.status
            from pgjobs.amendment as amendment
            where amendment.job_id = verdict.job_id
            order by amendment.amendment_no desc
            limit 1
        ),
        standing.status
    ) as effective_status,
    verdict.completed_at,
    verdict.error_reason
from pgjobs.lab_attempt as attempt
left join pgjobs.attempt_detail as detail on detail.attempt_id = attempt.attempt_id
left join pgjobs.job as job
    on job.commit_sha = attempt.commit_sha and job.session_id = attempt.session_id
left join pgjobs.verdict as verdict on verdict.job_id = job.job_id
left join pgjobs.lease as lease
    on lease.session_id = attempt.session_id and lease.attempt_id = attempt.attempt_id
cross join lateral (
    select coalesce(
        verdict.status,
        case when lease.job_id is not null then 'RUNNING' when job.job_id is not null then 'QUEUED'
            end collate "C"
    ) as status
) as standing;

comment on view pgjobs.verification_attempt is
    'Every pushed commit of every session, and how its verification stands: status as in '
    'verification_job, null where it has no job. For pages of attempts by session; a commit alone, '
    'without its session, reads the attempts of all. Read-only.';


-- verification_run: every run of every job, from the one place that recorded it: its aborted_run,
-- the verdict or the review's result that ended it (its lease_token says so), or its lease.
create view pgjobs.verification_run as
select
    lease.job_id,
    lease.run_no::integer as run_no,
    lease.worker,
    lease.started_at,
    null::timestamptz as ended_at,
    'RUNNING'::text collate "C" as outcome,
    null::text as reason,
    lease.lease_expires_at
from pgjobs.lease as lease
-- The lease of a job is found by its session.
join pgjobs.job as job on job.job_id = lease.job_id and job.session_id = lease.session_id
union all
select
    aborted.job_id,
    aborted.run_no::integer,
    aborted.worker,
    aborted.started_at,
    aborted.ended_at,
    aborted.outcome,
    aborted.reason || coalesce(' (revoked by ' || aborted.actor || ')', ''),
    null
from pgjobs.aborted_run as aborted
union all
select
    verdict.job_id,
    verdict.run_no::integer,
    verdict.worker,
    verdict.started_at,
    verdict.completed_at,
    case verdict.error_reason when 'CANCELLED' then 'CANCELLED' else verdict.status end collate "C",
    verdict.error_detail,
    null
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
    result.detail,
    null
from pgjobs.review_result as result
where result.lease_token is not null;

comment on view pgjobs.verification_run is
    'Every run of every job: RUNNING, PASSED, FAILED, ERROR, LEASE_LOST, RELEASED, '
    'INTERRUPTED, REVOKED or CANCELLED. lease_expires_at: of the one that is RUNNING. Read-only.';


-- verification_artifact: all of an artifact but its bytes, which read_artifact answers.
create view pgjobs.verification_artifact as
select
    artifact.artifact_id,
    artifact.job_id,
    artifact.run_no::integer as run_no,
    artifact.kind,
    artifact.name,
    artifact.sha256,
    artifact.size_bytes,
    artifact.media_type,
    artifact.location,
    artifact.truncated,
    artifact.created_at,
    coalesce(own.expired_at, expiry.expired_at) as expired_at,
    artifact.original_size_bytes,
    artifact.original_sha256
from pgjobs.artifact as artifact
left join pgjobs.expiry as own on own.kind = 'ARTIFACT' and own.id = artifact.artifact_id
left join pgjobs.expiry as expiry on expiry.kind = 'BODY' and expiry.id = artifact.body_id;

comment on view pgjobs.verification_artifact is
    'Every artifact of every run; expired_at: when its bytes were dropped, or the host''s object '
    'deleted. Read-only.';


-- verification_hold: every hold of a ticket, each with its lift.
create view pgjobs.verification_hold as
select
    hold.session_id,
    hold.ticket,
    hold.reason,
    hold.actor,
    hold.login,
    hold.decided_at as held_at,
    lift.decided_at as lifted_at,
    lift.reason as lift_reason,
    lift.actor as lift_actor,
    lift.login as lift_login
from pgjobs.hold as hold
left join pgjobs.hold as lift
    on lift.session_id = hold.session_id and lift.ticket = hold.ticket
    and lift.hold_no = hold.hold_no + 1
where hold.hold_no % 2 = 1;

comment on view pgjobs.verification_hold is
    'Every hold of a session; it stands while lifted_at is null. Read-only.';


-- verification_amendment: every word on a verdict that stands.
create view pgjobs.verification_amendment as
select
    amendment.amendment_id,
    amendment.job_id,
    amendment.amendment_no::integer as amendment_no,
    amendment.status,
    amendment.lab_version,
    amendment.reason,
    amendment.actor,
    amendment.approver,
    amendment.ticket,
    amendment.login,
    amendment.review_id,
    amendment.amended_at
from pgjobs.amendment as amendment;

comment on view pgjobs.verification_amendment is
    'Every amendment; the highest amendment_no of a job is its effective status. Read-only.';


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
