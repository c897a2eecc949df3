create function pgjobs.release(
    job_id bigint,
    lease_token uuid,
    reason text,
    retry_after interval default null
)
    returns pgjobs.released
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_checked boolean;
    v_retry_after interval;
    v_job pgjobs.job;
    v_last_run_no smallint;
    v_lease pgjobs.lease;
begin
    v_checked :=
        (release.job_id is not null or pgjobs._refuse_null('release', 'job_id'))
        and (
            release.lease_token is not null
            or pgjobs._refuse_null('release', 'lease_token')
        )
        and pgjobs._check_text('release', 'reason', release.reason);
    if release.retry_after is not null then
        v_retry_after := pgjobs._check_duration(
            'release', 'retry_after', release.retry_after, 0, 86400
        );
    end if;
    v_job := pgjobs._find_job(release.job_id);

    -- The last run ends the job, for which the lane's lock comes first; any other needs the
    -- lease's.
    select lease.* into v_lease
    from pgjobs.lease as lease
    where lease.session_id = v_job.session_id
        and lease.job_id = release.job_id
        and lease.lease_token = release.lease_token;
    if found then
        v_last_run_no := pgjobs._last_run_no(release.job_id, v_lease.review_id);
        if v_lease.run_no >= v_last_run_no then
            perform from pgjobs.lane as lane where lane.session_id = v_job.session_id for update;
        end if;
        select lease.* into v_lease
        from pgjobs.lease as lease
        where lease.session_id = v_job.session_id
            and lease.job_id = release.job_id
            and lease.lease_token = release.lease_token
        for update;
    end if;
    if v_lease.job_id is null then
        perform pgjobs._refuse_lease(v_job.session_id, release.job_id);
    end if;
    return pgjobs._end_run(
        v_lease, 'RELEASED', release.reason,
        coalesce(
            v_retry_after,
            least(
                interval '30 seconds'
                    * power(2, v_job.max_runs - (v_last_run_no - v_lease.run_no) - 1),
                interval '15 minutes'
            )
        ),
        v_last_run_no
    );
end
$$;
comment on function pgjobs.release is
    'Gives the job back because the infrastructure failed: QUEUED again after retry_after (0 … '
    '1 day; default 30 s, doubled with every run, at most 15 min), or ERROR when its runs are '
    'used up. Errors: 22023, 22004, P0002, 23V02, 23V05, 40001.';
