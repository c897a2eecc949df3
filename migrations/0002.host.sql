-- The host's part: moves its history into the ledger, and links its sessions.
-- depends: 0001.ledger
--
-- For the operator: adds functions and a view. A host without "VerificationLog", "LabSession" and
-- "Lab" may leave it out: forgea-pgjobs migrate --without 0002.host.
-- Locks on what exists: ACCESS SHARE on pgjobs.backfill, pgjobs.lab_attempt, the views; ROW
-- EXCLUSIVE on pgjobs.migration.
-- With psql alone: psql -v ON_ERROR_STOP=1 -f migrations/0002.host.sql

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


-- The host that stood here before: its history, and a foreign key to its sessions.


create type pgjobs.backfilled as (
    seen bigint,
    attempts bigint,
    jobs bigint,
    artifacts bigint,
    skipped bigint,
    waiting bigint
);
comment on type pgjobs.backfilled is
    'Answer of backfill_verification_log: logs looked at, rows made, logs that gave no job, and '
    'logs left for a later call because they may still change their meaning.';


create type pgjobs.backfill_log as (
    log_id uuid,
    session_id uuid,
    commit_sha text,
    verified_at timestamptz,
    lab_version text,
    session_status text,
    artifacts integer,
    outcome text,
    reason text
);
comment on type pgjobs.backfill_log is
    'A log of the host, and what it comes to; commit_sha is null when it is skipped.';


-- backfill_report: what became of every log that the backfill has looked at.
create view pgjobs.backfill_report as
select
    backfill.log_id,
    backfill.session_id,
    backfill.outcome,
    backfill.reason,
    backfill.attempt_id,
    backfill.job_id,
    attempt.commit_sha,
    backfill.backfilled_at,
    backfill.login
from pgjobs.backfill as backfill
left join pgjobs.lab_attempt as attempt on attempt.attempt_id = backfill.attempt_id;

comment on view pgjobs.backfill_report is
    'What became of every log of the host: a JOB, an ATTEMPT without a job of its own, or SKIPPED; '
    'and why. Read-only.';

create trigger backfill_report_read_only instead of insert or update or delete
    on pgjobs.backfill_report for each row execute function pgjobs._guard_ledger();


-- One batch of the host's history, in one transaction; a row of backfill says that a log is done,
-- and is there exactly when its ledger rows are. So a call that dies leaves nothing, and the next
-- one goes on where it was.
--
-- The races. Two calls take turns: the lock on backfill comes first, and the statement after it
-- sees what the other one did. That statement asks which logs wait and which are next as of one
-- snapshot, so that a log which is written meanwhile is neither. A live push may be at the same
-- commit: unique indexes decide, on conflict waits for the rival, and what it has left counts.
-- Attempts come before jobs, jobs in the order of their commits, as enqueue and enqueue_many take
-- them; lanes are never touched, a backfilled job being finished when it appears. Above READ
-- COMMITTED the snapshot would be older than the lock.
create function pgjobs.backfill_verification_log(
    batch_size integer default 1000,
    dry_run boolean default true,
    settle interval default '1 day',
    with_bodies boolean default true
)
    returns pgjobs.backfilled
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
    -- A policy that hides logs from us is an error, not a shorter history.
    set row_security = off
as $$
declare
    v_bad constant text := case
        when (batch_size between 1 and 10000) is not true then 'batch_size'
        when dry_run is null then 'dry_run'
        when not pgjobs._is_duration(settle, 0, 2592000) then 'settle'
        when with_bodies is null then 'with_bodies'
    end;
    v_now timestamptz;
    v_waiting bigint;
    v_logs pgjobs.backfill_log[];
    v_job_ids bigint[];
    v_attempts bigint;
    v_jobs bigint;
    v_artifacts bigint;
    v_backfilled pgjobs.backfilled;
begin
    if v_bad is not null then
        perform pgjobs._refuse_argument(
            'backfill_verification_log', v_bad,
            jsonb_build_object('batch_size', batch_size, 'settle', settle)
        );
    end if;
    if current_setting('transaction_isolation') <> 'read committed' then
        perform pgjobs._refuse('isolation_too_high', 'backfill_verification_log');
    end if;
    perform pgjobs._check_host();

    if dry_run then
        v_now := clock_timestamp();
        with waiting as materialized (
            select pgjobs._waiting_logs(settle, v_now) as ids
        ),
        log as materialized (
            select log.*
            from waiting
            cross join lateral pgjobs._next_logs(null, waiting.ids, v_now) as log
        ),
        attempt as (
            select distinct log.session_id, log.commit_sha
            from log
            where log.outcome <> 'SKIPPED'
                and not exists (
                    select from pgjobs.lab_attempt as attempt
                    where attempt.session_id = log.session_id
                        and attempt.commit_sha = log.commit_sha
                )
        )
        select
            count(*),
            (select count(*) from attempt),
            count(*) filter (where log.outcome = 'JOB'),
            coalesce(sum(log.artifacts) filter (where log.outcome = 'JOB'), 0),
            count(*) filter (where log.outcome <> 'JOB'),
            (select cardinality(waiting.ids) from waiting)
        into v_backfilled
        from log;
        return v_backfilled;
    end if;

    lock table pgjobs.backfill in share row exclusive mode;
    v_now := clock_timestamp();
    with waiting as materialized (
        select pgjobs._waiting_logs(settle, v_now) as ids
    )
    select
        cardinality(waiting.ids),
        array(select log from pgjobs._next_logs(batch_size, waiting.ids, v_now) as log)
    into v_waiting, v_logs
    from waiting;

    insert into pgjobs.lab_attempt (session_id, commit_sha, recorded_at, pushed_at)
    select log.session_id, log.commit_sha, log.verified_at, log.verified_at
    from unnest((select v_logs)) as log
    where log.outcome <> 'SKIPPED'
    on conflict do nothing;
    get diagnostics v_attempts = row_count;

    with numbered as (
        select log.*, nextval('pgjobs.job_job_id_seq') as job_id
        from unnest((select v_logs)) as log
        where log.outcome = 'JOB'
    ),
    job as (
        insert into pgjobs.job (
            job_id, session_id, commit_sha, lab_version, priority, max_runs, created_at
        )
        overriding system value
        select
            numbered.job_id, numbered.session_id, numbered.commit_sha, numbered.lab_version, 2, 3,
            numbered.verified_at
        from numbered
        order by numbered.commit_sha
        on conflict do nothing
        returning job_id
    )
    select array_agg(job.job_id), count(*) into v_job_ids, v_jobs from job;

    insert into pgjobs.verdict (
        job_id, completed_at, run_no, status, error_reason, error_detail, login, origin
    )
    select
        job.job_id, job.created_at, 0,
        case log.reason when 'VERIFIED_PASS' then 'PASSED' else 'ERROR' end,
        nullif(log.reason, 'VERIFIED_PASS'),
        case when log.reason <> 'VERIFIED_PASS' then
            'The lab session was ' || coalesce(log.session_status, 'without a status')
            || ': the outcome is not known.'
        end,
        session_user, 'BACKFILL'
    from unnest((select v_logs)) as log
    cross join lateral (
        select job.*
        from pgjobs.job as job
        where job.commit_sha = log.commit_sha and job.session_id = log.session_id
        offset 0
    ) as job
    where log.outcome = 'JOB' and job.job_id = any (v_job_ids);

    -- Bodies are taken in the order of their hashes; the texts themselves are not sorted.
    insert into pgjobs.artifact (
        job_id, created_at, size_bytes, body_id, inline_bytes, run_no, artifact_no, truncated,
        kind, name, media_type, location, sha256, original_size_bytes, original_sha256
    )
    select
        text.job_id, text.created_at, text.size_bytes,
        case when with_bodies then
            pgjobs._keep_body(pgjobs._log_content(text.value), text.sha256)
        end,
        text.inline_bytes, 0, text.artifact_no, text.is_cut, text.kind, text.name,
        'text/plain; charset=utf-8',
        case when not with_bodies then 'VerificationLog/' || text.log_id || '/' || text.field end,
        text.sha256,
        case when text.is_cut then octet_length(text.value) end,
        case when text.is_cut then sha256(convert_to(text.value, 'UTF8')) end
    from (
        select
            text.*,
            case when with_bodies then
                sum(text.size_bytes) over (partition by text.job_id order by text.artifact_no)
            else 0 end as inline_bytes
        from (
            select
                log.log_id, job.job_id, job.created_at, text.*,
                octet_length(content.content) as size_bytes, sha256(content.content) as sha256,
                octet_length(content.content) < octet_length(text.value) as is_cut
            from unnest((select v_logs)) as log
            cross join lateral (
                select job.*
                from pgjobs.job as job
                where job.commit_sha = log.commit_sha and job.session_id = log.session_id
                offset 0
            ) as job
            cross join lateral (
                select source.*
                from public."VerificationLog" as source
                where source.id = log.log_id
                offset 0
            ) as source
            cross join lateral (
                values
                    (1, 'DIFF', 'pr.diff', 'prDiff', source."prDiff"),
                    (2, 'LOG', 'ci-output.log', 'ciOutput', source."ciOutput")
            ) as text (artifact_no, kind, name, field, value)
            cross join lateral (
                select
                    case when with_bodies then pgjobs._log_content(text.value)
                        else convert_to(text.value, 'UTF8')
                    end as content
                offset 0
            ) as content
            where log.outcome = 'JOB' and job.job_id = any (v_job_ids) and text.value is not null
            offset 0
        ) as text
        order by text.sha256
        offset 0
    ) as text;
    get diagnostics v_artifacts = row_count;

    insert into pgjobs.backfill (
        log_id, session_id, attempt_id, job_id, backfilled_at, outcome, reason, login, log_sha256,
        ledger_sha256
    )
    select
        log.log_id, log.session_id, attempt.attempt_id, job.job_id, v_now,
        case when log.outcome = 'JOB' and job.job_id is null then 'ATTEMPT' else log.outcome end,
        case when log.outcome = 'JOB' and job.job_id is null
            then 'COMMIT_HAS_JOB' else log.reason
        end,
        session_user,
        pgjobs._log_sha256(log.log_id),
        pgjobs._ledger_sha256(attempt.attempt_id, job.job_id)
    from unnest((select v_logs)) as log
    left join lateral (
        select attempt.attempt_id
        from pgjobs.lab_attempt as attempt
        where attempt.session_id = log.session_id and attempt.commit_sha = log.commit_sha
        offset 0
    ) as attempt on true
    left join lateral (
        select job.job_id
        from pgjobs.job as job
        where log.outcome = 'JOB'
            and job.commit_sha = log.commit_sha
            and job.session_id = log.session_id
            and job.job_id = any (v_job_ids)
        offset 0
    ) as job on true;

    return (
        cardinality(v_logs), v_attempts, v_jobs, v_artifacts, cardinality(v_logs) - v_jobs,
        v_waiting
    )::pgjobs.backfilled;
end
$$;
comment on function pgjobs.backfill_verification_log is
    'Moves the next batch_size (1 to 10,000) logs of the host into the ledger: attempts, jobs with '
    'a verdict marked BACKFILL, artifacts (of hash, size and place alone with with_bodies = '
    'false), and a row of backfill_report each. Logs younger than settle (0 s to 30 days) wait. '
    'seen is 0 when nothing else is left; skipped counts the logs from which no job came. A dry '
    'run counts what all that is left would come to. Errors: 22023, 22004, 25000, 42P01, 42501.';


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


-- The two hashes by which a backfill can be checked later: of what was read, and of what it wrote.

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
                            artifact.media_type, artifact.location,
                            encode(artifact.sha256, 'hex'), artifact.original_size_bytes,
                            encode(artifact.original_sha256, 'hex')
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


create type pgjobs.backfill_check as (
    check_name text,
    expected text,
    actual text,
    ok boolean,
    log_ids uuid[]
);
comment on type pgjobs.backfill_check is
    'Answer of backfill_reconcile; log_ids are the first hundred logs that a check names one by '
    'one, else null.';


-- The host's history against the ledger, both read in full as of one moment: counts of what should
-- be there and is, and the hashes of what was read and written against those of what is there now.
create function pgjobs.backfill_reconcile(settle interval default '1 day')
    returns setof pgjobs.backfill_check
    language plpgsql stable security definer
    set search_path = pg_catalog, pg_temp
    set row_security = off
as $$
declare
    v_now constant timestamptz := clock_timestamp();
begin
    if not pgjobs._is_duration(settle, 0, 2592000) then
        perform pgjobs._refuse_argument(
            'backfill_reconcile', 'settle', jsonb_build_object('settle', settle)
        );
    end if;
    perform pgjobs._check_host();
    return query
    with report as materialized (
        select
            report.*,
            log."commitSha" as log_sha,
            log."verifiedAt" at time zone 'UTC' as log_time,
            pgjobs._log_reason(
                log."commitSha", log."verifiedAt", null, null, report.backfilled_at
            ) as log_reason,
            num_nonnulls(log."prDiff", log."ciOutput") as texts
        from pgjobs.backfill as report
        left join public."VerificationLog" as log on log.id = report.log_id
    ),
    finished as materialized (
        select report.*, job.job_id is not null as is_job, verdict.status as verdict_status
        from report
        left join pgjobs.job as job
            on job.job_id = report.job_id
            and job.session_id = report.session_id
            and job.commit_sha = report.log_sha
            and job.created_at = report.log_time
        left join pgjobs.verdict as verdict
            on verdict.job_id = report.job_id
            and verdict.origin = 'BACKFILL'
            and verdict.completed_at = report.log_time
        where report.outcome = 'JOB'
    ),
    result (check_name, expected, actual) as (
        select
            'logs that are in the report',
            count(*) - cardinality(pgjobs._waiting_logs(settle, v_now)),
            count(report.log_id)
        from public."VerificationLog" as log
        left join pgjobs.backfill as report on report.log_id = log.id
        union all
        select 'logs as they were, by hash',
            count(*),
            count(*) filter (where report.log_sha256 = pgjobs._log_sha256(report.log_id))
        from report
        union all
        select 'ledger rows as they were, by hash',
            count(*),
            count(*) filter (
                where report.ledger_sha256
                    = pgjobs._ledger_sha256(report.attempt_id, report.job_id)
            )
        from report
        union all
        select 'logs skipped for their form',
            count(*),
            count(*) filter (where report.log_reason = report.reason)
        from report
        where report.outcome = 'SKIPPED'
        union all
        select 'attempts of logs', count(*), count(attempt.attempt_id)
        from report
        left join pgjobs.lab_attempt as attempt
            on attempt.attempt_id = report.attempt_id
            and attempt.session_id = report.session_id
            and attempt.commit_sha = report.log_sha
        where report.outcome <> 'SKIPPED'
        union all
        select 'logs whose commit had a job', count(*), count(job.job_id)
        from report
        left join pgjobs.job as job on job.commit_sha = report.log_sha
        where report.reason = 'COMMIT_HAS_JOB'
        union all
        select 'jobs of logs', count(*), count(*) filter (where finished.is_job) from finished
        union all
        select 'verdicts PASSED',
            count(*),
            count(*) filter (where finished.verdict_status = 'PASSED')
        from finished
        where finished.reason = 'VERIFIED_PASS'
        union all
        select 'verdicts unknown',
            count(*),
            count(*) filter (where finished.verdict_status = 'ERROR')
        from finished
        where finished.reason = 'BACKFILL_UNKNOWN'
        union all
        select 'backfilled verdicts in all',
            count(*),
            (select count(*) from pgjobs.verdict as verdict where verdict.origin is not null)
        from finished
        union all
        select 'artifacts of logs, by hash',
            coalesce(sum(finished.texts), 0),
            (
                select count(*)
                from finished
                cross join lateral (
                    select log.*
                    from public."VerificationLog" as log
                    where log.id = finished.log_id
                    offset 0
                ) as log
                cross join lateral (
                    values ('pr.diff', log."prDiff"), ('ci-output.log', log."ciOutput")
                ) as text (name, value)
                cross join lateral (
                    select artifact.body_id, artifact.sha256
                    from pgjobs.artifact as artifact
                    where artifact.job_id = finished.job_id
                        and artifact.run_no = 0
                        and artifact.name = text.name
                        and artifact.created_at = finished.log_time
                        and coalesce(artifact.original_sha256, artifact.sha256)
                            = sha256(convert_to(text.value, 'UTF8'))
                    offset 0
                ) as artifact
                left join lateral (
                    select sha256(body.content) as sha256
                    from pgjobs.body as body
                    where body.body_id = artifact.body_id
                    offset 0
                ) as body on true
                where artifact.body_id is null
                    or body.sha256 = artifact.sha256
                    or exists (
                        select from pgjobs.expiry as expiry
                        where expiry.kind = 'BODY' and expiry.id = artifact.body_id
                    )
            )
        from finished
        union all
        select 'artifacts without a run in all',
            coalesce(sum(finished.texts), 0),
            (select count(*) from pgjobs.artifact as artifact where artifact.run_no = 0)
        from finished
    )
    select
        result.check_name, result.expected::text, result.actual::text,
        result.expected = result.actual,
        null::uuid[]
    from result
    union all
    -- Those that no amendment has answered.
    select
        'unknown, and its session is VERIFIED_PASS now', '0', count(*)::text, count(*) = 0,
        (array_agg(report.log_id order by report.log_id))[1:100]
    from report
    join public."LabSession" as session on session.id = report.session_id
    cross join lateral (
        select job.job_id from pgjobs.job as job where job.commit_sha = report.log_sha offset 0
    ) as job
    cross join lateral (
        select verdict.error_reason
        from pgjobs.verdict as verdict
        where verdict.job_id = job.job_id
        offset 0
    ) as verdict
    where session.status::text = 'VERIFIED_PASS'
        and verdict.error_reason = 'BACKFILL_UNKNOWN'
        and not exists (
            select from pgjobs.amendment as amendment where amendment.job_id = job.job_id
        );
end
$$;
comment on function pgjobs.backfill_reconcile is
    'Compares the host''s history with the report and the ledger, by count and by hash; every row '
    'is ok when all of it is there and nothing else, but for the logs that wait for settle (0 s '
    'to 30 days), and no session has passed since its outcome was unknown. Reads all of the '
    'history. Errors: 22023, 22004, 42P01, 42501.';


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


insert into pgjobs.migration (migration_id, checksum)
values ('0002.host', 'c56a2b720e0e2ab9efc4e7302d5007faad0219245e2f6a297913a860216407bb');


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
