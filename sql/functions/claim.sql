-- The one statement of the package that looks for a job. It walks the claimable heads in order, one
-- row a step: `limit max_jobs` would be planned anew on every call, and a locked row is stepped
-- over.
create function pgjobs.claim(
    worker text,
    max_jobs integer default 1,
    lease_for interval default '5 minutes'
)
    returns setof pgjobs.claimed
    language plpgsql
    volatile
    security definer
    rows 1
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_checked boolean;
    v_now timestamptz := clock_timestamp();
    v_swept_at timestamptz;
    v_has_swept boolean := false;
    v_lease_for interval;
    v_head record;
    v_priority smallint := 0;
    v_ready_no bigint := 0;
    v_claimed pgjobs.claimed;
    v_count integer := 0;
begin
    v_checked :=
        pgjobs._check_text('claim', 'worker', worker)
        and (
            (max_jobs between 1 and 1000) is true
            or pgjobs._refuse_argument('claim', 'max_jobs', max_jobs::text, '1 … 1000')
        );
    v_lease_for := pgjobs._check_duration('claim', 'lease_for', lease_for, 1, 86400);

    select to_timestamp(mark.last_value / 1000.0) into v_swept_at from pgjobs.swept_at as mark;
    if v_now not between v_swept_at and v_swept_at + interval '1 second' then
        perform pgjobs._sweep();
        v_has_swept := true;
    end if;

    loop
        select head.session_id, head.job_id, head.priority, head.ready_no, head.run_no
        into v_head
        from pgjobs.head as head
        where head.ready_no is not null
            and (head.priority, head.ready_no) > (v_priority, v_ready_no)
        order by head.priority, head.ready_no
        limit 1
        for update skip locked;

        if not found then
            exit when v_count > 0 or v_has_swept;
            v_has_swept := true;
            exit when pgjobs._is_due() is not true or not pgjobs._sweep();
            continue;
        end if;
        v_priority := v_head.priority;
        v_ready_no := v_head.ready_no;

        select
            job.job_id, attempt.attempt_id, job.session_id, job.commit_sha, job.lab_version,
            job.priority, v_head.run_no + 1, gen_random_uuid(), v_now + v_lease_for,
            job.created_at, payload.payload
        into strict v_claimed
        from pgjobs.job as job
        cross join lateral (
            select attempt.attempt_id
            from pgjobs.lab_attempt as attempt
            where attempt.session_id = job.session_id and attempt.commit_sha = job.commit_sha
            offset 0
        ) as attempt
        left join lateral (
            select payload.payload
            from pgjobs.job_payload as payload
            where payload.job_id = job.job_id
            offset 0
        ) as payload on true
        where job.job_id = v_head.job_id;

        update pgjobs.head as head
        set ready_no = null,
            started_at = greatest(v_claimed.created_at, v_now),
            lease_token = v_claimed.lease_token,
            lease_for = v_lease_for,
            lease_expires_at = v_claimed.lease_expires_at,
            run_no = v_claimed.run_no,
            worker = claim.worker
        where head.session_id = v_head.session_id;

        return next v_claimed;
        v_count := v_count + 1;
        exit when v_count = max_jobs;
    end loop;
end
$$;
comment on function pgjobs.claim is
    'Starts a run of up to max_jobs (1 … 1000) claimable jobs, by priority and age, one per '
    'session, under a lease of lease_for (1 s … 1 day); no rows when there is nothing to do. '
    'Also rescues lost leases. Never waits. Errors: 22023, 22004.';
