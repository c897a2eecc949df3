create function pgjobs.rescue(max_jobs integer default 100)
    returns setof pgjobs.rescued
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_checked boolean;
begin
    v_checked := (max_jobs between 1 and 1000) is true
        or pgjobs._refuse_argument('rescue', 'max_jobs', max_jobs::text, '1 … 1000');
    return query select rescued.* from pgjobs._take_leases(max_jobs, '-infinity') as rescued;
end
$$;
comment on function pgjobs.rescue is
    'Takes up to max_jobs (1 … 1000) leases that are over: QUEUED again, or ERROR when the runs'
    ' are used up. claim does this by itself; never waits. Errors: 22023, 22004.';
