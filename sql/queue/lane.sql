-- The lane: who is the session's head, and who comes next. Whoever calls these holds the lane's
-- lock.

create function pgjobs._take_lease(session_id uuid, job_id bigint, lease_token uuid)
    returns pgjobs.lease
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_lease pgjobs.lease;
begin
    -- Without a lease nobody waits for the lane. Two statements: the second sees what the holder of
    -- the lane's lock has left behind.
    perform from pgjobs.lane as lane
    where lane.session_id = _take_lease.session_id
        and exists (
            select from pgjobs.lease as lease
            where lease.session_id = _take_lease.session_id
                and lease.job_id = _take_lease.job_id
                and lease.lease_token = _take_lease.lease_token
        )
    for update;
    delete from pgjobs.lease as lease
    where lease.session_id = _take_lease.session_id
        and lease.job_id = _take_lease.job_id
        and lease.lease_token = _take_lease.lease_token
    returning lease.* into v_lease;
    if not found then
        perform pgjobs._check_snapshot(session_id, job_id);
    end if;
    return v_lease;
end
$$;
comment on function pgjobs._take_lease is
    'Locks the session''s lane, then ends the lease of the job with that token and answers it; '
    'null when there is none.';


-- Above READ COMMITTED an old snapshot may not know a lease, but then it knows the row that was
-- changed since to make it.
create function pgjobs._check_snapshot(session_id uuid, job_id bigint)
    returns void
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
begin
    perform from pgjobs.lane as lane
    where lane.session_id = _check_snapshot.session_id
    for update skip locked;
    perform from pgjobs.ready as ready
    where ready.job_id = _check_snapshot.job_id
    for update skip locked;
    perform from pgjobs.lease as lease
    where lease.session_id = _check_snapshot.session_id
    for update skip locked;
end
$$;
comment on function pgjobs._check_snapshot is
    'Raises 40001 when the transaction''s snapshot is too old to say who runs the session''s head; '
    'never waits.';


create function pgjobs._refuse_lease(session_id uuid, job_id bigint)
    returns void
    language plpgsql volatile
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
        perform pgjobs._refuse('verdict_final');
    end if;
    perform pgjobs._check_snapshot(session_id, job_id);
    perform pgjobs._refuse('lease_lost');
end
$$;
comment on function pgjobs._refuse_lease is
    'Refuses a token that does not hold the job: 23V02 when it has its verdict and is not being '
    'judged again, else 23V05.';


create function pgjobs._leave_lane(session_id uuid)
    returns void
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
begin
    delete from pgjobs.lane as lane
    where lane.session_id = _leave_lane.session_id and lane.open_jobs = 1;
    if not found then
        update pgjobs.lane as lane
        set open_jobs = lane.open_jobs - 1
        where lane.session_id = _leave_lane.session_id;
    end if;
end
$$;
comment on function pgjobs._leave_lane is
    'Takes a job that is not its head off the lane''s count.';


create function pgjobs._add_ready(job_id bigint, review_id bigint)
    returns void
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := clock_timestamp();
    v_job pgjobs.job;
    v_attempt_id bigint;
    v_available_at timestamptz;
    v_priority smallint;
    v_runs_before smallint;
    v_ready_no bigint;
begin
    select job.* into strict v_job
    from pgjobs.job as job
    where job.job_id = _add_ready.job_id;
    select attempt.attempt_id into strict v_attempt_id
    from pgjobs.lab_attempt as attempt
    where attempt.session_id = v_job.session_id and attempt.commit_sha = v_job.commit_sha;
    if review_id is null then
        v_available_at := v_job.available_at;
        v_priority := v_job.priority;
    else
        select review.priority, review.runs_before into strict v_priority, v_runs_before
        from pgjobs.review as review
        where review.review_id = _add_ready.review_id;
    end if;

    if coalesce(v_available_at <= v_now, true) then
        v_ready_no := nextval('pgjobs.job_job_id_seq');
    end if;
    insert into pgjobs.ready (
        job_id, session_id, attempt_id, available_at, ready_no, review_id, priority, run_no,
        last_run_no, start_by
    )
    values (
        v_job.job_id, v_job.session_id, v_attempt_id,
        greatest(v_job.created_at, coalesce(v_available_at, v_now)), v_ready_no,
        _add_ready.review_id, v_priority, v_runs_before,
        coalesce(v_runs_before, 0) + v_job.max_runs,
        case when _add_ready.review_id is null then v_job.start_by end
    );
end
$$;
comment on function pgjobs._add_ready is
    'Makes a job, or its review, its session''s head: claimable, or delayed until its '
    'available_at.';


create function pgjobs._promote(session_id uuid)
    returns void
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_next pgjobs.waiting;
    v_job_id bigint;
begin
    select waiting.* into strict v_next
    from pgjobs.waiting as waiting
    where waiting.session_id = _promote.session_id
    order by waiting.turn_no
    limit 1;
    delete from pgjobs.waiting as waiting
    where waiting.session_id = v_next.session_id and waiting.turn_no = v_next.turn_no;
    v_job_id := coalesce(v_next.reviewed_job_id, v_next.turn_no);
    perform pgjobs._add_ready(
        v_job_id, case when v_next.reviewed_job_id is not null then v_next.turn_no end
    );
    update pgjobs.lane as lane
    set open_jobs = lane.open_jobs - 1,
        head_job_id = v_job_id
    where lane.session_id = _promote.session_id;
end
$$;
comment on function pgjobs._promote is
    'Takes a head that has ended off its lane, and makes the session''s next waiting job or '
    'review the head.';


create function pgjobs._next_head(session_id uuid)
    returns void
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
begin
    delete from pgjobs.lane as lane
    where lane.session_id = _next_head.session_id and lane.open_jobs = 1;
    if not found then
        perform pgjobs._promote(session_id);
    end if;
end
$$;
comment on function pgjobs._next_head is
    'What comes after a head that is gone: the session''s next waiting job or review, or no lane.';
