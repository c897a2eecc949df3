create type pgjobs.finding as (
    severity text,
    object text,
    finding text,
    hint text
);
comment on type pgjobs.finding is
    'Answer of verify: severity is error, warning or info.';


create type pgjobs.bodies_verified as (
    bodies bigint,
    last_body_id bigint,
    wrong bigint[]
);
comment on type pgjobs.bodies_verified is
    'Answer of verify_bodies: last_body_id is null when there are no more; wrong has body ids.';


-- Everything is read as of one snapshot, and nothing is locked or written.
create function pgjobs.verify()
    returns setof pgjobs.finding
    language plpgsql stable security definer
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


create function pgjobs.verify_bodies(
    after_body_id bigint default 0,
    max_bodies integer default 1000
)
    returns pgjobs.bodies_verified
    language plpgsql stable security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_bodies bigint;
    v_last_body_id bigint;
    v_wrong bigint[];
begin
    if verify_bodies.after_body_id is null or (max_bodies between 1 and 10000) is not true then
        perform pgjobs._refuse_argument(
            'verify_bodies',
            case when verify_bodies.after_body_id is null then 'after_body_id'
                else 'max_bodies' end,
            jsonb_build_object('max_bodies', max_bodies)
        );
    end if;
    select
        count(*), max(part.body_id),
        coalesce(array_agg(part.body_id order by part.body_id) filter (where part.is_wrong), '{}')
    into v_bodies, v_last_body_id, v_wrong
    from (
        select
            body.body_id,
            sha256(body.content) <> body.sha256
                or exists (
                    select from pgjobs.artifact as artifact
                    where artifact.body_id = body.body_id
                        and (artifact.sha256, artifact.size_bytes)
                            <> (body.sha256, octet_length(body.content)::bigint)
                ) as is_wrong
        from pgjobs.body as body
        where body.body_id > verify_bodies.after_body_id
        order by body.body_id
        limit max_bodies
    ) as part;
    if v_bodies < max_bodies then
        v_last_body_id := null;
    end if;
    return (v_bodies, v_last_body_id, v_wrong)::pgjobs.bodies_verified;
end
$$;
comment on function pgjobs.verify_bodies is
    'Computes again the hashes of up to max_bodies (1 … 10,000) bodies of artifacts behind '
    'after_body_id; last_body_id is where to go on, null at the end; wrong: bodies whose bytes '
    'have another hash or size than recorded. Errors: 22023, 22004.';
