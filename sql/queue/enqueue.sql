create type pgjobs.enqueued as (
    job_id bigint,
    attempt_id bigint,
    status text,
    created boolean
);
comment on type pgjobs.enqueued is
    'Answer of enqueue: created is true for the one call that made the job.';


create function pgjobs.enqueue(
    session_id uuid,
    commit_sha text,
    lab_version text,
    delivery_id text default null,
    priority integer default 2,
    available_at timestamptz default null,
    max_runs integer default 3,
    author text default null,
    branch text default null,
    changed_files text[] default null,
    pushed_at timestamptz default null,
    payload jsonb default null,
    start_within interval default null,
    max_open_jobs integer default 100
)
    returns pgjobs.enqueued
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := clock_timestamp();
    v_bad text;
begin
    v_bad := case
        when session_id is null then 'session_id'
        when pgjobs._is_commit_sha(commit_sha) is not true then 'commit_sha'
        when pgjobs._is_text(lab_version) is not true then 'lab_version'
        when not pgjobs._is_text(delivery_id) then 'delivery_id'
        when (priority between 1 and 4) is not true then 'priority'
        when (max_runs between 1 and 25) is not true then 'max_runs'
        when not (isfinite(available_at) and available_at <= v_now + interval '30 days')
            then 'available_at'
        when not pgjobs._is_document(payload) then 'payload'
        when start_within is not null and not pgjobs._is_duration(start_within, 1, 2592000)
            then 'start_within'
        when (max_open_jobs between 1 and 100) is not true then 'max_open_jobs'
        when num_nonnulls(author, branch, changed_files, pushed_at) > 0
            then pgjobs._bad_push(author, branch, changed_files, pushed_at)
    end;
    if v_bad is not null then
        perform pgjobs._refuse_argument('enqueue', v_bad, jsonb_build_object(
            'session_id', session_id, 'commit_sha', commit_sha, 'lab_version', lab_version,
            'delivery_id', delivery_id, 'priority', priority, 'max_runs', max_runs,
            'available_at', available_at, 'payload', payload, 'author', author,
            'branch', branch, 'changed_files', changed_files, 'pushed_at', pushed_at,
            'start_within', start_within, 'max_open_jobs', max_open_jobs
        ));
    end if;
    if available_at <= v_now then
        available_at := null;
    end if;
    return pgjobs._enqueue(
        session_id, commit_sha, lab_version, delivery_id, priority, available_at, max_runs,
        author, branch, changed_files, pushed_at, payload, start_within, max_open_jobs
    );
end
$$;
comment on function pgjobs.enqueue is
    'Queues the one verification of a commit, recording its attempt, or answers the existing '
    'job (created = false). Part of the caller''s transaction. priority 1 first, 4 last; '
    'max_runs 1 to 25; available_at at most 30 days ahead; start_within 1 s to 30 days: not begun '
    'by then, it ends as ERROR, EXPIRED; max_open_jobs 1 to 100: of the session. Errors: 22023, '
    '22004, 23V03, 23V04, 54V01, 40001.';


-- enqueue and enqueue_many, once the arguments are known to be good.
--
-- The race: two callers bring the same commit. Both look, neither finds it. The lane's row lock
-- lets one pass and the other wait. The other then inserts, conflicts at a unique key, and looks
-- again. Callers of two sessions meet at job_commit_sha_key. Every "on conflict" is followed by a
-- look in a new statement, which under READ COMMITTED sees what the rival committed; a rival that
-- rolled back is never seen, and this call goes on. Above READ COMMITTED the same places raise
-- 40001. Each turn of the loop takes the steps that are still open: count in the lane, write the
-- attempt, write the job.
create function pgjobs._enqueue(
    session_id uuid,
    commit_sha text,
    lab_version text,
    delivery_id text,
    priority integer,
    available_at timestamptz,
    max_runs integer,
    author text,
    branch text,
    changed_files text[],
    pushed_at timestamptz,
    payload jsonb,
    start_within interval,
    max_open_jobs integer,
    new_job_id bigint default null,
    ordinal bigint default null
)
    returns pgjobs.enqueued
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_created_at timestamptz;
    v_start_by timestamptz;
    v_payload_sha256 bytea := sha256(convert_to(payload::text, 'UTF8'));
    v_attempt record;
    v_attempt_id bigint;
    v_may_be_recorded boolean := delivery_id is not null;
    v_job record;
    v_job_id bigint;
    v_lane tid;
    v_lane_is_full boolean;
    v_open_jobs smallint;
begin
    loop
        -- First the job, then its attempt: what the first look finds, the second cannot miss.
        select job.job_id, job.session_id, job.lab_version, job.payload_sha256 into v_job
        from pgjobs.job as job
        where job.commit_sha = _enqueue.commit_sha;
        if v_job.job_id is not null or v_may_be_recorded then
            v_attempt := pgjobs._find_attempt(
                session_id, commit_sha, delivery_id, author, branch, changed_files, ordinal
            );
            v_attempt_id := v_attempt.attempt_id;
        end if;
        exit when v_job.job_id is not null;
        -- After another look: a known commit is answered, and a used delivery id refused, first.
        if v_lane_is_full then
            perform pgjobs._refuse('too_many_open_jobs', max_open_jobs::text, ordinal);
        end if;

        if v_open_jobs is null then
            select lane.ctid, lane.open_jobs >= max_open_jobs into v_lane, v_lane_is_full
            from pgjobs.lane as lane
            where lane.session_id = _enqueue.session_id
            for update;
            if not found then
                v_job_id := coalesce(new_job_id, nextval('pgjobs.job_job_id_seq'));
                v_created_at := clock_timestamp();
                insert into pgjobs.lane as lane (session_id, head_job_id, open_jobs)
                values (_enqueue.session_id, v_job_id, 1)
                on conflict do nothing
                returning lane.open_jobs into v_open_jobs;
                -- Ids rise in the order of enqueuing within a session. An insert that took longer
                -- has waited: a lane of the session may have come and gone, and others drawn since.
                if found and new_job_id is null
                    and clock_timestamp() > v_created_at + interval '0.1 milliseconds'
                    and pg_sequence_last_value('pgjobs.job_job_id_seq') > v_job_id
                then
                    v_job_id := nextval('pgjobs.job_job_id_seq');
                    update pgjobs.lane as lane
                    set head_job_id = v_job_id
                    where lane.session_id = _enqueue.session_id;
                end if;
            elsif not v_lane_is_full then
                update pgjobs.lane as lane
                set open_jobs = lane.open_jobs + 1
                where lane.ctid = v_lane
                returning lane.open_jobs into v_open_jobs;
            end if;
            continue when v_open_jobs is null;
        end if;

        if v_attempt_id is null then
            v_attempt_id := pgjobs._add_attempt(
                session_id, commit_sha, delivery_id, author, branch, changed_files, pushed_at
            );
            v_may_be_recorded := v_attempt_id is null;
            continue when v_may_be_recorded;
        end if;

        if v_open_jobs > 1 then
            v_job_id := coalesce(new_job_id, nextval('pgjobs.job_job_id_seq'));
        end if;
        v_created_at := clock_timestamp();
        v_start_by := v_created_at + make_interval(secs => extract(epoch from start_within));
        insert into pgjobs.job (
            job_id, session_id, commit_sha, lab_version, priority, max_runs,
            created_at, available_at, payload_sha256, start_by
        )
        overriding system value
        values (
            v_job_id, _enqueue.session_id, _enqueue.commit_sha, _enqueue.lab_version,
            _enqueue.priority, _enqueue.max_runs, v_created_at, _enqueue.available_at,
            v_payload_sha256, v_start_by
        )
        on conflict do nothing;
        continue when not found;

        if payload is not null then
            insert into pgjobs.job_payload (job_id, payload) values (v_job_id, _enqueue.payload);
        end if;
        if v_open_jobs = 1 then
            insert into pgjobs.ready (
                job_id, session_id, attempt_id, available_at, ready_no, priority, last_run_no,
                start_by
            )
            values (
                v_job_id, _enqueue.session_id, v_attempt_id,
                coalesce(_enqueue.available_at, v_created_at),
                case
                    when _enqueue.available_at is not null then null
                    -- Its id, unless it was drawn before a wait, here for a rival's insert of the
                    -- job: then claims may be far beyond.
                    when new_job_id is null
                        and clock_timestamp() < v_created_at + interval '10 milliseconds'
                        then v_job_id
                    else nextval('pgjobs.job_job_id_seq')
                end,
                _enqueue.priority, _enqueue.max_runs, v_start_by
            );
        else
            insert into pgjobs.waiting (session_id, turn_no, start_by)
            values (_enqueue.session_id, v_job_id, v_start_by);
        end if;
        return (v_job_id, v_attempt_id, 'QUEUED', true)::pgjobs.enqueued;
    end loop;

    -- The commit has its job. Is it an answer to this request? Of the session's own job the refusal
    -- names what differs, of another session's nothing.
    if v_job.session_id <> session_id then
        perform pgjobs._refuse('commit_taken', null, ordinal);
    elsif v_job.lab_version <> lab_version then
        perform pgjobs._refuse(
            case when v_attempt.is_redelivery then 'delivery_conflict' else 'commit_taken' end,
            'lab_version', ordinal
        );
    elsif v_attempt.is_redelivery
        and v_job.payload_sha256 is distinct from coalesce(v_payload_sha256, v_job.payload_sha256)
    then
        perform pgjobs._refuse('delivery_conflict', 'payload', ordinal);
    end if;
    if v_open_jobs is not null then
        perform pgjobs._leave_lane(session_id);
    end if;
    return (
        v_job.job_id, v_attempt_id, pgjobs._status(session_id, v_job.job_id), false
    )::pgjobs.enqueued;
end
$$;
comment on function pgjobs._enqueue is
    'The job of a commit, found or made. In a batch new_job_id is an id drawn before, and '
    'ordinal counts from 1.';


-- Not part of enqueue: a notification makes commits wait for one another and fails when the queue
-- of notifications is full, and nothing that is promised depends on it.
create function pgjobs.wake()
    returns void
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    notify pgjobs;
end
$$;
comment on function pgjobs.wake is
    'Wakes the workers that listen on the channel pgjobs. Optional; call it after the commit of an '
    'enqueue, in a transaction of its own. Workers that poll need no wake.';
