-- First complete, which may wait, then claim, which never does: no lock is held while waiting.
create function pgjobs.complete_and_claim(
    job_id bigint,
    lease_token uuid,
    status text,
    worker text,
    summary jsonb default null,
    max_jobs integer default 1,
    lease_for interval default '5 minutes'
)
    returns setof pgjobs.claimed
    language plpgsql
    volatile
    security definer
    rows 1
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_checked boolean;
    v_lease_for interval;
begin
    v_checked := pgjobs._check_verdict(
        'complete_and_claim', job_id, lease_token, status, summary
    );
    v_lease_for := pgjobs._check_claim('complete_and_claim', worker, max_jobs, lease_for);
    perform pgjobs.complete(job_id, lease_token, status, summary);
    return query select claimed.* from pgjobs.claim(worker, max_jobs, v_lease_for) as claimed;
end
$$;
comment on function pgjobs.complete_and_claim is
    'complete, then claim, in one call: all or nothing. A repeated call after a lost answer '
    'completes nothing twice, but the runs that the lost answer named last until their leases end. '
    'Errors: those of complete and claim.';
