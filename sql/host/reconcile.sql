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
