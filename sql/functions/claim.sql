-- The one place of the package that looks for a job. Per priority it walks the claimable heads in
-- order, from the low-water mark up: below it lie the entries of jobs long claimed, which nobody
-- can clean away while somebody holds an old snapshot.
--
-- The race: a head may become visible below the mark, when its number was drawn early and committed
-- late, or when the claim that raised the mark rolls back. So once a second one claim starts
-- further down, once a minute one from the very start; what it finds lowers the mark. No claim
-- answers that there is nothing before it has looked from the very start.
--
-- The plans do not know max_jobs: with it they would be made anew on every call.
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
    set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    c_low_water constant regclass[] := array[
        'pgjobs.low_water_1'::regclass, 'pgjobs.low_water_2'::regclass,
        'pgjobs.low_water_3'::regclass, 'pgjobs.low_water_4'::regclass
    ];
    c_everything constant bigint := 9223372036854775807;
    v_now timestamptz := clock_timestamp();
    v_swept_at timestamptz;
    v_since timestamptz := '-infinity';
    v_lease_for interval;
    v_depth bigint := 0;
    v_low_water bigint;
    v_ready_no bigint;
    v_row tid;
    v_rows tid[] := '{}';
    v_job_id bigint;
    v_job_ids bigint[] := '{}';
begin
    v_lease_for := pgjobs._check_claim('claim', worker, max_jobs, lease_for);

    select to_timestamp(mark.last_value / 1000.0) into v_swept_at from pgjobs.swept_at as mark;
    if v_now >= v_swept_at and date_trunc('minute', v_now) = date_trunc('minute', v_swept_at) then
        v_since := v_swept_at - interval '10 seconds';
    end if;
    if v_now not between v_swept_at and v_swept_at + interval '1 second' then
        v_depth := case v_since when '-infinity' then c_everything else 10000 end;
        perform setval('pgjobs.swept_at', floor(extract(epoch from v_now) * 1000)::bigint);
        if not pgjobs._sweep(v_since) then
            perform setval('pgjobs.swept_at', 0);
        end if;
    end if;

    loop
        for v_priority in 1 .. 4 loop
            v_low_water := coalesce(pg_sequence_last_value(c_low_water[v_priority]), 0);
            select head.ctid, head.job_id, head.ready_no into v_row, v_job_id, v_ready_no
            from pgjobs.head as head
            where head.priority = v_priority and head.ready_no > v_low_water - v_depth
            order by head.ready_no
            limit 1
            for update skip locked;
            continue when not found;
            if v_ready_no not between v_low_water + 1 and v_low_water + 16 then
                perform setval(c_low_water[v_priority], v_ready_no - 1);
            end if;
            v_rows := v_rows || v_row;
            v_job_ids := v_job_ids || v_job_id;
            exit when cardinality(v_job_ids) = max_jobs;
            select v_rows || array_agg(place.ctid), v_job_ids || array_agg(place.job_id)
            into v_rows, v_job_ids
            from (
                select head.ctid, head.job_id
                from pgjobs.head as head
                where head.priority = v_priority and head.ready_no > v_ready_no
                order by head.ready_no
                limit max_jobs - cardinality(v_job_ids)
                for update skip locked
            ) as place;
            exit when cardinality(v_job_ids) = max_jobs;
        end loop;
        exit when v_job_ids <> '{}';
        if v_depth = c_everything then
            return;
        end if;
        v_depth := c_everything;
        perform pgjobs._sweep('-infinity');
    end loop;

    -- By their place on disk: a session's earlier heads may lie dead under the same key. The array
    -- is selected so that the planner does not see how many there are, and plans but once.
    return query
    with leased as (
        update pgjobs.head as head
        set ready_no = null,
            started_at = greatest(head.available_at, v_now),
            lease_token = gen_random_uuid(),
            lease_for = v_lease_for,
            lease_expires_at = v_now + v_lease_for,
            run_no = head.run_no + 1,
            worker = claim.worker
        where head.ctid = any ((select v_rows)::tid[])
        returning
            head.job_id, head.attempt_id, head.priority, head.run_no, head.lease_token,
            head.lease_expires_at, head.review_id
    )
    select
        job.job_id, leased.attempt_id, job.session_id, job.commit_sha,
        coalesce(
            (
                select review.lab_version
                from pgjobs.review as review
                where review.review_id = leased.review_id
            ),
            job.lab_version
        ),
        leased.priority::integer, leased.run_no::integer, leased.lease_token,
        leased.lease_expires_at, job.created_at, payload.payload, leased.review_id
    from leased
    cross join lateral (
        select job.*
        from pgjobs.job as job
        where job.job_id = leased.job_id
        offset 0
    ) as job
    left join lateral (
        select payload.payload
        from pgjobs.job_payload as payload
        where payload.job_id = job.job_id and job.payload_sha256 is not null
        offset 0
    ) as payload on true
    order by array_position(v_job_ids, leased.job_id);
end
$$;
comment on function pgjobs.claim is
    'Starts a run of up to max_jobs (1 … 1000) claimable jobs, by priority and age, one per '
    'session, under a lease of lease_for (1 s … 1 day); no rows when there is nothing to do. '
    'Also rescues lost leases. Never waits. Errors: 22023, 22004.';
