create type pgjobs.claimed as (
    job_id bigint,
    attempt_id bigint,
    session_id uuid,
    commit_sha text,
    lab_version text,
    priority integer,
    run_no integer,
    lease_token uuid,
    lease_expires_at timestamptz,
    created_at timestamptz,
    payload jsonb,
    review_id bigint
);
comment on type pgjobs.claimed is
    'Answer of claim: a run of a job under a lease; review_id is null unless the job is judged '
    'again.';


-- The one place of the package that looks for a job. Per priority it walks the claimable heads in
-- order, from the low-water mark up: below it lie the entries of jobs long claimed, which nobody
-- can clean away while somebody holds an old snapshot.
--
-- The race: a head may become visible below the mark, when its number was drawn early and committed
-- late, or when the claim that raised the mark rolls back. So once a second one claim starts
-- further down, once a minute one from the very start; what it finds lowers the mark. A claim that
-- finds nothing looks once more from the very start before it says so; where such a look takes
-- long, since much has died under a snapshot, only one is made in a tenth of a second.
--
-- A value that a plan must not depend on stands in a subquery of its own, (select v_depth): the
-- plan is made once, and not for every number.
create function pgjobs.claim(
    worker text,
    max_jobs integer default 1,
    lease_for interval default '5 minutes'
)
    returns setof pgjobs.claimed
    language plpgsql volatile security definer rows 1
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    c_low_water constant regclass[] := array[
        'pgjobs.low_water_1'::regclass, 'pgjobs.low_water_2'::regclass,
        'pgjobs.low_water_3'::regclass, 'pgjobs.low_water_4'::regclass
    ];
    -- How far below the mark a look goes once a second: past every number whose commit is likely to
    -- be late. From the very start it goes once a minute.
    c_depth constant bigint := 10000;
    c_everything constant bigint := 9223372036854775807;
    -- A mark is moved only when the head found lies so many numbers above: setting one writes WAL.
    c_mark_step constant integer := 16;
    c_sweep_every constant interval := '1 second';
    -- A sweep looks back further than the last one: what was open then may have been committed.
    c_sweep_back constant interval := '10 seconds';
    -- A look that finds nothing and takes longer is not repeated for c_idle_for.
    c_long_look constant interval := '5 milliseconds';
    c_idle_for constant interval := '0.1 seconds';
    v_bad text := pgjobs._bad_claim(worker, max_jobs, lease_for);
    v_now timestamptz := clock_timestamp();
    v_swept_at timestamptz;
    v_since timestamptz := '-infinity';
    v_is_whole boolean := true;
    v_idle_at timestamptz;
    v_looks_at timestamptz;
    v_drawn bigint;
    v_lease_for double precision := extract(epoch from lease_for);
    v_depth bigint := 0;
    v_low_water bigint;
    v_ready_no bigint;
    v_row tid;
    v_rows tid[] := '{}';
    v_head pgjobs.ready[];
    v_heads pgjobs.ready[] := '{}';
    v_leases pgjobs.lease[];
begin
    if v_bad is not null then
        perform pgjobs._refuse_argument('claim', v_bad, jsonb_build_object(
            'worker', worker, 'max_jobs', max_jobs, 'lease_for', lease_for
        ));
    end if;

    select to_timestamp(mark.last_value / 1000.0) into v_swept_at from pgjobs.swept_at as mark;
    if v_now >= v_swept_at and date_trunc('minute', v_now) = date_trunc('minute', v_swept_at) then
        v_since := v_swept_at - c_sweep_back;
        v_is_whole := false;
    end if;
    if v_now not between v_swept_at and v_swept_at + c_sweep_every then
        v_depth := case when v_is_whole then c_everything else c_depth end;
        perform setval('pgjobs.swept_at', floor(extract(epoch from v_now) * 1000)::bigint);
        if not pgjobs._sweep(v_since, v_is_whole) then
            -- There may be more: the next claim sweeps again, and everything.
            perform setval('pgjobs.swept_at', 0);
        end if;
    end if;

    loop
        for v_priority in 1 .. 4 loop
            v_low_water := coalesce(pg_sequence_last_value(c_low_water[v_priority]), 0);
            select ready.ctid, array[ready], ready.ready_no into v_row, v_head, v_ready_no
            from pgjobs.ready as ready
            where ready.priority = (select v_priority)
                and ready.ready_no > (select v_low_water - v_depth)
                and (ready.start_by > v_now) is not false
            order by ready.ready_no
            limit 1
            for update skip locked;
            continue when not found;
            if v_ready_no not between v_low_water + 1 and v_low_water + c_mark_step then
                perform setval(c_low_water[v_priority], v_ready_no - 1);
            end if;
            -- What lost its lease may have killed its worker: it takes no other with it.
            exit when v_head[1].lease_lost and v_rows <> '{}';
            v_rows := v_rows || v_row;
            v_heads := v_heads || v_head;
            exit when v_head[1].lease_lost or cardinality(v_rows) = max_jobs;
            select v_rows || array_agg(place.ctid), v_heads || array_agg(place.head)
            into v_rows, v_heads
            from (
                select ready.ctid, ready as head
                from pgjobs.ready as ready
                where ready.priority = (select v_priority)
                    and ready.ready_no > (select v_ready_no)
                    and ready.lease_lost is not true
                    and (ready.start_by > v_now) is not false
                order by ready.ready_no
                limit (select max_jobs - cardinality(v_rows))
                for update skip locked
            ) as place;
            exit when cardinality(v_rows) = max_jobs;
        end loop;
        exit when v_rows <> '{}' or v_depth = c_everything;
        select to_timestamp(mark.last_value / 1000.0) into v_idle_at from pgjobs.idle_at as mark;
        exit when clock_timestamp() between v_idle_at and v_idle_at + c_idle_for;
        v_depth := c_everything;
        v_looks_at := clock_timestamp();
        v_drawn := pg_sequence_last_value('pgjobs.job_job_id_seq');
        perform pgjobs._sweep('-infinity', true);
    end loop;
    if v_rows = '{}' then
        if clock_timestamp() > v_looks_at + c_long_look then
            perform setval(
                'pgjobs.idle_at', floor(extract(epoch from clock_timestamp()) * 1000)::bigint
            );
            -- What had a number by then is dead, or is found like one whose commit was late.
            perform setval(mark, v_drawn)
            from unnest(c_low_water) as mark
            where v_drawn > coalesce(pg_sequence_last_value(mark), 0);
        end if;
        return;
    end if;

    v_leases := array(
        select (
            ready.session_id, ready.job_id, ready.attempt_id, ready.available_at,
            greatest(ready.available_at, v_now), v_now + make_interval(secs => v_lease_for),
            gen_random_uuid(), v_lease_for * 1000, ready.review_id, ready.priority,
            coalesce(ready.run_no, 0) + 1, ready.last_run_no, claim.worker
        )::pgjobs.lease
        from unnest(v_heads) as ready
    );
    -- By their place on disk, which needs no index.
    delete from pgjobs.ready as ready where ready.ctid = any ((select v_rows)::tid[]);
    insert into pgjobs.lease
    select lease.* from unnest((select v_leases)) as lease;
    return query
    select
        job.job_id, lease.attempt_id, job.session_id, job.commit_sha,
        coalesce(
            (
                select review.lab_version
                from pgjobs.review as review
                where review.review_id = lease.review_id
            ),
            job.lab_version
        ),
        lease.priority::integer, lease.run_no::integer, lease.lease_token,
        lease.lease_expires_at, job.created_at,
        (
            select payload.payload
            from pgjobs.job_payload as payload
            where payload.job_id = job.job_id and job.payload_sha256 is not null
        ),
        lease.review_id
    from unnest((select v_leases)) with ordinality as lease
    cross join lateral (
        select job.*
        from pgjobs.job as job
        where job.job_id = lease.job_id
        offset 0
    ) as job
    order by lease.ordinality;
end
$$;
comment on function pgjobs.claim is
    'Starts a run of up to max_jobs (1 to 1000) claimable jobs, by priority, then those first that '
    'have been claimable longest, one per session, under a lease of lease_for (1 s to 1 day); no '
    'rows when there is nothing to do. A job whose last lease was lost comes alone. Also rescues '
    'lost leases, and ends what was not begun in time. Never waits. Errors: 22023, 22004.';
