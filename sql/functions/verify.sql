-- Everything is read as of one snapshot, and nothing is locked or written.
create function pgjobs.verify()
    returns setof pgjobs.finding
    language plpgsql
    stable
    security definer
    set search_path = pg_catalog, pg_temp
    -- Definitions are written out as these say.
    set quote_all_identifiers = off
    set intervalstyle = postgres
as $$
declare
    v_named pgjobs.finding[];
    v_bodies pgjobs.bodies_verified;
begin
    v_named := array(select named from pgjobs._verify_objects() as named);
    return query select named.* from unnest(v_named) as named order by named.severity, named.object;
    return query
    select named.* from pgjobs._verify_server() as named order by named.severity, named.object;
    if exists (
        select from unnest(v_named) as named
        where named.severity = 'error' and named.object like any ('{table %,type %}')
    ) then
        return query
        select 'error', 'roles and rows', 'were not looked at', 'Mend the tables and types first.';
        return;
    end if;
    return query
    select named.* from pgjobs._verify_roles() as named order by named.severity, named.object;
    return query select named.* from pgjobs._verify_open_jobs() as named;
    return query select named.* from pgjobs._verify_ledger() as named;
    v_bodies := pgjobs.verify_bodies();
    return query
    select
        'error', 'body ' || wrong, 'its bytes are not those of its hash',
        'Restore the row of pgjobs.body from a backup.'
    from unnest(v_bodies.wrong) as wrong;
    if v_bodies.last_body_id is not null then
        return query
        select
            'info', 'artifacts', format('the hashes of %s bodies were checked', v_bodies.bodies),
            format(
                'The rest: select * from pgjobs.verify_bodies(after_body_id => %s)',
                v_bodies.last_body_id
            );
    end if;
end
$$;
comment on function pgjobs.verify is
    'Whether this installation is as released and its rows agree: no row of severity error. '
    'Compares every object, owner and grant with the published fingerprint, asks for the foreign '
    'keys, the places of open jobs and the first 1,000 bodies again, and warns of settings.';
