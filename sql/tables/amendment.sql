-- amendment: another word on a verdict that stands. Guarantees: only of a job with a verdict
-- (amendment_job_id_fkey), by two people (amendment_approver_check), in one order per job
-- (amendment_job_id_amendment_no_key), at most one per review (amendment_review_id_key), no change
-- ever (the guards).
create table pgjobs.amendment (
    amendment_id bigint generated always as identity,
    job_id bigint not null,
    completed_at timestamptz not null,
    amended_at timestamptz not null,
    review_id bigint,
    amendment_no smallint not null,
    verdict_status text collate "C" not null,
    status text collate "C" not null,
    lab_version text collate "C",
    reason text not null,
    actor text not null,
    approver text not null,
    ticket text not null,
    login text collate "C" not null,
    constraint amendment_amendment_id_pkey primary key (amendment_id),
    constraint amendment_job_id_amendment_no_key unique (job_id, amendment_no),
    constraint amendment_review_id_key unique (review_id),
    constraint amendment_job_id_fkey foreign key (job_id) references pgjobs.verdict (job_id),
    constraint amendment_review_id_fkey foreign key (review_id)
        references pgjobs.review_result (review_id),
    constraint amendment_status_check check (status in ('PASSED', 'FAILED', 'ERROR')),
    constraint amendment_approver_check check (lower(actor) <> lower(approver))
) with (
    vacuum_truncate = off,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_freeze_min_age = 0
);

-- Serves "the newest 50 whose effective status is …", beside the verdict's.
create index amendment_status_completed_at_idx on pgjobs.amendment (status, completed_at);
-- Serves "the newest 50 of a verdict", beside the verdict's.
create index amendment_verdict_status_completed_at_idx
    on pgjobs.amendment (verdict_status, completed_at);

comment on sequence pgjobs.amendment_amendment_id_seq is 'Gives amendment ids.';
comment on table pgjobs.amendment is
    'Ledger: another word on a verdict that stands.';
comment on column pgjobs.amendment.amendment_id is 'Key, given by the database.';
comment on column pgjobs.amendment.job_id is 'The job.';
comment on column pgjobs.amendment.completed_at is
    'When the job ended, copied from its verdict for the order of both.';
comment on column pgjobs.amendment.amended_at is 'When it was amended, on the database clock.';
comment on column pgjobs.amendment.review_id is
    'The review whose answer this is; null where a person said so.';
comment on column pgjobs.amendment.amendment_no is
    'Order of the amendments of a job, from 1; the last one counts.';
comment on column pgjobs.amendment.verdict_status is
    'The status of the verdict, copied from it for the order of both.';
comment on column pgjobs.amendment.status is
    'The effective status from now on: PASSED, FAILED or ERROR.';
comment on column pgjobs.amendment.lab_version is
    'The version of the lab it was judged by; null: the job''s.';
comment on column pgjobs.amendment.reason is 'Why.';
comment on column pgjobs.amendment.actor is 'Who amended.';
comment on column pgjobs.amendment.approver is 'Who else agreed.';
comment on column pgjobs.amendment.ticket is 'Where it was decided.';
comment on column pgjobs.amendment.login is
    'The database login, session_user; for a review''s answer that of the worker.';
comment on constraint amendment_amendment_id_pkey on pgjobs.amendment is 'Key.';
comment on constraint amendment_job_id_amendment_no_key on pgjobs.amendment is
    'One order per job; serves "the latest of a job".';
comment on constraint amendment_review_id_key on pgjobs.amendment is 'One amendment per review.';
comment on constraint amendment_job_id_fkey on pgjobs.amendment is 'Only a verdict can be amended.';
comment on constraint amendment_review_id_fkey on pgjobs.amendment is
    'An answer stands beside its review''s result.';
comment on constraint amendment_status_check on pgjobs.amendment is 'The three verdicts.';
comment on constraint amendment_approver_check on pgjobs.amendment is 'Two people.';
comment on index pgjobs.amendment_verdict_status_completed_at_idx is
    'Serves "the newest 50 of a verdict", the amended ones.';
comment on index pgjobs.amendment_status_completed_at_idx is
    'Serves "the newest 50 whose effective status is …".';

create trigger amendment_append_only before update or delete on pgjobs.amendment
    for each row execute function pgjobs._guard_ledger();
create trigger amendment_no_truncate before truncate on pgjobs.amendment
    for each statement execute function pgjobs._guard_ledger();
alter table pgjobs.amendment enable always trigger amendment_append_only;
alter table pgjobs.amendment enable always trigger amendment_no_truncate;
comment on trigger amendment_append_only on pgjobs.amendment is
    'Refuses UPDATE and DELETE with 23V01.';
comment on trigger amendment_no_truncate on pgjobs.amendment is 'Refuses TRUNCATE with 23V01.';
