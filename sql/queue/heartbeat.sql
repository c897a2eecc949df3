create function pgjobs.heartbeat(
    job_id bigint,
    lease_token uuid,
    lease_for interval default '5 minutes'
)
    returns timestamptz
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_bad text;
    v_lease_for double precision := extract(epoch from heartbeat.lease_for);
    v_lease_expires_at timestamptz;
    v_job pgjobs.job;
begin
    v_bad := case
        when heartbeat.job_id is null then 'job_id'
        when heartbeat.lease_token is null then 'lease_token'
        when not pgjobs._is_duration(heartbeat.lease_for, 1, 86400) then 'lease_for'
    end;
    if v_bad is not null then
        perform pgjobs._refuse_argument(
            'heartbeat', v_bad, jsonb_build_object('lease_for', heartbeat.lease_for)
        );
    end if;
    v_job := pgjobs._find_job(heartbeat.job_id);
    v_lease_expires_at := clock_timestamp() + make_interval(secs => v_lease_for);
    update pgjobs.lease as lease
    set lease_for = v_lease_for * 1000,
        lease_expires_at = v_lease_expires_at
    where lease.session_id = v_job.session_id
        and lease.job_id = heartbeat.job_id
        and lease.lease_token = heartbeat.lease_token;
    if not found then
        perform pgjobs._refuse_lease(v_job.session_id, heartbeat.job_id);
    end if;
    return v_lease_expires_at;
end
$$;
comment on function pgjobs.heartbeat is
    'Sets the end of the lease to now + lease_for (1 s to 1 day), which may shorten it, and '
    'answers it. Never waits for an enqueue. Errors: 22023, 22004, P0002, 23V02, 23V05.';


create type pgjobs.heartbeat_element as (
    ordinal integer,
    job_id bigint,
    lease_expires_at timestamptz,
    outcome text
);
comment on type pgjobs.heartbeat_element is
    'Answer of heartbeat_many for one element; lease_expires_at is null where nothing was set.';


-- A lease that another transaction has locked, which adds an artifact, say, holds up no other.
create function pgjobs.heartbeat_many(
    job_ids bigint[],
    lease_tokens uuid[],
    lease_for interval default '5 minutes'
)
    returns setof pgjobs.heartbeat_element
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_bad text;
    v_bad_ordinal bigint;
    v_size integer := cardinality(job_ids);
    v_lease_for double precision := extract(epoch from heartbeat_many.lease_for);
    v_lease_expires_at timestamptz;
    v_leases tid[];
    v_tokens uuid[];
begin
    v_bad := case
        when not pgjobs._has_size(job_ids, v_size) then 'job_ids'
        when not pgjobs._has_size(lease_tokens, v_size) then 'lease_tokens'
        when not pgjobs._is_duration(heartbeat_many.lease_for, 1, 86400) then 'lease_for'
    end;
    if v_bad is null then
        v_bad_ordinal := coalesce(
            array_position(job_ids, null), array_position(lease_tokens, null)
        );
        v_bad := case when v_bad_ordinal is null then null
            when job_ids[v_bad_ordinal] is null then 'job_ids' else 'lease_tokens' end;
    end if;
    if v_bad is not null then
        perform pgjobs._refuse_argument('heartbeat_many', v_bad, jsonb_build_object(
            'job_ids', job_ids, 'lease_tokens', lease_tokens,
            'lease_for', heartbeat_many.lease_for
        ), v_bad_ordinal);
    end if;
    v_lease_expires_at := clock_timestamp() + make_interval(secs => v_lease_for);
    select array_agg(lease.ctid), array_agg(lease.lease_token) into v_leases, v_tokens
    from unnest((select job_ids), (select lease_tokens)) as element (job_id, lease_token)
    cross join lateral (
        select job.session_id
        from pgjobs.job as job
        where job.job_id = element.job_id
        offset 0
    ) as job
    cross join lateral (
        select lease.ctid, lease.lease_token
        from pgjobs.lease as lease
        where lease.session_id = job.session_id and lease.job_id = element.job_id
            and lease.lease_token = element.lease_token
        for no key update skip locked
    ) as lease;
    update pgjobs.lease as lease
    set lease_for = v_lease_for * 1000,
        lease_expires_at = v_lease_expires_at
    where lease.ctid = any ((select v_leases)::tid[]);
    return query
    select
        element.ordinal::integer, element.job_id,
        case when element.lease_token = any ((select v_tokens)::uuid[])
            then v_lease_expires_at end,
        case
            when element.lease_token = any ((select v_tokens)::uuid[]) then 'held'
            when exists (
                select from pgjobs.job as job
                join pgjobs.lease as lease
                    on lease.session_id = job.session_id and lease.job_id = job.job_id
                where job.job_id = element.job_id and lease.lease_token = element.lease_token
            ) then 'locked'
            else 'lease_lost'
        end
    from unnest((select job_ids), (select lease_tokens))
        with ordinality as element (job_id, lease_token, ordinal)
    order by element.ordinal;
end
$$;
comment on function pgjobs.heartbeat_many is
    'heartbeat for 0 to 10,000 leases; one row per element in input order, its outcome held, '
    'locked (by another transaction, and not waited for) or lease_lost, whatever else became of '
    'the job. Errors: 22023, 22004, 40001.';
