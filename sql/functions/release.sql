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
    v_head pgjobs.head;
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

    -- The last run ends the job, for which the lane's lock comes first; any other needs the head's.
    if exists (
        select from pgjobs.head as head
        where head.session_id = v_job.session_id
            and head.job_id = release.job_id
            and head.run_no >= pgjobs._last_run_no(head.job_id, head.review_id)
    ) then
        v_head := pgjobs._lock_head(v_job.session_id);
    else
        select head.* into v_head
        from pgjobs.head as head
        where head.session_id = v_job.session_id
        for update;
    end if;
    if v_head.job_id is distinct from release.job_id
        or v_head.lease_token is distinct from release.lease_token
    then
        perform pgjobs._refuse_lease(v_job.session_id, release.job_id);
    end if;
    v_last_run_no := pgjobs._last_run_no(v_head.job_id, v_head.review_id);
    return pgjobs._end_run(
        v_head, 'RELEASED', release.reason,
        coalesce(
            v_retry_after,
            least(
                interval '30 seconds'
                    * power(2, v_job.max_runs - (v_last_run_no - v_head.run_no) - 1),
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
