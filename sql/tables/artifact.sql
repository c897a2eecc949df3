-- artifact: the evidence of a run: a log, a report, a diff. Guarantees: one per run and name
-- (artifact_job_id_run_no_name_key), at most 100 a run (artifact_artifact_no_check, counted by
-- artifact_job_id_run_no_artifact_no_key) and 16 MiB of content (artifact_inline_bytes_check), a
-- body or a location (artifact_location_check), no change ever (the guards). Its bytes lie in body,
-- and may go (expiry); hash, size and name stay.
create table pgjobs.artifact (
    artifact_id bigint generated always as identity,
    job_id bigint not null,
    created_at timestamptz not null,
    size_bytes bigint not null,
    body_id bigint,
    inline_bytes integer not null,
    run_no smallint not null,
    artifact_no smallint not null,
    truncated boolean not null,
    kind text collate "C" not null,
    name text collate "C" not null,
    media_type text collate "C" not null,
    location text collate "C",
    sha256 bytea not null,
    constraint artifact_artifact_id_pkey primary key (artifact_id),
    constraint artifact_job_id_run_no_name_key unique (job_id, run_no, name),
    constraint artifact_job_id_run_no_artifact_no_key unique (job_id, run_no, artifact_no),
    constraint artifact_job_id_fkey foreign key (job_id) references pgjobs.job (job_id),
    constraint artifact_kind_check check (kind in ('LOG', 'REPORT', 'DIFF', 'OUTPUT', 'OTHER')),
    constraint artifact_artifact_no_check check (artifact_no between 1 and 100),
    constraint artifact_inline_bytes_check check (inline_bytes between 0 and 16777216),
    constraint artifact_size_bytes_check check (size_bytes >= 0),
    constraint artifact_location_check check ((location is null) = (body_id is not null)),
    constraint artifact_sha256_check check (octet_length(sha256) = 32)
) with (
    vacuum_truncate = off,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_freeze_min_age = 0
);

-- Serves expire_artifacts: who shares a body.
create index artifact_body_id_idx on pgjobs.artifact (body_id) where body_id is not null;

comment on sequence pgjobs.artifact_artifact_id_seq is 'Gives artifact ids.';
comment on table pgjobs.artifact is
    'Ledger: the evidence of a run; its bytes lie in body or elsewhere.';
comment on column pgjobs.artifact.artifact_id is 'Key, given by the database.';
comment on column pgjobs.artifact.job_id is 'The job.';
comment on column pgjobs.artifact.created_at is 'When it was added, on the database clock.';
comment on column pgjobs.artifact.size_bytes is 'Size of the content in bytes.';
comment on column pgjobs.artifact.body_id is
    'Its bytes; null where they lie elsewhere. The body may have expired.';
comment on column pgjobs.artifact.inline_bytes is
    'Bytes of content that the run''s artifacts have up to this one.';
comment on column pgjobs.artifact.run_no is 'The run, counted from 1.';
comment on column pgjobs.artifact.artifact_no is 'Order of the artifacts of a run, from 1.';
comment on column pgjobs.artifact.truncated is 'The producer cut it.';
comment on column pgjobs.artifact.kind is 'LOG, REPORT, DIFF, OUTPUT or OTHER.';
comment on column pgjobs.artifact.name is 'Unique within the run.';
comment on column pgjobs.artifact.media_type is 'Of the content, as the producer says.';
comment on column pgjobs.artifact.location is 'Object key or URI of content that lies elsewhere.';
comment on column pgjobs.artifact.sha256 is 'SHA-256 of the content.';
comment on constraint artifact_artifact_id_pkey on pgjobs.artifact is 'Serves read_artifact.';
comment on constraint artifact_job_id_run_no_name_key on pgjobs.artifact is
    'A name is used once per run.';
comment on constraint artifact_job_id_run_no_artifact_no_key on pgjobs.artifact is
    'One order per run; serves "the artifacts of a job".';
comment on constraint artifact_job_id_fkey on pgjobs.artifact is 'An artifact belongs to a job.';
comment on constraint artifact_kind_check on pgjobs.artifact is 'The five kinds.';
comment on constraint artifact_artifact_no_check on pgjobs.artifact is
    'At most 100 artifacts a run.';
comment on constraint artifact_inline_bytes_check on pgjobs.artifact is
    'At most 16 MiB of content a run.';
comment on constraint artifact_size_bytes_check on pgjobs.artifact is 'A size.';
comment on constraint artifact_location_check on pgjobs.artifact is 'A body or a location.';
comment on constraint artifact_sha256_check on pgjobs.artifact is 'The length of a SHA-256.';
comment on index pgjobs.artifact_body_id_idx is 'Serves "who shares a body".';

create trigger artifact_append_only before update or delete on pgjobs.artifact
    for each row execute function pgjobs._guard_ledger();
create trigger artifact_no_truncate before truncate on pgjobs.artifact
    for each statement execute function pgjobs._guard_ledger();
alter table pgjobs.artifact enable always trigger artifact_append_only;
alter table pgjobs.artifact enable always trigger artifact_no_truncate;
comment on trigger artifact_append_only on pgjobs.artifact is
    'Refuses UPDATE and DELETE with 23V01.';
comment on trigger artifact_no_truncate on pgjobs.artifact is 'Refuses TRUNCATE with 23V01.';


-- body: the bytes of artifacts, equal bytes once (body_sha256_key). A body expires: then an equal
-- one that comes later is another body.
create table pgjobs.body (
    body_id bigint generated always as identity,
    created_at timestamptz not null,
    sha256 bytea not null,
    content bytea not null,
    constraint body_body_id_pkey primary key (body_id),
    constraint body_sha256_key unique (sha256),
    constraint body_sha256_check check (octet_length(sha256) = 32),
    constraint body_content_check check (octet_length(content) <= 1048576)
) with (
    vacuum_truncate = off,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_freeze_min_age = 0
);

-- Serves expire_artifacts: the oldest bodies.
create index body_created_at_idx on pgjobs.body (created_at);

comment on sequence pgjobs.body_body_id_seq is 'Gives body ids.';
comment on table pgjobs.body is
    'Detail: the bytes of artifacts.';
comment on column pgjobs.body.body_id is 'Key, given by the database.';
comment on column pgjobs.body.created_at is 'When the bytes first came, on the database clock.';
comment on column pgjobs.body.sha256 is 'SHA-256 of the content.';
comment on column pgjobs.body.content is 'At most 1 MiB.';
comment on constraint body_body_id_pkey on pgjobs.body is 'Serves read_artifact.';
comment on constraint body_sha256_key on pgjobs.body is 'Equal bytes are stored once.';
comment on constraint body_sha256_check on pgjobs.body is 'The length of a SHA-256.';
comment on constraint body_content_check on pgjobs.body is 'At most 1 MiB.';
comment on index pgjobs.body_created_at_idx is 'Serves "the oldest bodies".';

create trigger body_append_only before update or delete on pgjobs.body
    for each row execute function pgjobs._guard_detail('BODY');
create trigger body_no_truncate before truncate on pgjobs.body
    for each statement execute function pgjobs._guard_ledger();
alter table pgjobs.body enable always trigger body_append_only;
alter table pgjobs.body enable always trigger body_no_truncate;
comment on trigger body_append_only on pgjobs.body is
    'Refuses UPDATE, and a DELETE whose expiry is not on record, with 23V01.';
comment on trigger body_no_truncate on pgjobs.body is 'Refuses TRUNCATE with 23V01.';
