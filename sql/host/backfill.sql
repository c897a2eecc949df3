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
