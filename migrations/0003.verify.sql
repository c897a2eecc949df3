-- verify(): whether the installation is as released, and its rows agree.
-- depends: 0001.ledger
--
-- For the operator: adds functions and the digests of every object that this version has.
-- Locks on what exists: ACCESS SHARE on the views; ROW EXCLUSIVE on pgjobs.migration.
-- With psql alone: psql -v ON_ERROR_STOP=1 -f migrations/0003.verify.sql

do $migration$
begin

-- How every part begins. It runs with its own role and settings, and end.sql puts back those it has
-- found, because the rest of the transaction may be another tool's.
do $$
begin
    perform
        pg_catalog.set_config(
            'pgjobs.former_search_path', pg_catalog.current_setting('search_path'), true
        ),
        pg_catalog.set_config(
            'pgjobs.former_lock_timeout', pg_catalog.current_setting('lock_timeout'), true
        ),
        pg_catalog.set_config('pgjobs.former_role', pg_catalog.current_setting('role'), true);
end
$$;
set local lock_timeout = '500ms';
-- Names below mean PostgreSQL's own, whatever stands in the installing session's path.
set local search_path = pg_catalog, pg_temp;

-- Where the schema is there already, the rest is done as its owner, whoever of its members runs it.
do $$
begin
    perform set_config('role', pg_get_userbyid(namespace.nspowner), true)
    from pg_namespace as namespace
    where namespace.nspname = 'pgjobs';
end
$$;


-- Whether an installation is as released, and its rows agree.


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


-- What verify() finds wrong with rows. Each check is one statement that reads a table a fixed
-- number of times; of many rows with the same fault the first 100 are named.

create function pgjobs._verify_open_jobs()
    returns setof pgjobs.finding
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
declare
    c_most constant integer := 100;
    c_hint constant text := 'Stop the workers, and find out who wrote to the tables.';
begin
    return query
    -- Every place of a job or a review.
    with place (name, session_id, job_id, review_id) as materialized (
        select 'ready', ready.session_id, ready.job_id, ready.review_id
        from pgjobs.ready as ready
        union all
        select 'leased', lease.session_id, lease.job_id, lease.review_id
        from pgjobs.lease as lease
        union all
        select
            'waiting', waiting.session_id, coalesce(waiting.reviewed_job_id, waiting.turn_no),
            case when waiting.reviewed_job_id is not null then waiting.turn_no end
        from pgjobs.waiting as waiting
    ),
    finding (object, finding) as (
        (
            select
                'session ' || coalesce(lane.session_id, counted.session_id),
                case
                    when counted.heads > 1 then format('has %s heads', counted.heads)
                    when lane.open_jobs is distinct from coalesce(counted.jobs, 0)
                        then format(
                            'counts %s open jobs, has %s, %s of them head',
                            coalesce(lane.open_jobs, 0), coalesce(counted.jobs, 0),
                            coalesce(counted.heads, 0)
                        )
                    else format(
                        'has job %s as its head, which is %s', lane.head_job_id,
                        coalesce('job ' || counted.head_job_id, 'neither ready nor leased')
                    )
                end
            from pgjobs.lane as lane
            full join (
                select
                    place.session_id, count(*) as jobs,
                    count(*) filter (where place.name <> 'waiting') as heads,
                    min(place.job_id) filter (where place.name <> 'waiting') as head_job_id
                from place
                group by place.session_id
            ) as counted on counted.session_id = lane.session_id
            where (lane.open_jobs::bigint, 1::bigint, lane.head_job_id)
                is distinct from (counted.jobs, counted.heads, counted.head_job_id)
            limit c_most
        )
        union all
        (
            select
                'job ' || place.job_id,
                'is ' || place.name || case
                    when job.job_id is null then ', but there is no such job'
                    when job.session_id <> place.session_id then ' of another session'
                    when place.review_id is null then ', although it has its verdict'
                    else ' for a review that is not open'
                end
            from place
            left join pgjobs.job as job on job.job_id = place.job_id
            left join pgjobs.verdict as verdict on verdict.job_id = place.job_id
            left join pgjobs.review as review
                on review.review_id = place.review_id and review.job_id = place.job_id
            left join pgjobs.review_result as result on result.review_id = place.review_id
            where job.session_id is distinct from place.session_id
                or case
                    when place.review_id is null then verdict.job_id is not null
                    else review.review_id is null or result.review_id is not null
                end
            limit c_most
        )
        union all
        (
            select 'job ' || job.job_id, 'is open, but neither ready, leased nor waiting'
            from pgjobs.job as job
            where not exists (
                select from pgjobs.verdict as verdict where verdict.job_id = job.job_id
            )
                and not exists (
                    select from place
                    where place.job_id = job.job_id and place.session_id = job.session_id
                        and place.review_id is null
                )
            limit c_most
        )
        union all
        (
            select 'review ' || review.review_id, 'is open, but neither ready, leased nor waiting'
            from pgjobs.review as review
            where not exists (
                select from pgjobs.review_result as result
                where result.review_id = review.review_id
            )
                and not exists (
                    select from place
                    where place.job_id = review.job_id and place.review_id = review.review_id
                )
            limit c_most
        )
        union all
        (
            select 'job ' || head.job_id, 'is head, and waits behind itself'
            from place as head
            join place as waiting
                on waiting.session_id = head.session_id and waiting.job_id = head.job_id
                and waiting.review_id is not distinct from head.review_id
            where head.name <> 'waiting' and waiting.name = 'waiting'
            limit c_most
        )
    )
    select 'error', finding.object, finding.finding, c_hint from finding;
end
$$;
comment on function pgjobs._verify_open_jobs is
    'Open jobs and reviews that are not in exactly one place, finished ones that are in any, and '
    'lanes that count wrong.';


-- The one place that reads what a foreign key says instead of trusting it: rows can be written past
-- it, with its triggers switched off.
create function pgjobs._verify_ledger()
    returns setof pgjobs.finding
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
declare
    c_most constant integer := 100;
    v_key record;
    v_orphans bigint;
    v_next bigint[];
    v_highest bigint[];
begin
    for v_key in
        select
            key.conname, key.convalidated, key.conrelid::regclass as child,
            key.confrelid::regclass as parent,
            bool_and(has_column_privilege(key.confrelid, pair.theirs, 'select'))
                and not row_security_active(key.confrelid) as is_readable,
            string_agg(
                format('child.%I = parent.%I', own.attname, theirs.attname), ' and '
            ) as matches,
            string_agg(format('child.%I is not null', own.attname), ' and ') as is_given
        from pg_constraint as key
        cross join lateral unnest(key.conkey, key.confkey) as pair (own, theirs)
        join pg_attribute as own on own.attrelid = key.conrelid and own.attnum = pair.own
        join pg_attribute as theirs
            on theirs.attrelid = key.confrelid and theirs.attnum = pair.theirs
        where key.connamespace = 'pgjobs'::regnamespace and key.contype = 'f'
        group by key.oid
        order by key.conname
    loop
        if not v_key.is_readable then
            return query
            select
                'warning', 'constraint ' || v_key.conname,
                'cannot be checked: ' || v_key.parent || ' is not readable for the owner',
                format('grant select on %s to %s', v_key.parent, current_user);
            continue;
        end if;
        execute format(
            'select count(*) from %s as child where %s'
            ' and not exists (select from %s as parent where %s)',
            v_key.child, v_key.is_given, v_key.parent, v_key.matches
        ) into v_orphans;
        if v_orphans > 0 then
            return query
            select
                case when v_key.convalidated then 'error' else 'warning' end,
                'constraint ' || v_key.conname,
                format('%s rows of %s have no row in %s', v_orphans, v_key.child, v_key.parent),
                case when v_key.convalidated then 'Restore the missing rows from a backup.'
                    else 'The key is not validated: they were there before it.' end;
        end if;
    end loop;

    return query
    with finding (object, finding, hint) as (
        -- Said by keys; counted by sorting the rows, not by asking the index.
        (
            select
                'commit ' || job.commit_sha, 'has ' || count(*) || ' jobs',
                'Its key was not looked at: find out who wrote past it.'
            from pgjobs.job as job
            group by job.commit_sha
            having count(*) > 1
            limit c_most
        )
        union all
        (
            select
                'job ' || verdict.job_id, 'has ' || count(*) || ' verdicts',
                'Its key was not looked at: find out who wrote past it.'
            from pgjobs.verdict as verdict
            group by verdict.job_id
            having count(*) > 1
            limit c_most
        )
        union all
        (
            select
                'amendment ' || amendment.amendment_id, 'does not agree with its verdict',
                'One of the two was changed: compare them with a backup.'
            from pgjobs.amendment as amendment
            join pgjobs.verdict as verdict on verdict.job_id = amendment.job_id
            where (amendment.completed_at, amendment.verdict_status)
                is distinct from (verdict.completed_at, verdict.status)
            limit c_most
        )
        union all
        (
            select
                'job ' || verdict.job_id, 'has expired, but was begun or had time left',
                'Something wrote past the functions: find out who.'
            from pgjobs.verdict as verdict
            join pgjobs.job as job on job.job_id = verdict.job_id
            left join pgjobs.aborted_run as run on run.job_id = verdict.job_id
            left join pgjobs.review as review on review.job_id = verdict.job_id
            where verdict.error_reason = 'EXPIRED'
                and (
                    (verdict.completed_at >= job.start_by) is not true
                    -- The runs of a review come after the verdict.
                    or run.job_id is not null and review.job_id is null
                )
            limit c_most
        )
        union all
        (
            select
                'artifact ' || artifact.artifact_id,
                'its content is gone, and no expiry is on record',
                'Restore the row of pgjobs.body from a backup.'
            from pgjobs.artifact as artifact
            where artifact.body_id is not null
                and not exists (
                    select from pgjobs.body as body where body.body_id = artifact.body_id
                )
                and not exists (
                    select from pgjobs.expiry as expiry
                    where expiry.kind = 'BODY' and expiry.id = artifact.body_id
                )
            limit c_most
        )
    )
    select 'error', finding.object, finding.finding, finding.hint from finding;

    -- Sequences and tables in statements of their own: a cell draws ids on another node.
    v_next := array(
        select sequence.last_value + sequence.is_called::integer
        from pgjobs.lab_attempt_attempt_id_seq as sequence
        union all
        select sequence.last_value + sequence.is_called::integer
        from pgjobs.job_job_id_seq as sequence
        union all
        select sequence.last_value + sequence.is_called::integer
        from pgjobs.amendment_amendment_id_seq as sequence
        union all
        select sequence.last_value + sequence.is_called::integer
        from pgjobs.artifact_artifact_id_seq as sequence
        union all
        select sequence.last_value + sequence.is_called::integer
        from pgjobs.body_body_id_seq as sequence
    );
    v_highest := array[
        (select max(attempt.attempt_id) from pgjobs.lab_attempt as attempt),
        greatest(
            (select max(job.job_id) from pgjobs.job as job),
            (select max(review.review_id) from pgjobs.review as review),
            (select max(ready.ready_no) from pgjobs.ready as ready)
        ),
        (select max(amendment.amendment_id) from pgjobs.amendment as amendment),
        (select max(artifact.artifact_id) from pgjobs.artifact as artifact),
        (select max(artifact.body_id) from pgjobs.artifact as artifact)
    ];
    return query
    select
        'error', 'sequence pgjobs.' || used.name, 'gives ids that are taken',
        format('select setval(%L, %s)', 'pgjobs.' || used.name, used.highest)
    from unnest(
        array[
            'lab_attempt_attempt_id_seq', 'job_job_id_seq', 'amendment_amendment_id_seq',
            'artifact_artifact_id_seq', 'body_body_id_seq'
        ],
        v_next, v_highest
    ) as used (name, next, highest)
    where used.highest >= used.next;
end
$$;
comment on function pgjobs._verify_ledger is
    'Second jobs and verdicts, rows whose foreign key leads nowhere, amendments that do not agree '
    'with their verdict, jobs that expired though they were begun, content that is gone without an '
    'expiry, and sequences that are behind.';


-- What verify() finds wrong around the schema: roles that can do too much, and the server.

create function pgjobs._verify_roles()
    returns setof pgjobs.finding
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_owner constant oid := namespace.nspowner
        from pg_namespace as namespace where namespace.nspname = 'pgjobs';
    v_callers constant oid[] := array(
        select role.oid from pg_roles as role
        where role.rolname in (
            'pgjobs_app', 'pgjobs_worker', 'pgjobs_reader', 'pgjobs_operator', 'pgjobs_approver'
        )
    );
    -- Whoever has made a role may grant it, from 16 on without being able to use it.
    v_use constant text := case when current_setting('server_version_num')::integer < 160000
        then 'member' else 'usage, set' end;
begin
    return query
    select
        case when v_owner = to_regrole('pgjobs_owner') or role.rolsuper
            then 'error' else 'warning' end,
        'role ' || role.oid::regrole,
        'owns everything and ' || case when role.rolsuper then 'is a superuser' else 'can log in'
            end,
        'alter role ... nosuperuser nologin'
    from pg_roles as role
    where role.oid = v_owner and (role.rolcanlogin or role.rolsuper)
    union all
    -- A DBA's own login has to become the owner; who also calls, or opens to others, must not.
    select
        case
            when role.rolname like 'pg\_%' then 'error'
            when exists (
                select from unnest(v_callers) as caller (oid)
                where pg_has_role(role.oid, caller.oid, v_use)
            ) then 'error'
            else 'warning'
        end,
        'role ' || role.oid::regrole,
        format('is a member of %s, which owns everything', v_owner::regrole),
        format('revoke %s from %s', v_owner::regrole, role.oid::regrole)
    from pg_roles as role
    where role.oid <> v_owner and not role.rolsuper
        and pg_has_role(role.oid, v_owner, 'member')
    union all
    select
        'warning', 'role ' || role.oid::regrole,
        'is a member of ' || everything.rolname || ', which opens every table',
        'The ledger stays as it is, but leases can be read, and with pg_write_all_data taken.'
    from pg_roles as role
    join pg_roles as everything
        on everything.rolname in ('pg_read_all_data', 'pg_write_all_data', 'pg_maintain')
        and pg_has_role(role.oid, everything.oid, 'member')
    where not role.rolsuper and role.oid <> everything.oid
    union all
    -- The administrators of a hosted service have such rights, and its customer cannot take them.
    select
        case
            when acl.grantee = 0 or acl.grantee::regrole::text like 'pg\_%' then 'error'
            when exists (
                select from pg_roles as caller
                where pg_has_role(caller.oid, acl.grantee, v_use) and not caller.rolsuper
                    and exists (
                        select from unnest(v_callers) as role (oid)
                        where pg_has_role(caller.oid, role.oid, v_use)
                    )
            ) then 'error'
            else 'warning'
        end,
        'role ' || case acl.grantee when 0 then 'PUBLIC' else acl.grantee::regrole::text end,
        'may ' || lower(acl.privilege_type) || ' ' || parameter.parname,
        'revoke ... on parameter ... from ...'
    from pg_parameter_acl as parameter
    cross join lateral aclexplode(parameter.paracl) as acl
    where parameter.parname in (
            'session_replication_role', 'allow_system_table_mods', 'ignore_checksum_failure',
            'zero_damaged_pages', 'session_preload_libraries', 'shared_preload_libraries'
        )
        and acl.grantee not in (select role.oid from pg_roles as role where role.rolsuper)
    union all
    -- The group roles are the cluster's: whoever is granted one for one database has it in each.
    select
        'warning', 'role ' || login.oid::regrole,
        'may connect here and to another installation: '
            || string_agg(database.datname, ', ' order by database.datname),
        'Revoke CONNECT from PUBLIC and the group roles, grant it to logins (docs/security.md).'
    from pg_database as database
    join pg_roles as login
        on has_database_privilege(login.oid, database.oid, 'connect')
        and has_database_privilege(login.oid, current_database(), 'connect')
        and exists (
            select from unnest(v_callers) as caller (oid)
            where pg_has_role(login.oid, caller.oid, v_use)
        )
    where login.rolcanlogin and not login.rolsuper and database.datname <> current_database()
        and exists (
            select from pg_shdepend as use
            where use.dbid = database.oid and use.refclassid = 'pg_authid'::regclass
                and use.refobjid = any (v_callers)
        )
    group by login.oid
    union all
    -- Who acts for a group role can become what that role can become.
    select
        'error', 'role ' || role.oid::regrole,
        case when other.oid = role.oid then 'is more than a group: superuser or createrole'
            else 'can become ' || other.oid::regrole end,
        'alter role ... nosuperuser nocreaterole; revoke ... from ...'
    from pg_roles as role
    join pg_roles as other on pg_has_role(role.oid, other.oid, 'member') and (
            other.rolsuper or other.rolcreaterole
            or other.rolname in (
                'pg_execute_server_program', 'pg_write_server_files', 'pg_read_server_files',
                'pgjobs_app', 'pgjobs_worker', 'pgjobs_operator', 'pgjobs_approver'
            ) and other.oid <> role.oid
        )
    where role.rolname = 'pgjobs_owner' or role.oid = any (v_callers)
    union all
    -- Outside of the schema: what runs as the owner, and what reads its tables.
    select
        'error', pg_describe_object(owned.classid, owned.objid, 0),
        'belongs to ' || v_owner::regrole || ', outside of the schema', 'Drop it.'
    from pg_shdepend as owned
    left join pg_proc as routine
        on owned.classid = 'pg_proc'::regclass and routine.oid = owned.objid
    left join pg_class as relation
        on owned.classid = 'pg_class'::regclass and relation.oid = owned.objid
    where v_owner = to_regrole('pgjobs_owner')
        and owned.refclassid = 'pg_authid'::regclass and owned.refobjid = v_owner
        and owned.deptype = 'o'
        and owned.dbid = (select oid from pg_database where datname = current_database())
        and coalesce(routine.pronamespace, relation.relnamespace) <> 'pgjobs'::regnamespace
    union all
    select distinct
        'error', 'view ' || reader.oid::regclass,
        'reads ' || source.oid::regclass || ' from outside of the schema', 'Drop it.'
    from pg_class as source
    join pg_depend as needed
        on needed.refclassid = 'pg_class'::regclass and needed.refobjid = source.oid
        and needed.classid = 'pg_rewrite'::regclass
    join pg_rewrite as rule on rule.oid = needed.objid
    join pg_class as reader on reader.oid = rule.ev_class
    where source.relnamespace = 'pgjobs'::regnamespace and source.relkind = 'r'
        and reader.relnamespace <> source.relnamespace
    union all
    -- Rows of the hot tables come and go: nobody may refer to them.
    select
        'error', 'constraint ' || key.conname || ' on ' || key.conrelid::regclass,
        'refers to ' || key.confrelid::regclass || ', whose rows come and go', 'Drop it.'
    from pg_constraint as key
    join pg_class as parent on parent.oid = key.confrelid
    where key.contype = 'f' and parent.relnamespace = 'pgjobs'::regnamespace
        and key.connamespace <> parent.relnamespace
        and parent.relname in (
            'ready', 'lease', 'waiting', 'lane', 'body', 'attempt_detail', 'job_payload',
            'verdict_summary', 'review_summary'
        );
end
$$;
comment on function pgjobs._verify_roles is
    'Roles that can do what only the owner should.';


create function pgjobs._verify_server()
    returns setof pgjobs.finding
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    select
        'warning', format('sequence %s.%s', sequence.schemaname, sequence.sequencename),
        'has given more than 80 % of its numbers', 'Plan for a larger one.'
    from pg_sequences as sequence
    where sequence.schemaname = 'pgjobs' and sequence.last_value > 0.8 * sequence.max_value
    union all
    -- What a new session gets, not what this one has set.
    select
        case risk.name when 'session_replication_role' then 'error' else 'warning' end,
        'setting ' || risk.name, 'is ' || setting.reset_val, risk.hint
    from (
        values
            ('session_replication_role', 'replica', 'Foreign keys are not looked at.'),
            ('data_checksums', 'off', 'A flipped byte is not noticed: pg_checksums --enable'),
            ('ignore_checksum_failure', 'on', 'Damaged pages are read as if they were whole.'),
            ('zero_damaged_pages', 'on', 'Damaged pages lose their rows without a word.'),
            ('synchronous_commit', 'off', 'Acknowledged calls can be lost in a crash.'),
            ('fsync', 'off', 'A crash can destroy the cluster.'),
            ('full_page_writes', 'off', 'A crash can destroy pages.')
    ) as risk (name, value, hint)
    join pg_settings as setting on setting.name = risk.name and setting.reset_val = risk.value
    union all
    select
        case when setting.value like 'synchronous_commit=%' then 'warning' else 'error' end,
        case when scope.setrole = 0 then 'database ' || current_database()
            else 'role ' || scope.setrole::regrole end,
        'sets ' || setting.value,
        'alter ... reset ' || split_part(setting.value, '=', 1)
    from pg_db_role_setting as scope
    cross join lateral unnest(scope.setconfig) as setting (value)
    where scope.setdatabase in (
            0, (select oid from pg_database where datname = current_database())
        )
        and lower(setting.value) in (
            'synchronous_commit=off', 'synchronous_commit=false', 'synchronous_commit=no',
            'synchronous_commit=0', 'session_replication_role=replica'
        )
    union all
    select
        'warning', 'prepared transaction ' || prepared.gid,
        'holds its locks since ' || prepared.prepared, 'commit prepared, or rollback prepared'
    from pg_prepared_xacts as prepared
    where prepared.database = current_database()
    union all
    select
        'warning', 'database ' || database.datname,
        'PUBLIC has ' || string_agg(
            lower(acl.privilege_type), ' and ' order by acl.privilege_type
        ),
        'No dump without --create has the lockdown of docs/security.md: revoke ... from public'
    from pg_database as database
    cross join lateral aclexplode(coalesce(database.datacl, acldefault('d', database.datdba)))
        as acl
    where database.datname = current_database() and acl.grantee = 0
    group by database.datname
    union all
    select
        'warning', 'notification queue', 'is more than half full',
        'Find the session that listens and stays in its transaction; enqueue goes on, wake fails.'
    where pg_notification_queue_usage() > 0.5
    union all
    select
        'warning', 'replication slot ' || slot.slot_name,
        'is not in use, and keeps WAL and dead rows', 'select pg_drop_replication_slot(...)'
    from pg_replication_slots as slot
    where not slot.active
    union all
    select
        'warning', 'database ' || current_database(),
        'has used more than 80 % of its transaction ids', 'Let vacuum finish: end old snapshots.'
    from pg_database as database
    where database.datname = current_database() and age(database.datfrozenxid) > 1717986918
    union all
    select
        'warning', 'table ' || class.oid::regclass,
        format('its oldest transaction id is %s behind', age(class.relfrozenxid)),
        format(
            'Autovacuum reads all of it at %s. In a quiet hour: vacuum (freeze) %s',
            current_setting('autovacuum_freeze_max_age'), class.oid::regclass
        )
    from pg_class as class
    where class.relnamespace = 'pgjobs'::regnamespace and class.relkind = 'r'
        and age(class.relfrozenxid) > current_setting('autovacuum_freeze_max_age')::integer / 2;
end
$$;
comment on function pgjobs._verify_server is
    'Sequences that are nearly used up, settings that lose data, and what keeps vacuum from its '
    'work.';


-- Grants, on one page: callers may execute the functions of their role and read the views, nothing
-- else; PUBLIC has nothing. Functions run as their owner, so no caller needs a right on a table.
-- Each part ends with this page, which grants what is there by then; run again by hand it restores
-- all grants.
--
-- What default privileges, of the owner or of PUBLIC, have given away before, is taken back: from
-- PUBLIC everything, from others what this transaction has made, since they may have been granted
-- the rest knowingly.
do $$
declare
    c_now constant integer := age(pg_current_xact_id()::xid);
    c_app constant text[] := array[
        'enqueue', 'enqueue_many', 'record_attempt', 'get_job', 'wake',
        'is_passed', 'timeline', 'why_waiting', 'attempts'
    ];
    c_worker constant text[] := array[
        'claim', 'heartbeat', 'heartbeat_many', 'complete', 'complete_many', 'complete_and_claim',
        'release', 'add_artifact'
    ];
    c_reader constant text[] := array[
        'is_passed', 'timeline', 'why_waiting', 'attempts', 'metrics', 'read_artifact',
        'verification_job', 'verification_verdict', 'verification_run', 'verification_attempt',
        'verification_artifact', 'verification_amendment', 'verification_review',
        'verification_hold', 'backfill_report'
    ];
    c_operator constant text[] := c_reader || array[
        'cancel', 'revoke_lease', 'rescue', 'wake', 'expire_artifacts', 'expire_details',
        'expire_locations', 'hold', 'lift_hold', 'erase_session',
        'backfill_verification_log', 'backfill_reconcile', 'link_lab_sessions',
        'unlink_lab_sessions', 'verify', 'verify_bodies'
    ];
    -- A word on a verdict is not the everyday operator's.
    c_approver constant text[] := c_reader || array['amend', 'reverify'];
    v_role text;
    v_names text[];
    v_object text;
begin
    for v_object in
        select format(
            'all on %s from %s', object.name,
            case acl.grantee when 0 then 'public' else acl.grantee::regrole::text end
        )
        from (
            select
                'schema pgjobs', namespace.nspowner, namespace.nspacl, 'n'::"char",
                age(namespace.xmin)
            from pg_namespace as namespace
            where namespace.nspname = 'pgjobs'
            union all
            select
                'function ' || routine.oid::regprocedure, routine.proowner, routine.proacl, 'f',
                age(routine.xmin)
            from pg_proc as routine
            where routine.pronamespace = 'pgjobs'::regnamespace
            union all
            select
                case relation.relkind when 'S' then 'sequence ' else 'table ' end
                    || relation.oid::regclass,
                relation.relowner, relation.relacl,
                case relation.relkind when 'S' then 's' else 'r' end::"char", age(relation.xmin)
            from pg_class as relation
            where relation.relnamespace = 'pgjobs'::regnamespace
                and relation.relkind in ('r', 'v', 'S')
            union all
            select
                'type ' || type.oid::regtype, type.typowner, type.typacl, 'T', age(type.xmin)
            from pg_type as type
            left join pg_class as relation on relation.oid = type.typrelid
            where type.typnamespace = 'pgjobs'::regnamespace
                and (type.typtype = 'd' or relation.relkind = 'c')
        ) as object (name, owner, acl, kind, age)
        cross join lateral aclexplode(
            coalesce(object.acl, acldefault(object.kind, object.owner))
        ) as acl
        where acl.grantee = 0 or acl.grantee <> object.owner and object.age <= c_now
        group by object.name, acl.grantee
    loop
        execute 'revoke ' || v_object;
    end loop;

    if to_regrole('pgjobs_app') is null
        or to_regrole('pgjobs_worker') is null
        or to_regrole('pgjobs_reader') is null
        or to_regrole('pgjobs_operator') is null
        or to_regrole('pgjobs_approver') is null
    then
        raise notice 'installed without the group roles; % owns everything', current_user
            using hint = 'Create pgjobs_app, pgjobs_worker, pgjobs_reader, pgjobs_operator and '
                         'pgjobs_approver and run sql/grants.sql, or grant the same to others.';
        return;
    end if;
    foreach v_role in array array['app', 'worker', 'reader', 'operator', 'approver'] loop
        v_names := case v_role
            when 'app' then c_app when 'worker' then c_worker
            when 'reader' then c_reader when 'operator' then c_operator
            when 'approver' then c_approver
        end;
        for v_object in
            select 'usage on schema pgjobs'
            union all
            select format('execute on function %s', routine.oid::regprocedure)
            from pg_proc as routine
            where routine.pronamespace = 'pgjobs'::regnamespace
                and routine.proname = any (v_names)
            union all
            select format('select on %s', relation.oid::regclass)
            from pg_class as relation
            where relation.relnamespace = 'pgjobs'::regnamespace
                and relation.relkind = 'v' and relation.relname = any (v_names)
        loop
            execute format('grant %s to pgjobs_%s', v_object, v_role);
        end loop;
    end loop;
end
$$;


-- The objects of 0001.ledger, as published; written by `make generate`.
insert into pgjobs.fingerprint (migration_id, object, state, digest)
select '0001.ledger', object.* from (values
    ('constraint aborted_run_actor_check on pgjobs.aborted_run',
        'present', 'ee22e6b6b108fec4243c75a701ff7400'),
    ('constraint aborted_run_job_id_fkey on pgjobs.aborted_run',
        'present', 'ad8e204bd6810ad6f833d6fb7014ea8a'),
    ('constraint aborted_run_job_id_run_no_pkey on pgjobs.aborted_run',
        'present', '33284e06596db7a9ae087ccf7355fa3f'),
    ('constraint aborted_run_outcome_check on pgjobs.aborted_run',
        'present', '6ec0f1d07421a7cd699f8962a05c0026'),
    ('constraint aborted_run_reason_check on pgjobs.aborted_run',
        'present', 'f9046930c9e2584b8454d0cee2a47941'),
    ('constraint aborted_run_run_no_check on pgjobs.aborted_run',
        'present', '99eafe9ce7b4bae0a5606c42036cb5af'),
    ('constraint amendment_amendment_id_pkey on pgjobs.amendment',
        'present', '0f1f4bf3e06e95e278b00dbfa117850c'),
    ('constraint amendment_approver_check on pgjobs.amendment',
        'present', 'a1d591b0de03e1c9c95f38191a92910c'),
    ('constraint amendment_job_id_amendment_no_key on pgjobs.amendment',
        'present', '8491e52bf6dd98cffff4527c355d4a4c'),
    ('constraint amendment_job_id_fkey on pgjobs.amendment',
        'present', 'edcdba21937007feda90efa2a2263a1b'),
    ('constraint amendment_review_id_fkey on pgjobs.amendment',
        'present', '8ced320da5fb3ef6d3fd065303c68ea7'),
    ('constraint amendment_review_id_key on pgjobs.amendment',
        'present', '2078de64a3ff4bc0ec3a650ec81d7ba0'),
    ('constraint amendment_status_check on pgjobs.amendment',
        'present', '63daa01157c1e1e65b5d13ae404c9f38'),
    ('constraint artifact_artifact_id_pkey on pgjobs.artifact',
        'present', 'f42184eece76ddfbec19791428972b54'),
    ('constraint artifact_artifact_no_check on pgjobs.artifact',
        'present', 'ca194ad5974419ea608f4b44b4fda0f9'),
    ('constraint artifact_inline_bytes_check on pgjobs.artifact',
        'present', '0c81689bb16b0b0eb82cfb3d784b885e'),
    ('constraint artifact_job_id_fkey on pgjobs.artifact',
        'present', 'ad8e204bd6810ad6f833d6fb7014ea8a'),
    ('constraint artifact_job_id_run_no_artifact_no_key on pgjobs.artifact',
        'present', 'e96c4f70a3e7d6ba865a0e77b2c42a10'),
    ('constraint artifact_job_id_run_no_name_key on pgjobs.artifact',
        'present', '311456e8f6a31f136107af2b36be93b3'),
    ('constraint artifact_kind_check on pgjobs.artifact',
        'present', 'f147222c85473ff2f929c8904453c618'),
    ('constraint artifact_location_check on pgjobs.artifact',
        'present', '5b7d89e6ff11686ac9b5cdf9b756b198'),
    ('constraint artifact_original_sha256_check on pgjobs.artifact',
        'present', '9bd9b6261e9609a15ad23b01dd7a8e84'),
    ('constraint artifact_original_size_bytes_check on pgjobs.artifact',
        'present', 'f7cea369495c5cdb3607157911f2bfe0'),
    ('constraint artifact_sha256_check on pgjobs.artifact',
        'present', 'df42bede200ebd517613ceace3009983'),
    ('constraint artifact_size_bytes_check on pgjobs.artifact',
        'present', 'f54086968f6c320f10ad6291e4607c6d'),
    ('constraint attempt_detail_attempt_id_fkey on pgjobs.attempt_detail',
        'present', 'ce1769d23e021631e2e00edcbd3cd560'),
    ('constraint attempt_detail_attempt_id_pkey on pgjobs.attempt_detail',
        'present', '2be533aeb4035f98d57d4c210ced67ca'),
    ('constraint backfill_attempt_id_fkey on pgjobs.backfill',
        'present', 'ce1769d23e021631e2e00edcbd3cd560'),
    ('constraint backfill_job_id_fkey on pgjobs.backfill',
        'present', 'ad8e204bd6810ad6f833d6fb7014ea8a'),
    ('constraint backfill_job_id_key on pgjobs.backfill',
        'present', '15ea35be8f3d3f40b5ca8c37ca9603de'),
    ('constraint backfill_ledger_sha256_check on pgjobs.backfill',
        'present', '78f4f5f1b56b2e3e2ec369fa8f9f53d8'),
    ('constraint backfill_log_id_pkey on pgjobs.backfill',
        'present', '540dc6277eff06df739a62ddbba0c7f5'),
    ('constraint backfill_log_sha256_check on pgjobs.backfill',
        'present', '91aab072e567ebcebf60b69065ecc874'),
    ('constraint backfill_outcome_check on pgjobs.backfill',
        'present', 'a3c5ec7e5b32da6e2d6ec689138bb9c1'),
    ('constraint backfill_reason_check on pgjobs.backfill',
        'present', '43647a13a278df9c01531bdbe0cfd50a'),
    ('constraint body_body_id_pkey on pgjobs.body',
        'present', '2f1a0f222aca3317e06dd78f20746ee5'),
    ('constraint body_content_check on pgjobs.body',
        'present', '71270cabef36a10da156d1fd1a2f829e'),
    ('constraint body_sha256_check on pgjobs.body',
        'present', 'df42bede200ebd517613ceace3009983'),
    ('constraint body_sha256_key on pgjobs.body',
        'present', '3addb13d0fc44ad72debc9cdefa24d19'),
    ('constraint expiry_kind_check on pgjobs.expiry',
        'present', '33543d4e24db40405bd9c1cee209523e'),
    ('constraint expiry_kind_id_pkey on pgjobs.expiry',
        'present', 'c2c26ba183b72d3d4ce2e26debac8fe9'),
    ('constraint hold_session_id_ticket_hold_no_pkey on pgjobs.hold',
        'present', 'd9e6158f73be2081e9275c5f91abb7b4'),
    ('constraint job_commit_sha_key on pgjobs.job',
        'present', '3b465284361112bf0d98eb44909f3eab'),
    ('constraint job_job_id_pkey on pgjobs.job',
        'present', '29678e1c3ab7cd9b0fc3d750121a0c25'),
    ('constraint job_max_runs_check on pgjobs.max_runs',
        'present', '3e2af4e392df39ff7e0a6e9190c71a3b'),
    ('constraint job_payload_job_id_fkey on pgjobs.job_payload',
        'present', 'ad8e204bd6810ad6f833d6fb7014ea8a'),
    ('constraint job_payload_job_id_pkey on pgjobs.job_payload',
        'present', '29678e1c3ab7cd9b0fc3d750121a0c25'),
    ('constraint job_priority_check on pgjobs.priority',
        'present', '77669aaae5473b6cfcbb10291288af17'),
    ('constraint job_session_id_commit_sha_fkey on pgjobs.job',
        'present', 'e5f606768c6d353a0c17a4cff1e35d20'),
    ('constraint lab_attempt_attempt_id_pkey on pgjobs.lab_attempt',
        'present', '2be533aeb4035f98d57d4c210ced67ca'),
    ('constraint lab_attempt_commit_sha_check on pgjobs.lab_attempt',
        'present', 'fb124d9a3dfabeebe3b5bc01ab23bc5c'),
    ('constraint lab_attempt_session_id_commit_sha_key on pgjobs.lab_attempt',
        'present', '40efac0493784ef8fa2ee1901da86c0f'),
    ('constraint lane_open_jobs_check on pgjobs.open_jobs',
        'present', 'ce0259a1684582897d7ce16cb1233ac7'),
    ('constraint lane_session_id_pkey on pgjobs.lane',
        'present', 'fa57ddb4a88770a478bd64d3fa0349ab'),
    ('constraint lease_session_id_pkey on pgjobs.lease',
        'present', 'fa57ddb4a88770a478bd64d3fa0349ab'),
    ('constraint migration_migration_id_pkey on pgjobs.migration',
        'present', 'a6765841c98fe29343f8fd102aa5052b'),
    ('constraint ready_job_id_pkey on pgjobs.ready',
        'present', '29678e1c3ab7cd9b0fc3d750121a0c25'),
    ('constraint review_approver_check on pgjobs.review',
        'present', 'a1d591b0de03e1c9c95f38191a92910c'),
    ('constraint review_job_id_fkey on pgjobs.review',
        'present', 'edcdba21937007feda90efa2a2263a1b'),
    ('constraint review_job_id_review_no_key on pgjobs.review',
        'present', '9cea96133c5f3609a8ec31d4f7259b95'),
    ('constraint review_result_lease_token_check on pgjobs.review_result',
        'present', '4cde27035d9a677ea3652c6e0c15a07e'),
    ('constraint review_result_outcome_check on pgjobs.review_result',
        'present', 'aa0feee8a5fcd5cce73d3516fd3db68a'),
    ('constraint review_result_review_id_fkey on pgjobs.review_result',
        'present', '93dd2c65b00344c438d9f39912ae6b20'),
    ('constraint review_result_review_id_pkey on pgjobs.review_result',
        'present', '831b702eeeafb42162c75b735e2b5e13'),
    ('constraint review_review_id_pkey on pgjobs.review',
        'present', '831b702eeeafb42162c75b735e2b5e13'),
    ('constraint review_summary_review_id_fkey on pgjobs.review_summary',
        'present', '8ced320da5fb3ef6d3fd065303c68ea7'),
    ('constraint review_summary_review_id_pkey on pgjobs.review_summary',
        'present', '831b702eeeafb42162c75b735e2b5e13'),
    ('constraint verdict_error_reason_check on pgjobs.verdict',
        'present', '170bc29310fdbbd17179ba25e9ba86da'),
    ('constraint verdict_job_id_fkey on pgjobs.verdict',
        'present', 'ad8e204bd6810ad6f833d6fb7014ea8a'),
    ('constraint verdict_job_id_pkey on pgjobs.verdict',
        'present', '29678e1c3ab7cd9b0fc3d750121a0c25'),
    ('constraint verdict_lease_token_check on pgjobs.verdict',
        'present', 'a200c07c452c4729e953d26591431075'),
    ('constraint verdict_origin_check on pgjobs.verdict',
        'present', '5cbc39b7fd4daae11d2866552955b0ff'),
    ('constraint verdict_status_check on pgjobs.verdict',
        'present', '63daa01157c1e1e65b5d13ae404c9f38'),
    ('constraint verdict_summary_job_id_fkey on pgjobs.verdict_summary',
        'present', 'edcdba21937007feda90efa2a2263a1b'),
    ('constraint verdict_summary_job_id_pkey on pgjobs.verdict_summary',
        'present', '29678e1c3ab7cd9b0fc3d750121a0c25'),
    ('constraint waiting_session_id_turn_no_pkey on pgjobs.waiting',
        'present', '735e977c762637cd20358332a7a1fe39'),
    ('function pgjobs._add_amendment',
        'present', '218603eb201a2649d70255d853d2833f'),
    ('function pgjobs._add_attempt',
        'present', 'c35a65ffb1be84946c2489cf04c304b5'),
    ('function pgjobs._add_ready',
        'present', '475c2fb253b9b8d4cf7294a673750de9'),
    ('function pgjobs._answer_review',
        'present', '6af9ec167f2466a12f12a93d608ecbcb'),
    ('function pgjobs._bad_claim',
        'present', 'ef2d636e24a84dd3df133918d116f89c'),
    ('function pgjobs._bad_decision',
        'present', 'f32b87c1bc8797f19a882f3607256489'),
    ('function pgjobs._bad_order',
        'present', 'ff7ed794541bf464f335d57dae627476'),
    ('function pgjobs._bad_push',
        'present', '38a202324aaa93810e7cd8ee67792352'),
    ('function pgjobs._bad_verdict',
        'present', '1b14c7042d5892936e8848bd7f890bee'),
    ('function pgjobs._begin_retention',
        'present', '7f52b351808dc73d7a2da3564aad3ead'),
    ('function pgjobs._check_snapshot',
        'present', '4b7d1c425582354dfc7de0a6e3b6c1d3'),
    ('function pgjobs._complete',
        'present', 'a7fb54236fa1abdc0929213ceefbd03c'),
    ('function pgjobs._decide_hold',
        'present', '87a62d23b101aff7ce0312d325dd0929'),
    ('function pgjobs._details',
        'present', '869acf6315a952b648dec1386977b2fc'),
    ('function pgjobs._effective_status',
        'present', '9b38066dd4f4c112529e2d809cff8337'),
    ('function pgjobs._end_run',
        'present', '616fca815149f14c230f7b0f41926729'),
    ('function pgjobs._enqueue',
        'present', '9aedfaefe06f6480f398901ea9987271'),
    ('function pgjobs._enqueue_new',
        'present', '96a53dd1da23f44447ee1c9a1b37c818'),
    ('function pgjobs._expire',
        'present', '982bb4de7852be251ad19fbeea30659e'),
    ('function pgjobs._expire_before',
        'present', '0ef21798ee678f1199991048f563b876'),
    ('function pgjobs._expire_jobs',
        'present', '4e78bf3a036b18311a896a7d9c2e7650'),
    ('function pgjobs._find_attempt',
        'present', '15796d387542b9efca42d984f1737ddd'),
    ('function pgjobs._find_job',
        'present', 'd3c2de8689acf40b7f2b96255ab9590b'),
    ('function pgjobs._guard_detail',
        'present', '2425a603c5fd0571244db23aecfafc24'),
    ('function pgjobs._guard_ledger',
        'present', '73cf361648f8aeb8efd15931505b1748'),
    ('function pgjobs._has_expired',
        'present', '88ea871bcee6e8f7500b3f3334804a4e'),
    ('function pgjobs._has_size',
        'present', '97ee6c8e298b211b88c408df34e6ab2d'),
    ('function pgjobs._held_details',
        'present', '9c794b8dd42d27595c544ce168f633bf'),
    ('function pgjobs._is_commit_sha',
        'present', '44b185431e515156527934d6932f11c6'),
    ('function pgjobs._is_document',
        'present', '2c496ef83a7570f7a96ef597c6245e93'),
    ('function pgjobs._is_duration',
        'present', '60414445d50f757d31f1f61265866ca2'),
    ('function pgjobs._is_held',
        'present', 'd9a5af7fc9bfdcdd47e17f0aef71f5b3'),
    ('function pgjobs._is_needed',
        'present', '4767a27a822485976a67e82d96c54af2'),
    ('function pgjobs._is_open',
        'present', '80bf5a49fe5d4560a2d05e7514f66ea1'),
    ('function pgjobs._is_same_person',
        'present', 'c73802af9d3c76acb6e42011fd2d9716'),
    ('function pgjobs._is_text',
        'present', 'd6701efd4d70e96d50a3a69b0511e63b'),
    ('function pgjobs._keep_body',
        'present', '0009bc9dbd8455f4dbc07efd8609257b'),
    ('function pgjobs._leave_lane',
        'present', 'c572233330b8e716f511139e2ad61253'),
    ('function pgjobs._next_head',
        'present', 'e259eef0b6f4c8439dfa3c95031c9a40'),
    ('function pgjobs._old_bodies',
        'present', '4c28013f7f304f11bd716606a95f94bb'),
    ('function pgjobs._promote',
        'present', 'fc5bb3cef5e15b8c824d944e99d0fb15'),
    ('function pgjobs._refuse',
        'present', '8adf30978c825543fc70350c72ab835e'),
    ('function pgjobs._refuse_argument',
        'present', '6382b8c8221e21d1bca769dc06fba921'),
    ('function pgjobs._refuse_lease',
        'present', '90e8a6a8b49df2b0d08fe2531b1e6bd5'),
    ('function pgjobs._status',
        'present', '7700e41be65d2b636e595f52143d218e'),
    ('function pgjobs._sweep',
        'present', '5b37b6f5670331dbd3bc146e5a50f523'),
    ('function pgjobs._take_lease',
        'present', '9aa15c37a0b59ec098a8e5b689d58f2b'),
    ('function pgjobs._take_leases',
        'present', '816f6806f9dae9d45212cf97ec439253'),
    ('function pgjobs.add_artifact',
        'present', '53fc4f9fec8f0938ed4f5420b7dfa701'),
    ('function pgjobs.amend',
        'present', '9bd5190bf636047894a44b3f78bc7074'),
    ('function pgjobs.attempts',
        'present', 'f3991d1c38654d0a3f5a95d0a30da1ec'),
    ('function pgjobs.cancel',
        'present', 'e8b713b623cf9bff0b3c1509e8b59387'),
    ('function pgjobs.claim',
        'present', '6df9521d253f9d680468abb33328287c'),
    ('function pgjobs.complete',
        'present', '324cc9a8d1a4160bb8643d55dbf23bba'),
    ('function pgjobs.complete_and_claim',
        'present', '7c539bb6560007fb46a885aa4d65ffa3'),
    ('function pgjobs.complete_many',
        'present', '68bf4abbbf35028375408f1453b97240'),
    ('function pgjobs.enqueue',
        'present', '5a3d31672ecc90eb847f5bf79d11f3b2'),
    ('function pgjobs.enqueue_many',
        'present', '2167bf832fe477c9ec168a39fbba2720'),
    ('function pgjobs.erase_session',
        'present', '17917ec217f58e1d11d38eadb34f4702'),
    ('function pgjobs.expire_artifacts',
        'present', 'ffd83d8db9a9aeebd96dcf32718173e7'),
    ('function pgjobs.expire_details',
        'present', '3dd7ca9dbc6eb2115f10098ee3c803c8'),
    ('function pgjobs.expire_locations',
        'present', 'ed894e90acf45cbb0bfd83cd4a83d40c'),
    ('function pgjobs.get_job',
        'present', '83f46380d96a9321ce54cca9a12010c0'),
    ('function pgjobs.heartbeat',
        'present', '3087587cdaab312d5a06e49e74759cd1'),
    ('function pgjobs.heartbeat_many',
        'present', 'd4e87c79bc217ff0f6ebc3d06505b9a7'),
    ('function pgjobs.hold',
        'present', '07488e190f566e462c2cb85cc564f7fe'),
    ('function pgjobs.is_passed',
        'present', 'c200284d242de3c7241fda89871dd680'),
    ('function pgjobs.lift_hold',
        'present', '75a79090492d19b13859616eaddfa469'),
    ('function pgjobs.metrics',
        'present', '8d67aeca9dd176d1eeb737fdb2baef9b'),
    ('function pgjobs.read_artifact',
        'present', '0838b1245c0195d06b50d3fb0a6e1f9f'),
    ('function pgjobs.record_attempt',
        'present', '683dff0be3385577e8082ba57f9885db'),
    ('function pgjobs.release',
        'present', 'bc098a25c2a7c93cd776b07bc5188ae5'),
    ('function pgjobs.rescue',
        'present', 'c25b44752fa1fbf249407f609b5e8ca4'),
    ('function pgjobs.reverify',
        'present', 'b82a3983cfbd9da2a69f6ea0dc9a8290'),
    ('function pgjobs.revoke_lease',
        'present', '88d45b745df9e7eed71ba7717587e4be'),
    ('function pgjobs.timeline',
        'present', 'd5fec5c2df82126ce0ef1542e5238cb7'),
    ('function pgjobs.wake',
        'present', 'f4c0f2a71b868ef77758e4fce5a8ed87'),
    ('function pgjobs.why_waiting',
        'present', '6750de57755e6875f8bd6dc5e973d0d7'),
    ('grant execute on function pgjobs.add_artifact to pgjobs_worker',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.amend to pgjobs_approver',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.attempts to pgjobs_app',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.attempts to pgjobs_approver',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.attempts to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.attempts to pgjobs_reader',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.cancel to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.claim to pgjobs_worker',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.complete to pgjobs_worker',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.complete_and_claim to pgjobs_worker',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.complete_many to pgjobs_worker',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.enqueue to pgjobs_app',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.enqueue_many to pgjobs_app',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.erase_session to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.expire_artifacts to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.expire_details to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.expire_locations to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.get_job to pgjobs_app',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.heartbeat to pgjobs_worker',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.heartbeat_many to pgjobs_worker',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.hold to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.is_passed to pgjobs_app',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.is_passed to pgjobs_approver',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.is_passed to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.is_passed to pgjobs_reader',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.lift_hold to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.metrics to pgjobs_approver',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.metrics to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.metrics to pgjobs_reader',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.read_artifact to pgjobs_approver',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.read_artifact to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.read_artifact to pgjobs_reader',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.record_attempt to pgjobs_app',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.release to pgjobs_worker',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.rescue to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.reverify to pgjobs_approver',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.revoke_lease to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.timeline to pgjobs_app',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.timeline to pgjobs_approver',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.timeline to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.timeline to pgjobs_reader',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.wake to pgjobs_app',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.wake to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.why_waiting to pgjobs_app',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.why_waiting to pgjobs_approver',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.why_waiting to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.why_waiting to pgjobs_reader',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_amendment to pgjobs_approver',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_amendment to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_amendment to pgjobs_reader',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_artifact to pgjobs_approver',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_artifact to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_artifact to pgjobs_reader',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_attempt to pgjobs_approver',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_attempt to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_attempt to pgjobs_reader',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_hold to pgjobs_approver',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_hold to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_hold to pgjobs_reader',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_job to pgjobs_approver',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_job to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_job to pgjobs_reader',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_review to pgjobs_approver',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_review to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_review to pgjobs_reader',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_run to pgjobs_approver',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_run to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_run to pgjobs_reader',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_verdict to pgjobs_approver',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_verdict to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_verdict to pgjobs_reader',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant usage on schema pgjobs to pgjobs_app',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant usage on schema pgjobs to pgjobs_approver',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant usage on schema pgjobs to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant usage on schema pgjobs to pgjobs_reader',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant usage on schema pgjobs to pgjobs_worker',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('index pgjobs.amendment_status_completed_at_idx',
        'present', '5dd6f645eaecbf066bc8c7e6fd972e18'),
    ('index pgjobs.amendment_verdict_status_completed_at_idx',
        'present', '3d36a0620cc82292d522500b364398fe'),
    ('index pgjobs.artifact_body_id_idx',
        'present', 'd6e849c53ca30e1f5c7e23b788562a49'),
    ('index pgjobs.body_created_at_idx',
        'present', 'b3e534de252b24c3871699dacf88a2ed'),
    ('index pgjobs.lease_lease_expires_at_idx',
        'present', '3e69f5d121a5d4bd8509bb5e32f056a7'),
    ('index pgjobs.ready_available_at_idx',
        'present', 'e1ea44c76f5c66294132e2ed8edca7c1'),
    ('index pgjobs.ready_priority_ready_no_idx',
        'present', 'bee1b7e89c32730398d7ee1a8dfbb4af'),
    ('index pgjobs.ready_start_by_idx',
        'present', '3653054f14c0d64577a4a9a194e8c6b4'),
    ('index pgjobs.verdict_job_id_idx',
        'present', 'c02c6dd517e14a7adf12ecaea62b0fd3'),
    ('index pgjobs.verdict_status_completed_at_idx',
        'present', '55af117c8860f16fd38b4048397bcfeb'),
    ('index pgjobs.waiting_start_by_idx',
        'present', '3748107c00ff435780026952ada1452a'),
    ('sequence pgjobs.amendment_amendment_id_seq',
        'present', '4ca46ec6d83719bdaf4ef4e34251c2b2'),
    ('sequence pgjobs.artifact_artifact_id_seq',
        'present', '4ca46ec6d83719bdaf4ef4e34251c2b2'),
    ('sequence pgjobs.body_body_id_seq',
        'present', '4ca46ec6d83719bdaf4ef4e34251c2b2'),
    ('sequence pgjobs.idle_at',
        'present', 'c1a18014dccba64b1f1a23fab388c7bc'),
    ('sequence pgjobs.job_job_id_seq',
        'present', '4ca46ec6d83719bdaf4ef4e34251c2b2'),
    ('sequence pgjobs.lab_attempt_attempt_id_seq',
        'present', '4ca46ec6d83719bdaf4ef4e34251c2b2'),
    ('sequence pgjobs.low_water_1',
        'present', 'c1a18014dccba64b1f1a23fab388c7bc'),
    ('sequence pgjobs.low_water_2',
        'present', 'c1a18014dccba64b1f1a23fab388c7bc'),
    ('sequence pgjobs.low_water_3',
        'present', 'c1a18014dccba64b1f1a23fab388c7bc'),
    ('sequence pgjobs.low_water_4',
        'present', 'c1a18014dccba64b1f1a23fab388c7bc'),
    ('sequence pgjobs.swept_at',
        'present', 'c1a18014dccba64b1f1a23fab388c7bc'),
    ('table pgjobs.aborted_run',
        'present', 'edd1a761663d96d6e00fbf5078e9efc7'),
    ('table pgjobs.amendment',
        'present', 'fdd96023c3b263a29835eefa39f3769e'),
    ('table pgjobs.artifact',
        'present', '4dc805b8803b5969ee4fc01edcc0c25e'),
    ('table pgjobs.attempt_detail',
        'present', 'e3dfe3070426314b3841897e3e4968e6'),
    ('table pgjobs.backfill',
        'present', '69f47274ff79eb615468e6e02cdb4dd0'),
    ('table pgjobs.body',
        'present', '24d1771621eeec5d6f48cca0df691723'),
    ('table pgjobs.expiry',
        'present', 'eb392d961038e7339137ee22c23d5469'),
    ('table pgjobs.hold',
        'present', '4356947c6f8cb165063d0e87634f0b9a'),
    ('table pgjobs.job',
        'present', 'ef5fb6e885d64322c0bef5a5b89b9a9e'),
    ('table pgjobs.job_payload',
        'present', 'a8639c53fcdf2a2b6448df07d4cc252a'),
    ('table pgjobs.lab_attempt',
        'present', '69bc550ecbb8ed3d28f749cb0c760912'),
    ('table pgjobs.lane',
        'present', 'ac33b8afff58b2644a4884d2e04d2aaa'),
    ('table pgjobs.lease',
        'present', '0bbc1bc5cba435fdaabd531b560355ab'),
    ('table pgjobs.migration',
        'present', 'e3d5cd2f94c84ed10e26206850d152eb'),
    ('table pgjobs.ready',
        'present', '801f4da7fa8175cb352a02fe88495de4'),
    ('table pgjobs.review',
        'present', '855a9cb31b6ee16ed8a5296af94da8b5'),
    ('table pgjobs.review_result',
        'present', 'ee01f8d2d9d66bea5dabeebc66ca6e9f'),
    ('table pgjobs.review_summary',
        'present', 'e604fcad997e6d28628a132bfd138768'),
    ('table pgjobs.verdict',
        'present', 'c20871fa12b7c5e75284f54c5c9623f6'),
    ('table pgjobs.verdict_summary',
        'present', '93eb50b84951a71047b885a57d1980bc'),
    ('table pgjobs.waiting',
        'present', 'b7ebe8f53f9b3ff77684fa61cbcc043b'),
    ('trigger aborted_run_append_only on pgjobs.aborted_run',
        'always on', '7a0afcd168138d7d1159a8b971aa564c'),
    ('trigger aborted_run_no_truncate on pgjobs.aborted_run',
        'always on', '64a78368aac08600803424e4629adc09'),
    ('trigger amendment_append_only on pgjobs.amendment',
        'always on', '25374a35e9936ae78dc73be2e6a4a91a'),
    ('trigger amendment_no_truncate on pgjobs.amendment',
        'always on', 'a9a00717d3bf6d7c0a92ca3b50db2940'),
    ('trigger artifact_append_only on pgjobs.artifact',
        'always on', 'ce40f237db47147b5138459077af5784'),
    ('trigger artifact_no_truncate on pgjobs.artifact',
        'always on', 'd7bd187330e7f8bdf954fe0ae2d51022'),
    ('trigger attempt_detail_append_only on pgjobs.attempt_detail',
        'always on', 'ea6ec56bdb86eba1f89466b79965a0b0'),
    ('trigger attempt_detail_no_truncate on pgjobs.attempt_detail',
        'always on', '03ec3f14f3a354aaab0ce045e53c7fc0'),
    ('trigger backfill_append_only on pgjobs.backfill',
        'always on', '04e27cc3cb783cc2524da480380590dc'),
    ('trigger backfill_no_truncate on pgjobs.backfill',
        'always on', '423952b5f8fe9545f73525f328d35fff'),
    ('trigger body_append_only on pgjobs.body',
        'always on', 'a2d5ad5961eb3a9afa961b1bc1df5220'),
    ('trigger body_no_truncate on pgjobs.body',
        'always on', '00d488ad009fce76c43131039a88276e'),
    ('trigger expiry_append_only on pgjobs.expiry',
        'always on', '69f5d25f548f6a22e9d98fa9d9f799a8'),
    ('trigger expiry_no_truncate on pgjobs.expiry',
        'always on', 'd7b4b0c11e0e604785d280f8c92c5dae'),
    ('trigger hold_append_only on pgjobs.hold',
        'always on', '988daba4f5676fc138ee5ac19eb124b8'),
    ('trigger hold_no_truncate on pgjobs.hold',
        'always on', '7207fe6004f0b8d4a5c2ec5117475e4f'),
    ('trigger job_append_only on pgjobs.job',
        'always on', '4557895cdddd0131f36b52d1cdc79c98'),
    ('trigger job_no_truncate on pgjobs.job',
        'always on', 'ba9f21a6b63a1cd1747561f9f23fb0aa'),
    ('trigger job_payload_append_only on pgjobs.job_payload',
        'always on', 'f56f2491fdb655c174f7fea242b8405e'),
    ('trigger job_payload_no_truncate on pgjobs.job_payload',
        'always on', '16a72ab52287beb88196b5f368575b60'),
    ('trigger lab_attempt_append_only on pgjobs.lab_attempt',
        'always on', '789fa434852ae8ec2e9bc6f537429f39'),
    ('trigger lab_attempt_no_truncate on pgjobs.lab_attempt',
        'always on', '966c9324df46dd3d23d0b143da20a549'),
    ('trigger review_append_only on pgjobs.review',
        'always on', '30cd7ee5a5cd89a90d95f6061653cf7f'),
    ('trigger review_no_truncate on pgjobs.review',
        'always on', '2eb0321ace756e9da48a508b825e5c49'),
    ('trigger review_result_append_only on pgjobs.review_result',
        'always on', 'd5fea14ff54b24408e1acd739eac7adc'),
    ('trigger review_result_no_truncate on pgjobs.review_result',
        'always on', '7bfbd36855abb8b1b629144fcec32868'),
    ('trigger review_summary_append_only on pgjobs.review_summary',
        'always on', '0254436bc9c7d57b70acbf44b5761755'),
    ('trigger review_summary_no_truncate on pgjobs.review_summary',
        'always on', '04e0a191b7dead7caa5bfd805370f32a'),
    ('trigger verdict_append_only on pgjobs.verdict',
        'always on', '2cf691b06550cdc60ff3f5f68e5f0506'),
    ('trigger verdict_no_truncate on pgjobs.verdict',
        'always on', '75dec0c6742f190290f83e7af982abc2'),
    ('trigger verdict_summary_append_only on pgjobs.verdict_summary',
        'always on', 'c51fdd2a07e18eaa4377f05f40bfc0fa'),
    ('trigger verdict_summary_no_truncate on pgjobs.verdict_summary',
        'always on', '6c2afc04f8e6ab0aae2d8ae73402d555'),
    ('trigger verification_amendment_read_only on pgjobs.verification_amendment',
        'ordinary', '21f96598b9d59264c2321d5794812ecf'),
    ('trigger verification_artifact_read_only on pgjobs.verification_artifact',
        'ordinary', '39507f697615eb797551121e4930a561'),
    ('trigger verification_attempt_read_only on pgjobs.verification_attempt',
        'ordinary', 'c47477e2e98a90434d1206d5ab7894cc'),
    ('trigger verification_hold_read_only on pgjobs.verification_hold',
        'ordinary', '783d5570741b4ae406c6e460a3468513'),
    ('trigger verification_job_read_only on pgjobs.verification_job',
        'ordinary', 'b151eab51b3f47525deec38134c73305'),
    ('trigger verification_review_read_only on pgjobs.verification_review',
        'ordinary', '3ad9b2c83f35eb4a931b04731fcd95d2'),
    ('trigger verification_run_read_only on pgjobs.verification_run',
        'ordinary', 'f5f869280cd321f47e329b7a4e92389c'),
    ('trigger verification_verdict_read_only on pgjobs.verification_verdict',
        'ordinary', 'e09a25fb67a9640eeb43241f1722187c'),
    ('type pgjobs.amended',
        'present', '45f48bc615381dd9c42f72c72d49cfeb'),
    ('type pgjobs.artifact_added',
        'present', 'dcbcc347d2976980b8f5b4e35c3786a0'),
    ('type pgjobs.artifacts_expired',
        'present', 'b6358ac0b7cfb9a4c5295e6123390414'),
    ('type pgjobs.cancelled',
        'present', '8c38a3d8ab1b8e130c02d4815bc912a7'),
    ('type pgjobs.claimed',
        'present', 'e59be8e4398bbb6bbfa989e7ac37942c'),
    ('type pgjobs.completed',
        'present', '0d72d8a47b01095d3931dced5d80c0bd'),
    ('type pgjobs.completed_element',
        'present', '43a612dd6f916b77815cc91b74cc0b41'),
    ('type pgjobs.details_erased',
        'present', '5096fca47ea17000c911227254273bdc'),
    ('type pgjobs.details_expired',
        'present', '8d8869178cf83a503a1a2190e912417e'),
    ('type pgjobs.enqueued',
        'present', '6c5b5e3d1d4042d11c512c30700dcc2f'),
    ('type pgjobs.enqueued_element',
        'present', '4955ca3aada598bc40f20c3e7f220904'),
    ('type pgjobs.event',
        'present', 'e645fe38524e90ee630eb11659615a11'),
    ('type pgjobs.heartbeat_element',
        'present', '0a8d453c22154beafcb0437923f0912d'),
    ('type pgjobs.held',
        'present', '89d123dcfb8ad590a786d3657db2afde'),
    ('type pgjobs.location_expired',
        'present', 'cc073a3c5c8dbfce65f82d11e2f8feeb'),
    ('type pgjobs.max_runs',
        'present', 'bc9233b5032bbcc79bdf7168b30f7de3'),
    ('type pgjobs.metric',
        'present', '9def036f2ca248c0826d365bea974d5a'),
    ('type pgjobs.open_jobs',
        'present', 'bc9233b5032bbcc79bdf7168b30f7de3'),
    ('type pgjobs.priority',
        'present', 'bc9233b5032bbcc79bdf7168b30f7de3'),
    ('type pgjobs.recorded',
        'present', '95e2c6a35e6f819cc4d8f0b2362b9664'),
    ('type pgjobs.released',
        'present', '36e09208a72fbba4b951df596e59f5e6'),
    ('type pgjobs.rescued',
        'present', 'bea2482674e4bee32262644841a3cc2c'),
    ('type pgjobs.reviewed_element',
        'present', 'd2d9d08fd2079bdb47d13504393cfffe'),
    ('type pgjobs.waiting_reason',
        'present', 'd073a778fcf21acf3e93da56495b09fd'),
    ('unique index pgjobs.aborted_run_job_id_run_no_pkey',
        'present', '5ea2db63d53f240d80417ca0ab2ca12b'),
    ('unique index pgjobs.amendment_amendment_id_pkey',
        'present', 'b4f766a7c3b3c41de7e781254a444f44'),
    ('unique index pgjobs.amendment_job_id_amendment_no_key',
        'present', '951b90819fee5e2cb3823fa0e6e7b7a4'),
    ('unique index pgjobs.amendment_review_id_key',
        'present', 'e60833111d14c22ac856f163f4607f03'),
    ('unique index pgjobs.artifact_artifact_id_pkey',
        'present', 'e11c2e1fa43ef7529fb1074f2300a574'),
    ('unique index pgjobs.artifact_job_id_run_no_artifact_no_key',
        'present', 'ec1ed40d58f8de7b42ac972e80279e35'),
    ('unique index pgjobs.artifact_job_id_run_no_name_key',
        'present', '0cf519108a4318095d6c63aaee865e16'),
    ('unique index pgjobs.attempt_detail_attempt_id_pkey',
        'present', '71e68842ab4d0132697f0b13d91e0b1e'),
    ('unique index pgjobs.backfill_job_id_key',
        'present', '0f7fff57a11d72d4d830a1bdda665a12'),
    ('unique index pgjobs.backfill_log_id_pkey',
        'present', '0c1a914a481def039e736c5b30b4479c'),
    ('unique index pgjobs.body_body_id_pkey',
        'present', '2ee54773a38c4852fdb54f225f0f7bc2'),
    ('unique index pgjobs.body_sha256_key',
        'present', 'fba748a24288e1aa1df168a619397723'),
    ('unique index pgjobs.expiry_kind_id_pkey',
        'present', '9efae0dbd380fd3eef23042ec74607a5'),
    ('unique index pgjobs.hold_session_id_ticket_hold_no_pkey',
        'present', 'dd6b7811045f072898b9c0b4dd2af228'),
    ('unique index pgjobs.job_commit_sha_key',
        'present', 'f110757d196392c8373306fd5c9e6955'),
    ('unique index pgjobs.job_job_id_pkey',
        'present', 'f0582543d17723bc157dcbbe8a9d0fb8'),
    ('unique index pgjobs.job_payload_job_id_pkey',
        'present', 'a82094ac815321d46536be2ea01f3274'),
    ('unique index pgjobs.lab_attempt_attempt_id_pkey',
        'present', '682d86b0e8fcec13547b586e4396c9ab'),
    ('unique index pgjobs.lab_attempt_session_id_commit_sha_key',
        'present', '1c2ffa602911aaa9f898d556842ecb82'),
    ('unique index pgjobs.lab_attempt_session_id_delivery_id_key',
        'present', '9006c5736b2ca4b67570f81305773848'),
    ('unique index pgjobs.lane_session_id_pkey',
        'present', '163cacf36afecf9a74b8e05a9c8ee1f4'),
    ('unique index pgjobs.lease_session_id_pkey',
        'present', 'ea7c33a18d94aab6e1bf674def29f231'),
    ('unique index pgjobs.migration_migration_id_pkey',
        'present', '8da5ad704ca0118710ea0012f0d18151'),
    ('unique index pgjobs.ready_job_id_pkey',
        'present', '0ef402fdcfcea248212a540c8fa55232'),
    ('unique index pgjobs.review_job_id_review_no_key',
        'present', '7d3ff56ced388f1a0c07daabc0bb6aed'),
    ('unique index pgjobs.review_result_review_id_pkey',
        'present', '74d4e514ea552ac4b4339d1c5009dbab'),
    ('unique index pgjobs.review_review_id_pkey',
        'present', 'ea29b3d6fd56b9f7932d3e40b10fe9ed'),
    ('unique index pgjobs.review_summary_review_id_pkey',
        'present', '78a4d5118e8f7f90b9fa44550f0f1d47'),
    ('unique index pgjobs.verdict_job_id_pkey',
        'present', 'e55680f8257c011bb92aefe9e429b0f7'),
    ('unique index pgjobs.verdict_summary_job_id_pkey',
        'present', '79105bfdc0b6a2c0ca01413060fa5002'),
    ('unique index pgjobs.waiting_session_id_turn_no_pkey',
        'present', '7cc381730fb9aca7570d89cce93980f1'),
    ('view pgjobs.verification_amendment',
        'present', '9027ca6c14207d8f61f2ae275db0d6cd'),
    ('view pgjobs.verification_artifact',
        'present', '9780db598a3dc84375e4710c77629f1c'),
    ('view pgjobs.verification_attempt',
        'present', 'dbb08d4dbf8ef93d1a2d071e54c582bf'),
    ('view pgjobs.verification_hold',
        'present', 'ef5d68d69d6a584781aef6d517a8b44d'),
    ('view pgjobs.verification_job',
        'present', 'fffe7eaa3351784def9bf3ab8cec7ec1'),
    ('view pgjobs.verification_review',
        'present', '63574598c5ee5fd3d31a2d2596705142'),
    ('view pgjobs.verification_run',
        'present', 'a6a2df82d8d3c29f3d8705fc84ecd93a'),
    ('view pgjobs.verification_verdict',
        'present', '49ad52bce4b25e65a683591f0156e769')
) as object;


-- The objects of 0002.host, as published; written by `make generate`.
insert into pgjobs.fingerprint (migration_id, object, state, digest)
select '0002.host', object.* from (values
    ('function pgjobs._check_host',
        'present', 'b0a81a7a0732f3e19bc2646375878966'),
    ('function pgjobs._ledger_sha256',
        'present', '50b1a54fe8107b5e6ba412e51d4f4a6c'),
    ('function pgjobs._log_content',
        'present', 'f22347052231a96a25d984c048614e43'),
    ('function pgjobs._log_reason',
        'present', '71886b25ccf5f02b21be873d8ce5b0fb'),
    ('function pgjobs._log_sha256',
        'present', '375baa6a7d0c7b59be9e7aeb7321be67'),
    ('function pgjobs._next_logs',
        'present', '2cfa9c8c5e16c0243e634a9c13ab8121'),
    ('function pgjobs._waiting_logs',
        'present', '120b24526ba23e9187d5348d72eb4c85'),
    ('function pgjobs.backfill_reconcile',
        'present', 'c74caaa64138bccc06adf3c73e66fc92'),
    ('function pgjobs.backfill_verification_log',
        'present', '5cc5dc04587238613dede3a42dc0c4d0'),
    ('function pgjobs.link_lab_sessions',
        'present', 'fd8aa18b2cd4ac0adad77a9e2992d426'),
    ('function pgjobs.unlink_lab_sessions',
        'present', 'c0a79f3e42c8fe4194c5d68451016b56'),
    ('grant execute on function pgjobs.backfill_reconcile to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.backfill_verification_log to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.link_lab_sessions to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.unlink_lab_sessions to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.backfill_report to pgjobs_approver',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.backfill_report to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.backfill_report to pgjobs_reader',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('trigger backfill_report_read_only on pgjobs.backfill_report',
        'ordinary', 'ec56f1a59d59443ec9e42e9a8f7e2d19'),
    ('type pgjobs.backfill_check',
        'present', 'df1e1110507ee21779c002a838cf821f'),
    ('type pgjobs.backfill_log',
        'present', '7ddd7a70e0d217e9a2b6895b8b45babd'),
    ('type pgjobs.backfilled',
        'present', 'e7fc2ce75a4339351c8c4b518c8f3795'),
    ('type pgjobs.session_link',
        'present', '0c9052d4b04d25f3ad23ff8052e896cf'),
    ('view pgjobs.backfill_report',
        'present', '8a0dcc9b82f3bc4b3ded9476a7ffad12')
) as object;


-- The objects of 0003.verify, as published; written by `make generate`.
insert into pgjobs.fingerprint (migration_id, object, state, digest)
select '0003.verify', object.* from (values
    ('constraint fingerprint_object_pkey on pgjobs.fingerprint',
        'present', '995c2e70e88aa4603b3318a9d4205d49'),
    ('function pgjobs._installed',
        'present', '5be042da41068a8de1d76f16e9dbe818'),
    ('function pgjobs._verify_ledger',
        'present', 'b972ec0e06ec1579c4420a8f79f6160a'),
    ('function pgjobs._verify_objects',
        'present', 'e862d2583085ef68ad3ddd8d70b0d522'),
    ('function pgjobs._verify_open_jobs',
        'present', 'f8fa6ae33e95ae655f94ada32b1ee291'),
    ('function pgjobs._verify_roles',
        'present', '65e452c1eec07259343a99cb3324b6ce'),
    ('function pgjobs._verify_server',
        'present', '88fe8dd2a03591f2fb953d283406652e'),
    ('function pgjobs.verify',
        'present', 'b8e1d59dda29bf0732369dd3e87d8e8c'),
    ('function pgjobs.verify_bodies',
        'present', '1ac4366ad3b42664433d6e0bf6a7c3f1'),
    ('grant execute on function pgjobs.verify to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.verify_bodies to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('table pgjobs.fingerprint',
        'present', '68e388a9d479203b492e98635ded0706'),
    ('type pgjobs.bodies_verified',
        'present', '50f5ea66f4e1e72c9d4ef7b3cc0bf269'),
    ('type pgjobs.finding',
        'present', 'f5bc18383b0b2e536b6678f52bb4d6b4'),
    ('unique index pgjobs.fingerprint_object_pkey',
        'present', 'ffb83666190bfe824c0f3edfab966722')
) as object;


insert into pgjobs.migration (migration_id, checksum)
values ('0003.verify', '405bd957bc35054391bcd301924cf66e1c1800e4e91cca092d3cf6109eee25b7');


-- How every part ends: with the role and the settings that begin.sql has found.
do $$
begin
    perform
        set_config('role', current_setting('pgjobs.former_role'), true),
        set_config('lock_timeout', current_setting('pgjobs.former_lock_timeout'), true),
        set_config('search_path', current_setting('pgjobs.former_search_path'), true);
end
$$;

end
$migration$;
