create function pgjobs.amend(
    job_id bigint,
    status text,
    reason text,
    actor text,
    approver text,
    ticket text,
    lab_version text default null
)
    returns pgjobs.amended
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_checked boolean;
begin
    v_checked := (job_id is not null or pgjobs._refuse_null('amend', 'job_id'))
        and pgjobs._check_status('amend', 'status', status)
        and pgjobs._check_decision('amend', reason, actor, approver, ticket, lab_version);
    perform pgjobs._find_job(job_id);
    return pgjobs._add_amendment(
        job_id, status, reason, actor, approver, ticket, lab_version, null
    );
end
$$;
comment on function pgjobs.amend is
    'Says PASSED, FAILED or ERROR over a verdict, which itself stands: the audited override. '
    'reason, actor, approver, ticket, lab_version 1 … 200 characters; actor and approver are two '
    'people. The latest amendment of a job is its effective status. Errors: 22023, 22004, P0002, '
    '23V07, 40001.';
