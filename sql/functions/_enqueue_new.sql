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
    v_lane record;
    v_heads bigint[] := '{}';
    v_has_waiting boolean := false;
    v_is_late boolean;
begin
    -- The lanes in the order of their sessions, and the heads as they come back: above READ
    -- COMMITTED a later look may also see the lane that a session had before.
    for v_lane in
        insert into pgjobs.lane as lane (session_id, head_job_id, open_jobs)
        select element.session_id, min(element.job_id), count(*)
        from unnest((select session_ids), (select new_job_ids)) as element (session_id, job_id)
        where element.job_id is not null
        group by element.session_id
        order by element.session_id
        on conflict on constraint lane_session_id_pkey do update
            set open_jobs = lane.open_jobs + excluded.open_jobs
        returning lane.open_jobs, lane.head_job_id
    loop
        v_heads := v_heads || v_lane.head_job_id;
        v_has_waiting := v_has_waiting or v_lane.open_jobs > 1;
    end loop;

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

    -- The place of a head is its id, unless this call has waited for so long, for a lane or a key,
    -- that claims are far beyond.
    v_is_late := pg_sequence_last_value('pgjobs.job_job_id_seq') > 1000 + (
        select max(job_id) from unnest((select new_job_ids)) as job_id
    );
    insert into pgjobs.ready (
        job_id, session_id, attempt_id, available_at, ready_no, priority
    )
    select
        element.job_id, element.session_id, element.attempt_id, v_now,
        case when v_is_late then nextval('pgjobs.job_job_id_seq') else element.job_id end,
        _enqueue_new.priority
    from unnest((select session_ids), (select new_job_ids), (select new_attempt_ids))
        as element (session_id, job_id, attempt_id)
    where element.job_id is not null
        and (not v_has_waiting or element.job_id in (select unnest(v_heads)));
    if v_has_waiting then
        insert into pgjobs.waiting (session_id, turn_no)
        select element.session_id, element.job_id
        from unnest((select session_ids), (select new_job_ids)) as element (session_id, job_id)
        where element.job_id is not null and element.job_id not in (select unnest(v_heads));
    end if;
    return true;
exception
    when unique_violation or check_violation then
        return false;
end
$$;
comment on function pgjobs._enqueue_new is
    'Writes the attempts and jobs of a batch that have a new id; false, and nothing written, when '
    'one of them is not new or a lane is too full.';
