-- Immutability, on one page. The ledger's rows never change. The rows of the detail tables never
-- change either, but may go, when their expiry is on record. What would break this raises 23V01 for
-- every role, the owner included, and in every session_replication_role, since the triggers of the
-- tables are enabled ALWAYS. An UPDATE or DELETE meets a row trigger, since a logical replication
-- apply fires no others, and BEFORE, so that no foreign key action comes first and shows keys.
-- TRUNCATE meets a statement trigger. The views are read-only: a write to one raises 23V01, or does
-- nothing where session_replication_role is replica.
create function pgjobs._guard_ledger()
    returns trigger
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception '% of pgjobs.% refused: the ledger is append-only', lower(tg_op), tg_table_name
        using errcode = '23V01', schema = tg_table_schema, table = tg_table_name,
              constraint = tg_name,
              hint = 'Ledger rows are never changed. A new commit gets a job of its own.';
end
$$;
comment on function pgjobs._guard_ledger is
    'Trigger: refuses with 23V01 every UPDATE and DELETE of a ledger row, every TRUNCATE of a '
    'ledger or detail table, and every write to a view.';


-- The trigger names the kind of expiry, as its argument.
create function pgjobs._guard_detail()
    returns trigger
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_id bigint;
begin
    if tg_op = 'DELETE' then
        if tg_argv[0] = 'BODY' then
            v_id := old.body_id;
        elsif tg_argv[0] = 'ATTEMPT' then
            v_id := old.attempt_id;
        elsif tg_argv[0] = 'REVIEW' then
            v_id := old.review_id;
        else
            v_id := old.job_id;
        end if;
        if pgjobs._has_expired(tg_argv[0], v_id) then
            return old;
        end if;
    end if;
    raise exception '% of pgjobs.% refused: only what has expired goes, and nothing changes',
        lower(tg_op), tg_table_name
        using errcode = '23V01', schema = tg_table_schema, table = tg_table_name,
              constraint = tg_name,
              hint = 'Retention is expire_artifacts, expire_details and erase_session.';
end
$$;
comment on function pgjobs._guard_detail is
    'Trigger: refuses every UPDATE of a detail row, and every DELETE whose expiry is not on '
    'record, with 23V01.';


do $$
declare
    v_name text;
    v_kind text;
begin
    for v_name, v_kind in
        select guarded.name, guarded.kind
        from (
            values
                ('lab_attempt', null), ('job', null), ('verdict', null), ('aborted_run', null),
                ('review', null), ('review_result', null), ('amendment', null),
                ('artifact', null), ('expiry', null), ('hold', null), ('backfill', null),
                ('attempt_detail', 'ATTEMPT'), ('job_payload', 'PAYLOAD'),
                ('verdict_summary', 'SUMMARY'), ('review_summary', 'REVIEW'), ('body', 'BODY')
        ) as guarded (name, kind)
    loop
        execute format(
            'create trigger %1$s_append_only before update or delete on pgjobs.%1$s '
            'for each row execute function pgjobs.%2$s; '
            'create trigger %1$s_no_truncate before truncate on pgjobs.%1$s '
            'for each statement execute function pgjobs._guard_ledger(); '
            'alter table pgjobs.%1$s enable always trigger %1$s_append_only; '
            'alter table pgjobs.%1$s enable always trigger %1$s_no_truncate',
            v_name,
            case when v_kind is null then '_guard_ledger()'
                else format('_guard_detail(%L)', v_kind) end
        );
    end loop;
    foreach v_name in array array[
        'verification_attempt', 'verification_verdict', 'verification_job', 'verification_run',
        'verification_artifact', 'verification_amendment', 'verification_review',
        'verification_hold'
    ] loop
        execute format(
            'create trigger %1$s_read_only instead of insert or update or delete on pgjobs.%1$s '
            'for each row execute function pgjobs._guard_ledger()',
            v_name
        );
    end loop;
end
$$;
