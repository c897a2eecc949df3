create type pgjobs.session_link as (
    state text,
    orphans bigint,
    examples uuid[]
);
comment on type pgjobs.session_link is
    'Answer of link_lab_sessions: examples are at most ten of the orphans.';


-- The one place with dynamic SQL: the host's table has no name before an operator gives it. Its row
-- policies would run as our owner; with row_security off a table that has them is refused (42501).
create function pgjobs.link_lab_sessions(
    target regclass default to_regclass('public."LabSession"')
)
    returns pgjobs.session_link
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
    -- Two locks are waited for at most, one behind the other: a second in all.
    set lock_timeout = '500ms'
    set row_security = off
as $$
declare
    v_schema oid;
    v_table text;
    v_link pg_constraint;
    v_orphans bigint;
    v_examples uuid[];
begin
    if target is null then
        perform pgjobs._refuse_argument(
            'link_lab_sessions', 'target', rule => 'a table that exists'
        );
    end if;
    select namespace.oid, format('%I.%I', namespace.nspname, class.relname)
    into v_schema, v_table
    from pg_class as class
    join pg_namespace as namespace on namespace.oid = class.relnamespace
    where class.oid = target
        and class.relkind = 'r'
        and exists (
            select from pg_index as index
            join pg_attribute as attribute on attribute.attrelid = index.indrelid
                and attribute.attnum = index.indkey[0]
            where index.indrelid = class.oid and index.indnkeyatts = 1 and index.indpred is null
                and index.indisunique and index.indisvalid and index.indimmediate
                and attribute.attname = 'id' and attribute.atttypid = 'uuid'::regtype
        );
    if v_table is null then
        perform pgjobs._refuse_argument(
            'link_lab_sessions', 'target', jsonb_build_object('target', target::text),
            rule => 'an ordinary table with a uuid key "id"'
        );
    end if;
    if not has_schema_privilege(v_schema, 'usage')
        or not has_column_privilege(target, 'id', 'select')
        or not has_column_privilege(target, 'id', 'references')
    then
        raise exception '% may not refer to %', current_user, v_table
            using errcode = '42501', schema = 'pgjobs', table = 'link_lab_sessions',
                  column = 'target', constraint = 'link_lab_sessions_target_check',
                  hint = format(
                      'grant usage on schema %1$s to %3$I; '
                      'grant select (id), references (id) on %2$s to %3$I;',
                      v_schema::regnamespace, v_table, current_user
                  );
    end if;

    select link.* into v_link
    from pg_constraint as link
    where link.conrelid = 'pgjobs.lab_attempt'::regclass
        and link.conname = 'lab_attempt_session_id_fkey';
    if v_link.oid is null then
        execute format(
            'alter table pgjobs.lab_attempt add constraint lab_attempt_session_id_fkey '
            'foreign key (session_id) references %s (id) not valid',
            v_table
        );
        comment on constraint lab_attempt_session_id_fkey on pgjobs.lab_attempt is
            'The session is one of the host''s; made by link_lab_sessions.';
        return ('added', null, '{}')::pgjobs.session_link;
    end if;
    if v_link.confrelid <> target then
        perform pgjobs._refuse_argument(
            'link_lab_sessions', 'target', jsonb_build_object('target', target::text),
            rule => 'the linked table; unlink_lab_sessions() undoes the link'
        );
    end if;
    if v_link.convalidated then
        return ('linked', 0, '{}')::pgjobs.session_link;
    end if;

    execute format(
        'with orphan as materialized ('
        'select distinct session_id from pgjobs.lab_attempt as attempt '
        'where not exists (select from only %s as session where session.id = attempt.session_id)'
        ') '
        'select count(*), array(select session_id from orphan order by session_id limit 10) '
        'from orphan',
        v_table
    ) into v_orphans, v_examples;
    if v_orphans > 0 then
        return ('orphans', v_orphans, v_examples)::pgjobs.session_link;
    end if;
    alter table pgjobs.lab_attempt validate constraint lab_attempt_session_id_fkey;
    return ('validated', 0, '{}')::pgjobs.session_link;
end
$$;
comment on function pgjobs.link_lab_sessions is
    'Lets attempts refer to the host''s sessions by a foreign key to target (id), one step a call '
    'and a transaction: added (for new attempts), orphans (sessions with attempts that target does '
    'not have; nothing was done), validated, linked (nothing to do). Errors: 22004, 22023, 42501, '
    '55P03 after half a second of waiting for a lock.';


create function pgjobs.unlink_lab_sessions()
    returns boolean
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
    -- Two locks are waited for at most, one behind the other: a second in all.
    set lock_timeout = '500ms'
as $$
begin
    if not exists (
        select from pg_constraint as link
        where link.conrelid = 'pgjobs.lab_attempt'::regclass
            and link.conname = 'lab_attempt_session_id_fkey'
    ) then
        return false;
    end if;
    alter table pgjobs.lab_attempt drop constraint lab_attempt_session_id_fkey;
    return true;
end
$$;
comment on function pgjobs.unlink_lab_sessions is
    'Drops the foreign key of link_lab_sessions and answers whether there was one. Errors: 55P03 '
    'after half a second of waiting for a lock.';
