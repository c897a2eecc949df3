-- What the backfill reads of the host, and the two hashes by which it can be checked later. The
-- host's tables are named in bodies only, which are planned when they run: so these install where
-- the tables do not exist.

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
    session_status text
)
    returns text
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return case
        when pgjobs._is_commit_sha(commit_sha) is not true then 'BAD_COMMIT_SHA'
        when isfinite(verified_at) is not true then 'BAD_TIME'
        when pgjobs._is_text(lab_version) is not true then 'BAD_LAB_VERSION'
        when session_status = 'VERIFIED_PASS' then 'VERIFIED_PASS'
        else 'BACKFILL_UNKNOWN'
    end;
end
$$;
comment on function pgjobs._log_reason is
    'What a log comes to by itself; only another job of its commit can still make it '
    'COMMIT_HAS_JOB.';


-- In the order in which "the first of a commit" is meant. There is no index for it, and none is
-- put on the host's table: every call reads the logs once.
create function pgjobs._next_logs(max_logs integer)
    returns setof pgjobs.backfill_log
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    select
        log.id,
        log."sessionId",
        case when reason.outcome <> 'SKIPPED' then log."commitSha" end,
        log."verifiedAt" at time zone 'UTC',
        lab."repoVersion"::text,
        session.status::text,
        num_nonnulls(log."prDiff", log."ciOutput"),
        reason.outcome,
        reason.reason
    from (
        select log.*
        from public."VerificationLog" as log
        where not exists (select from pgjobs.backfill as done where done.log_id = log.id)
        order by log."verifiedAt", log.id
        limit max_logs
    ) as log
    left join public."LabSession" as session on session.id = log."sessionId"
    left join public."Lab" as lab on lab.id = session."labId"
    cross join lateral (
        select
            found.reason,
            case
                when found.reason in ('BAD_COMMIT_SHA', 'BAD_TIME') then 'SKIPPED'
                when found.reason = 'BAD_LAB_VERSION' then 'ATTEMPT'
                else 'JOB'
            end as outcome
        from (
            select pgjobs._log_reason(
                log."commitSha", log."verifiedAt", lab."repoVersion", session.status::text
            ) as reason
            offset 0
        ) as found
        offset 0
    ) as reason;
end
$$;
comment on function pgjobs._next_logs is
    'The first max_logs logs that the backfill has not looked at, all of them for null.';


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


create function pgjobs._log_sha256(log_id uuid)
    returns bytea
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return sha256(
        convert_to(
            json_build_array(
                log.id, log."sessionId", log."commitSha", log."verifiedAt",
                encode(sha256(convert_to(log."prDiff", 'UTF8')), 'hex'),
                encode(sha256(convert_to(log."ciOutput", 'UTF8')), 'hex')
            )::text,
            'UTF8'
        )
    )
    from public."VerificationLog" as log
    where log.id = _log_sha256.log_id;
end
$$;
comment on function pgjobs._log_sha256 is 'SHA-256 of a log; null when it is not there.';


-- No value is written as the session would show it: times as seconds, bytes as hex.
create function pgjobs._ledger_sha256(attempt_id bigint, job_id bigint)
    returns bytea
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return sha256(
        convert_to(
            json_build_array(
                (
                    select json_build_array(
                        attempt.attempt_id, attempt.session_id, attempt.commit_sha,
                        extract(epoch from attempt.recorded_at), attempt.delivery_id,
                        extract(epoch from attempt.pushed_at), encode(attempt.detail_sha256, 'hex')
                    )
                    from pgjobs.lab_attempt as attempt
                    where attempt.attempt_id = _ledger_sha256.attempt_id
                ),
                (
                    select json_build_array(
                        job.job_id, job.session_id, job.commit_sha, job.lab_version, job.priority,
                        job.max_runs, extract(epoch from job.created_at),
                        extract(epoch from job.available_at), encode(job.payload_sha256, 'hex')
                    )
                    from pgjobs.job as job
                    where job.job_id = _ledger_sha256.job_id
                ),
                (
                    select json_build_array(
                        extract(epoch from verdict.completed_at),
                        extract(epoch from verdict.started_at), verdict.lease_token,
                        verdict.run_no, verdict.status, verdict.worker, verdict.error_reason,
                        verdict.error_detail, verdict.actor, encode(verdict.summary_sha256, 'hex'),
                        verdict.login, verdict.origin
                    )
                    from pgjobs.verdict as verdict
                    where verdict.job_id = _ledger_sha256.job_id
                ),
                (
                    select json_agg(
                        json_build_array(
                            artifact.artifact_id, extract(epoch from artifact.created_at),
                            artifact.size_bytes, artifact.body_id, artifact.inline_bytes,
                            artifact.artifact_no, artifact.truncated, artifact.kind, artifact.name,
                            artifact.media_type, artifact.location, encode(artifact.sha256, 'hex')
                        )
                        order by artifact.artifact_no
                    )
                    from pgjobs.artifact as artifact
                    where artifact.job_id = _ledger_sha256.job_id and artifact.run_no = 0
                )
            )::text,
            'UTF8'
        )
    );
end
$$;
comment on function pgjobs._ledger_sha256 is
    'SHA-256 of an attempt, and of a job with its verdict and its artifacts without a run.';
