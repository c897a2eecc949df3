-- What verify() looks at: the objects of the schema, who owns and may use them, the rows, and the
-- server. Each check is one statement that reads a table a fixed number of times; of many rows with
-- the same fault the first 100 are named.

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


create function pgjobs._verify_roles()
    returns setof pgjobs.finding
    language plpgsql
    stable
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_owner constant oid := namespace.nspowner
        from pg_namespace as namespace where namespace.nspname = 'pgjobs';
begin
    return query
    select
        case when v_owner = to_regrole('pgjobs_owner') or role.rolsuper then 'error'
            else 'warning' end,
        'role ' || role.oid::regrole,
        'owns everything and ' || case when role.rolsuper then 'is a superuser' else 'can log in'
            end,
        'alter role … nosuperuser nologin'
    from pg_roles as role
    where role.oid = v_owner and (role.rolcanlogin or role.rolsuper)
    union all
    select
        case when role.rolname in (select migration.applied_by from pgjobs.migration)
            then 'warning' else 'error' end,
        'role ' || role.oid::regrole,
        format('is a member of %s, which owns everything', v_owner::regrole),
        format('revoke %s from %s', v_owner::regrole, role.oid::regrole)
    from pg_roles as role
    where role.oid <> v_owner and not role.rolsuper
        and pg_has_role(role.oid, v_owner, 'member')
    union all
    select
        'warning', 'role ' || role.oid::regrole,
        'is a member of ' || everything.name || ', which opens every table',
        'The ledger stays as it is, but leases can be read, and with pg_write_all_data taken.'
    from pg_roles as role
    join unnest(array['pg_read_all_data', 'pg_write_all_data']) as everything (name)
        on pg_has_role(role.oid, everything.name, 'member')
    where not role.rolsuper and role.rolname <> everything.name
    union all
    select
        'error', 'role ' || case acl.grantee when 0 then 'PUBLIC' else acl.grantee::regrole::text
            end,
        'may ' || lower(acl.privilege_type) || ' session_replication_role',
        'revoke … on parameter session_replication_role from …'
    from pg_parameter_acl as parameter
    cross join lateral aclexplode(parameter.paracl) as acl
    where parameter.parname = 'session_replication_role'
        and acl.grantee not in (select role.oid from pg_roles as role where role.rolsuper);
end
$$;
comment on function pgjobs._verify_roles is
    'Roles that can do what only the owner should.';


create function pgjobs._verify_open_jobs()
    returns setof pgjobs.finding
    language plpgsql
    stable
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    c_most constant integer := 100;
    c_hint constant text := 'Stop the workers, and find out who wrote to the tables.';
begin
    -- Every place of a job or a review, and the lane it counts in.
    return query
    select
        'error', 'session ' || coalesce(lane.session_id, place.session_id),
        format(
            'counts %s open jobs, has %s, %s of them head',
            coalesce(lane.open_jobs, 0), coalesce(place.jobs, 0), coalesce(place.heads, 0)
        ),
        c_hint
    from pgjobs.lane as lane
    full join (
        select every_place.session_id, count(*) as jobs, sum(every_place.head) as heads
        from (
            select head.session_id, 1 as head from pgjobs.head as head
            union all
            select waiting.session_id, 0 from pgjobs.waiting as waiting
        ) as every_place
        group by every_place.session_id
    ) as place on place.session_id = lane.session_id
    where (lane.open_jobs::bigint, 1::bigint) is distinct from (place.jobs, place.heads)
    limit c_most;

    return query
    select
        'error', 'job ' || place.job_id,
        case
            when job.job_id is null then 'is ' || place.name || ', but there is no such job'
            when job.session_id <> place.session_id
                then 'is ' || place.name || ' of another session'
            when place.review_id is null then 'is ' || place.name || ', although it has its verdict'
            else 'is ' || place.name || ' for a review that is not open'
        end,
        c_hint
    from (
        select 'the head', head.session_id, head.job_id, head.review_id
        from pgjobs.head as head
        union all
        select
            'waiting', waiting.session_id, coalesce(waiting.reviewed_job_id, waiting.turn_no),
            case when waiting.reviewed_job_id is not null then waiting.turn_no end
        from pgjobs.waiting as waiting
    ) as place (name, session_id, job_id, review_id)
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
    limit c_most;

    return query
    select 'error', 'job ' || job.job_id, 'is open, but neither head nor waiting', c_hint
    from pgjobs.job as job
    where not exists (select from pgjobs.verdict as verdict where verdict.job_id = job.job_id)
        and not exists (
            select from pgjobs.head as head
            where head.session_id = job.session_id and head.job_id = job.job_id
                and head.review_id is null
        )
        and not exists (
            select from pgjobs.waiting as waiting
            where waiting.session_id = job.session_id and waiting.turn_no = job.job_id
        )
    limit c_most;

    return query
    select 'error', 'review ' || review.review_id, 'is open, but neither head nor waiting', c_hint
    from pgjobs.review as review
    where not exists (
        select from pgjobs.review_result as result where result.review_id = review.review_id
    )
        and not exists (select from pgjobs.head as head where head.review_id = review.review_id)
        and not exists (
            select from pgjobs.waiting as waiting
            where waiting.reviewed_job_id = review.job_id and waiting.turn_no = review.review_id
        )
    limit c_most;

    -- In both places: the head of its session and waiting behind itself.
    return query
    select 'error', 'job ' || head.job_id, 'is head, and waits behind itself', c_hint
    from pgjobs.head as head
    join pgjobs.waiting as waiting
        on waiting.session_id = head.session_id
        and waiting.turn_no = coalesce(head.review_id, head.job_id)
    limit c_most;
end
$$;
comment on function pgjobs._verify_open_jobs is
    'Open jobs and reviews that are not in exactly one place, finished ones that are in any, and '
    'lanes that count wrong.';


-- The one place that reads what a foreign key says instead of trusting it: rows can be written past
-- it, with its triggers switched off.
create function pgjobs._verify_ledger()
    returns setof pgjobs.finding
    language plpgsql
    stable
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_key record;
    v_orphans bigint;
begin
    for v_key in
        select
            key.conname, key.conrelid::regclass as child, key.confrelid::regclass as parent,
            bool_and(has_column_privilege(key.confrelid, pair.theirs, 'select')) as is_readable,
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
                'error', 'constraint ' || v_key.conname,
                format('%s rows of %s have no row in %s', v_orphans, v_key.child, v_key.parent),
                'Restore the missing rows from a backup.';
        end if;
    end loop;

    return query
    select
        'error', 'amendment ' || amendment.amendment_id, 'does not agree with its verdict',
        'One of the two was changed: compare them with a backup.'
    from pgjobs.amendment as amendment
    join pgjobs.verdict as verdict on verdict.job_id = amendment.job_id
    where (amendment.completed_at, amendment.verdict_status)
        is distinct from (verdict.completed_at, verdict.status)
    limit 100;

    return query
    select
        'error', 'artifact ' || artifact.artifact_id,
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
    limit 100;

    return query
    select
        'error', 'sequence pgjobs.' || used.name, 'gives ids that are taken',
        format('select setval(%L, %s)', 'pgjobs.' || used.name, used.highest)
    from (
        select
            'lab_attempt_attempt_id_seq', sequence.last_value + sequence.is_called::integer,
            (select max(attempt.attempt_id) from pgjobs.lab_attempt as attempt)
        from pgjobs.lab_attempt_attempt_id_seq as sequence
        union all
        select
            'job_job_id_seq', sequence.last_value + sequence.is_called::integer,
            greatest(
                (select max(job.job_id) from pgjobs.job as job),
                (select max(review.review_id) from pgjobs.review as review)
            )
        from pgjobs.job_job_id_seq as sequence
        union all
        select
            'amendment_amendment_id_seq', sequence.last_value + sequence.is_called::integer,
            (select max(amendment.amendment_id) from pgjobs.amendment as amendment)
        from pgjobs.amendment_amendment_id_seq as sequence
        union all
        select
            'artifact_artifact_id_seq', sequence.last_value + sequence.is_called::integer,
            (select max(artifact.artifact_id) from pgjobs.artifact as artifact)
        from pgjobs.artifact_artifact_id_seq as sequence
        union all
        select
            'body_body_id_seq', sequence.last_value + sequence.is_called::integer,
            (select max(artifact.body_id) from pgjobs.artifact as artifact)
        from pgjobs.body_body_id_seq as sequence
        union all
        select
            'ready_no', sequence.last_value + sequence.is_called::integer,
            (select max(head.ready_no) from pgjobs.head as head)
        from pgjobs.ready_no as sequence
    ) as used (name, next, highest)
    where used.highest >= used.next;
end
$$;
comment on function pgjobs._verify_ledger is
    'Rows whose foreign key leads nowhere, amendments that do not agree with their verdict, '
    'content that is gone without an expiry, and sequences that are behind.';


create function pgjobs._verify_server()
    returns setof pgjobs.finding
    language plpgsql
    stable
    security invoker
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
    select 'warning', 'setting ' || risk.name, 'is ' || setting.reset_val, risk.hint
    from (
        values
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
        'alter … reset ' || split_part(setting.value, '=', 1)
    from pg_db_role_setting as scope
    cross join lateral unnest(scope.setconfig) as setting (value)
    where scope.setdatabase in (
            0, (select oid from pg_database where datname = current_database())
        )
        and setting.value in (
            'synchronous_commit=off', 'session_replication_role=replica',
            'session_replication_role=local'
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
        'PUBLIC may ' || string_agg(
            lower(acl.privilege_type), ' and ' order by acl.privilege_type
        ),
        'No dump without --create has the lockdown of docs/security.md: revoke … from public'
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
        'is not in use, and keeps WAL and dead rows', 'select pg_drop_replication_slot(…)'
    from pg_replication_slots as slot
    where not slot.active
    union all
    select
        'warning', 'database ' || current_database(),
        'has used more than 80 % of its transaction ids', 'Let vacuum finish: end old snapshots.'
    from pg_database as database
    where database.datname = current_database() and age(database.datfrozenxid) > 1717986918;
end
$$;
comment on function pgjobs._verify_server is
    'Sequences that are nearly used up, settings that lose data, and what keeps vacuum from its '
    'work.';
