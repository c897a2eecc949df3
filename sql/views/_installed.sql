-- _installed: every object of the schema as this database has it, with a digest of its definition.
-- verify() holds it against pgjobs.fingerprint, the digests that this version was published with;
-- `forgea-pgjobs verify` sends the same query by itself, against the digests in the package, so
-- that neither this view nor that table has to be believed. The word pgjobs is left out of what is
-- digested: under another schema name the digests are the same.
create view pgjobs._installed as
select
    found.object,
    found.state,
    left(
        encode(
            sha256(
                convert_to(
                    regexp_replace(
                        replace(found.definition, '~', '~~'),
                        '[[:<:]]pgjobs(?=_|[[:>:]])', '~-', 'g'
                    ),
                    'UTF8'::name
                )
            ),
            'hex'
        ),
        32
    ) as digest
from (
    -- Functions: arguments, answer, attributes, settings and body.
    select
        'function ' || routine.pronamespace::regnamespace || '.' || quote_ident(routine.proname)
            as object,
        case when routine.proowner = namespace.nspowner then 'present'
            else 'owned by ' || routine.proowner::regrole end as state,
        case routine.prokind when 'a' then 'aggregate' else pg_get_functiondef(routine.oid) end
            as definition
    from pg_proc as routine
    join pg_namespace as namespace on namespace.oid = routine.pronamespace
    where routine.pronamespace = 'pgjobs'::regnamespace
    union all
    -- Tables and composite types: their columns.
    select
        case relation.relkind when 'c' then 'type ' else 'table ' end || relation.oid::regclass
            as object,
        concat_ws(
            ', ',
            case relation.relkind when 'r' then 'present' when 'c' then 'present'
                else format('of kind %s', relation.relkind) end,
            case when relation.relowner <> (
                select namespace.nspowner
                from pg_namespace as namespace where namespace.oid = relation.relnamespace
            ) then 'owned by ' || relation.relowner::regrole end,
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
                select count(*) from pg_constraint as constraint_
                where constraint_.conrelid = relation.oid and constraint_.contype = 'c'
            ) then 'its checks ignored' end
        ) as state,
        string_agg(
            concat_ws(
                ' ', attribute.attname, format_type(attribute.atttypid, attribute.atttypmod),
                case when attribute.attnotnull then 'not null' end,
                collation_.collname, attribute.attidentity, attribute.attgenerated,
                pg_get_expr(default_.adbin, default_.adrelid)
            ),
            ', ' order by attribute.attnum
        ) as definition
    from pg_class as relation
    left join pg_attribute as attribute
        on attribute.attrelid = relation.oid and attribute.attnum > 0
        and not attribute.attisdropped
    left join pg_attrdef as default_
        on default_.adrelid = attribute.attrelid and default_.adnum = attribute.attnum
    left join pg_collation as collation_ on collation_.oid = attribute.attcollation
    where relation.relnamespace = 'pgjobs'::regnamespace
        and relation.relkind not in ('v', 'S', 'i', 'I', 't')
    group by relation.oid
    union all
    select
        'view ' || relation.oid::regclass as object,
        case when relation.relowner = namespace.nspowner then 'present'
            else 'owned by ' || relation.relowner::regrole end as state,
        concat_ws(' ', relation.reloptions::text, pg_get_viewdef(relation.oid)) as definition
    from pg_class as relation
    join pg_namespace as namespace on namespace.oid = relation.relnamespace
    where relation.relnamespace = 'pgjobs'::regnamespace and relation.relkind = 'v'
    union all
    select
        'sequence ' || sequence.seqrelid::regclass as object,
        case
            when relation.relowner <> namespace.nspowner
                then 'owned by ' || relation.relowner::regrole
            when relation.relpersistence <> 'p' then 'not logged'
            else 'present'
        end as state,
        concat_ws(
            ' ', format_type(sequence.seqtypid, null), sequence.seqstart, sequence.seqincrement,
            sequence.seqmin, sequence.seqmax, sequence.seqcache, sequence.seqcycle
        ) as definition
    from pg_sequence as sequence
    join pg_class as relation on relation.oid = sequence.seqrelid
    join pg_namespace as namespace on namespace.oid = relation.relnamespace
    where relation.relnamespace = 'pgjobs'::regnamespace
    union all
    -- Domains, and types that nobody expects; arrays and the rows of relations go with what they
    -- are of.
    select
        'type ' || type.oid::regtype as object,
        case when type.typowner = namespace.nspowner then 'present'
            else 'owned by ' || type.typowner::regrole end as state,
        concat_ws(
            ' ', type.typtype, format_type(type.typbasetype, type.typtypmod), type.typnotnull,
            type.typdefault
        ) as definition
    from pg_type as type
    join pg_namespace as namespace on namespace.oid = type.typnamespace
    where type.typnamespace = 'pgjobs'::regnamespace and type.typrelid = 0 and type.typelem = 0
    union all
    -- Constraints; those that only say "not null" are with their columns.
    select
        'constraint ' || constraint_.conname || ' on '
            || coalesce(relation.oid::regclass::text, constraint_.contypid::regtype::text)
            as object,
        concat_ws(
            ', ',
            'present',
            case when not constraint_.convalidated then 'not validated' end,
            case when to_jsonb(constraint_) ->> 'conenforced' = 'false' then 'not enforced' end,
            case when exists (
                select from pg_trigger as trigger
                where trigger.tgconstraint = constraint_.oid and trigger.tgenabled <> 'O'
            ) then 'its triggers switched off' end,
            case when constraint_.contype = 'f' and 4 <> (
                select count(*) from pg_trigger as trigger
                where trigger.tgconstraint = constraint_.oid
            ) then 'without its triggers' end
        ) as state,
        pg_get_constraintdef(constraint_.oid) as definition
    from pg_constraint as constraint_
    left join pg_class as relation on relation.oid = constraint_.conrelid
    where constraint_.connamespace = 'pgjobs'::regnamespace
        and constraint_.contype not in ('n', 't')
    union all
    select
        case
            when index.indisunique then 'unique '
            -- It runs code that PostgreSQL did not bring, in every write.
            when exists (
                select from pg_depend as needed
                where needed.classid = 'pg_class'::regclass and needed.objid = index.indexrelid
                    and needed.refclassid in (
                        'pg_proc'::regclass, 'pg_operator'::regclass, 'pg_opclass'::regclass
                    )
            ) then 'computed '
            else ''
        end || 'index ' || index.indexrelid::regclass as object,
        case when index.indisvalid and index.indisready and index.indislive and index.indimmediate
            then 'present' else 'not valid' end as state,
        pg_get_indexdef(index.indexrelid) as definition
    from pg_index as index
    join pg_class as relation on relation.oid = index.indrelid
    where relation.relnamespace = 'pgjobs'::regnamespace
    union all
    select
        'trigger ' || trigger.tgname || ' on ' || trigger.tgrelid::regclass as object,
        case trigger.tgenabled
            when 'A' then 'always on'
            when 'O' then 'ordinary'
            when 'R' then 'on for replicas only'
            else 'switched off'
        end as state,
        pg_get_triggerdef(trigger.oid) as definition
    from pg_trigger as trigger
    join pg_class as relation on relation.oid = trigger.tgrelid
    where relation.relnamespace = 'pgjobs'::regnamespace
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
        'rule ' || rule.rulename || ' on ' || rule.ev_class::regclass as object,
        'present' as state,
        pg_get_ruledef(rule.oid) as definition
    from pg_rewrite as rule
    join pg_class as relation on relation.oid = rule.ev_class
    where relation.relnamespace = 'pgjobs'::regnamespace
        and not (rule.ev_type = '1' and relation.relkind = 'v')
    union all
    select
        'policy ' || policy.polname || ' on ' || policy.polrelid::regclass as object,
        'present' as state,
        '' as definition
    from pg_policy as policy
    join pg_class as relation on relation.oid = policy.polrelid
    where relation.relnamespace = 'pgjobs'::regnamespace
    union all
    -- Who inherits from a table, or is its partition, is read and written with it.
    select
        'inheritance of ' || inheritance.inhrelid::regclass || ' from '
            || inheritance.inhparent::regclass as object,
        'present' as state,
        '' as definition
    from pg_inherits as inheritance
    join pg_class as relation on relation.oid in (inheritance.inhrelid, inheritance.inhparent)
    where relation.relnamespace = 'pgjobs'::regnamespace
    union all
    -- What would be called instead of the server's own functions.
    select
        'function ' || routine.oid::regprocedure as object, 'present' as state, '' as definition
    from pg_proc as routine
    where routine.pronamespace = 'pg_catalog'::regnamespace and routine.oid >= 16384
        and not exists (
            select from pg_depend as part
            where part.classid = 'pg_proc'::regclass and part.objid = routine.oid
                and part.deptype = 'e'
        )
    union all
    -- Rights on what the owner has yet to create.
    select
        'default privileges of ' || rights.defaclrole::regrole as object,
        'present' as state,
        '' as definition
    from pg_default_acl as rights
    join pg_namespace as namespace on namespace.oid = 'pgjobs'::regnamespace
    where namespace.nspowner = rights.defaclrole or namespace.oid = rights.defaclnamespace
    union all
    -- What anybody but the owner may do, and what the owner may not.
    select
        case when acl.grantee = granted.owner then 'revoke ' else 'grant ' end
            || lower(acl.privilege_type) || ' on ' || granted.object
            || case
                when acl.grantee = granted.owner then ' from its owner'
                when acl.grantee = 0 then ' to PUBLIC'
                else ' to ' || acl.grantee::regrole
            end as object,
        case when acl.is_grantable and acl.grantee <> granted.owner then 'with grant option'
            else 'present' end as state,
        '' as definition
    from (
        select
            'schema ' || namespace.nspname as object,
            'n'::"char" as kind,
            namespace.nspowner as owner,
            namespace.nspacl as acl
        from pg_namespace as namespace
        where namespace.oid = 'pgjobs'::regnamespace
        union all
        select
            case relation.relkind when 'S' then 'sequence ' when 'v' then 'view ' else 'table ' end
                || relation.oid::regclass as object,
            case relation.relkind when 'S' then 's'::"char" else 'r' end as kind,
            relation.relowner as owner,
            relation.relacl as acl
        from pg_class as relation
        where relation.relnamespace = 'pgjobs'::regnamespace
        union all
        select
            'column ' || attribute.attrelid::regclass || '.' || attribute.attname as object,
            null as kind,
            relation.relowner as owner,
            attribute.attacl as acl
        from pg_attribute as attribute
        join pg_class as relation on relation.oid = attribute.attrelid
        where relation.relnamespace = 'pgjobs'::regnamespace
        union all
        select
            'function ' || routine.pronamespace::regnamespace || '.'
                || quote_ident(routine.proname) as object,
            'f' as kind,
            routine.proowner as owner,
            coalesce(routine.proacl, acldefault('f', routine.proowner)) as acl
        from pg_proc as routine
        where routine.pronamespace = 'pgjobs'::regnamespace
        union all
        select
            'type ' || type.oid::regtype as object,
            'T' as kind,
            type.typowner as owner,
            coalesce(type.typacl, acldefault('T', type.typowner)) as acl
        from pg_type as type
        left join pg_class as relation on relation.oid = type.typrelid
        where type.typnamespace = 'pgjobs'::regnamespace and type.typelem = 0
            and coalesce(relation.relkind, 'c') = 'c'
    ) as granted
    cross join lateral (
        select given.grantee, given.privilege_type, given.is_grantable
        from aclexplode(granted.acl) as given
        where given.grantee <> granted.owner
        union all
        select lost.grantee, lost.privilege_type, false
        from aclexplode(acldefault(granted.kind, granted.owner)) as lost
        where granted.acl is not null and lost.grantee = granted.owner
            and not exists (
                select from aclexplode(granted.acl) as given
                where (given.grantee, given.privilege_type)
                    = (lost.grantee, lost.privilege_type)
            )
    ) as acl
) as found;

comment on view pgjobs._installed is
    'Every object of the schema, its state and a digest of its definition; what verify() checks. '
    'Read-only, for the owner alone.';

create trigger _installed_read_only instead of insert or update or delete
    on pgjobs._installed for each row execute function pgjobs._guard_ledger();
comment on trigger _installed_read_only on pgjobs._installed is
    'Refuses INSERT, UPDATE and DELETE with 23V01.';
