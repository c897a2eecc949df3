-- Grants, on one page: callers may execute the functions of their role and read the views, nothing
-- else; PUBLIC has nothing. Functions run as their owner, so no caller needs a right on a table.
-- Each part ends with this page, which grants what is there by then.
revoke all on schema pgjobs from public;
revoke all on all tables in schema pgjobs from public;
revoke all on all sequences in schema pgjobs from public;
revoke all on all functions in schema pgjobs from public;

do $$
declare
    c_app constant text[] := array[
        'enqueue', 'enqueue_many', 'record_attempt', 'get_job', 'wake',
        'is_passed', 'timeline', 'why_waiting'
    ];
    c_worker constant text[] := array[
        'claim', 'heartbeat', 'complete', 'complete_many', 'complete_and_claim', 'release',
        'add_artifact'
    ];
    c_reader constant text[] := array[
        'is_passed', 'timeline', 'why_waiting', 'read_artifact',
        'verification_job', 'verification_verdict', 'verification_run', 'verification_attempt',
        'verification_artifact', 'verification_amendment', 'verification_review',
        'backfill_report'
    ];
    c_operator constant text[] := c_reader || array[
        'cancel', 'rescue', 'wake', 'amend', 'reverify', 'expire_artifacts', 'expire_details',
        'backfill_verification_log', 'backfill_reconcile', 'link_lab_sessions',
        'unlink_lab_sessions', 'verify', 'verify_bodies'
    ];
    v_type regtype;
    v_role text;
    v_names text[];
    v_object text;
begin
    for v_type in
        select type.oid
        from pg_type as type
        left join pg_class as relation on relation.oid = type.typrelid
        where type.typnamespace = 'pgjobs'::regnamespace
            and (type.typtype = 'd' or relation.relkind = 'c')
    loop
        execute format('revoke all on type %s from public', v_type);
    end loop;

    if to_regrole('pgjobs_app') is null
        or to_regrole('pgjobs_worker') is null
        or to_regrole('pgjobs_reader') is null
        or to_regrole('pgjobs_operator') is null
    then
        raise notice 'installed without the group roles; % owns everything', current_user
            using hint = 'Create pgjobs_app, pgjobs_worker, pgjobs_reader and pgjobs_operator and '
                         'run sql/grants.sql, or grant the same to other roles.';
        return;
    end if;
    grant usage on schema pgjobs to pgjobs_app, pgjobs_worker, pgjobs_reader, pgjobs_operator;
    foreach v_role in array array['app', 'worker', 'reader', 'operator'] loop
        v_names := case v_role
            when 'app' then c_app when 'worker' then c_worker
            when 'reader' then c_reader when 'operator' then c_operator
        end;
        for v_object in
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
