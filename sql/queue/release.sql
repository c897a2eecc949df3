create type pgjobs.released as (
    job_id bigint,
    status text,
    run_no integer,
    available_at timestamptz
);
comment on type pgjobs.released is
    'Answer of release and revoke_lease: QUEUED again, or ERROR when the runs are used up.';


create function pgjobs.release(
    job_id bigint,
    lease_token uuid,
    reason text,
    retry_after interval default null,
    count_run boolean default true
)
    returns pgjobs.released
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    -- A job whose worker is stopped time and again shall end some day.
    c_most_interruptions constant integer := 20;
    v_bad text;
    v_job pgjobs.job;
    v_lease pgjobs.lease;
    v_is_counted boolean := count_run;
begin
    v_bad := case
        when release.job_id is null then 'job_id'
        when release.lease_token is null then 'lease_token'
        when pgjobs._is_text(release.reason) is not true then 'reason'
        when retry_after is not null and not pgjobs._is_duration(retry_after, 0, 86400)
            then 'retry_after'
        when count_run is null then 'count_run'
    end;
    if v_bad is not null then
        perform pgjobs._refuse_argument('release', v_bad, jsonb_build_object(
            'reason', release.reason, 'retry_after', retry_after
        ));
    end if;
    v_job := pgjobs._find_job(release.job_id);

    -- The last run ends the job, for which the lane's lock comes first; any other needs the
    -- lease's.
    perform from pgjobs.lane as lane
    where lane.session_id = v_job.session_id
        and exists (
            select from pgjobs.lease as lease
            where lease.session_id = v_job.session_id
                and lease.job_id = release.job_id
                and lease.lease_token = release.lease_token
                and lease.run_no >= lease.last_run_no
        )
    for update;
    select lease.* into v_lease
    from pgjobs.lease as lease
    where lease.session_id = v_job.session_id
        and lease.job_id = release.job_id
        and lease.lease_token = release.lease_token
    for update;
    if not found then
        perform pgjobs._refuse_lease(v_job.session_id, release.job_id);
    end if;
    if not v_is_counted then
        select count(*) >= c_most_interruptions into v_is_counted
        from pgjobs.aborted_run as run
        where run.job_id = release.job_id and run.outcome = 'INTERRUPTED';
    end if;
    return pgjobs._end_run(
        v_lease, case when v_is_counted then 'RELEASED' else 'INTERRUPTED' end, release.reason,
        coalesce(
            make_interval(secs => extract(epoch from retry_after)),
            case when not v_is_counted then interval '0' end,
            -- The default backoff, by how many runs of this job or review there were.
            least(
                interval '30 seconds'
                    * power(2, v_job.max_runs - (v_lease.last_run_no - v_lease.run_no) - 1),
                interval '15 minutes'
            )
        )
    );
end
$$;
comment on function pgjobs.release is
    'Gives the job back because the infrastructure failed: QUEUED again after retry_after (0 to '
    '1 day; default 30 s, doubled with every run, at most 15 min), or ERROR when its runs are '
    'used up. count_run false, for a worker that is being stopped: the run is not one of them, and '
    'the job is claimable at once, at most 20 times a job. Errors: 22023, 22004, P0002, 23V02, '
    '23V05, 40001.';


create type pgjobs.rescued as (
    job_id bigint,
    status text
);
comment on type pgjobs.rescued is
    'Answer of rescue: QUEUED again, or ERROR when the runs are used up.';


create function pgjobs.rescue(max_jobs integer default 100)
    returns setof pgjobs.rescued
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    if (max_jobs between 1 and 1000) is not true then
        perform pgjobs._refuse_argument(
            'rescue', 'max_jobs', jsonb_build_object('max_jobs', max_jobs)
        );
    end if;
    return query
    select rescued.* from pgjobs._take_leases(max_jobs, '-infinity', true) as rescued;
end
$$;
comment on function pgjobs.rescue is
    'Takes up to max_jobs (1 to 1000) leases that are over: QUEUED again, or ERROR when the runs'
    ' are used up. claim does this by itself; never waits. Errors: 22023, 22004.';


-- What a claim does before it looks for jobs, at most once a second.
create function pgjobs._sweep(since timestamptz, is_whole boolean)
    returns boolean
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
declare
    -- So many of each kind at most, so that no claim takes long; the next one goes on.
    c_most constant integer := 1000;
    v_now timestamptz := clock_timestamp();
    v_rescued integer;
    v_promoted integer := 0;
    v_expired integer;
    v_job_id bigint;
    v_ready_no bigint;
begin
    select count(*) into v_rescued from pgjobs._take_leases(c_most, since, is_whole);
    v_expired := pgjobs._expire_jobs(c_most, since);
    for v_job_id in
        select ready.job_id
        from pgjobs.ready as ready
        where ready.ready_no is null and ready.available_at between since and v_now
        order by ready.available_at
        limit c_most
        for update skip locked
    loop
        v_ready_no := nextval('pgjobs.job_job_id_seq');
        update pgjobs.ready as ready set ready_no = v_ready_no where ready.job_id = v_job_id;
        v_promoted := v_promoted + 1;
    end loop;
    return greatest(v_rescued, v_expired, v_promoted) < c_most;
end
$$;
comment on function pgjobs._sweep is
    'Takes leases that are over, ends jobs that were not begun in time and makes delayed heads '
    'claimable, up to 1,000 each, whose time has come since then; is_whole as for _take_leases. '
    'False if there may be more.';


-- A lease is over when its end has passed, or lies further ahead than it was ever granted for: then
-- the clock was set back. Never waits: a row that somebody else holds is left to the next caller.
create function pgjobs._take_leases(max_jobs integer, since timestamptz, is_whole boolean)
    returns setof pgjobs.rescued
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := clock_timestamp();
    v_until timestamptz := case when is_whole then 'infinity' else v_now end;
    v_lease pgjobs.lease;
    v_rescued pgjobs.rescued;
begin
    for v_lease in
        select lease.*
        from pgjobs.lease as lease
        where lease.lease_expires_at between since and v_until
            and (
                lease.lease_expires_at <= v_now
                -- The clock as it is now: a lease may be younger than v_now. The second forgives a
                -- clock that is being adjusted.
                or lease.lease_expires_at
                    > clock_timestamp() + make_interval(secs => lease.lease_for / 1000.0 + 1)
            )
        order by lease.lease_expires_at
        limit max_jobs
        for update skip locked
    loop
        -- The last run ends the job; it waits for the next caller while somebody has the lane.
        if v_lease.run_no >= v_lease.last_run_no then
            perform from pgjobs.lane as lane
            where lane.session_id = v_lease.session_id
            for update skip locked;
            continue when not found;
        end if;
        select ended.job_id, ended.status into v_rescued
        from pgjobs._end_run(v_lease, 'LEASE_LOST', null, interval '0') as ended;
        return next v_rescued;
    end loop;
end
$$;
comment on function pgjobs._take_leases is
    'Takes up to max_jobs leases whose end has passed since then, and answers what became of '
    'their jobs; is_whole: also those that a clock gave which was set back.';


create function pgjobs._end_run(
    lease pgjobs.lease,
    outcome text,
    reason text,
    retry_after interval,
    actor text default null
)
    returns pgjobs.released
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_ended_at timestamptz := greatest(lease.started_at, clock_timestamp());
    v_last_run_no smallint := lease.last_run_no
        + (outcome in ('INTERRUPTED', 'REVOKED'))::integer;
    v_detail text := coalesce(_end_run.reason, 'the lease of the last run was lost');
    v_status text := 'ERROR';
    v_available_at timestamptz;
    v_ready_no bigint;
begin
    insert into pgjobs.aborted_run (
        job_id, started_at, ended_at, run_no, outcome, worker, reason, actor, login
    )
    values (
        lease.job_id, lease.started_at, v_ended_at, lease.run_no, _end_run.outcome, lease.worker,
        _end_run.reason, _end_run.actor, case when _end_run.actor is not null then session_user end
    );
    delete from pgjobs.lease as ended where ended.session_id = lease.session_id;

    if lease.run_no < v_last_run_no then
        v_available_at := greatest(lease.available_at, clock_timestamp()) + retry_after;
        if retry_after = interval '0' then
            v_ready_no := nextval('pgjobs.job_job_id_seq');
        end if;
        insert into pgjobs.ready (
            job_id, session_id, attempt_id, available_at, ready_no, review_id, started_at, priority,
            run_no, last_run_no, worker, lease_lost
        )
        values (
            lease.job_id, lease.session_id, lease.attempt_id, v_available_at, v_ready_no,
            lease.review_id, lease.started_at, lease.priority, lease.run_no, v_last_run_no,
            lease.worker, _end_run.outcome = 'LEASE_LOST'
        );
        return (lease.job_id, 'QUEUED', lease.run_no, v_available_at)::pgjobs.released;
    end if;

    if lease.review_id is null then
        insert into pgjobs.verdict (
            job_id, completed_at, started_at, run_no, status, worker, error_reason, error_detail
        )
        values (
            lease.job_id, v_ended_at, lease.started_at, lease.run_no, v_status, lease.worker,
            'RUNS_EXHAUSTED', v_detail
        );
    else
        insert into pgjobs.review_result (
            review_id, job_id, ended_at, started_at, run_no, outcome, worker, detail
        )
        values (
            lease.review_id, lease.job_id, v_ended_at, lease.started_at, lease.run_no,
            'RUNS_EXHAUSTED', lease.worker, v_detail
        );
        v_status := pgjobs._status(lease.session_id, lease.job_id);
    end if;
    perform pgjobs._next_head(lease.session_id);
    return (lease.job_id, v_status, lease.run_no, null)::pgjobs.released;
end
$$;
comment on function pgjobs._end_run is
    'Ends a run without a verdict: it goes on record, and the job is queued again, or ERROR when '
    'that was its last run; a review then ends without an answer. The caller holds the lease''s '
    'lock and, for the last run, the lane''s.';
