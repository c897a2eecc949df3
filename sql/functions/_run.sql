-- Runs that end without a verdict: lease lost or released.

create function pgjobs._end_run(
    lease pgjobs.lease,
    outcome text,
    reason text,
    retry_after interval,
    last_run_no smallint
)
    returns pgjobs.released
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_ended_at timestamptz := greatest(lease.started_at, clock_timestamp());
    v_available_at timestamptz;
    v_ready_no bigint;
begin
    insert into pgjobs.setback (job_id, started_at, ended_at, run_no, outcome, worker, reason)
    values (
        lease.job_id, lease.started_at, v_ended_at, lease.run_no,
        _end_run.outcome, lease.worker, _end_run.reason
    );
    delete from pgjobs.lease as ended where ended.session_id = lease.session_id;
    if lease.run_no >= last_run_no and lease.review_id is not null then
        insert into pgjobs.review_result (
            review_id, job_id, ended_at, started_at, run_no, outcome, worker, detail
        )
        values (
            lease.review_id, lease.job_id, v_ended_at, lease.started_at, lease.run_no,
            'RUNS_EXHAUSTED', lease.worker,
            coalesce(_end_run.reason, 'the lease of the last run was lost')
        );
        perform pgjobs._next_head(lease.session_id);
        return (
            lease.job_id, pgjobs._status(lease.session_id, lease.job_id), lease.run_no, null
        )::pgjobs.released;
    elsif lease.run_no >= last_run_no then
        insert into pgjobs.verdict (
            job_id, completed_at, started_at, run_no, status, worker, error_reason, error_detail
        )
        values (
            lease.job_id, v_ended_at, lease.started_at, lease.run_no, 'ERROR', lease.worker,
            'RUNS_EXHAUSTED', coalesce(_end_run.reason, 'the lease of the last run was lost')
        );
        perform pgjobs._next_head(lease.session_id);
        return (lease.job_id, 'ERROR', lease.run_no, null)::pgjobs.released;
    end if;

    v_available_at := greatest(lease.available_at, clock_timestamp()) + retry_after;
    if retry_after = interval '0' then
        v_ready_no := nextval('pgjobs.job_job_id_seq');
    end if;
    insert into pgjobs.ready (
        job_id, session_id, attempt_id, available_at, ready_no, review_id, started_at, priority,
        run_no, worker
    )
    values (
        lease.job_id, lease.session_id, lease.attempt_id, v_available_at, v_ready_no,
        lease.review_id, lease.started_at, lease.priority, lease.run_no, lease.worker
    );
    return (lease.job_id, 'QUEUED', lease.run_no, v_available_at)::pgjobs.released;
end
$$;
comment on function pgjobs._end_run is
    'Ends a run without a verdict: a setback, and the job is queued again, or ERROR when that '
    'was its last run; a review then ends without an answer. The caller holds the lease''s lock '
    'and, for the last run, the lane''s.';


-- Takes the leases that are over. A lease is over when its end has passed, or lies further ahead
-- than it was ever granted for: then the clock was set back. Never waits: a row that somebody else
-- holds is left to the next caller.
create function pgjobs._take_leases(max_jobs integer, since timestamptz)
    returns setof pgjobs.rescued
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := clock_timestamp();
    v_until timestamptz := case when since = '-infinity' then 'infinity' else v_now end;
    v_lease pgjobs.lease;
    v_last_run_no smallint;
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
                    > clock_timestamp() + lease.lease_for + interval '1 second'
            )
        order by lease.lease_expires_at
        limit max_jobs
        for update skip locked
    loop
        v_last_run_no := pgjobs._last_run_no(v_lease.job_id, v_lease.review_id);
        if v_lease.run_no >= v_last_run_no then
            perform from pgjobs.lane as lane
            where lane.session_id = v_lease.session_id
            for update skip locked;
            continue when not found;
        end if;
        select ended.job_id, ended.status into v_rescued
        from pgjobs._end_run(
            v_lease, 'LEASE_LOST', null, interval '0', v_last_run_no
        ) as ended;
        return next v_rescued;
    end loop;
end
$$;
comment on function pgjobs._take_leases is
    'Takes up to max_jobs leases whose end has passed since then, and answers what became of '
    'their jobs; since -infinity also those of a clock that was set back.';


create function pgjobs._sweep(since timestamptz)
    returns boolean
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := clock_timestamp();
    v_rescued integer;
    v_promoted integer := 0;
    v_job_id bigint;
    v_ready_no bigint;
begin
    select count(*) into v_rescued from pgjobs._take_leases(1000, since);
    for v_job_id in
        select ready.job_id
        from pgjobs.ready as ready
        where ready.ready_no is null and ready.available_at between since and v_now
        order by ready.available_at
        limit 1000
        for update skip locked
    loop
        v_ready_no := nextval('pgjobs.job_job_id_seq');
        update pgjobs.ready as ready set ready_no = v_ready_no where ready.job_id = v_job_id;
        v_promoted := v_promoted + 1;
    end loop;
    return v_rescued < 1000 and v_promoted < 1000;
end
$$;
comment on function pgjobs._sweep is
    'Takes leases that are over and makes delayed heads claimable, up to 1,000 each, whose time '
    'has come since then; false if there may be more.';


create function pgjobs._refuse_lease(session_id uuid, job_id bigint)
    returns void
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (
        select from pgjobs.verdict as verdict where verdict.job_id = _refuse_lease.job_id
    ) and not exists (
        select from pgjobs.lane as lane
        where lane.session_id = _refuse_lease.session_id
            and lane.head_job_id = _refuse_lease.job_id
    ) then
        perform pgjobs._refuse('23V02');
    end if;
    perform pgjobs._check_snapshot(session_id, job_id);
    perform pgjobs._refuse('23V05');
end
$$;
comment on function pgjobs._refuse_lease is
    'Refuses a token that does not hold the job: 23V02 when it has its verdict and is not being '
    'judged again, else 23V05.';
