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
    'Computes again the hashes of up to max_bodies (1 to 10,000) bodies of artifacts behind '
    'after_body_id; last_body_id is where to go on, null at the end; wrong: bodies whose bytes '
    'have another hash or size than recorded. Errors: 22023, 22004.';


-- The objects of the schema, held against the published fingerprint.
create function pgjobs._verify_objects()
    returns setof pgjobs.finding
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
declare
    -- Without the group roles the grants are the DBA's own.
    v_owner constant oid := namespace.nspowner
        from pg_namespace as namespace where namespace.nspname = 'pgjobs';
    v_has_roles constant boolean := (v_owner = to_regrole('pgjobs_owner')) is true;
    -- A statement asks the catalogue or a table, not both.
    v_published constant pgjobs.fingerprint[] := array(
        select published from pgjobs.fingerprint as published
    );
begin
    return query
    with live as materialized (
        select installed.object, installed.state, installed.digest
        from pgjobs._installed() as installed
    ),
    -- A migration of which nothing is there was left out, or undone.
    expected as materialized (
        select published.*
        from unnest(v_published) as published
        where published.migration_id in (
            select known.migration_id
            from unnest(v_published) as known
            join live on live.object = known.object
        )
    )
    select
        'error', published.object, 'is missing',
        'Restore it from the release: sql/ has its definition.'
    from expected as published
    where not exists (select from live where live.object = published.object)
        and (v_has_roles or published.object not like 'grant %')
    union all
    select
        'error', live.object,
        case
            when published.state = live.state then 'is not as released'
            else 'is ' || live.state || coalesce(', not ' || nullif(published.state, 'present'), '')
        end,
        'Restore it from the release: sql/ has its definition.'
    from live
    join expected as published on published.object = live.object
    where (published.state, published.digest) <> (live.state, live.digest)
    union all
    select extra.severity, extra.object, extra.finding, extra.hint
    from (
        select
            case
                when live.object like any (
                    '{grant % to PUBLIC,grant % to pgjobs_owner,grant % to pgjobs_app,'
                    'grant % to pgjobs_worker,grant % to pgjobs_reader,grant % to pgjobs_operator,'
                    'grant % to pgjobs_approver}'
                ) then 'error'
                -- A helper checks nothing: its caller has.
                when live.object ~ '^grant execute on function pgjobs[.]_' then 'error'
                -- Tables of the host may point at these two.
                when live.object like any (
                    '{grant references on table pgjobs.job to %,'
                    'grant references on column pgjobs.job.% to %,'
                    'grant references on table pgjobs.lab_attempt to %,'
                    'grant references on column pgjobs.lab_attempt.% to %}'
                ) then null
                when live.object like any (
                    '{grant execute on function %,grant select on view %,'
                    'grant select on column pgjobs.verification%,'
                    'grant usage on schema %,grant usage on type %}'
                ) then case when v_has_roles then 'warning' end
                when live.object like 'index %' then 'warning'
                -- What they give away of a migration's objects, it takes back (grants.sql).
                when live.object like 'default privileges of %' and not v_has_roles then 'warning'
                -- The link of link_lab_sessions.
                when live.object = 'constraint lab_attempt_session_id_fkey on pgjobs.lab_attempt'
                    then case
                        when not exists (
                            select from pg_constraint as link
                            where link.conrelid = 'pgjobs.lab_attempt'::regclass
                                and link.conname = 'lab_attempt_session_id_fkey'
                                and link.contype = 'f' and not link.condeferrable
                                and (link.confupdtype, link.confdeltype) = ('a', 'a')
                                and pg_get_constraintdef(link.oid)
                                    like 'FOREIGN KEY (session_id) REFERENCES %(id)%'
                        ) then 'error'
                        when live.state = 'present, not validated' then 'warning'
                        when live.state <> 'present' then 'error'
                    end
                else 'error'
            end,
            live.object,
            case live.state when 'present' then '' else 'is ' || live.state || ', and ' end
                || 'is not of this version',
            case
                when live.object like 'grant %' then 'Revoke it, or grant one of the group roles.'
                when live.object like 'index %' then 'It is no fault, but every write pays for it.'
                when live.object like 'constraint lab_attempt_session_id_fkey %'
                    then 'Call link_lab_sessions again to validate it.'
                else 'Drop it, if nobody can say what it is for.'
            end
        from live
        where not exists (
            select from expected as published where published.object = live.object
        )
    ) as extra (severity, object, finding, hint)
    where extra.severity is not null;
end
$$;
comment on function pgjobs._verify_objects is
    'Objects that are missing, changed, switched off, of another owner, or not of this version.';
