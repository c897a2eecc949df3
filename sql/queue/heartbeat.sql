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
