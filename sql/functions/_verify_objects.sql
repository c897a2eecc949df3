-- What verify() finds wrong with the objects of the schema: they are held against the published
-- fingerprint.

create function pgjobs._verify_objects()
    returns setof pgjobs.finding
    language plpgsql
    stable
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    -- Without the group roles the grants are the DBA's own.
    v_owner constant oid := namespace.nspowner
        from pg_namespace as namespace where namespace.nspname = 'pgjobs';
    v_has_roles constant boolean := (v_owner = to_regrole('pgjobs_owner')) is true;
begin
    return query
    with live as materialized (
        select installed.object, installed.state, installed.digest
        from pgjobs._installed as installed
    )
    select
        'error', published.object, 'is missing',
        'Restore it from the release: sql/ has its definition.'
    from pgjobs.fingerprint as published
    where not exists (select from live where live.object = published.object)
        and (v_has_roles or published.object not like 'grant %')
    group by published.object
    union all
    select
        'error', live.object,
        case
            when bool_or(published.state = live.state) then 'is not as released'
            else 'is ' || live.state || ', not ' || min(published.state)
        end,
        'Restore it from the release: sql/ has its definition.'
    from live
    join pgjobs.fingerprint as published on published.object = live.object
    group by live.object, live.state, live.digest
    having not bool_or(published.state = live.state and published.digest = live.digest)
    union all
    select extra.severity, extra.object, extra.finding, extra.hint
    from (
        select
            case
                when live.object like any ('{grant % to PUBLIC,grant % to pgjobs_%}') then 'error'
                when live.object like 'grant references on %' then null
                when live.object like any (
                    '{grant execute on function %,grant select on view %,'
                    'grant usage on schema %,grant usage on type %}'
                ) then case when v_has_roles then 'warning' end
                when live.object like 'index %' then 'warning'
                -- The link of link_lab_sessions.
                when live.object = 'constraint lab_attempt_session_id_fkey on pgjobs.lab_attempt'
                    then case when live.state <> 'present' then 'warning' end
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
            select from pgjobs.fingerprint as published where published.object = live.object
        )
    ) as extra (severity, object, finding, hint)
    where extra.severity is not null;

    return query
    select
        'error', owned.object, 'belongs to ' || owned.owner::regrole,
        format('alter … owner to %s', v_owner::regrole)
    from (
        select
            case relation.relkind when 'v' then 'view ' when 'S' then 'sequence ' else 'table ' end
                || relation.oid::regclass,
            relation.relowner
        from pg_class as relation
        where relation.relnamespace = 'pgjobs'::regnamespace
            and relation.relkind not in ('i', 'I', 'c')
        union all
        select
            'function ' || routine.pronamespace::regnamespace || '.' || routine.proname,
            routine.proowner
        from pg_proc as routine
        where routine.pronamespace = 'pgjobs'::regnamespace
        union all
        select 'type ' || type.oid::regtype, type.typowner
        from pg_type as type
        left join pg_class as relation on relation.oid = type.typrelid
        where type.typnamespace = 'pgjobs'::regnamespace
            and coalesce(relation.relkind, 'c') = 'c' and type.typelem = 0
    ) as owned (object, owner)
    where owned.owner <> v_owner;
end
$$;
comment on function pgjobs._verify_objects is
    'Objects that are missing, changed, switched off, not of this version, or of another owner.';
