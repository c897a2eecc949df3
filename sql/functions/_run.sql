-- Runs that end without a verdict: lease lost or released.

create function pgjobs._end_run(
    head pgjobs.head,
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
    v_ended_at timestamptz := greatest(head.started_at, clock_timestamp());
    v_available_at timestamptz;
    v_ready_no bigint;
begin
    insert into pgjobs.setback (job_id, started_at, ended_at, run_no, outcome, worker, reason)
    values (
        head.job_id, head.started_at, v_ended_at, head.run_no,
        _end_run.outcome, head.worker, _end_run.reason
    );
    if head.run_no >= last_run_no and head.review_id is not null then
        insert into pgjobs.review_result (
            review_id, job_id, ended_at, started_at, run_no, outcome, worker, detail
        )
        values (
            head.review_id, head.job_id, v_ended_at, head.started_at, head.run_no,
            'RUNS_EXHAUSTED', head.worker,
            coalesce(_end_run.reason, 'the lease of the last run was lost')
        );
        perform pgjobs._next_head(head.session_id);
        return (
            head.job_id, pgjobs._status(head.session_id, head.job_id), head.run_no, null
        )::pgjobs.released;
    elsif head.run_no >= last_run_no then
        insert into pgjobs.verdict (
            job_id, completed_at, started_at, run_no, status, worker, error_reason, error_detail
        )
        values (
            head.job_id, v_ended_at, head.started_at, head.run_no, 'ERROR', head.worker,
            'RUNS_EXHAUSTED', coalesce(_end_run.reason, 'the lease of the last run was lost')
        );
        perform pgjobs._next_head(head.session_id);
        return (head.job_id, 'ERROR', head.run_no, null)::pgjobs.released;
    end if;

    v_available_at := greatest(head.available_at, clock_timestamp()) + retry_after;
    if retry_after = interval '0' then
        v_ready_no := nextval('pgjobs.ready_no');
    end if;
    update pgjobs.head as place
    set available_at = v_available_at,
        ready_no = v_ready_no,
        lease_token = null,
        lease_for = null,
        lease_expires_at = null
    where place.session_id = head.session_id;
    return (head.job_id, 'QUEUED', head.run_no, v_available_at)::pgjobs.released;
end
$$;
comment on function pgjobs._end_run is
    'Ends a run without a verdict: a setback, and the job is queued again, or ERROR when that '
    'was its last run; a review then ends without an answer. The caller holds the head''s lock '
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
    v_head pgjobs.head;
    v_last_run_no smallint;
    v_rescued pgjobs.rescued;
begin
    for v_head in
        select head.*
        from pgjobs.head as head
        where head.lease_token is not null
            and head.lease_expires_at between since and v_until
            and (
                head.lease_expires_at <= v_now
                -- The clock as it is now: a lease may be younger than v_now. The second forgives a
                -- clock that is being adjusted.
                or head.lease_expires_at
                    > clock_timestamp() + head.lease_for + interval '1 second'
            )
        order by head.lease_expires_at
        limit max_jobs
        for update skip locked
    loop
        v_last_run_no := pgjobs._last_run_no(v_head.job_id, v_head.review_id);
        if v_head.run_no >= v_last_run_no then
            perform from pgjobs.lane as lane
            where lane.session_id = v_head.session_id
            for update skip locked;
            continue when not found;
        end if;
        select ended.job_id, ended.status into v_rescued
        from pgjobs._end_run(
            v_head, 'LEASE_LOST', null, interval '0', v_last_run_no
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
    v_session_id uuid;
    v_ready_no bigint;
begin
    select count(*) into v_rescued from pgjobs._take_leases(1000, since);
    for v_session_id in
        select head.session_id
        from pgjobs.head as head
        where head.ready_no is null
            and head.lease_token is null
            and head.available_at between since and v_now
        order by head.available_at
        limit 1000
        for update skip locked
    loop
        v_ready_no := nextval('pgjobs.ready_no');
        update pgjobs.head as head set ready_no = v_ready_no where head.session_id = v_session_id;
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
        select from pgjobs.head as head
        where head.session_id = _refuse_lease.session_id
            and head.job_id = _refuse_lease.job_id
    ) then
        perform pgjobs._refuse('23V02');
    end if;
    -- Above READ COMMITTED an old snapshot may not know the lease: then this lock raises 40001.
    perform from pgjobs.head as head
    where head.session_id = _refuse_lease.session_id
    for update skip locked;
    perform pgjobs._refuse('23V05');
end
$$;
comment on function pgjobs._refuse_lease is
    'Refuses a token that does not hold the job: 23V02 when it has its verdict and is not being '
    'judged again, else 23V05.';
