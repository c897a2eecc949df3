create type pgjobs.metric as (
    name text,
    labels jsonb,
    value double precision
);
comment on type pgjobs.metric is 'Answer of metrics: one sample of one gauge.';


-- Counts what is open and what is young, never the ledger. A lane counts its session's open jobs:
-- so neither waiting nor ready is read, whose heads run, or are delayed, which few are, or are
-- claimable. The time stands in a variable: by a clock that moves every verdict would be read.
create function pgjobs.metrics(recent interval default '5 minutes')
    returns setof pgjobs.metric
    language plpgsql stable security definer rows 30
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := clock_timestamp();
    v_due pgjobs.ready;
    v_oldest timestamptz;
begin
    if not pgjobs._is_duration(recent, 1, 86400) then
        perform pgjobs._refuse_argument(
            'metrics', 'recent', jsonb_build_object('recent', recent)
        );
    end if;
    return query
    select 'verification.' || gauge.name, gauge.labels::jsonb, gauge.value::double precision
    from (
        select count(*) as heads, coalesce(sum(lane.open_jobs), 0) as jobs
        from pgjobs.lane as lane
    ) as open
    cross join (
        select
            count(*) as held,
            count(*) filter (where lease.lease_expires_at <= v_now) as overdue
        from pgjobs.lease as lease
    ) as lease
    cross join (
        select count(*) as heads
        from pgjobs.ready as ready
        where ready.ready_no is null and ready.available_at > v_now
    ) as delayed
    cross join (
        select count(*) as jobs
        from pgjobs.verdict as verdict
        where verdict.error_reason = 'RUNS_EXHAUSTED' and not exists (
            select from pgjobs.amendment as amendment where amendment.job_id = verdict.job_id
        )
    ) as dead
    cross join lateral (
        values
            ('queue.depth', '{"state": "ready"}', open.heads - lease.held - delayed.heads),
            ('queue.depth', '{"state": "delayed"}', delayed.heads),
            ('queue.depth', '{"state": "behind"}', open.jobs - open.heads),
            ('leases.held', '{}', lease.held),
            ('leases.overdue', '{}', lease.overdue),
            ('dlq.count', '{}', dead.jobs)
    ) as gauge (name, labels, value);

    -- The one whose time came first while nobody claimed: it has no place yet.
    select ready.* into v_due
    from pgjobs.ready as ready
    where ready.ready_no is null and ready.available_at <= v_now
    order by ready.available_at
    limit 1;
    for v_priority in 1 .. 4 loop
        select ready.available_at into v_oldest
        from pgjobs.ready as ready
        where ready.priority = v_priority and ready.ready_no is not null
        order by ready.ready_no
        limit 1;
        if v_due.priority = v_priority then
            v_oldest := least(v_oldest, v_due.available_at);
        end if;
        return query
        select
            'verification.queue.oldest_seconds', jsonb_build_object('priority', v_priority::text),
            coalesce(extract(epoch from v_now - v_oldest), 0)::double precision;
    end loop;

    return query
    with young as materialized (
        select
            verdict.status,
            -- Known where the verdict ended a run.
            case when verdict.lease_token is not null
                then extract(epoch from verdict.completed_at - verdict.started_at) * 1000 end as ms
        from pgjobs.verdict as verdict
        where verdict.status in ('PASSED', 'FAILED', 'ERROR')
            and verdict.completed_at > v_now - make_interval(secs => extract(epoch from recent))
    )
    select
        'verification.recent', jsonb_build_object('outcome', outcome),
        count(young.status)::double precision
    from unnest(array['PASSED', 'FAILED', 'ERROR']) as outcome
    left join young on young.status = outcome
    group by outcome
    union all
    select
        'verification.recent.duration_ms', jsonb_build_object('quantile', quantile::text),
        percentile_cont(quantile) within group (order by young.ms::double precision)
    from unnest(array[0.5, 0.95, 0.99]::double precision[]) as quantile
    cross join young
    where young.ms is not null
    group by quantile;
end
$$;
comment on function pgjobs.metrics is
    'Gauges of the queue now, and of the verdicts of the last recent (1 s to 1 day): '
    'verification.queue.depth {state}, .queue.oldest_seconds {priority}, .leases.held, '
    '.leases.overdue, .dlq.count (RUNS_EXHAUSTED that no amendment answers), .recent {outcome}, '
    '.recent.duration_ms {quantile} (no row without a run). Errors: 22023, 22004.';
