-- What verify() finds wrong around the schema: roles that can do too much, and the server.

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
