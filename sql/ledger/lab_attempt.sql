-- lab_attempt: one pushed commit of one lab session. Guarantees: one attempt per session and commit
-- (lab_attempt_session_id_commit_sha_key), one per session and delivery id
-- (lab_attempt_session_id_delivery_id_key), nothing but well-formed commit SHAs
-- (lab_attempt_commit_sha_check), no change ever (the guards).
create table pgjobs.lab_attempt (
    attempt_id bigint generated always as identity,
    session_id uuid not null,
    commit_sha text collate "C" not null,
    recorded_at timestamptz not null,
    delivery_id text collate "C",
    pushed_at timestamptz,
    detail_sha256 bytea,
    constraint lab_attempt_attempt_id_pkey primary key (attempt_id),
    constraint lab_attempt_session_id_commit_sha_key unique (session_id, commit_sha),
    constraint lab_attempt_commit_sha_check check (
        octet_length(commit_sha) in (40, 64)
        and commit_sha !~ '[^0-9a-f]'
        and commit_sha ~ '[^0]'
    )
);

-- Serves the idempotency look-up of enqueue and record_attempt; keys are per session.
create unique index lab_attempt_session_id_delivery_id_key
    on pgjobs.lab_attempt (session_id, delivery_id)
    where delivery_id is not null;

comment on table pgjobs.lab_attempt is 'Ledger: one pushed commit of one lab session.';
comment on column pgjobs.lab_attempt.delivery_id is
    'The provider''s delivery id, of the call that wrote the attempt; unique per session.';
comment on column pgjobs.lab_attempt.pushed_at is 'When the commit was pushed, as the caller says.';
comment on column pgjobs.lab_attempt.detail_sha256 is
    'SHA-256 of the attempt_detail row, null where none was given.';
comment on constraint lab_attempt_session_id_commit_sha_key on pgjobs.lab_attempt is
    'One attempt per session and commit; target of job; serves "attempts and jobs of a session".';


-- attempt_detail: who pushed what where. Written only when given.
create table pgjobs.attempt_detail (
    attempt_id bigint not null,
    author text,
    branch text,
    changed_files text[],
    constraint attempt_detail_attempt_id_pkey primary key (attempt_id),
    constraint attempt_detail_attempt_id_fkey foreign key (attempt_id)
        references pgjobs.lab_attempt (attempt_id)
);

comment on table pgjobs.attempt_detail is 'Detail: personal and bulky data of an attempt.';
