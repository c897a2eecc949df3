-- The race: complete, cancel, release, rescue and heartbeat hold the lease's row too, and one of
-- them is first. Who waited here for another and finds the lease gone looks again, since the job
-- may run anew by then; what comes later finds no lease with its token. A revoked run is never the
-- last one: the lane stays as it is, and its lock is not needed.
create function pgjobs.revoke_lease(
    job_id bigint,
    reason text,
    actor text
)
    returns pgjobs.released
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_bad text;
    v_job pgjobs.job;
    v_lease pgjobs.lease;
begin
    v_bad := case
        when revoke_lease.job_id is null then 'job_id'
        when pgjobs._is_text(revoke_lease.reason) is not true then 'reason'
        when pgjobs._is_text(revoke_lease.actor) is not true then 'actor'
    end;
    if v_bad is not null then
        perform pgjobs._refuse_argument('revoke_lease', v_bad, jsonb_build_object(
            'reason', revoke_lease.reason, 'actor', revoke_lease.actor
        ));
    end if;
    v_job := pgjobs._find_job(revoke_lease.job_id);
    loop
        select lease.* into v_lease
        from pgjobs.lease as lease
        where lease.session_id = v_job.session_id and lease.job_id = revoke_lease.job_id
        for update;
        exit when found;
        continue when exists (
            select from pgjobs.lease as lease
            where lease.session_id = v_job.session_id and lease.job_id = revoke_lease.job_id
        );
        if not pgjobs._is_open(revoke_lease.job_id) then
            perform pgjobs._refuse('verdict_final');
        end if;
        perform pgjobs._check_snapshot(v_job.session_id, revoke_lease.job_id);
        perform pgjobs._refuse('not_running');
    end loop;
    return pgjobs._end_run(
        v_lease, 'REVOKED', revoke_lease.reason, interval '0', revoke_lease.actor
    );
end
$$;
comment on function pgjobs.revoke_lease is
    'Takes the lease of a RUNNING job, or review, without a verdict: the run ends as REVOKED and '
    'is none of max_runs, the job is claimable at once, and its worker writes nothing any more. '
    'Errors: 22023, 22004, P0002, 23V02, 55V01 (not running), 40001.';
