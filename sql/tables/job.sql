-- job: the verification of a commit. Guarantees: one per commit SHA for ever (job_commit_sha_key),
-- of an attempt of the same session and commit (job_session_id_commit_sha_fkey), no change ever
-- (the guards). It has no status: an open job is in ready, lease or waiting, a finished one has a
-- verdict.
create table pgjobs.job (
    job_id bigint generated always as identity,
    session_id uuid not null,
    commit_sha text collate "C" not null,
    lab_version text collate "C" not null,
    priority pgjobs.priority not null,
    max_runs pgjobs.max_runs not null,
    created_at timestamptz not null,
    available_at timestamptz,
    payload_sha256 bytea,
    constraint job_job_id_pkey primary key (job_id),
    constraint job_commit_sha_key unique (commit_sha),
    -- No index of its own: the referenced rows are never updated or deleted.
    constraint job_session_id_commit_sha_fkey foreign key (session_id, commit_sha)
        references pgjobs.lab_attempt (session_id, commit_sha)
) with (
    vacuum_truncate = off,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_freeze_min_age = 0
);

comment on sequence pgjobs.job_job_id_seq is
    'Gives the ids of jobs and reviews, in the order of enqueuing within a session, and the places '
    'of heads that come back.';
comment on table pgjobs.job is
    'Ledger: the verification of a commit, at most one per commit SHA, for ever.';
comment on column pgjobs.job.job_id is
    'Key, given by the database; rises in the order of enqueuing within a session.';
comment on column pgjobs.job.session_id is 'The lab session whose attempt this verifies.';
comment on column pgjobs.job.commit_sha is 'The commit.';
comment on column pgjobs.job.lab_version is 'The version of the lab it is verified against.';
comment on column pgjobs.job.priority is '1 first … 4 last.';
comment on column pgjobs.job.max_runs is 'How many runs it may have in all, 1 … 25.';
comment on column pgjobs.job.created_at is 'When it was enqueued, on the database clock.';
comment on column pgjobs.job.available_at is 'Not to be claimed before; null: at once.';
comment on column pgjobs.job.payload_sha256 is
    'SHA-256 of the payload''s text, null where none was given.';
comment on constraint job_job_id_pkey on pgjobs.job is
    'Target of verdict, setback and job_payload; serves look-ups by job id.';
comment on constraint job_commit_sha_key on pgjobs.job is
    'One job per commit SHA; serves look-ups by commit.';
comment on constraint job_session_id_commit_sha_fkey on pgjobs.job is
    'A job verifies an attempt of its session.';

create trigger job_append_only before update or delete on pgjobs.job
    for each row execute function pgjobs._guard_ledger();
create trigger job_no_truncate before truncate on pgjobs.job
    for each statement execute function pgjobs._guard_ledger();
alter table pgjobs.job enable always trigger job_append_only;
alter table pgjobs.job enable always trigger job_no_truncate;
comment on trigger job_append_only on pgjobs.job is 'Refuses UPDATE and DELETE with 23V01.';
comment on trigger job_no_truncate on pgjobs.job is 'Refuses TRUNCATE with 23V01.';


-- job_payload: what the worker needs beyond the ids. Written only when given.
create table pgjobs.job_payload (
    job_id bigint not null,
    payload jsonb not null,
    constraint job_payload_job_id_pkey primary key (job_id),
    constraint job_payload_job_id_fkey foreign key (job_id) references pgjobs.job (job_id)
) with (
    vacuum_truncate = off,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_freeze_min_age = 0
);

comment on table pgjobs.job_payload is
    'Detail: what the worker needs beyond the ids (repository URL, steps, …).';
comment on column pgjobs.job_payload.job_id is 'The job.';
comment on column pgjobs.job_payload.payload is 'As given to enqueue; at most 64 KiB of text.';
comment on constraint job_payload_job_id_pkey on pgjobs.job_payload is 'One payload per job.';
comment on constraint job_payload_job_id_fkey on pgjobs.job_payload is
    'A payload belongs to a job.';

create trigger job_payload_append_only before update or delete on pgjobs.job_payload
    for each row execute function pgjobs._guard_detail('PAYLOAD');
create trigger job_payload_no_truncate before truncate on pgjobs.job_payload
    for each statement execute function pgjobs._guard_ledger();
alter table pgjobs.job_payload enable always trigger job_payload_append_only;
alter table pgjobs.job_payload enable always trigger job_payload_no_truncate;
comment on trigger job_payload_append_only on pgjobs.job_payload is
    'Refuses UPDATE, and a DELETE whose expiry is not on record, with 23V01.';
comment on trigger job_payload_no_truncate on pgjobs.job_payload is 'Refuses TRUNCATE with 23V01.';
