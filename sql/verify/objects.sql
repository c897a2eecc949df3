-- What verify() finds wrong with the objects of the schema: they are held against the published
-- fingerprint.

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
                    'grant % to pgjobs_worker,grant % to pgjobs_reader,grant % to pgjobs_operator}'
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
