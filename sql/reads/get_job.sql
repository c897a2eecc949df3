-- The row of verification_job, read by its keys in a fixed order. Through the view the planner
-- chooses the order by what it believes of the hot tables, which are full or empty within a minute.
create function pgjobs.get_job(commit_sha text)
    returns setof pgjobs.verification_job
    language plpgsql stable security definer rows 1
    set search_path = pg_catalog, pg_temp
as $$
begin
    if pgjobs._is_commit_sha(commit_sha) is not true then
        perform pgjobs._refuse_argument(
            'get_job', 'commit_sha', jsonb_build_object('commit_sha', commit_sha)
        );
    end if;
    return query
    select
        job.job_id,
        attempt.attempt_id,
        job.session_id,
        job.commit_sha,
        job.lab_version,
        coalesce(
            verdict.status,
            case when lease.job_id is null then 'QUEUED' else 'RUNNING' end collate "C"
        ),
        job.priority::integer,
        payload.payload,
        job.created_at,
        coalesce(
            ready.available_at, lease.available_at, job.available_at, job.created_at
        ),
        coalesce(verdict.started_at, ready.started_at, lease.started_at),
        verdict.completed_at,
        coalesce(verdict.run_no, ready.run_no, lease.run_no, 0)::integer,
        job.max_runs::integer,
        coalesce(verdict.worker, ready.worker, lease.worker),
        verdict.error_reason,
        verdict.error_detail || coalesce(' (cancelled by ' || verdict.actor || ')', ''),
        summary.summary,
        coalesce(
            amendment.status,
            verdict.status,
            case when lease.job_id is null then 'QUEUED' else 'RUNNING' end collate "C"
        ),
        amendment.amended_at,
        coalesce(verdict.origin, 'QUEUE')
    from pgjobs.job as job
    cross join lateral (
        select attempt.attempt_id
        from pgjobs.lab_attempt as attempt
        where attempt.session_id = job.session_id and attempt.commit_sha = job.commit_sha
        offset 0
    ) as attempt
    left join lateral (
        select verdict.*
        from pgjobs.verdict as verdict
        where verdict.job_id = job.job_id
        offset 0
    ) as verdict on true
    left join lateral (
        select ready.*
        from pgjobs.ready as ready
        where ready.job_id = job.job_id and verdict.job_id is null
        offset 0
    ) as ready on true
    left join lateral (
        select lease.*
        from pgjobs.lease as lease
        where lease.session_id = job.session_id
            and lease.job_id = job.job_id
            and verdict.job_id is null
        offset 0
    ) as lease on true
    left join lateral (
        select payload.payload
        from pgjobs.job_payload as payload
        where payload.job_id = job.job_id
        offset 0
    ) as payload on true
    left join lateral (
        select summary.summary
        from pgjobs.verdict_summary as summary
        where summary.job_id = job.job_id
        offset 0
    ) as summary on true
    left join lateral (
        select amendment.status, amendment.amended_at
        from pgjobs.amendment as amendment
        where amendment.job_id = job.job_id
        order by amendment.amendment_no desc
        limit 1
    ) as amendment on true
    where job.commit_sha = get_job.commit_sha;
end
$$;
comment on function pgjobs.get_job is
    'The job of a commit as verification_job shows it: one row or none. Errors: 22023, 22004.';


create function pgjobs.is_passed(commit_sha text)
    returns boolean
    language plpgsql stable security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_job_id bigint;
begin
    if pgjobs._is_commit_sha(commit_sha) is not true then
        perform pgjobs._refuse_argument(
            'is_passed', 'commit_sha', jsonb_build_object('commit_sha', commit_sha)
        );
    end if;
    select job.job_id into v_job_id
    from pgjobs.job as job
    where job.commit_sha = is_passed.commit_sha;
    return coalesce(pgjobs._effective_status(v_job_id) = 'PASSED', false);
end
$$;
comment on function pgjobs.is_passed is
    'Whether the effective status of a commit''s job is PASSED; false for an unknown commit. '
    'Errors: 22023, 22004.';
