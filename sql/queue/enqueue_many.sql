create type pgjobs.enqueued_element as (
    ordinal integer,
    job_id bigint,
    attempt_id bigint,
    status text,
    created boolean
);
comment on type pgjobs.enqueued_element is
    'Answer of enqueue_many for one element, counted from 1.';


-- New commits are written set by set: first the lanes in the order of their sessions, then the jobs
-- in the order of their commits, so that two overlapping batches never deadlock. Whatever else
-- there is goes through _enqueue, one by one: known and repeated commits always; all of the batch
-- when a rival came in between, a lane is full, or an attempt was there before its job.
create function pgjobs.enqueue_many(
    session_ids uuid[],
    commit_shas text[],
    lab_versions text[],
    delivery_ids text[] default null,
    priority integer default 2,
    max_runs integer default 3,
    payloads jsonb[] default null,
    start_within interval default null,
    max_open_jobs integer default 100
)
    returns setof pgjobs.enqueued_element
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_bad text;
    v_bad_ordinal bigint;
    v_size integer := cardinality(session_ids);
    v_known text[];
    v_job_ids bigint[];
    v_attempt_ids bigint[];
    v_is_written boolean;
    v_element record;
    v_enqueued pgjobs.enqueued;
    v_answers pgjobs.enqueued_element[] := '{}';
begin
    v_bad := case
        when not pgjobs._has_size(session_ids, v_size) then 'session_ids'
        when not pgjobs._has_size(commit_shas, v_size) then 'commit_shas'
        when not pgjobs._has_size(lab_versions, v_size) then 'lab_versions'
        when delivery_ids is not null and not pgjobs._has_size(delivery_ids, v_size)
            then 'delivery_ids'
        when payloads is not null and not pgjobs._has_size(payloads, v_size) then 'payloads'
        when (priority between 1 and 4) is not true then 'priority'
        when (max_runs between 1 and 25) is not true then 'max_runs'
        when start_within is not null and not pgjobs._is_duration(start_within, 1, 2592000)
            then 'start_within'
        when (max_open_jobs between 1 and 100) is not true then 'max_open_jobs'
    end;
    if v_bad is null then
        select bad.argument, bad.ordinal into v_bad, v_bad_ordinal
        from (
            select
                element.ordinal,
                case
                    when element.session_id is null then 'session_ids'
                    when pgjobs._is_commit_sha(element.commit_sha) is not true then 'commit_shas'
                    when pgjobs._is_text(element.lab_version) is not true then 'lab_versions'
                    when not pgjobs._is_text(element.delivery_id) then 'delivery_ids'
                    when not pgjobs._is_document(element.payload) then 'payloads'
                end as argument
            from unnest(session_ids, commit_shas, lab_versions, delivery_ids, payloads)
                with ordinality as element (
                    session_id, commit_sha, lab_version, delivery_id, payload, ordinal
                )
        ) as bad
        where bad.argument is not null
        order by bad.ordinal
        limit 1;
    end if;
    if v_bad is not null then
        perform pgjobs._refuse_argument('enqueue_many', v_bad, jsonb_build_object(
            'session_ids', session_ids, 'commit_shas', commit_shas, 'lab_versions', lab_versions,
            'delivery_ids', delivery_ids, 'payloads', payloads, 'priority', priority,
            'max_runs', max_runs, 'start_within', start_within, 'max_open_jobs', max_open_jobs
        ), v_bad_ordinal);
    end if;

    -- The ids of the new jobs are drawn first, in input order: for all, when no commit is known or
    -- repeated.
    v_known := array(
        select job.commit_sha
        from unnest((select commit_shas)) as element (commit_sha)
        cross join lateral (
            select job.commit_sha
            from pgjobs.job as job
            where job.commit_sha = element.commit_sha
            offset 0
        ) as job
    );
    if v_known = '{}' and v_size = (
        select count(*)
        from (select from unnest(commit_shas) as commit_sha group by commit_sha) as commit
    ) then
        select
            array_agg(nextval('pgjobs.job_job_id_seq')),
            array_agg(nextval('pgjobs.lab_attempt_attempt_id_seq'))
        into v_job_ids, v_attempt_ids
        from generate_series(1, v_size);
    else
        select
            array_agg(case when element.is_new then nextval('pgjobs.job_job_id_seq') end),
            array_agg(
                case when element.is_new then nextval('pgjobs.lab_attempt_attempt_id_seq') end
            )
        into v_job_ids, v_attempt_ids
        from (
            select
                row_number() over (partition by element.commit_sha order by element.ordinal) = 1
                    and element.commit_sha not in (select unnest(v_known)) as is_new
            from unnest(commit_shas) with ordinality as element (commit_sha, ordinal)
            order by element.ordinal
        ) as element;
    end if;

    v_is_written := pgjobs._enqueue_new(
        session_ids, commit_shas, lab_versions, delivery_ids, priority, max_runs, payloads,
        start_within, max_open_jobs, v_job_ids, v_attempt_ids
    );
    for v_element in
        select element.*
        from unnest(
            session_ids, commit_shas, lab_versions, delivery_ids, payloads, v_job_ids
        )
            with ordinality as element (
                session_id, commit_sha, lab_version, delivery_id, payload, job_id, ordinal
            )
        where not (v_is_written and element.job_id is not null)
        order by element.session_id, element.ordinal
    loop
        v_enqueued := pgjobs._enqueue(
            v_element.session_id, v_element.commit_sha, v_element.lab_version,
            v_element.delivery_id, priority, null, max_runs, null, null, null, null,
            v_element.payload, start_within, max_open_jobs, v_element.job_id, v_element.ordinal
        );
        v_answers := v_answers || (
            v_element.ordinal, v_enqueued.job_id, v_enqueued.attempt_id, v_enqueued.status,
            v_enqueued.created
        )::pgjobs.enqueued_element;
    end loop;

    return query
    select element.ordinal::integer, element.job_id, element.attempt_id, 'QUEUED', true
    from unnest(v_job_ids, v_attempt_ids)
        with ordinality as element (job_id, attempt_id, ordinal)
    where v_is_written and element.job_id is not null
    union all
    select answer.* from unnest(v_answers) as answer
    order by 1;
end
$$;
comment on function pgjobs.enqueue_many is
    'enqueue for 0 to 10,000 commits, all or nothing; one row per element in input order. Arrays'
    ' of one length, no null among the first three. The error names the ordinal. Errors: those '
    'of enqueue.';


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
    start_within interval,
    max_open_jobs integer,
    new_job_ids bigint[],
    new_attempt_ids bigint[]
)
    returns boolean
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_now timestamptz := clock_timestamp();
    v_start_by timestamptz := v_now + make_interval(secs => extract(epoch from start_within));
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
        -- A lane is full with max_open_jobs as it is with 100.
        perform (v_lane.open_jobs + 100 - max_open_jobs)::pgjobs.open_jobs;
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
        payload_sha256, start_by
    )
    overriding system value
    select
        element.job_id, element.session_id, element.commit_sha, element.lab_version,
        _enqueue_new.priority, _enqueue_new.max_runs, v_now,
        sha256(convert_to(element.payload::text, 'UTF8')), v_start_by
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
        job_id, session_id, attempt_id, available_at, ready_no, priority, last_run_no, start_by
    )
    select
        element.job_id, element.session_id, element.attempt_id, v_now,
        case when v_is_late then nextval('pgjobs.job_job_id_seq') else element.job_id end,
        _enqueue_new.priority, _enqueue_new.max_runs, v_start_by
    from unnest((select session_ids), (select new_job_ids), (select new_attempt_ids))
        as element (session_id, job_id, attempt_id)
    where element.job_id is not null
        and (not v_has_waiting or element.job_id in (select unnest(v_heads)));
    if v_has_waiting then
        insert into pgjobs.waiting (session_id, turn_no, start_by)
        select element.session_id, element.job_id, v_start_by
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
