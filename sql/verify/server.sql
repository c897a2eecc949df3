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
