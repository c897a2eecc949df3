-- backfill: what became of a log of the host's history (backfill.sql). Guarantees: a log is looked
-- at once (backfill_log_id_pkey), a job comes from one log (backfill_job_id_key), an outcome has
-- its reason and its rows (backfill_reason_check, backfill_outcome_check), no change ever (the
-- guards). Two hashes keep what was read and what then stood in the ledger.
create table pgjobs.backfill (
    log_id uuid not null,
    session_id uuid not null,
    attempt_id bigint,
    job_id bigint,
    backfilled_at timestamptz not null,
    outcome text collate "C" not null,
    reason text collate "C" not null,
    login text collate "C" not null,
    log_sha256 bytea not null,
    ledger_sha256 bytea not null,
    constraint backfill_log_id_pkey primary key (log_id),
    constraint backfill_job_id_key unique (job_id),
    constraint backfill_job_id_fkey foreign key (job_id) references pgjobs.job (job_id),
    -- No index of its own: the referenced rows are never updated or deleted.
    constraint backfill_attempt_id_fkey foreign key (attempt_id)
        references pgjobs.lab_attempt (attempt_id),
    constraint backfill_outcome_check check (
        case outcome
            when 'JOB' then attempt_id is not null and job_id is not null
            when 'ATTEMPT' then attempt_id is not null and job_id is null
            when 'SKIPPED' then attempt_id is null and job_id is null
            else false
        end
    ),
    constraint backfill_reason_check check (
        case outcome
            when 'JOB' then reason in ('VERIFIED_PASS', 'BACKFILL_UNKNOWN')
            when 'ATTEMPT' then reason in ('COMMIT_HAS_JOB', 'BAD_LAB_VERSION')
            else reason in ('BAD_COMMIT_SHA', 'BAD_TIME')
        end
    ),
    constraint backfill_log_sha256_check check (octet_length(log_sha256) = 32),
    constraint backfill_ledger_sha256_check check (octet_length(ledger_sha256) = 32)
);

comment on table pgjobs.backfill is 'Ledger: what became of a log of the host''s history.';
comment on column pgjobs.backfill.attempt_id is
    'The attempt of its session and commit, made for it or there before.';
comment on column pgjobs.backfill.outcome is 'JOB, ATTEMPT (no job of its own) or SKIPPED.';
comment on column pgjobs.backfill.reason is
    'JOB: VERIFIED_PASS or BACKFILL_UNKNOWN. ATTEMPT: COMMIT_HAS_JOB or BAD_LAB_VERSION. SKIPPED: '
    'BAD_COMMIT_SHA or BAD_TIME.';
comment on column pgjobs.backfill.log_sha256 is 'SHA-256 of the log as it was read.';
comment on column pgjobs.backfill.ledger_sha256 is
    'SHA-256 of its attempt, job, verdict and artifacts as they stood then.';
