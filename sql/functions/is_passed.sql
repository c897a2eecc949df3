create function pgjobs.is_passed(commit_sha text)
    returns boolean
    language plpgsql
    stable
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_checked boolean;
    v_job_id bigint;
begin
    v_checked := pgjobs._check_commit_sha('is_passed', 'commit_sha', commit_sha);
    select job.job_id into v_job_id
    from pgjobs.job as job
    where job.commit_sha = is_passed.commit_sha;
    return coalesce(pgjobs._effective_status(v_job_id) = 'PASSED', false);
end
$$;
comment on function pgjobs.is_passed is
    'Whether the effective status of a commit''s job is PASSED; false for an unknown commit. '
    'Errors: 22023, 22004.';
