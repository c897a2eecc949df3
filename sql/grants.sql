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
