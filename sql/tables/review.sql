-- review: a request to judge a finished job again. Guarantees: only of a job with a verdict
-- (review_job_id_fkey), in one order per job (review_job_id_review_no_key), by two people
-- (review_approver_check), no change ever (the guards). While it is open its job is head of its
-- lane or waits in it, as before its verdict. Its id comes from the sequence of the jobs: within a
-- session jobs and reviews have one order.
create table pgjobs.review (
    review_id bigint not null,
    job_id bigint not null,
    requested_at timestamptz not null,
    priority pgjobs.priority not null,
    review_no smallint not null,
    runs_before smallint not null,
    lab_version text collate "C" not null,
    reason text not null,
    actor text not null,
    approver text not null,
    ticket text not null,
    login text collate "C" not null,
    constraint review_review_id_pkey primary key (review_id),
    constraint review_job_id_review_no_key unique (job_id, review_no),
    constraint review_job_id_fkey foreign key (job_id) references pgjobs.verdict (job_id),
    constraint review_approver_check check (lower(actor) <> lower(approver))
) with (
    vacuum_truncate = off,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_freeze_min_age = 0
);

comment on table pgjobs.review is
    'Ledger: a request to judge a finished job again.';
comment on column pgjobs.review.review_id is 'Key, from the sequence of the jobs.';
comment on column pgjobs.review.job_id is 'The job.';
comment on column pgjobs.review.requested_at is 'When it was requested, on the database clock.';
comment on column pgjobs.review.priority is '1 first … 4 last.';
comment on column pgjobs.review.review_no is 'Order of the reviews of a job, from 1.';
comment on column pgjobs.review.runs_before is
    'How many runs the job had had; a review''s runs are counted on from there.';
comment on column pgjobs.review.lab_version is
    'The version of the lab it is to be verified against.';
comment on column pgjobs.review.reason is 'Why.';
comment on column pgjobs.review.actor is 'Who requested it.';
comment on column pgjobs.review.approver is 'Who else agreed.';
comment on column pgjobs.review.ticket is 'Where it was decided.';
comment on column pgjobs.review.login is 'The database login, session_user.';
comment on constraint review_review_id_pkey on pgjobs.review is 'Target of review_result.';
comment on constraint review_job_id_review_no_key on pgjobs.review is
    'One order per job; serves "the reviews of a job".';
comment on constraint review_job_id_fkey on pgjobs.review is 'Only a verdict can be reviewed.';
comment on constraint review_approver_check on pgjobs.review is 'Two people.';

create trigger review_append_only before update or delete on pgjobs.review
    for each row execute function pgjobs._guard_ledger();
create trigger review_no_truncate before truncate on pgjobs.review
    for each statement execute function pgjobs._guard_ledger();
alter table pgjobs.review enable always trigger review_append_only;
alter table pgjobs.review enable always trigger review_no_truncate;
comment on trigger review_append_only on pgjobs.review is 'Refuses UPDATE and DELETE with 23V01.';
comment on trigger review_no_truncate on pgjobs.review is 'Refuses TRUNCATE with 23V01.';


-- review_result: how a review ended. Guarantees: one per review (review_result_review_id_pkey), a
-- worker's lease behind every answer (review_result_lease_token_check), no change ever (the
-- guards). With an answer it stands beside an amendment; without one nothing else changes.
create table pgjobs.review_result (
    review_id bigint not null,
    job_id bigint not null,
    ended_at timestamptz not null,
    started_at timestamptz,
    lease_token uuid,
    run_no smallint not null,
    outcome text collate "C" not null,
    worker text collate "C",
    detail text,
    actor text,
    login text collate "C",
    summary_sha256 bytea,
    constraint review_result_review_id_pkey primary key (review_id),
    constraint review_result_review_id_fkey foreign key (review_id)
        references pgjobs.review (review_id),
    constraint review_result_outcome_check check (
        outcome in ('PASSED', 'FAILED', 'ERROR', 'RUNS_EXHAUSTED', 'CANCELLED')
    ),
    constraint review_result_lease_token_check check (
        case outcome
            when 'CANCELLED' then actor is not null
            when 'RUNS_EXHAUSTED' then actor is null and lease_token is null
            else actor is null and lease_token is not null
        end
        and (actor is null) = (login is null)
        and (lease_token is null or (worker is not null and started_at is not null))
    )
) with (
    vacuum_truncate = off,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_freeze_min_age = 0
);

comment on table pgjobs.review_result is
    'Ledger: how a review ended, written once.';
comment on column pgjobs.review_result.review_id is 'The review.';
comment on column pgjobs.review_result.job_id is 'Its job.';
comment on column pgjobs.review_result.ended_at is 'When it ended, on the database clock.';
comment on column pgjobs.review_result.started_at is
    'When its latest run started; null where there was none.';
comment on column pgjobs.review_result.lease_token is
    'The lease of the run that this ended; null where it ended none.';
comment on column pgjobs.review_result.run_no is 'How many runs the job has had in all.';
comment on column pgjobs.review_result.outcome is
    'PASSED, FAILED or ERROR, as amended; RUNS_EXHAUSTED or CANCELLED: no answer.';
comment on column pgjobs.review_result.worker is
    'The worker of the latest run; null where there was none.';
comment on column pgjobs.review_result.detail is 'The reason given to release or cancel.';
comment on column pgjobs.review_result.actor is 'Who cancelled.';
comment on column pgjobs.review_result.login is
    'The database login, session_user, of who cancelled.';
comment on column pgjobs.review_result.summary_sha256 is
    'SHA-256 of the summary''s text, null where none was given.';
comment on constraint review_result_review_id_pkey on pgjobs.review_result is
    'One result per review.';
comment on constraint review_result_review_id_fkey on pgjobs.review_result is
    'A result belongs to a review.';
comment on constraint review_result_outcome_check on pgjobs.review_result is
    'An answer, or why there is none.';
comment on constraint review_result_lease_token_check on pgjobs.review_result is
    'A worker''s answer has its lease, a cancel its actor.';

create trigger review_result_append_only before update or delete on pgjobs.review_result
    for each row execute function pgjobs._guard_ledger();
create trigger review_result_no_truncate before truncate on pgjobs.review_result
    for each statement execute function pgjobs._guard_ledger();
alter table pgjobs.review_result enable always trigger review_result_append_only;
alter table pgjobs.review_result enable always trigger review_result_no_truncate;
comment on trigger review_result_append_only on pgjobs.review_result is
    'Refuses UPDATE and DELETE with 23V01.';
comment on trigger review_result_no_truncate on pgjobs.review_result is
    'Refuses TRUNCATE with 23V01.';


-- review_summary: what the worker says beside its answer. Written only when given.
create table pgjobs.review_summary (
    review_id bigint not null,
    summary jsonb not null,
    constraint review_summary_review_id_pkey primary key (review_id),
    constraint review_summary_review_id_fkey foreign key (review_id)
        references pgjobs.review_result (review_id)
) with (
    vacuum_truncate = off,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_freeze_min_age = 0
);

comment on table pgjobs.review_summary is
    'Detail: what the worker says beside its answer to a review.';
comment on column pgjobs.review_summary.review_id is 'The review.';
comment on column pgjobs.review_summary.summary is 'As given to complete; at most 64 KiB of text.';
comment on constraint review_summary_review_id_pkey on pgjobs.review_summary is
    'One summary per review.';
comment on constraint review_summary_review_id_fkey on pgjobs.review_summary is
    'A summary belongs to a result.';

create trigger review_summary_append_only before update or delete on pgjobs.review_summary
    for each row execute function pgjobs._guard_detail('REVIEW');
create trigger review_summary_no_truncate before truncate on pgjobs.review_summary
    for each statement execute function pgjobs._guard_ledger();
alter table pgjobs.review_summary enable always trigger review_summary_append_only;
alter table pgjobs.review_summary enable always trigger review_summary_no_truncate;
comment on trigger review_summary_append_only on pgjobs.review_summary is
    'Refuses UPDATE, and a DELETE whose expiry is not on record, with 23V01.';
comment on trigger review_summary_no_truncate on pgjobs.review_summary is
    'Refuses TRUNCATE with 23V01.';
