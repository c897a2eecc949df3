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
    original_size_bytes bigint,
    original_sha256 bytea,
    constraint artifact_artifact_id_pkey primary key (artifact_id),
    constraint artifact_job_id_run_no_name_key unique (job_id, run_no, name),
    constraint artifact_job_id_run_no_artifact_no_key unique (job_id, run_no, artifact_no),
    constraint artifact_job_id_fkey foreign key (job_id) references pgjobs.job (job_id),
    constraint artifact_kind_check check (kind in ('LOG', 'REPORT', 'DIFF', 'OUTPUT', 'OTHER')),
    constraint artifact_artifact_no_check check (artifact_no between 1 and 100),
    constraint artifact_inline_bytes_check check (inline_bytes between 0 and 16777216),
    constraint artifact_size_bytes_check check (size_bytes >= 0),
    constraint artifact_location_check check ((location is null) = (body_id is not null)),
    constraint artifact_sha256_check check (octet_length(sha256) = 32),
    constraint artifact_original_size_bytes_check check (
        original_size_bytes is null or truncated and original_size_bytes >= size_bytes
    ),
    constraint artifact_original_sha256_check check (
        original_sha256 is null or truncated and octet_length(original_sha256) = 32
    )
);

-- Serves expire_artifacts: who shares a body.
create index artifact_body_id_idx on pgjobs.artifact (body_id) where body_id is not null;

comment on table pgjobs.artifact is
    'Ledger: the evidence of a run; its bytes lie in body or elsewhere.';
comment on column pgjobs.artifact.body_id is
    'Its bytes; null where they lie elsewhere. The body may have expired.';
comment on column pgjobs.artifact.inline_bytes is
    'Bytes of content that the run''s artifacts have up to this one.';
comment on column pgjobs.artifact.artifact_no is 'Order of the artifacts of a run, from 1.';
comment on column pgjobs.artifact.truncated is 'The producer cut it.';
comment on column pgjobs.artifact.original_size_bytes is
    'Size before it was cut, as the producer says; null where not said.';
comment on column pgjobs.artifact.original_sha256 is
    'SHA-256 before it was cut, as the producer says; null where not said.';
comment on column pgjobs.artifact.location is 'Object key or URI of content that lies elsewhere.';
comment on constraint artifact_job_id_run_no_artifact_no_key on pgjobs.artifact is
    'One order per run; serves "the artifacts of a job".';


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
);

-- Serves expire_artifacts: the oldest bodies.
create index body_created_at_idx on pgjobs.body (created_at);

comment on table pgjobs.body is
    'Detail: the bytes of artifacts.';
comment on column pgjobs.body.created_at is 'When the bytes first came, on the database clock.';


create function pgjobs.read_artifact(artifact_id bigint)
    returns bytea
    language plpgsql stable security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_artifact pgjobs.artifact;
    v_content bytea;
begin
    if artifact_id is null then
        perform pgjobs._refuse_argument('read_artifact', 'artifact_id');
    end if;
    select artifact.* into v_artifact
    from pgjobs.artifact as artifact
    where artifact.artifact_id = read_artifact.artifact_id;
    if not found then
        perform pgjobs._refuse('artifact_not_found');
    end if;
    select body.content into v_content
    from pgjobs.body as body
    where body.body_id = v_artifact.body_id;
    if (not found and v_artifact.location is null)
        or pgjobs._has_expired('ARTIFACT', artifact_id)
    then
        perform pgjobs._refuse('artifact_expired');
    end if;
    return v_content;
end
$$;
comment on function pgjobs.read_artifact is
    'The bytes of an artifact; null when only its location is known. Errors: 22004, P0002 (no '
    'such artifact), 23V08.';
