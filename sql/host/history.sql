-- What the backfill reads of the host. Bodies are planned when they run: so these install where the
-- host's tables do not exist.

create function pgjobs._check_host()
    returns void
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_table text;
begin
    foreach v_table in array array['"VerificationLog"', '"LabSession"', '"Lab"'] loop
        if to_regnamespace('public') is null then
            perform pgjobs._refuse('host_table_missing', v_table);
        elsif not has_schema_privilege('public', 'usage') then
            perform pgjobs._refuse('host_table_closed', v_table);
        elsif to_regclass('public.' || v_table) is null then
            perform pgjobs._refuse('host_table_missing', v_table);
        elsif not has_table_privilege(to_regclass('public.' || v_table), 'select') then
            perform pgjobs._refuse('host_table_closed', v_table);
        end if;
    end loop;
end
$$;
comment on function pgjobs._check_host is
    'Refuses with 42P01 where a table of the host is missing, with 42501 where it is closed to us.';


create function pgjobs._log_reason(
    commit_sha text,
    verified_at timestamp,
    lab_version text,
    session_status text,
    as_of timestamptz
)
    returns text
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return case
        when pgjobs._is_commit_sha(commit_sha) is not true then 'BAD_COMMIT_SHA'
        when (
            verified_at >= timestamp '0001-01-01'
            and verified_at <= as_of at time zone 'UTC' + interval '1 day'
        ) is not true then 'BAD_TIME'
        when pgjobs._is_text(lab_version) is not true then 'BAD_LAB_VERSION'
        when session_status = 'VERIFIED_PASS' then 'VERIFIED_PASS'
        else 'BACKFILL_UNKNOWN'
    end;
end
$$;
comment on function pgjobs._log_reason is
    'What a log comes to by itself, at the time as_of; only another job of its commit can still '
    'make it COMMIT_HAS_JOB.';


-- A session can pass a while after its log was written, and another session's log of the same
-- commit may say more. So a young log waits, and with it those of its commit that say nothing.
create function pgjobs._waiting_logs(settle interval, as_of timestamptz)
    returns uuid[]
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_now constant timestamp := as_of at time zone 'UTC';
    v_ahead constant timestamp := v_now + interval '1 day';
    v_settled constant timestamp := case extract(epoch from settle)
        when 0 then v_ahead else v_now - make_interval(secs => extract(epoch from settle))
    end;
begin
    return array(
        with young as materialized (
            select log.id, log."commitSha" as commit_sha
            from public."VerificationLog" as log
            where log."verifiedAt" > v_settled and log."verifiedAt" <= v_ahead
                and not exists (select from pgjobs.backfill as done where done.log_id = log.id)
        )
        select young.id from young
        union
        select log.id
        from public."VerificationLog" as log
        join young on young.commit_sha = log."commitSha" and pgjobs._is_commit_sha(young.commit_sha)
        left join public."LabSession" as session on session.id = log."sessionId"
        where session.status::text is distinct from 'VERIFIED_PASS'
            and not exists (select from pgjobs.backfill as done where done.log_id = log.id)
    );
end
$$;
comment on function pgjobs._waiting_logs is
    'The logs that are not to be moved yet: younger than settle at the time as_of, 0 s for none, '
    'or of an unknown outcome and of the commit of one.';


-- Those that passed are taken first, so that the job of a commit is theirs, whatever the times. No
-- index serves this, and none is put on the host's tables: every call reads them.
create function pgjobs._next_logs(max_logs integer, waiting uuid[], as_of timestamptz)
    returns setof pgjobs.backfill_log
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
declare
    c_job constant text[] := '{VERIFIED_PASS,BACKFILL_UNKNOWN}';
    c_skipped constant text[] := '{BAD_COMMIT_SHA,BAD_TIME}';
begin
    return query
    -- The texts, as far as they lie in the row, stay out of the join.
    with log as (
        select
            log.id, log."sessionId" as session_id, log."commitSha" as commit_sha,
            log."verifiedAt" as verified_at, num_nonnulls(log."prDiff", log."ciOutput") as texts
        from public."VerificationLog" as log
        where not exists (select from pgjobs.backfill as done where done.log_id = log.id)
            and not exists (select from unnest(waiting) as id where id = log.id)
        offset 0
    ),
    next as (
        select
            log.*, session."labId" as lab_id, session.status::text as session_status,
            session.status::text is distinct from 'VERIFIED_PASS' as is_unknown
        from log
        left join public."LabSession" as session on session.id = log.session_id
        order by is_unknown, log.verified_at, log.id
        limit max_logs
    ),
    alone as (
        select next.*, lab."repoVersion"::text as lab_version, own.reason as own_reason
        from next
        left join public."Lab" as lab on lab.id = next.lab_id
        cross join lateral (
            select pgjobs._log_reason(
                next.commit_sha, next.verified_at, lab."repoVersion", next.session_status, as_of
            ) as reason
            offset 0
        ) as own
    )
    select
        log.id, log.session_id, case when log.reason <> all (c_skipped) then log.commit_sha end,
        log.verified_at at time zone 'UTC', log.lab_version, log.session_status, log.texts,
        case
            when log.reason = any (c_job) then 'JOB'
            when log.reason = any (c_skipped) then 'SKIPPED'
            else 'ATTEMPT'
        end,
        log.reason
    from (
        select
            alone.*,
            case
                when alone.own_reason = any (c_job) and (
                    row_number() over (
                        partition by alone.commit_sha, alone.own_reason = any (c_job)
                        order by alone.is_unknown, alone.verified_at, alone.id
                    ) > 1
                    or exists (
                        select from pgjobs.job as job
                        where job.commit_sha = alone.commit_sha
                        offset 0
                    )
                ) then 'COMMIT_HAS_JOB'
                else alone.own_reason
            end as reason
        from alone
    ) as log
    order by log.verified_at, log.id;
end
$$;
comment on function pgjobs._next_logs is
    'The next max_logs logs that the backfill has not looked at and that do not wait, all of them '
    'for null, with what each comes to, in the order of their times.';


create function pgjobs._log_content(value text)
    returns bytea
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
declare
    c_most constant integer := 1048576;
    v_content bytea := convert_to(value, 'UTF8');
    v_end integer := c_most;
begin
    if octet_length(v_content) <= c_most then
        return v_content;
    end if;
    -- A byte 10xxxxxx goes on with a character, which is not to be cut in two.
    while get_byte(v_content, v_end) & 192 = 128 loop
        v_end := v_end - 1;
    end loop;
    return substring(v_content from 1 for v_end);
end
$$;
comment on function pgjobs._log_content is
    'A text of a log as the content of an artifact: its first MiB, whole characters.';
