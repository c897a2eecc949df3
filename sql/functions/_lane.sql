-- The lane: who is the session's head, and who comes next. Whoever calls these holds the lane's
-- lock.

create function pgjobs._lock_head(session_id uuid)
    returns pgjobs.head
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_head pgjobs.head;
begin
    -- Two statements: the second sees what the holder of the lane's lock has left behind.
    perform from pgjobs.lane as lane where lane.session_id = _lock_head.session_id for update;
    select head.* into v_head
    from pgjobs.head as head
    where head.session_id = _lock_head.session_id
    for update;
    return v_head;
end
$$;
comment on function pgjobs._lock_head is
    'Locks the session''s lane, then its head, and answers the head; null when the session has '
    'no open job.';


create function pgjobs._leave_lane(session_id uuid)
    returns boolean
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    delete from pgjobs.lane as lane
    where lane.session_id = _leave_lane.session_id and lane.open_jobs = 1;
    if found then
        return false;
    end if;
    update pgjobs.lane as lane
    set open_jobs = lane.open_jobs - 1
    where lane.session_id = _leave_lane.session_id;
    return found;
end
$$;
comment on function pgjobs._leave_lane is
    'Takes one job off the lane''s count; false when it was the last.';


create function pgjobs._promote(session_id uuid)
    returns void
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := clock_timestamp();
    v_place pgjobs.waiting;
    v_review pgjobs.review;
    v_job pgjobs.job;
    v_attempt_id bigint;
    v_available_at timestamptz;
    v_ready_no bigint;
begin
    select waiting.* into strict v_place
    from pgjobs.waiting as waiting
    where waiting.session_id = _promote.session_id
    order by waiting.turn_no
    limit 1;
    delete from pgjobs.waiting as waiting
    where waiting.session_id = v_place.session_id and waiting.turn_no = v_place.turn_no;
    select job.* into strict v_job
    from pgjobs.job as job
    where job.job_id = coalesce(v_place.reviewed_job_id, v_place.turn_no);
    select attempt.attempt_id into strict v_attempt_id
    from pgjobs.lab_attempt as attempt
    where attempt.session_id = v_job.session_id and attempt.commit_sha = v_job.commit_sha;
    if v_place.reviewed_job_id is null then
        v_available_at := v_job.available_at;
    else
        select review.* into strict v_review
        from pgjobs.review as review
        where review.review_id = v_place.turn_no;
    end if;

    if coalesce(v_available_at <= v_now, true) then
        v_ready_no := nextval('pgjobs.ready_no');
    end if;
    insert into pgjobs.head (
        session_id, job_id, attempt_id, available_at, ready_no, priority, run_no, review_id
    )
    values (
        v_job.session_id, v_job.job_id, v_attempt_id,
        greatest(v_job.created_at, coalesce(v_available_at, v_now)), v_ready_no,
        coalesce(v_review.priority, v_job.priority), coalesce(v_review.runs_before, 0),
        v_review.review_id
    );
end
$$;
comment on function pgjobs._promote is
    'Makes the next waiting job or review of a session without a head its head: claimable, or '
    'delayed until its available_at.';


create function pgjobs._next_head(session_id uuid)
    returns void
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    delete from pgjobs.head as head where head.session_id = _next_head.session_id;
    if pgjobs._leave_lane(session_id) then
        perform pgjobs._promote(session_id);
    end if;
end
$$;
comment on function pgjobs._next_head is
    'Takes the session''s head off its lane and makes its next waiting job or review the head.';


create function pgjobs._status(session_id uuid, job_id bigint)
    returns text
    language plpgsql
    stable
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce(
        (
            select verdict.status
            from pgjobs.verdict as verdict
            where verdict.job_id = _status.job_id
        ),
        (
            select case when head.lease_token is null then 'QUEUED' else 'RUNNING' end
            from pgjobs.head as head
            where head.session_id = _status.session_id and head.job_id = _status.job_id
        ),
        'QUEUED'
    );
end
$$;
comment on function pgjobs._status is 'Where a job stands now.';


create function pgjobs._find_job(job_id bigint)
    returns pgjobs.job
    language plpgsql
    stable
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_job pgjobs.job;
begin
    select job.* into v_job from pgjobs.job as job where job.job_id = _find_job.job_id;
    if not found then
        perform pgjobs._refuse('P0002');
    end if;
    return v_job;
end
$$;
comment on function pgjobs._find_job is 'The job with that id; P0002 when there is none.';


create function pgjobs._is_open(job_id bigint)
    returns boolean
    language plpgsql
    stable
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    return not exists (
        select from pgjobs.verdict as verdict where verdict.job_id = _is_open.job_id
    ) or exists (
        select from pgjobs.review as review
        where review.job_id = _is_open.job_id
            and not exists (
                select from pgjobs.review_result as result
                where result.review_id = review.review_id
            )
    );
end
$$;
comment on function pgjobs._is_open is
    'Whether the job has no verdict yet, or a review without a result.';


create function pgjobs._last_run_no(job_id bigint, review_id bigint)
    returns smallint
    language plpgsql
    stable
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    return job.max_runs + coalesce(
        (
            select review.runs_before
            from pgjobs.review as review
            where review.review_id = _last_run_no.review_id
        ),
        0
    )
    from pgjobs.job as job
    where job.job_id = _last_run_no.job_id;
end
$$;
comment on function pgjobs._last_run_no is
    'The number of the last run that the job, or its review, may have.';
