-- The set-based part of enqueue_many: the elements that have a new id, all or none. It writes them
-- as if they were new. A key that is taken, or a lane that gets too full, undoes everything; then
-- somebody was there first, and _enqueue, one by one, knows how to answer.
create function pgjobs._enqueue_new(
    session_ids uuid[],
    commit_shas text[],
    lab_versions text[],
    delivery_ids text[],
    priority integer,
    max_runs integer,
    payloads jsonb[],
    new_job_ids bigint[],
    new_attempt_ids bigint[]
)
    returns boolean
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_now timestamptz := clock_timestamp();
begin
    -- The lanes in the order of their sessions.
    insert into pgjobs.lane as lane (session_id, open_jobs)
    select element.session_id, count(*)
    from unnest((select session_ids), (select new_job_ids)) as element (session_id, job_id)
    where element.job_id is not null
    group by element.session_id
    order by element.session_id
    on conflict on constraint lane_session_id_pkey do update
        set open_jobs = lane.open_jobs + excluded.open_jobs;

    insert into pgjobs.lab_attempt (attempt_id, session_id, commit_sha, recorded_at, delivery_id)
    overriding system value
    select
        element.attempt_id, element.session_id, element.commit_sha, v_now, element.delivery_id
    from unnest(
        (select session_ids), (select commit_shas), (select delivery_ids),
        (select new_attempt_ids)
    ) as element (session_id, commit_sha, delivery_id, attempt_id)
    where element.attempt_id is not null;

    insert into pgjobs.job (
        job_id, session_id, commit_sha, lab_version, priority, max_runs, created_at,
        payload_sha256
    )
    overriding system value
    select
        element.job_id, element.session_id, element.commit_sha, element.lab_version,
        _enqueue_new.priority, _enqueue_new.max_runs, v_now,
        sha256(convert_to(element.payload::text, 'UTF8'))
    from unnest(
        (select session_ids), (select commit_shas), (select lab_versions), (select payloads),
        (select new_job_ids)
    ) as element (session_id, commit_sha, lab_version, payload, job_id)
    where element.job_id is not null
    order by element.commit_sha;

    if payloads is not null then
        insert into pgjobs.job_payload (job_id, payload)
        select element.job_id, element.payload
        from unnest((select payloads), (select new_job_ids)) as element (payload, job_id)
        where element.job_id is not null and element.payload is not null;
    end if;

    -- The first of a session whose lane was empty is its head.
    with place as materialized (
        select
            element.*,
            lane.open_jobs = count(*) over (partition by element.session_id)
                and row_number() over (
                    partition by element.session_id order by element.job_id
                ) = 1 as is_head
        from unnest((select session_ids), (select new_job_ids), (select new_attempt_ids))
            as element (session_id, job_id, attempt_id)
        cross join lateral (
            select lane.open_jobs
            from pgjobs.lane as lane
            where lane.session_id = element.session_id
            offset 0
        ) as lane
        where element.job_id is not null
    ), waiting as (
        insert into pgjobs.waiting (session_id, turn_no)
        select place.session_id, place.job_id from place where not place.is_head
    )
    insert into pgjobs.head (session_id, job_id, attempt_id, available_at, ready_no, priority)
    select
        place.session_id, place.job_id, place.attempt_id, v_now, nextval('pgjobs.ready_no'),
        _enqueue_new.priority
    from (
        select place.session_id, place.job_id, place.attempt_id
        from place
        where place.is_head
        order by place.job_id
    ) as place;
    return true;
exception
    when unique_violation or check_violation then
        return false;
end
$$;
comment on function pgjobs._enqueue_new is
    'Writes the attempts and jobs of a batch that have a new id; false, and nothing written, when '
    'one of them is not new or a lane is too full.';
