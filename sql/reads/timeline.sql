create type pgjobs.event as (
    at timestamptz,
    event text,
    run_no integer,
    actor text,
    detail jsonb
);
comment on type pgjobs.event is 'Answer of timeline: what happened to a commit.';


create function pgjobs.timeline(commit_sha text)
    returns setof pgjobs.event
    language plpgsql stable security definer
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_job pgjobs.job;
    v_attempt pgjobs.lab_attempt;
begin
    if pgjobs._is_commit_sha(timeline.commit_sha) is not true then
        perform pgjobs._refuse_argument(
            'timeline', 'commit_sha', jsonb_build_object('commit_sha', timeline.commit_sha)
        );
    end if;
    select job.* into v_job from pgjobs.job as job where job.commit_sha = timeline.commit_sha;
    select attempt.* into v_attempt
    from pgjobs.lab_attempt as attempt
    where attempt.session_id = v_job.session_id and attempt.commit_sha = v_job.commit_sha;
    -- By time, then in the order in which things follow from one another.
    return query
    select event.at, event.event, event.run_no, event.actor, jsonb_strip_nulls(event.detail)
    from (
        select
            1 as step, v_attempt.attempt_id as id, v_attempt.recorded_at as at,
            'recorded' as event, null::integer as run_no, null::text as actor,
            jsonb_build_object(
                'attempt_id', v_attempt.attempt_id, 'pushed_at', v_attempt.pushed_at,
                'delivery_id', v_attempt.delivery_id
            ) as detail
        where v_attempt.attempt_id is not null
        union all
        select
            2, v_job.job_id, v_job.created_at, 'enqueued', null, null,
            jsonb_build_object(
                'job_id', v_job.job_id, 'lab_version', v_job.lab_version,
                'priority', v_job.priority, 'max_runs', v_job.max_runs,
                'available_at', v_job.available_at, 'start_by', v_job.start_by
            )
        where v_job.job_id is not null
        union all
        select
            3, review.review_id, review.requested_at, 'review_queued', null, review.actor,
            jsonb_build_object(
                'review_id', review.review_id, 'lab_version', review.lab_version,
                'reason', review.reason, 'approver', review.approver, 'ticket', review.ticket,
                'login', review.login
            )
        from pgjobs.review as review
        where review.job_id = v_job.job_id
        union all
        select
            4, run.run_no, run.started_at, 'claimed', run.run_no, run.worker, '{}'
        from pgjobs.verification_run as run
        where run.job_id = v_job.job_id
        union all
        select
            5, artifact.artifact_no, artifact.created_at, 'artifact_added', artifact.run_no, null,
            jsonb_build_object(
                'artifact_id', artifact.artifact_id, 'kind', artifact.kind,
                'name', artifact.name, 'size_bytes', artifact.size_bytes,
                'truncated', nullif(artifact.truncated, false)
            )
        from pgjobs.artifact as artifact
        where artifact.job_id = v_job.job_id
        union all
        select
            6, run.run_no, run.ended_at, lower(run.outcome), run.run_no,
            coalesce(run.actor, run.worker),
            jsonb_build_object('reason', run.reason, 'login', run.login)
        from pgjobs.aborted_run as run
        where run.job_id = v_job.job_id
        union all
        select
            7, 0, verdict.completed_at,
            case
                when verdict.origin is not null then 'backfilled'
                when verdict.error_reason <> 'REPORTED' then lower(verdict.error_reason)
                else 'completed'
            end,
            nullif(verdict.run_no, 0),
            case
                when verdict.error_reason = 'CANCELLED' then verdict.actor
                when verdict.error_reason = 'RUNS_EXHAUSTED' then null
                else verdict.worker
            end,
            jsonb_build_object(
                'status', verdict.status, 'reason', verdict.error_detail, 'login', verdict.login,
                'log_id', backfill.log_id, 'backfilled_at', backfill.backfilled_at
            )
        from pgjobs.verdict as verdict
        left join pgjobs.backfill as backfill on backfill.job_id = verdict.job_id
        where verdict.job_id = v_job.job_id
        union all
        select
            8, result.review_id, result.ended_at,
            'review_' || case
                when result.outcome in ('PASSED', 'FAILED', 'ERROR') then 'completed'
                else lower(result.outcome)
            end,
            result.run_no,
            case when result.lease_token is null or result.actor is not null
                then result.actor else result.worker
            end,
            jsonb_build_object(
                'review_id', result.review_id,
                'status', case
                    when result.outcome in ('PASSED', 'FAILED', 'ERROR') then result.outcome
                end,
                'reason', result.detail, 'login', result.login
            )
        from pgjobs.review_result as result
        where result.review_id in (
            select review.review_id from pgjobs.review as review where review.job_id = v_job.job_id
        )
        union all
        select
            9, amendment.amendment_no, amendment.amended_at, 'amended', null, amendment.actor,
            jsonb_build_object(
                'status', amendment.status, 'review_id', amendment.review_id,
                'lab_version', amendment.lab_version, 'reason', amendment.reason,
                'approver', amendment.approver, 'ticket', amendment.ticket,
                'login', amendment.login
            )
        from pgjobs.amendment as amendment
        where amendment.job_id = v_job.job_id
        union all
        select
            10, artifact.artifact_no, expiry.expired_at, 'artifact_expired', artifact.run_no,
            coalesce(expiry.actor, expiry.login),
            jsonb_build_object(
                'name', artifact.name, 'reason', expiry.reason, 'ticket', expiry.ticket
            )
        from pgjobs.artifact as artifact
        -- Its own expiry, else that of the bytes.
        cross join lateral (
            select expiry.*
            from pgjobs.expiry as expiry
            where (expiry.kind = 'ARTIFACT' and expiry.id = artifact.artifact_id)
                or (expiry.kind = 'BODY' and expiry.id = artifact.body_id)
            order by expiry.kind
            limit 1
        ) as expiry
        where artifact.job_id = v_job.job_id
        union all
        select
            11, expiry.id, expiry.expired_at, 'detail_expired', null,
            coalesce(expiry.actor, expiry.login),
            jsonb_build_object(
                'kind', case expiry.kind when 'REVIEW' then 'SUMMARY' else expiry.kind end,
                'review_id', case expiry.kind when 'REVIEW' then expiry.id end,
                'reason', expiry.reason, 'ticket', expiry.ticket
            )
        from pgjobs.expiry as expiry
        where (expiry.kind = 'ATTEMPT' and expiry.id = v_attempt.attempt_id)
            or (expiry.kind in ('PAYLOAD', 'SUMMARY') and expiry.id = v_job.job_id)
            or (
                expiry.kind = 'REVIEW'
                and expiry.id in (
                    select review.review_id
                    from pgjobs.review as review
                    where review.job_id = v_job.job_id
                )
            )
    ) as event
    order by event.at, event.step, event.id;
end
$$;
comment on function pgjobs.timeline is
    'What happened to a commit that has a job, in order: recorded, enqueued, claimed, '
    'artifact_added, lease_lost, released, interrupted, revoked, completed, cancelled, '
    'runs_exhausted, expired, backfilled, review_queued, review_completed, review_cancelled, '
    'review_runs_exhausted, amended, artifact_expired, detail_expired. actor: the worker of a run, '
    'who decided or erased, or the login of an expiry. No rows for a commit without a job. '
    'Errors: 22023, 22004.';
