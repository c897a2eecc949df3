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
) with (
    vacuum_truncate = off,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_freeze_min_age = 0
);

-- Serves the idempotency look-up of enqueue and record_attempt; keys are per session.
create unique index lab_attempt_session_id_delivery_id_key
    on pgjobs.lab_attempt (session_id, delivery_id)
    where delivery_id is not null;

comment on sequence pgjobs.lab_attempt_attempt_id_seq is 'Gives attempt ids.';
comment on table pgjobs.lab_attempt is 'Ledger: one pushed commit of one lab session.';
comment on column pgjobs.lab_attempt.attempt_id is 'Key, given by the database.';
comment on column pgjobs.lab_attempt.session_id is 'The host''s lab session.';
comment on column pgjobs.lab_attempt.commit_sha is '40 or 64 lower-case hex digits, not all zeros.';
comment on column pgjobs.lab_attempt.recorded_at is
    'When the attempt was written, on the database clock.';
comment on column pgjobs.lab_attempt.delivery_id is
    'The provider''s delivery id, of the call that wrote the attempt; unique per session.';
comment on column pgjobs.lab_attempt.pushed_at is 'When the commit was pushed, as the caller says.';
comment on column pgjobs.lab_attempt.detail_sha256 is
    'SHA-256 of the attempt_detail row, null where none was given.';
comment on constraint lab_attempt_attempt_id_pkey on pgjobs.lab_attempt is
    'Target of attempt_detail.';
comment on constraint lab_attempt_session_id_commit_sha_key on pgjobs.lab_attempt is
    'One attempt per session and commit; target of job; serves "attempts and jobs of a session".';
comment on constraint lab_attempt_commit_sha_check on pgjobs.lab_attempt is
    'The form of a commit SHA.';
comment on index pgjobs.lab_attempt_session_id_delivery_id_key is
    'A delivery id is used once per session.';

create trigger lab_attempt_append_only before update or delete on pgjobs.lab_attempt
    for each row execute function pgjobs._guard_ledger();
create trigger lab_attempt_no_truncate before truncate on pgjobs.lab_attempt
    for each statement execute function pgjobs._guard_ledger();
alter table pgjobs.lab_attempt enable always trigger lab_attempt_append_only;
alter table pgjobs.lab_attempt enable always trigger lab_attempt_no_truncate;
comment on trigger lab_attempt_append_only on pgjobs.lab_attempt is
    'Refuses UPDATE and DELETE with 23V01.';
comment on trigger lab_attempt_no_truncate on pgjobs.lab_attempt is 'Refuses TRUNCATE with 23V01.';


-- attempt_detail: who pushed what where. Written only when given.
create table pgjobs.attempt_detail (
    attempt_id bigint not null,
    author text,
    branch text,
    changed_files text[],
    constraint attempt_detail_attempt_id_pkey primary key (attempt_id),
    constraint attempt_detail_attempt_id_fkey foreign key (attempt_id)
        references pgjobs.lab_attempt (attempt_id)
) with (
    vacuum_truncate = off,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_freeze_min_age = 0
);

comment on table pgjobs.attempt_detail is 'Detail: personal and bulky data of an attempt.';
comment on column pgjobs.attempt_detail.attempt_id is 'The attempt.';
comment on column pgjobs.attempt_detail.author is 'Who pushed.';
comment on column pgjobs.attempt_detail.branch is 'The branch pushed to.';
comment on column pgjobs.attempt_detail.changed_files is 'Paths changed by the push.';
comment on constraint attempt_detail_attempt_id_pkey on pgjobs.attempt_detail is
    'One detail per attempt.';
comment on constraint attempt_detail_attempt_id_fkey on pgjobs.attempt_detail is
    'A detail belongs to an attempt.';

create trigger attempt_detail_append_only before update or delete on pgjobs.attempt_detail
    for each row execute function pgjobs._guard_detail('ATTEMPT');
create trigger attempt_detail_no_truncate before truncate on pgjobs.attempt_detail
    for each statement execute function pgjobs._guard_ledger();
alter table pgjobs.attempt_detail enable always trigger attempt_detail_append_only;
alter table pgjobs.attempt_detail enable always trigger attempt_detail_no_truncate;
comment on trigger attempt_detail_append_only on pgjobs.attempt_detail is
    'Refuses UPDATE, and a DELETE whose expiry is not on record, with 23V01.';
comment on trigger attempt_detail_no_truncate on pgjobs.attempt_detail is
    'Refuses TRUNCATE with 23V01.';
