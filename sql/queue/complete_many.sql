create function pgjobs.complete_many(
    job_ids bigint[],
    lease_tokens uuid[],
    statuses text[],
    summaries jsonb[] default null,
    reasons text[] default null
)
    returns setof pgjobs.completed_element
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_bad text;
    v_bad_ordinal bigint;
    v_size integer := cardinality(job_ids);
    v_now timestamptz;
    v_sessions uuid[];
    v_ordinals bigint[];
    v_lanes tid[];
    v_leases tid[];
    v_ended pgjobs.lease[];
    v_session_id uuid;
    v_left integer;
    v_element record;
    v_answers pgjobs.completed_element[] := '{}';
begin
    v_bad := case
        when not pgjobs._has_size(job_ids, v_size) then 'job_ids'
        when not pgjobs._has_size(lease_tokens, v_size) then 'lease_tokens'
        when not pgjobs._has_size(statuses, v_size) then 'statuses'
        when summaries is not null and not pgjobs._has_size(summaries, v_size) then 'summaries'
        when reasons is not null and not pgjobs._has_size(reasons, v_size) then 'reasons'
    end;
    if v_bad is null then
        select bad.argument, bad.ordinal into v_bad, v_bad_ordinal
        from (
            select
                element.ordinal,
                case
                    when element.job_id is null then 'job_ids'
                    when element.lease_token is null then 'lease_tokens'
                    when element.status in ('PASSED', 'FAILED', 'ERROR') is not true
                        then 'statuses'
                    when not pgjobs._is_document(element.summary) then 'summaries'
                    when element.reason is not null
                        and not (pgjobs._is_text(element.reason) and element.status = 'ERROR')
                        then 'reasons'
                end as argument
            from unnest(job_ids, lease_tokens, statuses, summaries, reasons)
                with ordinality as element (job_id, lease_token, status, summary, reason, ordinal)
        ) as bad
        where bad.argument is not null
        order by bad.ordinal
        limit 1;
    end if;
    if v_bad is not null then
        perform pgjobs._refuse_argument('complete_many', v_bad, jsonb_build_object(
            'job_ids', job_ids, 'lease_tokens', lease_tokens, 'statuses', statuses,
            'summaries', summaries, 'reasons', reasons
        ), v_bad_ordinal);
    end if;

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
        array_agg(place.lane), array_agg(lease.ctid), array_agg(lease.lease),
        array_agg(place.ordinal)
    into v_lanes, v_leases, v_ended, v_ordinals
    from unnest((select v_sessions), (select v_ordinals), (select v_lanes))
        as place (session_id, ordinal, lane)
    cross join lateral (
        select lease, lease.ctid
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
            error_reason, error_detail, summary_sha256
        )
        select
            ended.job_id, greatest(ended.started_at, v_now), ended.started_at, ended.lease_token,
            ended.run_no, element.status, ended.worker,
            case when element.status = 'ERROR' then 'REPORTED' end, element.reason,
            sha256(convert_to(element.summary::text, 'UTF8'))
        from unnest((select v_ended)) with ordinality as ended
        cross join lateral (
            select
                statuses[v_ordinals[ended.ordinality]] as status,
                summaries[v_ordinals[ended.ordinality]] as summary,
                reasons[v_ordinals[ended.ordinality]] as reason
        ) as element
        order by ended.job_id;
        insert into pgjobs.verdict_summary (job_id, summary)
        select ended.job_id, summaries[v_ordinals[ended.ordinality]]
        from unnest((select v_ended)) with ordinality as ended
        where summaries[v_ordinals[ended.ordinality]] is not null;

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
            from unnest(job_ids, lease_tokens, statuses, summaries, reasons)
                with ordinality as element (job_id, lease_token, status, summary, reason, ordinal)
            where element.ordinal in (
                select generate_series(1, v_size)
                except
                select unnest(v_ordinals)
            )
            order by element.ordinal
        loop
            v_answers := v_answers || pgjobs._complete(
                v_element.job_id, v_element.lease_token, v_element.status, v_element.summary,
                v_element.reason, v_element.ordinal::integer
            );
        end loop;
    end if;

    return query
    select
        v_ordinals[ended.ordinality]::integer, ended.job_id, statuses[v_ordinals[ended.ordinality]],
        greatest(ended.started_at, v_now), 'completed'
    from unnest((select v_ended)) with ordinality as ended
    union all
    select answer.* from unnest(v_answers) as answer
    order by 1;
end
$$;
comment on function pgjobs.complete_many is
    'complete for 0 to 10,000 jobs; one row per element in input order, its outcome completed, '
    'replayed, lease_lost, verdict_final or not_found. A null or a bad status fails the whole '
    'call. Errors: 22023, 22004, 40001.';
