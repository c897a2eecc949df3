-- fingerprint: the objects of this version, each with its state and the digest of its definition.
-- `make generate` computes them, the last statements of migration 0003.verify write them.
create table pgjobs.fingerprint (
    migration_id text not null,
    object text collate "C" not null,
    state text collate "C" not null,
    digest text collate "C" not null,
    constraint fingerprint_object_pkey primary key (object)
);

comment on table pgjobs.fingerprint is 'The objects of this version, as published.';
comment on column pgjobs.fingerprint.object is 'Kind and name, as _installed says them.';
comment on column pgjobs.fingerprint.state is 'Such as present, or always on.';


-- Every object of the schema as this database has it. `forgea-pgjobs verify` sends the same query
-- by itself, against the digests in the package, so that neither this function nor that table has
-- to be believed. Left out of a digest are the word pgjobs, which may be another one, and the CR of
-- Windows' line ends.
create function pgjobs._installed()
    returns table (object text, state text, digest text)
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    return query
    with ours (oid, owner, acl) as (
        select namespace.oid, namespace.nspowner, namespace.nspacl
        from pg_namespace as namespace
        where namespace.nspname = 'pgjobs'
    ),
    -- What has an owner: functions, relations, and the types that are not of a relation.
    owned (object, owner, acl_kind, acl, fault, definition) as (
        select
            format('function %s.%I', routine.pronamespace::regnamespace, routine.proname),
            routine.proowner, 'f'::"char", routine.proacl, null,
            case routine.prokind when 'a' then 'aggregate'
                else pg_get_functiondef(routine.oid) end
        from pg_proc as routine
        where routine.pronamespace in (select ours.oid from ours)
        union all
        select
            case relation.relkind when 'c' then 'type' when 'v' then 'view' when 'S' then 'sequence'
                else 'table' end || ' ' || relation.oid::regclass,
            relation.relowner,
            (case relation.relkind when 'S' then 's' when 'c' then 'T' else 'r' end)::"char",
            case relation.relkind when 'c' then type.typacl else relation.relacl end,
            concat_ws(
                ', ',
                case when relation.relkind not in ('r', 'c', 'v', 'S')
                    then format('of kind %s', relation.relkind) end,
                case relation.relpersistence when 'p' then null else 'not logged' end,
                case when relation.relrowsecurity then 'with row security' end,
                case when relation.relispartition then 'a partition' end,
                -- What the server believes without looking whether there is one.
                case when not relation.relhastriggers and exists (
                    select from pg_trigger as trigger where trigger.tgrelid = relation.oid
                ) then 'its triggers ignored' end,
                case when not relation.relhasindex and exists (
                    select from pg_index as index where index.indrelid = relation.oid
                ) then 'its indexes ignored' end,
                case when relation.relchecks <> (
                    select count(*) from pg_constraint as rule
                    where rule.conrelid = relation.oid and rule.contype = 'c'
                ) then 'its checks ignored' end
            ),
            concat_ws(
                ' ',
                case relation.relkind when 'v' then relation.reloptions::text end,
                -- One relation alone is written with or without its name, by the major version.
                case when relation.relkind = 'v' then regexp_replace(
                    pg_get_viewdef(relation.oid),
                    case when pg_get_viewdef(relation.oid) ~ ' JOIN ' then '^$' else '\m\w+[.]' end,
                    '', 'g'
                ) end,
                (
                    select concat_ws(
                        ' ', format_type(sequence.seqtypid, null), sequence.seqstart,
                        sequence.seqincrement, sequence.seqmin, sequence.seqmax,
                        sequence.seqcache, sequence.seqcycle
                    )
                    from pg_sequence as sequence
                    where sequence.seqrelid = relation.oid
                ),
                (
                    select string_agg(
                        concat_ws(
                            ' ', attribute.attname,
                            format_type(attribute.atttypid, attribute.atttypmod),
                            case when attribute.attnotnull then 'not null' end,
                            sorting.collname, attribute.attidentity, attribute.attgenerated,
                            pg_get_expr(preset.adbin, preset.adrelid)
                        ),
                        ', ' order by attribute.attnum
                    )
                    from pg_attribute as attribute
                    left join pg_attrdef as preset
                        on preset.adrelid = attribute.attrelid and preset.adnum = attribute.attnum
                    left join pg_collation as sorting on sorting.oid = attribute.attcollation
                    where attribute.attrelid = relation.oid and attribute.attnum > 0
                        and not attribute.attisdropped and relation.relkind not in ('v', 'S')
                )
            )
        from pg_class as relation
        left join pg_type as type on type.typrelid = relation.oid
        where relation.relnamespace in (select ours.oid from ours)
            and relation.relkind not in ('i', 'I', 't')
        union all
        select
            'type ' || type.oid::regtype, type.typowner, 'T', type.typacl, null,
            concat_ws(
                ' ', type.typtype, format_type(type.typbasetype, type.typtypmod), type.typnotnull,
                type.typdefault
            )
        from pg_type as type
        where type.typnamespace in (select ours.oid from ours)
            and type.typrelid = 0 and type.typelem = 0
    ),
    -- What belongs to a relation.
    part (object, state, definition) as (
        -- Those that only say "not null" are with their columns.
        select
            'constraint ' || rule.conname || ' on '
                || coalesce(relation.oid::regclass::text, rule.contypid::regtype::text),
            concat_ws(
                ', ',
                'present',
                case when not rule.convalidated then 'not validated' end,
                case when to_jsonb(rule) ->> 'conenforced' = 'false' then 'not enforced' end,
                case when exists (
                    select from pg_trigger as trigger
                    where trigger.tgconstraint = rule.oid and trigger.tgenabled <> 'O'
                ) then 'its triggers switched off' end,
                case when rule.contype = 'f' and 4 <> (
                    select count(*) from pg_trigger as trigger
                    where trigger.tgconstraint = rule.oid
                ) then 'without its triggers' end
            ),
            pg_get_constraintdef(rule.oid)
        from pg_constraint as rule
        left join pg_class as relation on relation.oid = rule.conrelid
        where rule.connamespace in (select ours.oid from ours) and rule.contype not in ('n', 't')
        union all
        select
            case
                when index.indisunique then 'unique '
                -- It runs code that PostgreSQL did not bring, in every write.
                when exists (
                    select from pg_depend as needed
                    where needed.classid = 'pg_class'::regclass
                        and needed.objid = index.indexrelid
                        and needed.refclassid in (
                            'pg_proc'::regclass, 'pg_operator'::regclass, 'pg_opclass'::regclass
                        )
                ) then 'computed '
                else ''
            end || 'index ' || index.indexrelid::regclass,
            case when index.indisvalid and index.indisready and index.indislive
                and index.indimmediate then 'present' else 'not valid' end,
            pg_get_indexdef(index.indexrelid)
        from pg_index as index
        join pg_class as relation on relation.oid = index.indrelid
        where relation.relnamespace in (select ours.oid from ours)
        union all
        select
            'trigger ' || trigger.tgname || ' on ' || trigger.tgrelid::regclass,
            case trigger.tgenabled
                when 'A' then 'always on' when 'O' then 'ordinary'
                when 'R' then 'on for replicas only' else 'switched off'
            end,
            pg_get_triggerdef(trigger.oid)
        from pg_trigger as trigger
        join pg_class as relation on relation.oid = trigger.tgrelid
        where relation.relnamespace in (select ours.oid from ours)
            and (not trigger.tgisinternal or trigger.tgfoid >= 16384)
            -- On a Citus cell every table has a truncate trigger of that extension.
            and not exists (
                select from pg_depend as needed
                join pg_extension as extension on extension.oid = needed.refobjid
                where needed.classid = 'pg_proc'::regclass and needed.objid = trigger.tgfoid
                    and needed.refclassid = 'pg_extension'::regclass and needed.deptype = 'e'
                    and extension.extname = 'citus'
            )
        union all
        select
            'rule ' || rule.rulename || ' on ' || rule.ev_class::regclass, 'present',
            pg_get_ruledef(rule.oid)
        from pg_rewrite as rule
        join pg_class as relation on relation.oid = rule.ev_class
        where relation.relnamespace in (select ours.oid from ours)
            and not (rule.ev_type = '1' and relation.relkind = 'v')
        union all
        select 'policy ' || policy.polname || ' on ' || policy.polrelid::regclass, 'present', ''
        from pg_policy as policy
        join pg_class as relation on relation.oid = policy.polrelid
        where relation.relnamespace in (select ours.oid from ours)
        union all
        -- Who inherits from a table, or is its partition, is read and written with it.
        select
            'inheritance of ' || heir.inhrelid::regclass || ' from ' || heir.inhparent::regclass,
            'present', ''
        from pg_inherits as heir
        join pg_class as relation on relation.oid in (heir.inhrelid, heir.inhparent)
        where relation.relnamespace in (select ours.oid from ours)
        union all
        -- What would be called instead of the server's own functions.
        select 'function ' || routine.oid::regprocedure, 'present', ''
        from pg_proc as routine
        where routine.pronamespace = 'pg_catalog'::regnamespace and routine.oid >= 16384
            and not exists (
                select from pg_depend as needed
                where needed.classid = 'pg_proc'::regclass and needed.objid = routine.oid
                    and needed.deptype = 'e'
            )
        union all
        -- Rights on what the owner has yet to create.
        select 'default privileges of ' || rights.defaclrole::regrole, 'present', ''
        from pg_default_acl as rights
        join ours on rights.defaclnamespace = ours.oid
            or rights.defaclrole = ours.owner and rights.defaclnamespace = 0
    ),
    -- What anybody but the owner may do, and what the owner may not.
    granted (object, owner, acl_kind, acl) as (
        select 'schema pgjobs', ours.owner, 'n'::"char", ours.acl from ours
        union all
        select owned.object, owned.owner, owned.acl_kind, owned.acl from owned
        union all
        select
            'column ' || attribute.attrelid::regclass || '.' || attribute.attname,
            relation.relowner, null, attribute.attacl
        from pg_attribute as attribute
        join pg_class as relation on relation.oid = attribute.attrelid
        where relation.relnamespace in (select ours.oid from ours)
    ),
    found (object, state, definition) as (
        select
            owned.object,
            coalesce(
                nullif(
                    concat_ws(
                        ', ', nullif(owned.fault, ''),
                        case when owned.owner <> ours.owner
                            then 'owned by ' || owned.owner::regrole end
                    ),
                    ''
                ),
                'present'
            ),
            owned.definition
        from owned
        cross join ours
        union all
        select part.object, part.state, part.definition from part
        union all
        select
            case when acl.grantee = granted.owner then 'revoke ' else 'grant ' end
                || lower(acl.privilege_type) || ' on ' || granted.object
                || case
                    when acl.grantee = granted.owner then ' from its owner'
                    when acl.grantee = 0 then ' to PUBLIC'
                    else ' to ' || acl.grantee::regrole
                end,
            case when acl.is_grantable and acl.grantee <> granted.owner then 'with grant option'
                else 'present' end,
            ''
        from granted
        cross join lateral (
            select given.grantee, given.privilege_type, given.is_grantable
            from aclexplode(
                coalesce(granted.acl, acldefault(granted.acl_kind, granted.owner))
            ) as given
            where given.grantee <> granted.owner
            union all
            select lost.grantee, lost.privilege_type, false
            from aclexplode(acldefault(granted.acl_kind, granted.owner)) as lost
            where granted.acl is not null and lost.grantee = granted.owner
                and not exists (
                    select from aclexplode(granted.acl) as given
                    where (given.grantee, given.privilege_type)
                        = (lost.grantee, lost.privilege_type)
                )
        ) as acl
    )
    select
        found.object,
        found.state,
        left(encode(sha256(convert_to(
            regexp_replace(
                replace(translate(found.definition, chr(13), ''), '~', '~~'),
                '[[:<:]]pgjobs(?=_|[[:>:]])', '~-', 'g'
            ),
            'UTF8'::name
        )), 'hex'), 32)
    from found;
end
$$;
comment on function pgjobs._installed is
    'Every object of the schema, its state, and half of the SHA-256, in hex, of its definition '
    'without the word pgjobs: what verify() checks.';
