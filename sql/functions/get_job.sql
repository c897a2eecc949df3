create function pgjobs.get_job(commit_sha text)
    returns setof pgjobs.verification_job
    language plpgsql
    stable
    security definer
    rows 1
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_checked boolean;
begin
    v_checked := pgjobs._check_commit_sha('get_job', 'commit_sha', commit_sha);
    return query
    select job.* from pgjobs.verification_job as job where job.commit_sha = get_job.commit_sha;
end
$$;
comment on function pgjobs.get_job is
    'The job of a commit as verification_job shows it: one row or none. Errors: 22023, 22004.';
