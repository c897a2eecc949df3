create function pgjobs.complete_many(
    job_ids bigint[],
    lease_tokens uuid[],
    statuses text[],
    summaries jsonb[] default null
)
    returns setof pgjobs.completed_element
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_checked boolean;
    v_size integer := cardinality(job_ids);
    v_element record;
    v_now timestamptz;
    v_sessions uuid[];
    v_lanes tid[];
    v_leases tid[];
    v_ordinals bigint[];
    v_ended bigint[];
    v_started timestamptz[];
    v_held uuid[];
    v_run_nos smallint[];
    v_workers text[];
    v_verdicts text[];
    v_summaries jsonb[];
    v_session_id uuid;
    v_left integer;
    v_answers pgjobs.completed_element[] := '{}';
begin
    v_checked :=
        (job_ids is not null or pgjobs._refuse_null('complete_many', 'job_ids'))
        and (lease_tokens is not null or pgjobs._refuse_null('complete_many', 'lease_tokens'))
        and (statuses is not null or pgjobs._refuse_null('complete_many', 'statuses'))
        and pgjobs._check_batch('complete_many', 'job_ids', job_ids, v_size)
        and pgjobs._check_batch('complete_many', 'lease_tokens', lease_tokens, v_size)
        and pgjobs._check_batch('complete_many', 'statuses', statuses, v_size)
        and (
            summaries is null
            or pgjobs._check_batch('complete_many', 'summaries', summaries, v_size)
        )
        and pgjobs._check_no_null('complete_many', 'job_ids', job_ids)
        and pgjobs._check_no_null('complete_many', 'lease_tokens', lease_tokens)
        and (
            select bool_and(
                pgjobs._check_status('complete_many', 'statuses', element.status, element.first)
            )
            from (
                select element.status, min(element.ordinal) as first
                from unnest(statuses) with ordinality as element (status, ordinal)
                group by element.status
            ) as element
        )
        and (
            select bool_and(
                pgjobs._check_document(
                    'complete_many', 'summaries', element.summary, element.ordinal
                )
            )
            from unnest(summaries) with ordinality as element (summary, ordinal)
            where element.summary is not null
        );

    -- The lanes in the order of their sessions, as enqueue_many locks them: two batches never wait
    -- for one another. Each statement then sees what the holders of those locks have left behind.
    select array_agg(place.session_id), array_agg(place.ordinal), array_agg(lane.ctid)
    into v_sessions, v_ordinals, v_lanes
    from (
        select job.session_id, element.ordinal
        from unnest((select job_ids)) with ordinality as element (job_id, ordinal)
        cross join lateral (
            select job.session_id
            from pgjobs.job as job
            where job.job_id = element.job_id
            offset 0
        ) as job
        order by job.session_id
    ) as place
    cross join lateral (
        select lane.ctid
        from pgjobs.lane as lane
        where lane.session_id = place.session_id
        for update
    ) as lane;

    -- What is held under its token for its verdict, and named once, ends here.
    select
        array_agg(place.lane), array_agg(lease.ctid), array_agg(place.ordinal),
        array_agg(lease.job_id), array_agg(lease.started_at), array_agg(lease.lease_token),
        array_agg(lease.run_no), array_agg(lease.worker), array_agg(statuses[place.ordinal]),
        array_agg(summaries[place.ordinal])
    into
        v_lanes, v_leases, v_ordinals, v_ended, v_started, v_held, v_run_nos, v_workers,
        v_verdicts, v_summaries
    from unnest((select v_sessions), (select v_ordinals), (select v_lanes))
        as place (session_id, ordinal, lane)
    cross join lateral (
        select lease.*, lease.ctid
        from pgjobs.lease as lease
        where lease.session_id = place.session_id
            and lease.job_id = job_ids[place.ordinal]
            and lease.review_id is null
            and lease.lease_token = lease_tokens[place.ordinal]
        for update
    ) as lease
    where v_size = (select count(distinct named.job_id) from unnest(job_ids) as named (job_id));

    if v_ended is not null then
        v_now := clock_timestamp();
        insert into pgjobs.verdict (
            job_id, completed_at, started_at, lease_token, run_no, status, worker,
            error_reason, summary_sha256
        )
        select
            ended.job_id, greatest(ended.started_at, v_now), ended.started_at, ended.lease_token,
            ended.run_no, ended.status, ended.worker,
            case when ended.status = 'ERROR' then 'REPORTED' end,
            sha256(convert_to(ended.summary::text, 'UTF8'))
        from unnest(v_ended, v_started, v_held, v_run_nos, v_workers, v_verdicts, v_summaries)
            as ended (job_id, started_at, lease_token, run_no, worker, status, summary)
        order by ended.job_id;
        insert into pgjobs.verdict_summary (job_id, summary)
        select ended.job_id, ended.summary
        from unnest(v_ended, v_summaries) as ended (job_id, summary)
        where ended.summary is not null;

        delete from pgjobs.lease as lease where lease.ctid = any ((select v_leases)::tid[]);
        delete from pgjobs.lane as lane
        where lane.ctid = any ((select v_lanes)::tid[]) and lane.open_jobs = 1;
        get diagnostics v_left = row_count;
        if v_left < cardinality(v_ended) then
            for v_session_id in
                select lane.session_id
                from pgjobs.lane as lane
                where lane.ctid = any ((select v_lanes)::tid[])
            loop
                perform pgjobs._promote(v_session_id);
            end loop;
        end if;
    end if;

    -- The others get their answers one by one, in order.
    if v_size > coalesce(cardinality(v_ended), 0) then
        for v_element in
            select element.*
            from unnest(job_ids, lease_tokens, statuses, summaries)
                with ordinality as element (job_id, lease_token, status, summary, ordinal)
            where element.ordinal in (
                select generate_series(1, v_size)
                except
                select unnest(v_ordinals)
            )
            order by element.ordinal
        loop
            v_answers := v_answers || pgjobs._complete(
                v_element.job_id, v_element.lease_token, v_element.status, v_element.summary,
                v_element.ordinal::integer
            );
        end loop;
    end if;

    return query
    select
        ended.ordinal::integer, ended.job_id, ended.status, greatest(ended.started_at, v_now),
        'completed'
    from unnest(v_ordinals, v_ended, v_verdicts, v_started)
        as ended (ordinal, job_id, status, started_at)
    union all
    select answer.* from unnest(v_answers) as answer
    order by 1;
end
$$;
comment on function pgjobs.complete_many is
    'complete for 0 … 10,000 jobs; one row per element in input order, its outcome completed, '
    'replayed, lease_lost, verdict_final or not_found. A null or a bad status fails the whole '
    'call. Errors: 22023, 22004, 40001.';
