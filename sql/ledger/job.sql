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
    start_by timestamptz,
    constraint job_job_id_pkey primary key (job_id),
    constraint job_commit_sha_key unique (commit_sha),
    -- No index of its own: the referenced rows are never updated or deleted.
    constraint job_session_id_commit_sha_fkey foreign key (session_id, commit_sha)
        references pgjobs.lab_attempt (session_id, commit_sha)
);

comment on sequence pgjobs.job_job_id_seq is
    'Gives the ids of jobs and reviews, in the order of enqueuing within a session, and the places '
    'of heads that become claimable later.';
comment on table pgjobs.job is
    'Ledger: the verification of a commit, at most one per commit SHA, for ever.';
comment on column pgjobs.job.available_at is 'Not to be claimed before; null: at once.';
comment on column pgjobs.job.payload_sha256 is
    'SHA-256 of the payload''s text, null where none was given.';
comment on column pgjobs.job.start_by is
    'Ends as EXPIRED if no run has begun by then; null: waits for ever.';
comment on constraint job_commit_sha_key on pgjobs.job is
    'One job per commit SHA; serves look-ups by commit.';


-- job_payload: what the worker needs beyond the ids. Written only when given.
create table pgjobs.job_payload (
    job_id bigint not null,
    payload jsonb not null,
    constraint job_payload_job_id_pkey primary key (job_id),
    constraint job_payload_job_id_fkey foreign key (job_id) references pgjobs.job (job_id)
);

comment on table pgjobs.job_payload is
    'Detail: what the worker needs beyond the ids (repository URL, steps, ...).';
comment on column pgjobs.job_payload.payload is 'As given to enqueue; at most 64 KiB of text.';


create function pgjobs._find_job(job_id bigint)
    returns pgjobs.job
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_job pgjobs.job;
begin
    select job.* into v_job from pgjobs.job as job where job.job_id = _find_job.job_id;
    if not found then
        perform pgjobs._refuse('job_not_found');
    end if;
    return v_job;
end
$$;
comment on function pgjobs._find_job is 'The job with that id; P0002 when there is none.';


create function pgjobs._status(session_id uuid, job_id bigint)
    returns text
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce(
        (
            select verdict.status
            from pgjobs.verdict as verdict
            where verdict.job_id = _status.job_id
        ),
        (
            select 'RUNNING'
            from pgjobs.lease as lease
            where lease.session_id = _status.session_id and lease.job_id = _status.job_id
        ),
        'QUEUED'
    );
end
$$;
comment on function pgjobs._status is 'Where a job stands now.';
