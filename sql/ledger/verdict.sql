-- verdict: how a job ended. Guarantees: one per job (verdict_job_id_pkey), only PASSED, FAILED or
-- ERROR (verdict_status_check), a reason exactly for ERROR (verdict_error_reason_check), a worker's
-- lease behind every verdict a worker gave, and no run behind an expired job's
-- (verdict_lease_token_check), a mark on what the history of the host says, which had no run and is
-- never FAILED (verdict_origin_check), no change ever (the guards).
create table pgjobs.verdict (
    job_id bigint not null,
    completed_at timestamptz not null,
    started_at timestamptz,
    lease_token uuid,
    run_no smallint not null,
    status text collate "C" not null,
    worker text collate "C",
    error_reason text collate "C",
    error_detail text,
    actor text,
    summary_sha256 bytea,
    login text collate "C",
    origin text collate "C",
    constraint verdict_job_id_pkey primary key (job_id),
    constraint verdict_job_id_fkey foreign key (job_id) references pgjobs.job (job_id),
    constraint verdict_status_check check (status in ('PASSED', 'FAILED', 'ERROR')),
    constraint verdict_error_reason_check check (
        (status = 'ERROR') = (error_reason is not null)
        and error_reason in (
            'REPORTED', 'RUNS_EXHAUSTED', 'CANCELLED', 'EXPIRED', 'BACKFILL_UNKNOWN'
        )
    ),
    constraint verdict_lease_token_check check (
        case
            when origin is not null then actor is null and lease_token is null
            when error_reason = 'CANCELLED' then actor is not null and login is not null
            when error_reason = 'RUNS_EXHAUSTED' then actor is null and lease_token is null
            when error_reason = 'EXPIRED'
                then num_nonnulls(actor, lease_token, started_at, worker) = 0 and run_no = 0
            else actor is null and lease_token is not null
        end
        and (lease_token is null or (worker is not null and started_at is not null and run_no > 0))
    ),
    constraint verdict_origin_check check (
        case
            when origin is null then error_reason is distinct from 'BACKFILL_UNKNOWN'
            else origin = 'BACKFILL'
                and run_no = 0
                and num_nonnulls(started_at, worker, summary_sha256) = 0
                and login is not null
                and case status
                    when 'PASSED' then error_detail is null
                    when 'ERROR' then error_reason = 'BACKFILL_UNKNOWN' and error_detail is not null
                    else false
                end
        end
    )
);

-- Serves "the newest 50 FAILED" and counts per status over a time.
create index verdict_status_completed_at_idx on pgjobs.verdict (status, completed_at);
-- Serves the count of dead letters; no plain job has an entry.
create index verdict_job_id_idx on pgjobs.verdict (job_id) where error_reason = 'RUNS_EXHAUSTED';

comment on table pgjobs.verdict is 'Ledger: how a job ended, written once.';
comment on column pgjobs.verdict.started_at is
    'When the latest run started; null where there was none.';
comment on column pgjobs.verdict.lease_token is
    'The lease of the run that this verdict ended; null where it ended none.';
comment on column pgjobs.verdict.run_no is 'How many runs the job has had.';
comment on column pgjobs.verdict.worker is
    'The worker of the latest run; null where there was none.';
comment on column pgjobs.verdict.error_reason is
    'REPORTED by the worker, RUNS_EXHAUSTED, CANCELLED, EXPIRED (not begun in time) or '
    'BACKFILL_UNKNOWN; null unless ERROR.';
comment on column pgjobs.verdict.error_detail is
    'The reason given to complete, release or cancel, or what a backfill knew instead.';
comment on column pgjobs.verdict.login is
    'The database login, session_user, of who cancelled or backfilled.';
comment on column pgjobs.verdict.summary_sha256 is
    'SHA-256 of the summary''s text, null where none was given.';
comment on column pgjobs.verdict.origin is
    'BACKFILL: the history of the host says so, no run of ours; else null.';
comment on constraint verdict_lease_token_check on pgjobs.verdict is
    'A worker''s verdict has its lease, a cancel its actor, an expired job no run.';
comment on constraint verdict_origin_check on pgjobs.verdict is
    'A backfilled verdict had no run, is PASSED or unknown, and is marked; no other is unknown.';


-- verdict_summary: what the worker says beside the status. Written only when given.
create table pgjobs.verdict_summary (
    job_id bigint not null,
    summary jsonb not null,
    constraint verdict_summary_job_id_pkey primary key (job_id),
    constraint verdict_summary_job_id_fkey foreign key (job_id) references pgjobs.verdict (job_id)
);

comment on table pgjobs.verdict_summary is 'Detail: what the worker says beside the status.';
comment on column pgjobs.verdict_summary.summary is 'As given to complete; at most 64 KiB of text.';
