-- The ledger, its hot tables, functions, views, roles and grants.
-- depends:
--
-- For the operator: creates the schema pgjobs and, where the role may, five group roles. It
-- touches nothing that exists, so its locks meet nobody. With psql alone:
-- psql -1 -v ON_ERROR_STOP=1 -f migrations/0001.ledger.sql

-- forgea_pgjobs: the present definition, in reading order. `psql -1 -v ON_ERROR_STOP=1 -f
-- sql/install.sql`
--
-- The life of a row. A pushed commit becomes a lab_attempt, and its one verification a job: two
-- ledger rows that are inserted once and never change. Where the job stands is not a column but a
-- place. Its session has a lane (how many jobs are open); the first of them is the lane's head, the
-- later ones are waiting. The head is ready, until a worker's claim makes it a lease: a random
-- token and an end. Whoever shows that token may write the verdict, which is again a ledger row,
-- and the session's next waiting job becomes the head. A lease that ends without a verdict leaves a
-- setback, and the same job is ready again until its runs are used up. A job with a verdict is in
-- no hot table any more, unless it is to be judged again: then it goes the same way once more, as a
-- review, and the answer is an amendment beside the verdict. What a run leaves is its artifacts.
--
--   lab_attempt --< job ---- verdict --< amendment       the ledger: insert only, guarded, for ever
--        |           | |\         \--< review ---- review_result
--        |           | | \--< setback
--        |           |  \---< artifact
--     detail      payload, body, summaries               beside it: bulky or personal, may expire
--
--   lane ---- ready (claimable, delayed) or lease        hot: one row per session with open jobs
--      \----< waiting                                    hot: the session's later jobs, reviews
--
-- Locks are taken in one order: the lane, then the ledger's unique keys or the head, in lease or in
-- ready, then the rest. The lane is locked by whoever changes how many jobs a session has open
-- (enqueue, complete, cancel, the last release), never by claim, heartbeat or rescue, which do not
-- wait for an open enqueue.


-- Roles: five group roles without login. They belong to the whole cluster: created if absent, never
-- dropped. pgjobs_owner owns every object, so that no login does; the rest of the installation runs
-- as that role until the transaction ends. Where the installing role may not create roles, it
-- becomes the owner itself; grants.sql says what is then left to do by hand.
set local lock_timeout = '500ms';
-- Names below mean PostgreSQL's own, whatever stands in the installing session's path.
set local search_path = pg_catalog, pg_temp;

do $$
begin
    if getdatabaseencoding() <> 'UTF8' then
        raise exception 'the database must be encoded in UTF8, not in %', getdatabaseencoding()
            using errcode = '0A000',
                  hint = 'Create it with: create database … encoding ''UTF8'' template template0.';
    end if;

    if (select rolsuper or rolcreaterole from pg_roles where rolname = current_user) then
        begin
            if to_regrole('pgjobs_owner') is null then
                create role pgjobs_owner nologin;
            end if;
            if to_regrole('pgjobs_app') is null then
                create role pgjobs_app nologin;
            end if;
            if to_regrole('pgjobs_worker') is null then
                create role pgjobs_worker nologin;
            end if;
            if to_regrole('pgjobs_reader') is null then
                create role pgjobs_reader nologin;
            end if;
            if to_regrole('pgjobs_operator') is null then
                create role pgjobs_operator nologin;
            end if;
            if not (select rolsuper from pg_roles where rolname = current_user) then
                grant pgjobs_owner to current_user;
            end if;
            create schema pgjobs authorization pgjobs_owner;
            perform set_config('role', 'pgjobs_owner', true);
            return;
        exception
            when insufficient_privilege then
                raise notice 'role % may not act for the existing role pgjobs_owner', current_user;
        end;
    end if;

    create schema pgjobs;
end
$$;

comment on schema pgjobs is
    'Verification jobs: one per commit for ever, one verdict per job, never changed. See '
    'docs/reference.md.';


-- Types: what a value of a column can be; the answers of the functions, one composite type each (an
-- OUT column may not share a parameter's name); and the sequences that no table owns.

-- Domains, since PostgreSQL prepares the CHECK of a column anew for every INSERT statement, that of
-- a domain once a session; none is a key.
create domain pgjobs.priority as smallint
    constraint job_priority_check check (value between 1 and 4);
comment on domain pgjobs.priority is '1 first … 4 last.';


create domain pgjobs.max_runs as smallint
    constraint job_max_runs_check check (value between 1 and 25);
comment on domain pgjobs.max_runs is 'How many runs a job may have in all, 1 … 25.';


create domain pgjobs.open_jobs as smallint
    constraint lane_open_jobs_check check (value between 1 and 100);
comment on domain pgjobs.open_jobs is 'Back-pressure: at most 100 open jobs per session.';


create type pgjobs.recorded as (
    attempt_id bigint,
    created boolean
);
comment on type pgjobs.recorded is 'Answer of record_attempt.';


create type pgjobs.enqueued as (
    job_id bigint,
    attempt_id bigint,
    status text,
    created boolean
);
comment on type pgjobs.enqueued is
    'Answer of enqueue: created is true for the one call that made the job.';


create type pgjobs.enqueued_element as (
    ordinal integer,
    job_id bigint,
    attempt_id bigint,
    status text,
    created boolean
);
comment on type pgjobs.enqueued_element is
    'Answer of enqueue_many for one element, counted from 1.';


create type pgjobs.claimed as (
    job_id bigint,
    attempt_id bigint,
    session_id uuid,
    commit_sha text,
    lab_version text,
    priority integer,
    run_no integer,
    lease_token uuid,
    lease_expires_at timestamptz,
    created_at timestamptz,
    payload jsonb,
    review_id bigint
);
comment on type pgjobs.claimed is
    'Answer of claim: a run of a job under a lease; review_id is null unless the job is judged '
    'again.';


create type pgjobs.completed as (
    job_id bigint,
    status text,
    completed_at timestamptz,
    replayed boolean
);
comment on type pgjobs.completed is
    'Answer of complete: replayed is true when this very call had already succeeded.';


create type pgjobs.completed_element as (
    ordinal integer,
    job_id bigint,
    status text,
    completed_at timestamptz,
    outcome text
);
comment on type pgjobs.completed_element is
    'Answer of complete_many for one element: completed, replayed, lease_lost, verdict_final or '
    'not_found.';


create type pgjobs.released as (
    job_id bigint,
    status text,
    run_no integer,
    available_at timestamptz
);
comment on type pgjobs.released is
    'Answer of release: QUEUED again, or ERROR when the runs are used up.';


create type pgjobs.rescued as (
    job_id bigint,
    status text
);
comment on type pgjobs.rescued is
    'Answer of rescue: QUEUED again, or ERROR when the runs are used up.';


create type pgjobs.cancelled as (
    job_id bigint,
    status text,
    completed_at timestamptz
);
comment on type pgjobs.cancelled is
    'Answer of cancel: the status is ERROR; of a cancelled review the verdict''s, which stands.';


create type pgjobs.artifact_added as (
    artifact_id bigint,
    sha256 bytea,
    size_bytes bigint,
    created boolean
);
comment on type pgjobs.artifact_added is
    'Answer of add_artifact: created is true for the one call that recorded it.';


create type pgjobs.amended as (
    amendment_id bigint,
    job_id bigint,
    effective_status text,
    amended_at timestamptz
);
comment on type pgjobs.amended is 'Answer of amend.';


create type pgjobs.reviewed_element as (
    ordinal integer,
    job_id bigint,
    review_id bigint,
    outcome text
);
comment on type pgjobs.reviewed_element is
    'Answer of reverify for one element, counted from 1: queued, not_final, already_queued or '
    'not_found.';


create type pgjobs.artifacts_expired as (
    artifacts bigint,
    bodies bigint,
    bytes bigint
);
comment on type pgjobs.artifacts_expired is
    'Answer of expire_artifacts: bodies dropped, the artifacts that were theirs, and their bytes.';


create type pgjobs.details_expired as (
    kind text,
    details bigint
);
comment on type pgjobs.details_expired is
    'Answer of expire_details: how many rows of a kind were dropped.';


create type pgjobs.event as (
    at timestamptz,
    event text,
    run_no integer,
    actor text,
    detail jsonb
);
comment on type pgjobs.event is 'Answer of timeline: what happened to a commit.';


create type pgjobs.waiting_reason as (
    reason text,
    detail jsonb
);
comment on type pgjobs.waiting_reason is 'Answer of why_waiting.';


create type pgjobs.finding as (
    severity text,
    object text,
    finding text,
    hint text
);
comment on type pgjobs.finding is
    'Answer of verify: severity is error, warning or info.';


create type pgjobs.bodies_verified as (
    bodies bigint,
    last_body_id bigint,
    wrong bigint[]
);
comment on type pgjobs.bodies_verified is
    'Answer of verify_bodies: last_body_id is null when there are no more; wrong has body ids.';


create type pgjobs.session_link as (
    state text,
    orphans bigint,
    examples uuid[]
);
comment on type pgjobs.session_link is
    'Answer of link_lab_sessions: examples are at most ten of the orphans.';


-- Marks are sequences, not rows: a row that claims update would leave dead versions that every
-- claim steps over while somebody holds an old snapshot. Setting one is not undone by a rollback. A
-- mark saves work, and no answer depends on it, but that there is nothing, on idle_at, for 0.1 s.
create sequence pgjobs.swept_at as bigint minvalue 0 start 0;
comment on sequence pgjobs.swept_at is
    'When a claim last looked for ended leases and delays: milliseconds since 1970.';
create sequence pgjobs.idle_at as bigint minvalue 0 start 0;
comment on sequence pgjobs.idle_at is
    'When a claim last looked at everything for long and found nothing: milliseconds since 1970.';
create sequence pgjobs.low_water_1 as bigint minvalue 0 start 0;
create sequence pgjobs.low_water_2 as bigint minvalue 0 start 0;
create sequence pgjobs.low_water_3 as bigint minvalue 0 start 0;
create sequence pgjobs.low_water_4 as bigint minvalue 0 start 0;
comment on sequence pgjobs.low_water_1 is
    'Priority 1: a claim found nothing claimable up to this ready_no.';
comment on sequence pgjobs.low_water_2 is
    'Priority 2: a claim found nothing claimable up to this ready_no.';
comment on sequence pgjobs.low_water_3 is
    'Priority 3: a claim found nothing claimable up to this ready_no.';
comment on sequence pgjobs.low_water_4 is
    'Priority 4: a claim found nothing claimable up to this ready_no.';


-- The guard of every ledger and detail table, and of the views: whatever would change a row raises
-- 23V01, for every role, in every session_replication_role. Row triggers, since a logical
-- replication apply fires no others; BEFORE, so that no foreign key action comes first and shows
-- keys.
create function pgjobs._guard_ledger()
    returns trigger
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception '% of pgjobs.% refused: the ledger is append-only', lower(tg_op), tg_table_name
        using errcode = '23V01',
              schema = tg_table_schema,
              table = tg_table_name,
              constraint = tg_name,
              hint = 'Ledger rows are never changed. A new commit gets a job of its own.';
end
$$;
comment on function pgjobs._guard_ledger is
    'Trigger: refuses every UPDATE, DELETE and TRUNCATE of a ledger row, and every write to a '
    'view, with 23V01.';


-- The guard of the tables beside the ledger, whose rows may go but never change: a DELETE passes
-- when the row's expiry is on record. The argument is the kind of expiry.
create function pgjobs._guard_detail()
    returns trigger
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_id bigint;
begin
    if tg_op = 'DELETE' then
        if tg_argv[0] = 'BODY' then
            v_id := old.body_id;
        elsif tg_argv[0] = 'ATTEMPT' then
            v_id := old.attempt_id;
        elsif tg_argv[0] = 'REVIEW' then
            v_id := old.review_id;
        else
            v_id := old.job_id;
        end if;
        if exists (
            select from pgjobs.expiry as expiry
            where expiry.kind = tg_argv[0] and expiry.id = v_id
        ) then
            return old;
        end if;
    end if;
    raise exception '% of pgjobs.% refused: only what has expired goes, and nothing changes',
        lower(tg_op), tg_table_name
        using errcode = '23V01',
              schema = tg_table_schema,
              table = tg_table_name,
              constraint = tg_name,
              hint = 'Retention is expire_artifacts and expire_details.';
end
$$;
comment on function pgjobs._guard_detail is
    'Trigger: refuses every UPDATE of a detail row, and every DELETE whose expiry is not on '
    'record, with 23V01.';


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


-- verdict: how a job ended. Guarantees: one per job (verdict_job_id_pkey), only PASSED, FAILED or
-- ERROR (verdict_status_check), a reason exactly for ERROR (verdict_error_reason_check), a worker's
-- lease behind every verdict a worker gave (verdict_lease_token_check), a mark on what the history
-- of the host says, which had no run and is never FAILED (verdict_origin_check), no change ever
-- (the guards).
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
        and error_reason in ('REPORTED', 'RUNS_EXHAUSTED', 'CANCELLED', 'BACKFILL_UNKNOWN')
    ),
    constraint verdict_lease_token_check check (
        case
            when origin is not null then actor is null and lease_token is null
            when error_reason = 'CANCELLED' then actor is not null and login is not null
            when error_reason = 'RUNS_EXHAUSTED' then actor is null and lease_token is null
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
) with (
    vacuum_truncate = off,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_freeze_min_age = 0
);

-- Serves "the newest 50 FAILED" and counts per status over a time.
create index verdict_status_completed_at_idx on pgjobs.verdict (status, completed_at);

comment on table pgjobs.verdict is 'Ledger: how a job ended, written once.';
comment on column pgjobs.verdict.job_id is 'The job.';
comment on column pgjobs.verdict.completed_at is 'When it ended, on the database clock.';
comment on column pgjobs.verdict.started_at is
    'When the latest run started; null where there was none.';
comment on column pgjobs.verdict.lease_token is
    'The lease of the run that this verdict ended; null where it ended none.';
comment on column pgjobs.verdict.run_no is 'How many runs the job has had.';
comment on column pgjobs.verdict.status is
    'PASSED, FAILED (the learner''s) or ERROR (never the learner''s).';
comment on column pgjobs.verdict.worker is
    'The worker of the latest run; null where there was none.';
comment on column pgjobs.verdict.error_reason is
    'REPORTED by the worker, RUNS_EXHAUSTED, CANCELLED or BACKFILL_UNKNOWN; null unless ERROR.';
comment on column pgjobs.verdict.error_detail is
    'The reason given to release or cancel, or what a backfill knew instead.';
comment on column pgjobs.verdict.actor is 'Who cancelled.';
comment on column pgjobs.verdict.login is
    'The database login, session_user, of who cancelled or backfilled.';
comment on column pgjobs.verdict.summary_sha256 is
    'SHA-256 of the summary''s text, null where none was given.';
comment on column pgjobs.verdict.origin is
    'BACKFILL: the history of the host says so, no run of ours; else null.';
comment on constraint verdict_job_id_pkey on pgjobs.verdict is 'One verdict per job.';
comment on constraint verdict_job_id_fkey on pgjobs.verdict is 'A verdict belongs to a job.';
comment on constraint verdict_status_check on pgjobs.verdict is 'The three verdicts.';
comment on constraint verdict_error_reason_check on pgjobs.verdict is 'A reason exactly for ERROR.';
comment on constraint verdict_lease_token_check on pgjobs.verdict is
    'A worker''s verdict has its lease, a cancel its actor.';
comment on constraint verdict_origin_check on pgjobs.verdict is
    'A backfilled verdict had no run, is PASSED or unknown, and is marked; no other is unknown.';
comment on index pgjobs.verdict_status_completed_at_idx is 'Serves "the newest 50 of a verdict".';

create trigger verdict_append_only before update or delete on pgjobs.verdict
    for each row execute function pgjobs._guard_ledger();
create trigger verdict_no_truncate before truncate on pgjobs.verdict
    for each statement execute function pgjobs._guard_ledger();
alter table pgjobs.verdict enable always trigger verdict_append_only;
alter table pgjobs.verdict enable always trigger verdict_no_truncate;
comment on trigger verdict_append_only on pgjobs.verdict is 'Refuses UPDATE and DELETE with 23V01.';
comment on trigger verdict_no_truncate on pgjobs.verdict is 'Refuses TRUNCATE with 23V01.';


-- verdict_summary: what the worker says beside the status. Written only when given.
create table pgjobs.verdict_summary (
    job_id bigint not null,
    summary jsonb not null,
    constraint verdict_summary_job_id_pkey primary key (job_id),
    constraint verdict_summary_job_id_fkey foreign key (job_id) references pgjobs.verdict (job_id)
) with (
    vacuum_truncate = off,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_freeze_min_age = 0
);

comment on table pgjobs.verdict_summary is 'Detail: what the worker says beside the status.';
comment on column pgjobs.verdict_summary.job_id is 'The job.';
comment on column pgjobs.verdict_summary.summary is 'As given to complete; at most 64 KiB of text.';
comment on constraint verdict_summary_job_id_pkey on pgjobs.verdict_summary is
    'One summary per verdict.';
comment on constraint verdict_summary_job_id_fkey on pgjobs.verdict_summary is
    'A summary belongs to a verdict.';

create trigger verdict_summary_append_only before update or delete on pgjobs.verdict_summary
    for each row execute function pgjobs._guard_detail('SUMMARY');
create trigger verdict_summary_no_truncate before truncate on pgjobs.verdict_summary
    for each statement execute function pgjobs._guard_ledger();
alter table pgjobs.verdict_summary enable always trigger verdict_summary_append_only;
alter table pgjobs.verdict_summary enable always trigger verdict_summary_no_truncate;
comment on trigger verdict_summary_append_only on pgjobs.verdict_summary is
    'Refuses UPDATE, and a DELETE whose expiry is not on record, with 23V01.';
comment on trigger verdict_summary_no_truncate on pgjobs.verdict_summary is
    'Refuses TRUNCATE with 23V01.';


-- setback: a run that ended without a verdict. Guarantees: one record per run
-- (setback_job_id_run_no_pkey), no change ever (the guards). Infrastructure trouble ends here,
-- never in a FAILED.
create table pgjobs.setback (
    job_id bigint not null,
    started_at timestamptz not null,
    ended_at timestamptz not null,
    run_no smallint not null,
    outcome text collate "C" not null,
    worker text collate "C" not null,
    reason text,
    constraint setback_job_id_run_no_pkey primary key (job_id, run_no),
    constraint setback_job_id_fkey foreign key (job_id) references pgjobs.job (job_id),
    constraint setback_run_no_check check (run_no >= 1),
    constraint setback_outcome_check check (outcome in ('LEASE_LOST', 'RELEASED')),
    constraint setback_reason_check check ((outcome = 'RELEASED') = (reason is not null))
) with (
    vacuum_truncate = off,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_freeze_min_age = 0
);

comment on table pgjobs.setback is 'Ledger: a run that ended without a verdict.';
comment on column pgjobs.setback.job_id is 'The job.';
comment on column pgjobs.setback.started_at is 'When the run was claimed.';
comment on column pgjobs.setback.ended_at is 'When the lease was taken away or given back.';
comment on column pgjobs.setback.run_no is 'The run, counted from 1.';
comment on column pgjobs.setback.outcome is 'LEASE_LOST or RELEASED.';
comment on column pgjobs.setback.worker is 'Who had claimed it.';
comment on column pgjobs.setback.reason is 'The reason given to release.';
comment on constraint setback_job_id_run_no_pkey on pgjobs.setback is 'One record per run.';
comment on constraint setback_job_id_fkey on pgjobs.setback is 'A run belongs to a job.';
comment on constraint setback_run_no_check on pgjobs.setback is 'From 1.';
comment on constraint setback_outcome_check on pgjobs.setback is
    'The two ways to end without a verdict.';
comment on constraint setback_reason_check on pgjobs.setback is 'A reason exactly for a release.';

create trigger setback_append_only before update or delete on pgjobs.setback
    for each row execute function pgjobs._guard_ledger();
create trigger setback_no_truncate before truncate on pgjobs.setback
    for each statement execute function pgjobs._guard_ledger();
alter table pgjobs.setback enable always trigger setback_append_only;
alter table pgjobs.setback enable always trigger setback_no_truncate;
comment on trigger setback_append_only on pgjobs.setback is 'Refuses UPDATE and DELETE with 23V01.';
comment on trigger setback_no_truncate on pgjobs.setback is 'Refuses TRUNCATE with 23V01.';


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


-- expiry: which body or detail row was dropped, when and by which login. Guarantees: one per row
-- (expiry_kind_id_pkey), no change ever (the guards). A row beside the ledger may be deleted only
-- when it stands here (_guard_detail).
create table pgjobs.expiry (
    id bigint not null,
    expired_at timestamptz not null,
    kind text collate "C" not null,
    login text collate "C" not null,
    constraint expiry_kind_id_pkey primary key (kind, id),
    constraint expiry_kind_check check (
        kind in ('BODY', 'ATTEMPT', 'PAYLOAD', 'SUMMARY', 'REVIEW')
    )
) with (
    vacuum_truncate = off,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_freeze_min_age = 0
);

comment on table pgjobs.expiry is
    'Ledger: which body or detail row was dropped.';
comment on column pgjobs.expiry.id is 'body_id, attempt_id, job_id, job_id or review_id, by kind.';
comment on column pgjobs.expiry.expired_at is 'When, on the database clock.';
comment on column pgjobs.expiry.kind is
    'BODY, ATTEMPT, PAYLOAD, SUMMARY or REVIEW (a review''s summary).';
comment on column pgjobs.expiry.login is 'The database login, session_user.';
comment on constraint expiry_kind_id_pkey on pgjobs.expiry is 'A row expires once.';
comment on constraint expiry_kind_check on pgjobs.expiry is 'The five tables beside the ledger.';

create trigger expiry_append_only before update or delete on pgjobs.expiry
    for each row execute function pgjobs._guard_ledger();
create trigger expiry_no_truncate before truncate on pgjobs.expiry
    for each statement execute function pgjobs._guard_ledger();
alter table pgjobs.expiry enable always trigger expiry_append_only;
alter table pgjobs.expiry enable always trigger expiry_no_truncate;
comment on trigger expiry_append_only on pgjobs.expiry is 'Refuses UPDATE and DELETE with 23V01.';
comment on trigger expiry_no_truncate on pgjobs.expiry is 'Refuses TRUNCATE with 23V01.';


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
) with (
    vacuum_truncate = off,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_freeze_min_age = 0
);

comment on table pgjobs.backfill is 'Ledger: what became of a log of the host''s history.';
comment on column pgjobs.backfill.log_id is 'The host''s log.';
comment on column pgjobs.backfill.session_id is 'The lab session of the log.';
comment on column pgjobs.backfill.attempt_id is
    'The attempt of its session and commit, made for it or there before.';
comment on column pgjobs.backfill.job_id is 'The job that was made of it.';
comment on column pgjobs.backfill.backfilled_at is 'When, on the database clock.';
comment on column pgjobs.backfill.outcome is 'JOB, ATTEMPT (no job of its own) or SKIPPED.';
comment on column pgjobs.backfill.reason is
    'JOB: VERIFIED_PASS or BACKFILL_UNKNOWN. ATTEMPT: COMMIT_HAS_JOB or BAD_LAB_VERSION. SKIPPED: '
    'BAD_COMMIT_SHA or BAD_TIME.';
comment on column pgjobs.backfill.login is 'The database login, session_user.';
comment on column pgjobs.backfill.log_sha256 is 'SHA-256 of the log as it was read.';
comment on column pgjobs.backfill.ledger_sha256 is
    'SHA-256 of its attempt, job, verdict and artifacts as they stood then.';
comment on constraint backfill_log_id_pkey on pgjobs.backfill is 'A log is looked at once.';
comment on constraint backfill_job_id_key on pgjobs.backfill is 'A job comes from one log.';
comment on constraint backfill_job_id_fkey on pgjobs.backfill is 'The job is there.';
comment on constraint backfill_attempt_id_fkey on pgjobs.backfill is 'The attempt is there.';
comment on constraint backfill_outcome_check on pgjobs.backfill is
    'An outcome names the rows it has.';
comment on constraint backfill_reason_check on pgjobs.backfill is 'The reasons of each outcome.';
comment on constraint backfill_log_sha256_check on pgjobs.backfill is 'The length of a SHA-256.';
comment on constraint backfill_ledger_sha256_check on pgjobs.backfill is 'The length of a SHA-256.';

create trigger backfill_append_only before update or delete on pgjobs.backfill
    for each row execute function pgjobs._guard_ledger();
create trigger backfill_no_truncate before truncate on pgjobs.backfill
    for each statement execute function pgjobs._guard_ledger();
alter table pgjobs.backfill enable always trigger backfill_append_only;
alter table pgjobs.backfill enable always trigger backfill_no_truncate;
comment on trigger backfill_append_only on pgjobs.backfill is
    'Refuses UPDATE and DELETE with 23V01.';
comment on trigger backfill_no_truncate on pgjobs.backfill is 'Refuses TRUNCATE with 23V01.';


-- lane: a session with open jobs: how many, and which of them is the head. Guarantees: at most 100
-- (the domain open_jobs, asked by enqueue before it is hit); one head per session, which is in
-- ready or in lease, while the others wait. Its row lock is what makes "the next job of a session"
-- safe: every call that adds or ends a job changes this row, so two of them never pass each other,
-- and above READ COMMITTED the second gets 40001.
create table pgjobs.lane (
    session_id uuid not null,
    head_job_id bigint not null,
    open_jobs pgjobs.open_jobs not null,
    constraint lane_session_id_pkey primary key (session_id)
) with (
    fillfactor = 70,
    vacuum_truncate = off,
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0
);

comment on table pgjobs.lane is
    'Hot: a session with open jobs, and its head; the lock for adding and ending jobs.';
comment on column pgjobs.lane.session_id is 'The lab session.';
comment on column pgjobs.lane.head_job_id is
    'The first of its open jobs, or the job whose review is: the row of ready or lease.';
comment on column pgjobs.lane.open_jobs is 'Its head and its waiting jobs.';
comment on constraint lane_session_id_pkey on pgjobs.lane is 'One lane per session.';


-- ready: the head of a session while nobody runs it: claimable, or delayed until its time comes.
-- One row per job (ready_job_id_pkey). Hot tables have no foreign keys and no triggers: only the
-- functions write.
create table pgjobs.ready (
    job_id bigint not null,
    session_id uuid not null,
    attempt_id bigint not null,
    available_at timestamptz not null,
    ready_no bigint,
    review_id bigint,
    started_at timestamptz,
    priority smallint not null,
    run_no smallint not null default 0,
    worker text collate "C",
    constraint ready_job_id_pkey primary key (job_id)
) with (
    vacuum_truncate = off,
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0
);

-- Serves claim: the claimable heads in order.
create index ready_priority_ready_no_idx on pgjobs.ready (priority, ready_no)
    where ready_no is not null;
-- Serves the promotion of heads whose time has come.
create index ready_available_at_idx on pgjobs.ready (available_at) where ready_no is null;

comment on table pgjobs.ready is
    'Hot: the first open job of a session, claimable or delayed.';
comment on column pgjobs.ready.job_id is 'The job.';
comment on column pgjobs.ready.session_id is 'The lab session.';
comment on column pgjobs.ready.attempt_id is
    'Its attempt, so that claim need not look for it.';
comment on column pgjobs.ready.available_at is 'Not to be claimed before.';
comment on column pgjobs.ready.ready_no is
    'Place among the claimable heads of its priority, from the sequence of the jobs: a new job''s '
    'is its id, one that comes back takes the next; null while delayed.';
comment on column pgjobs.ready.review_id is
    'The review for which the job is judged again; null for its first verification.';
comment on column pgjobs.ready.started_at is 'When the latest run was claimed; null without one.';
comment on column pgjobs.ready.priority is '1 first … 4 last.';
comment on column pgjobs.ready.run_no is 'How many runs the job has had.';
comment on column pgjobs.ready.worker is 'Who claimed the latest run; null without one.';
comment on constraint ready_job_id_pkey on pgjobs.ready is 'A job is claimable once.';
comment on index pgjobs.ready_priority_ready_no_idx is
    'The claimable heads, in the order of claim.';
comment on index pgjobs.ready_available_at_idx is 'The delayed heads, by when their time comes.';


-- lease: the head of a session while a worker runs it. Guarantees: one running job per session
-- (lease_session_id_pkey). Claim moves a row from ready to here; complete and cancel take it away;
-- release and rescue move it back, or take it away when that was the last run.
create table pgjobs.lease (
    session_id uuid not null,
    job_id bigint not null,
    attempt_id bigint not null,
    available_at timestamptz not null,
    started_at timestamptz not null,
    lease_expires_at timestamptz not null,
    lease_token uuid not null,
    lease_for interval not null,
    review_id bigint,
    priority smallint not null,
    run_no smallint not null,
    worker text collate "C" not null,
    constraint lease_session_id_pkey primary key (session_id)
) with (
    vacuum_truncate = off,
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0
);

-- Serves rescue.
create index lease_lease_expires_at_idx on pgjobs.lease (lease_expires_at);

comment on table pgjobs.lease is 'Hot: the first open job of a session, running.';
comment on column pgjobs.lease.session_id is 'The lab session.';
comment on column pgjobs.lease.job_id is 'The job.';
comment on column pgjobs.lease.attempt_id is 'Its attempt.';
comment on column pgjobs.lease.available_at is 'From when on it could be claimed.';
comment on column pgjobs.lease.started_at is 'When the run was claimed.';
comment on column pgjobs.lease.lease_expires_at is
    'From then on the lease may be taken away.';
comment on column pgjobs.lease.lease_token is 'Who shows it may write the verdict.';
comment on column pgjobs.lease.lease_for is
    'The granted length, to tell a lease given by a clock that ran ahead.';
comment on column pgjobs.lease.review_id is
    'The review for which the job is judged again; null for its first verification.';
comment on column pgjobs.lease.priority is '1 first … 4 last.';
comment on column pgjobs.lease.run_no is 'How many runs the job has had, this one included.';
comment on column pgjobs.lease.worker is 'Who claimed the run.';
comment on constraint lease_session_id_pkey on pgjobs.lease is 'One running job per session.';
comment on index pgjobs.lease_lease_expires_at_idx is 'The leases, by their end.';


-- waiting: a session's open jobs and reviews behind its head, in the order of their coming.
create table pgjobs.waiting (
    session_id uuid not null,
    turn_no bigint not null,
    reviewed_job_id bigint,
    constraint waiting_session_id_turn_no_pkey primary key (session_id, turn_no)
) with (
    vacuum_truncate = off,
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0
);

comment on table pgjobs.waiting is 'Hot: a session''s open jobs and reviews behind its head.';
comment on column pgjobs.waiting.session_id is 'The lab session.';
comment on column pgjobs.waiting.turn_no is
    'The job, or the review: their ids come from one sequence.';
comment on column pgjobs.waiting.reviewed_job_id is
    'The job that the review is of; null for a job that waits for its first verification.';
comment on constraint waiting_session_id_turn_no_pkey on pgjobs.waiting is
    'Serves "the next of a session".';


-- migration: which migrations this database has, each written in the migration's own transaction.
create table pgjobs.migration (
    migration_id text not null,
    checksum text not null,
    applied_at timestamptz not null default now(),
    applied_by text not null default session_user,
    constraint migration_migration_id_pkey primary key (migration_id)
);

comment on table pgjobs.migration is
    'The migrations this database has; the runner trusts this table.';
comment on column pgjobs.migration.migration_id is 'File name without its ending.';
comment on column pgjobs.migration.checksum is
    'SHA-256, in hex, of the file''s text above the line that inserts this row.';
comment on column pgjobs.migration.applied_at is 'When it was applied.';
comment on column pgjobs.migration.applied_by is 'The login that applied it.';
comment on constraint migration_migration_id_pkey on pgjobs.migration is
    'A migration is applied once.';


-- fingerprint: the objects of this version, each with its state and the digests that its definition
-- may have: one, or one per form in which majors of PostgreSQL write it. The migrations write the
-- rows, which .ci/write_fingerprints.py computes; verify() holds them against the view _installed.
create table pgjobs.fingerprint (
    migration_id text not null,
    object text collate "C" not null,
    state text collate "C" not null,
    digest text collate "C" not null,
    constraint fingerprint_object_digest_pkey primary key (object, digest)
);

comment on table pgjobs.fingerprint is 'The objects of this version, as published.';
comment on column pgjobs.fingerprint.migration_id is 'The migration that brings it.';
comment on column pgjobs.fingerprint.object is 'Kind and name, as the view _installed says them.';
comment on column pgjobs.fingerprint.state is 'Such as present, or always on.';
comment on column pgjobs.fingerprint.digest is
    'Half of the SHA-256, in hex, of the definition without the word pgjobs.';
comment on constraint fingerprint_object_digest_pkey on pgjobs.fingerprint is
    'A definition is published once.';


-- reserve: every table starts with pages to spare, and vacuum does not take them back. For a small
-- table reading it whole is the cheapest plan, and a session keeps the plan that a function made
-- then; when 40,000 rows arrive it reads those on every call. Sixteen pages make the index the
-- cheaper way to one row from the first row on, sixty-four the places of ten. The rows that claim
-- the pages are undone at once; ids are not drawn; the indexes are built anew, since an index of
-- many pages and few rows looks expensive. The autovacuum thresholds of the ledger keep the dead
-- rows from being vacuumed while the tables are empty: a table that is known to have no rows makes
-- all its indexes look alike.
do $$
declare
    v_wide constant text := repeat('x', 1900);
begin
    insert into pgjobs.lab_attempt (attempt_id, session_id, commit_sha, recorded_at)
    overriding system value
    select -number, gen_random_uuid(), lpad(number::text, 40, '0'), now()
    from generate_series(1, 1600) as number;

    insert into pgjobs.job (
        job_id, session_id, commit_sha, lab_version, priority, max_runs, created_at
    )
    overriding system value
    select attempt.attempt_id, attempt.session_id, attempt.commit_sha, v_wide, 1, 1, now()
    from pgjobs.lab_attempt as attempt
    order by attempt.attempt_id
    limit 80;

    insert into pgjobs.attempt_detail (attempt_id, author)
    select job.job_id, v_wide from pgjobs.job as job;
    insert into pgjobs.job_payload (job_id, payload)
    select job.job_id, to_jsonb(v_wide) from pgjobs.job as job;
    insert into pgjobs.verdict (
        job_id, completed_at, run_no, status, error_reason, error_detail, actor, login
    )
    select job.job_id, now(), 0, 'ERROR', 'CANCELLED', v_wide, '-', '-' from pgjobs.job as job;
    insert into pgjobs.verdict_summary (job_id, summary)
    select job.job_id, to_jsonb(v_wide) from pgjobs.job as job;
    insert into pgjobs.setback (job_id, started_at, ended_at, run_no, outcome, worker)
    select job.job_id, now(), now(), 1, 'LEASE_LOST', v_wide from pgjobs.job as job;

    insert into pgjobs.review (
        review_id, job_id, requested_at, priority, review_no, runs_before, lab_version, reason,
        actor, approver, ticket, login
    )
    select job.job_id, job.job_id, now(), 1, 1, 0, '1', v_wide, 'a', 'b', '1', '-'
    from pgjobs.job as job;
    insert into pgjobs.review_result (
        review_id, job_id, ended_at, run_no, outcome, detail, actor, login
    )
    select job.job_id, job.job_id, now(), 0, 'CANCELLED', v_wide, '-', '-' from pgjobs.job as job;
    insert into pgjobs.review_summary (review_id, summary)
    select job.job_id, to_jsonb(v_wide) from pgjobs.job as job;
    insert into pgjobs.amendment (
        amendment_id, job_id, completed_at, amended_at, amendment_no, verdict_status, status,
        reason, actor, approver, ticket, login
    )
    overriding system value
    select
        job.job_id, job.job_id, now(), now(), 1, 'ERROR', 'ERROR', v_wide, 'a', 'b', '1', '-'
    from pgjobs.job as job;
    insert into pgjobs.artifact (
        artifact_id, job_id, created_at, size_bytes, inline_bytes, run_no, artifact_no, truncated,
        kind, name, media_type, location, sha256
    )
    overriding system value
    select
        job.job_id, job.job_id, now(), 0, 0, 1, 1, false, 'LOG', '1', '-', v_wide, sha256('1')
    from pgjobs.job as job;
    insert into pgjobs.body (body_id, created_at, sha256, content)
    overriding system value
    select job.job_id, now(), sha256(convert_to(job.commit_sha, 'UTF8')), convert_to(v_wide, 'UTF8')
    from pgjobs.job as job;
    insert into pgjobs.expiry (id, expired_at, kind, login)
    select job.job_id, now(), 'BODY', v_wide from pgjobs.job as job;

    insert into pgjobs.lane (session_id, head_job_id, open_jobs)
    select gen_random_uuid(), 0, 1 from generate_series(1, 7000);
    insert into pgjobs.ready (job_id, session_id, attempt_id, available_at, priority, worker)
    select number, gen_random_uuid(), 0, now(), 1, v_wide
    from generate_series(1, 200) as number;
    insert into pgjobs.lease (
        session_id, job_id, attempt_id, available_at, started_at, lease_expires_at, lease_token,
        lease_for, priority, run_no, worker
    )
    select
        gen_random_uuid(), 0, 0, now(), now(), now(), gen_random_uuid(), interval '1 second', 1, 1,
        v_wide
    from generate_series(1, 200);
    insert into pgjobs.waiting (session_id, turn_no)
    select gen_random_uuid(), 1 from generate_series(1, 3000);

    raise exception 'undo' using errcode = 'P0001';
exception
    when raise_exception then
        return;
end
$$;

-- Nobody reads these tables yet:
-- squawk-ignore-file require-concurrent-reindex
reindex table pgjobs.lab_attempt;
reindex table pgjobs.attempt_detail;
reindex table pgjobs.job;
reindex table pgjobs.job_payload;
reindex table pgjobs.verdict;
reindex table pgjobs.verdict_summary;
reindex table pgjobs.setback;
reindex table pgjobs.review;
reindex table pgjobs.review_result;
reindex table pgjobs.review_summary;
reindex table pgjobs.amendment;
reindex table pgjobs.artifact;
reindex table pgjobs.body;
reindex table pgjobs.expiry;
reindex table pgjobs.lane;
reindex table pgjobs.ready;
reindex table pgjobs.lease;
reindex table pgjobs.waiting;


-- verification_attempt: the attempt ledger with its detail where still kept.
create view pgjobs.verification_attempt as
select
    attempt.attempt_id,
    attempt.session_id,
    attempt.commit_sha,
    attempt.delivery_id,
    attempt.recorded_at,
    attempt.pushed_at,
    detail.author,
    detail.branch,
    detail.changed_files
from pgjobs.lab_attempt as attempt
left join pgjobs.attempt_detail as detail using (attempt_id);

comment on view pgjobs.verification_attempt is 'Every pushed commit of every session. Read-only.';

create trigger verification_attempt_read_only instead of insert or update or delete
    on pgjobs.verification_attempt for each row execute function pgjobs._guard_ledger();
comment on trigger verification_attempt_read_only on pgjobs.verification_attempt is
    'Refuses INSERT, UPDATE and DELETE with 23V01.';


-- verification_verdict: the finished jobs. What stands is the verdict, or the last amendment. Both
-- have completed_at behind the status in an index, and the union below has one plain table a
-- branch: so "the newest 50 FAILED", or whose effective status is FAILED, walks two indexes
-- backwards. Over verification_job, whose branches are joins, it could not.
create view pgjobs.verification_verdict as
select
    standing.job_id,
    attempt.attempt_id,
    attempt.session_id,
    job.commit_sha,
    job.lab_version,
    standing.status,
    job.priority::integer as priority,
    payload.payload,
    job.created_at,
    coalesce(job.available_at, job.created_at) as available_at,
    coalesce(standing.started_at, amended.started_at) as started_at,
    standing.completed_at,
    coalesce(standing.run_no, amended.run_no)::integer as run_no,
    job.max_runs::integer as max_runs,
    coalesce(standing.worker, amended.worker) as worker,
    coalesce(standing.error_reason, amended.error_reason) as error_reason,
    coalesce(standing.error_detail, amended.error_detail)
        || coalesce(' (cancelled by ' || coalesce(standing.actor, amended.actor) || ')', '')
        as error_detail,
    summary.summary,
    standing.effective_status,
    standing.amended_at,
    coalesce(standing.origin, amended.origin, 'QUEUE' collate "C") as origin
from (
    select
        verdict.job_id, verdict.status, verdict.status as effective_status, verdict.completed_at,
        null::timestamptz as amended_at, 0::smallint as amendment_no, verdict.started_at,
        verdict.run_no, verdict.worker, verdict.error_reason, verdict.error_detail, verdict.actor,
        verdict.origin
    from pgjobs.verdict as verdict
    union all
    select
        amendment.job_id, amendment.verdict_status, amendment.status, amendment.completed_at,
        amendment.amended_at, amendment.amendment_no,
        -- Without names of their own these read otherwise after a restore than before.
        null as started_at, null as run_no, null as worker, null as error_reason,
        null as error_detail, null as actor, null as origin
    from pgjobs.amendment as amendment
) as standing
-- Foreign keys make these two inner joins; as outer ones a count leaves them out.
left join pgjobs.job as job on job.job_id = standing.job_id
left join pgjobs.lab_attempt as attempt
    on attempt.session_id = job.session_id and attempt.commit_sha = job.commit_sha
left join pgjobs.verdict as amended
    on amended.job_id = standing.job_id and standing.amendment_no > 0
left join pgjobs.job_payload as payload on payload.job_id = standing.job_id
left join pgjobs.verdict_summary as summary on summary.job_id = standing.job_id
where not exists (
    select from pgjobs.amendment as later
    where later.job_id = standing.job_id and later.amendment_no > standing.amendment_no
);

comment on view pgjobs.verification_verdict is
    'The finished jobs, one row each: status is the verdict, effective_status the last amendment '
    'where there is one. Read-only.';

create trigger verification_verdict_read_only instead of insert or update or delete
    on pgjobs.verification_verdict for each row execute function pgjobs._guard_ledger();
comment on trigger verification_verdict_read_only on pgjobs.verification_verdict is
    'Refuses INSERT, UPDATE and DELETE with 23V01.';


-- verification_job: every job once, where it stands. Each branch has its status as a constant, so
-- that a filter on QUEUED or RUNNING never reads the verdicts: with one branch for all verdicts it
-- would read them all.
create view pgjobs.verification_job as
with open_job as not materialized (
    select
        job.job_id,
        attempt.attempt_id,
        attempt.session_id,
        job.commit_sha,
        job.lab_version,
        job.priority::integer as priority,
        payload.payload,
        job.created_at,
        coalesce(job.available_at, job.created_at) as available_at,
        job.max_runs::integer as max_runs
    from pgjobs.job as job
    join pgjobs.lab_attempt as attempt
        on attempt.session_id = job.session_id and attempt.commit_sha = job.commit_sha
    left join pgjobs.job_payload as payload on payload.job_id = job.job_id
)
select
    open_job.job_id,
    open_job.attempt_id,
    open_job.session_id,
    open_job.commit_sha,
    open_job.lab_version,
    'QUEUED'::text collate "C" as status,
    open_job.priority,
    open_job.payload,
    open_job.created_at,
    open_job.available_at,
    null::timestamptz as started_at,
    null::timestamptz as completed_at,
    0 as run_no,
    open_job.max_runs,
    null::text collate "C" as worker,
    null::text collate "C" as error_reason,
    null::text as error_detail,
    null::jsonb as summary,
    'QUEUED'::text collate "C" as effective_status,
    null::timestamptz as amended_at,
    'QUEUE'::text collate "C" as origin
from pgjobs.waiting as waiting
join open_job on open_job.session_id = waiting.session_id and open_job.job_id = waiting.turn_no
where waiting.reviewed_job_id is null
union all
select
    open_job.job_id,
    open_job.attempt_id,
    open_job.session_id,
    open_job.commit_sha,
    open_job.lab_version,
    'QUEUED'::text collate "C",
    open_job.priority,
    open_job.payload,
    open_job.created_at,
    ready.available_at,
    ready.started_at,
    null,
    ready.run_no::integer,
    open_job.max_runs,
    ready.worker,
    null,
    null,
    null,
    'QUEUED'::text collate "C",
    null,
    'QUEUE'::text collate "C"
from pgjobs.lane as lane
join pgjobs.ready as ready on ready.job_id = lane.head_job_id
join open_job on open_job.session_id = lane.session_id and open_job.job_id = lane.head_job_id
where ready.review_id is null
union all
select
    open_job.job_id,
    open_job.attempt_id,
    open_job.session_id,
    open_job.commit_sha,
    open_job.lab_version,
    'RUNNING'::text collate "C",
    open_job.priority,
    open_job.payload,
    open_job.created_at,
    lease.available_at,
    lease.started_at,
    null,
    lease.run_no::integer,
    open_job.max_runs,
    lease.worker,
    null,
    null,
    null,
    'RUNNING'::text collate "C",
    null,
    'QUEUE'::text collate "C"
from pgjobs.lease as lease
join open_job on open_job.session_id = lease.session_id and open_job.job_id = lease.job_id
where lease.review_id is null
union all
select
    job_id, attempt_id, session_id, commit_sha, lab_version, 'PASSED'::text collate "C", priority,
    payload, created_at, available_at, started_at, completed_at, run_no, max_runs, worker,
    error_reason, error_detail, summary, effective_status, amended_at, origin
from pgjobs.verification_verdict
where status = 'PASSED'
union all
select
    job_id, attempt_id, session_id, commit_sha, lab_version, 'FAILED'::text collate "C", priority,
    payload, created_at, available_at, started_at, completed_at, run_no, max_runs, worker,
    error_reason, error_detail, summary, effective_status, amended_at, origin
from pgjobs.verification_verdict
where status = 'FAILED'
union all
select
    job_id, attempt_id, session_id, commit_sha, lab_version, 'ERROR'::text collate "C", priority,
    payload, created_at, available_at, started_at, completed_at, run_no, max_runs, worker,
    error_reason, error_detail, summary, effective_status, amended_at, origin
from pgjobs.verification_verdict
where status = 'ERROR';

comment on view pgjobs.verification_job is
    'Every job once: QUEUED, RUNNING, PASSED, FAILED or ERROR. started_at and worker are those of'
    ' the latest run; origin is BACKFILL where a host''s history says so. Read-only.';

create trigger verification_job_read_only instead of insert or update or delete
    on pgjobs.verification_job for each row execute function pgjobs._guard_ledger();
comment on trigger verification_job_read_only on pgjobs.verification_job is
    'Refuses INSERT, UPDATE and DELETE with 23V01.';


-- verification_run: every run of every job, from the one place that recorded it: a setback, the
-- verdict or the review's result that ended it (its lease_token says so), or its lease.
create view pgjobs.verification_run as
select
    lease.job_id,
    lease.run_no::integer as run_no,
    lease.worker,
    lease.started_at,
    null::timestamptz as ended_at,
    'RUNNING'::text collate "C" as outcome,
    null::text as reason
from pgjobs.lease as lease
-- The lease of a job is found by its session.
join pgjobs.job as job on job.job_id = lease.job_id and job.session_id = lease.session_id
union all
select
    setback.job_id,
    setback.run_no::integer,
    setback.worker,
    setback.started_at,
    setback.ended_at,
    setback.outcome,
    setback.reason
from pgjobs.setback as setback
union all
select
    verdict.job_id,
    verdict.run_no::integer,
    verdict.worker,
    verdict.started_at,
    verdict.completed_at,
    case verdict.error_reason when 'CANCELLED' then 'CANCELLED' else verdict.status end collate "C",
    verdict.error_detail
from pgjobs.verdict as verdict
where verdict.lease_token is not null
union all
select
    result.job_id,
    result.run_no::integer,
    result.worker,
    result.started_at,
    result.ended_at,
    result.outcome,
    result.detail
from pgjobs.review_result as result
where result.lease_token is not null;

comment on view pgjobs.verification_run is
    'Every run of every job: RUNNING, PASSED, FAILED, ERROR, LEASE_LOST, RELEASED or CANCELLED. '
    'Read-only.';

create trigger verification_run_read_only instead of insert or update or delete
    on pgjobs.verification_run for each row execute function pgjobs._guard_ledger();
comment on trigger verification_run_read_only on pgjobs.verification_run is
    'Refuses INSERT, UPDATE and DELETE with 23V01.';


-- verification_artifact: all of an artifact but its bytes, which read_artifact answers.
create view pgjobs.verification_artifact as
select
    artifact.artifact_id,
    artifact.job_id,
    artifact.run_no::integer as run_no,
    artifact.kind,
    artifact.name,
    artifact.sha256,
    artifact.size_bytes,
    artifact.media_type,
    artifact.location,
    artifact.truncated,
    artifact.created_at,
    expiry.expired_at
from pgjobs.artifact as artifact
left join pgjobs.expiry as expiry on expiry.kind = 'BODY' and expiry.id = artifact.body_id;

comment on view pgjobs.verification_artifact is
    'Every artifact of every run; expired_at: when its bytes were dropped. Read-only.';

create trigger verification_artifact_read_only instead of insert or update or delete
    on pgjobs.verification_artifact for each row execute function pgjobs._guard_ledger();
comment on trigger verification_artifact_read_only on pgjobs.verification_artifact is
    'Refuses INSERT, UPDATE and DELETE with 23V01.';


-- verification_amendment: every word on a verdict that stands.
create view pgjobs.verification_amendment as
select
    amendment.amendment_id,
    amendment.job_id,
    amendment.amendment_no::integer as amendment_no,
    amendment.status,
    amendment.lab_version,
    amendment.reason,
    amendment.actor,
    amendment.approver,
    amendment.ticket,
    amendment.login,
    amendment.review_id,
    amendment.amended_at
from pgjobs.amendment as amendment;

comment on view pgjobs.verification_amendment is
    'Every amendment; the highest amendment_no of a job is its effective status. Read-only.';

create trigger verification_amendment_read_only instead of insert or update or delete
    on pgjobs.verification_amendment for each row execute function pgjobs._guard_ledger();
comment on trigger verification_amendment_read_only on pgjobs.verification_amendment is
    'Refuses INSERT, UPDATE and DELETE with 23V01.';


-- verification_review: every review, where it stands: it has its result, or its job runs, or it
-- waits.
create view pgjobs.verification_review as
select
    review.review_id,
    review.job_id,
    job.session_id,
    job.commit_sha,
    coalesce(
        result.outcome,
        case when lease.job_id is null then 'QUEUED' else 'RUNNING' end collate "C"
    ) as status,
    review.priority::integer as priority,
    review.lab_version,
    review.reason,
    review.actor,
    review.approver,
    review.ticket,
    review.login,
    review.requested_at,
    coalesce(result.started_at, ready.started_at, lease.started_at) as started_at,
    result.ended_at,
    coalesce(result.run_no, ready.run_no, lease.run_no, review.runs_before)::integer as run_no,
    coalesce(result.worker, ready.worker, lease.worker) as worker,
    result.detail || coalesce(' (cancelled by ' || result.actor || ')', '') as detail,
    summary.summary
from pgjobs.review as review
join pgjobs.job as job on job.job_id = review.job_id
left join pgjobs.review_result as result on result.review_id = review.review_id
left join pgjobs.ready as ready
    on ready.job_id = review.job_id and ready.review_id = review.review_id
left join pgjobs.lease as lease
    on lease.session_id = job.session_id and lease.review_id = review.review_id
left join pgjobs.review_summary as summary on summary.review_id = review.review_id;

comment on view pgjobs.verification_review is
    'Every review: QUEUED, RUNNING, PASSED, FAILED or ERROR (as amended), RUNS_EXHAUSTED or '
    'CANCELLED (no answer). Read-only.';

create trigger verification_review_read_only instead of insert or update or delete
    on pgjobs.verification_review for each row execute function pgjobs._guard_ledger();
comment on trigger verification_review_read_only on pgjobs.verification_review is
    'Refuses INSERT, UPDATE and DELETE with 23V01.';


-- _installed: every object of the schema as this database has it, with a digest of its definition.
-- verify() holds it against pgjobs.fingerprint, the digests that this version was published with;
-- `forgea-pgjobs verify` sends the same query by itself, against the digests in the package, so
-- that neither this view nor that table has to be believed. The word pgjobs is left out of what is
-- digested: under another schema name the digests are the same.
create view pgjobs._installed as
select
    found.object,
    found.state,
    left(
        encode(
            sha256(
                convert_to(
                    regexp_replace(
                        replace(found.definition, '~', '~~'),
                        '[[:<:]]pgjobs(?=_|[[:>:]])', '~-', 'g'
                    ),
                    'UTF8'::name
                )
            ),
            'hex'
        ),
        32
    ) as digest
from (
    -- Functions: arguments, answer, attributes, settings and body.
    select
        'function ' || routine.pronamespace::regnamespace || '.' || quote_ident(routine.proname)
            as object,
        case when routine.proowner = namespace.nspowner then 'present'
            else 'owned by ' || routine.proowner::regrole end as state,
        case routine.prokind when 'a' then 'aggregate' else pg_get_functiondef(routine.oid) end
            as definition
    from pg_proc as routine
    join pg_namespace as namespace on namespace.oid = routine.pronamespace
    where routine.pronamespace = 'pgjobs'::regnamespace
    union all
    -- Tables and composite types: their columns.
    select
        case relation.relkind when 'c' then 'type ' else 'table ' end || relation.oid::regclass
            as object,
        concat_ws(
            ', ',
            case relation.relkind when 'r' then 'present' when 'c' then 'present'
                else format('of kind %s', relation.relkind) end,
            case when relation.relowner <> (
                select namespace.nspowner
                from pg_namespace as namespace where namespace.oid = relation.relnamespace
            ) then 'owned by ' || relation.relowner::regrole end,
            case relation.relpersistence when 'p' then null else 'not logged' end,
            case when relation.relrowsecurity then 'with row security' end,
            case when relation.relispartition then 'a partition' end,
            -- What the server believes without looking whether there is one.
            case when not relation.relhastriggers and exists (
                select from pg_trigger as trigger where trigger.tgrelid = relation.oid
            ) then 'its triggers ignored' end,
            case when not relation.relhasindex and exists (
                select from pg_index as index where index.indrelid = relation.oid
            ) then 'its indexes ignored' end,
            case when relation.relchecks <> (
                select count(*) from pg_constraint as constraint_
                where constraint_.conrelid = relation.oid and constraint_.contype = 'c'
            ) then 'its checks ignored' end
        ) as state,
        string_agg(
            concat_ws(
                ' ', attribute.attname, format_type(attribute.atttypid, attribute.atttypmod),
                case when attribute.attnotnull then 'not null' end,
                collation_.collname, attribute.attidentity, attribute.attgenerated,
                pg_get_expr(default_.adbin, default_.adrelid)
            ),
            ', ' order by attribute.attnum
        ) as definition
    from pg_class as relation
    left join pg_attribute as attribute
        on attribute.attrelid = relation.oid and attribute.attnum > 0
        and not attribute.attisdropped
    left join pg_attrdef as default_
        on default_.adrelid = attribute.attrelid and default_.adnum = attribute.attnum
    left join pg_collation as collation_ on collation_.oid = attribute.attcollation
    where relation.relnamespace = 'pgjobs'::regnamespace
        and relation.relkind not in ('v', 'S', 'i', 'I', 't')
    group by relation.oid
    union all
    select
        'view ' || relation.oid::regclass as object,
        case when relation.relowner = namespace.nspowner then 'present'
            else 'owned by ' || relation.relowner::regrole end as state,
        concat_ws(' ', relation.reloptions::text, pg_get_viewdef(relation.oid)) as definition
    from pg_class as relation
    join pg_namespace as namespace on namespace.oid = relation.relnamespace
    where relation.relnamespace = 'pgjobs'::regnamespace and relation.relkind = 'v'
    union all
    select
        'sequence ' || sequence.seqrelid::regclass as object,
        case
            when relation.relowner <> namespace.nspowner
                then 'owned by ' || relation.relowner::regrole
            when relation.relpersistence <> 'p' then 'not logged'
            else 'present'
        end as state,
        concat_ws(
            ' ', format_type(sequence.seqtypid, null), sequence.seqstart, sequence.seqincrement,
            sequence.seqmin, sequence.seqmax, sequence.seqcache, sequence.seqcycle
        ) as definition
    from pg_sequence as sequence
    join pg_class as relation on relation.oid = sequence.seqrelid
    join pg_namespace as namespace on namespace.oid = relation.relnamespace
    where relation.relnamespace = 'pgjobs'::regnamespace
    union all
    -- Domains, and types that nobody expects; arrays and the rows of relations go with what they
    -- are of.
    select
        'type ' || type.oid::regtype as object,
        case when type.typowner = namespace.nspowner then 'present'
            else 'owned by ' || type.typowner::regrole end as state,
        concat_ws(
            ' ', type.typtype, format_type(type.typbasetype, type.typtypmod), type.typnotnull,
            type.typdefault
        ) as definition
    from pg_type as type
    join pg_namespace as namespace on namespace.oid = type.typnamespace
    where type.typnamespace = 'pgjobs'::regnamespace and type.typrelid = 0 and type.typelem = 0
    union all
    -- Constraints; those that only say "not null" are with their columns.
    select
        'constraint ' || constraint_.conname || ' on '
            || coalesce(relation.oid::regclass::text, constraint_.contypid::regtype::text)
            as object,
        concat_ws(
            ', ',
            'present',
            case when not constraint_.convalidated then 'not validated' end,
            case when to_jsonb(constraint_) ->> 'conenforced' = 'false' then 'not enforced' end,
            case when exists (
                select from pg_trigger as trigger
                where trigger.tgconstraint = constraint_.oid and trigger.tgenabled <> 'O'
            ) then 'its triggers switched off' end,
            case when constraint_.contype = 'f' and 4 <> (
                select count(*) from pg_trigger as trigger
                where trigger.tgconstraint = constraint_.oid
            ) then 'without its triggers' end
        ) as state,
        pg_get_constraintdef(constraint_.oid) as definition
    from pg_constraint as constraint_
    left join pg_class as relation on relation.oid = constraint_.conrelid
    where constraint_.connamespace = 'pgjobs'::regnamespace
        and constraint_.contype not in ('n', 't')
    union all
    select
        case
            when index.indisunique then 'unique '
            -- It runs code that PostgreSQL did not bring, in every write.
            when exists (
                select from pg_depend as needed
                where needed.classid = 'pg_class'::regclass and needed.objid = index.indexrelid
                    and needed.refclassid in (
                        'pg_proc'::regclass, 'pg_operator'::regclass, 'pg_opclass'::regclass
                    )
            ) then 'computed '
            else ''
        end || 'index ' || index.indexrelid::regclass as object,
        case when index.indisvalid and index.indisready and index.indislive and index.indimmediate
            then 'present' else 'not valid' end as state,
        pg_get_indexdef(index.indexrelid) as definition
    from pg_index as index
    join pg_class as relation on relation.oid = index.indrelid
    where relation.relnamespace = 'pgjobs'::regnamespace
    union all
    select
        'trigger ' || trigger.tgname || ' on ' || trigger.tgrelid::regclass as object,
        case trigger.tgenabled
            when 'A' then 'always on'
            when 'O' then 'ordinary'
            when 'R' then 'on for replicas only'
            else 'switched off'
        end as state,
        pg_get_triggerdef(trigger.oid) as definition
    from pg_trigger as trigger
    join pg_class as relation on relation.oid = trigger.tgrelid
    where relation.relnamespace = 'pgjobs'::regnamespace
        and (not trigger.tgisinternal or trigger.tgfoid >= 16384)
        -- On a Citus cell every table has a truncate trigger of that extension.
        and not exists (
            select from pg_depend as needed
            join pg_extension as extension on extension.oid = needed.refobjid
            where needed.classid = 'pg_proc'::regclass and needed.objid = trigger.tgfoid
                and needed.refclassid = 'pg_extension'::regclass and needed.deptype = 'e'
                and extension.extname = 'citus'
        )
    union all
    select
        'rule ' || rule.rulename || ' on ' || rule.ev_class::regclass as object,
        'present' as state,
        pg_get_ruledef(rule.oid) as definition
    from pg_rewrite as rule
    join pg_class as relation on relation.oid = rule.ev_class
    where relation.relnamespace = 'pgjobs'::regnamespace
        and not (rule.ev_type = '1' and relation.relkind = 'v')
    union all
    select
        'policy ' || policy.polname || ' on ' || policy.polrelid::regclass as object,
        'present' as state,
        '' as definition
    from pg_policy as policy
    join pg_class as relation on relation.oid = policy.polrelid
    where relation.relnamespace = 'pgjobs'::regnamespace
    union all
    -- Who inherits from a table, or is its partition, is read and written with it.
    select
        'inheritance of ' || inheritance.inhrelid::regclass || ' from '
            || inheritance.inhparent::regclass as object,
        'present' as state,
        '' as definition
    from pg_inherits as inheritance
    join pg_class as relation on relation.oid in (inheritance.inhrelid, inheritance.inhparent)
    where relation.relnamespace = 'pgjobs'::regnamespace
    union all
    -- What would be called instead of the server's own functions.
    select
        'function ' || routine.oid::regprocedure as object, 'present' as state, '' as definition
    from pg_proc as routine
    where routine.pronamespace = 'pg_catalog'::regnamespace and routine.oid >= 16384
        and not exists (
            select from pg_depend as part
            where part.classid = 'pg_proc'::regclass and part.objid = routine.oid
                and part.deptype = 'e'
        )
    union all
    -- Rights on what the owner has yet to create.
    select
        'default privileges of ' || rights.defaclrole::regrole as object,
        'present' as state,
        '' as definition
    from pg_default_acl as rights
    join pg_namespace as namespace on namespace.oid = 'pgjobs'::regnamespace
    where namespace.nspowner = rights.defaclrole or namespace.oid = rights.defaclnamespace
    union all
    -- What anybody but the owner may do, and what the owner may not.
    select
        case when acl.grantee = granted.owner then 'revoke ' else 'grant ' end
            || lower(acl.privilege_type) || ' on ' || granted.object
            || case
                when acl.grantee = granted.owner then ' from its owner'
                when acl.grantee = 0 then ' to PUBLIC'
                else ' to ' || acl.grantee::regrole
            end as object,
        case when acl.is_grantable and acl.grantee <> granted.owner then 'with grant option'
            else 'present' end as state,
        '' as definition
    from (
        select
            'schema ' || namespace.nspname as object,
            'n'::"char" as kind,
            namespace.nspowner as owner,
            namespace.nspacl as acl
        from pg_namespace as namespace
        where namespace.oid = 'pgjobs'::regnamespace
        union all
        select
            case relation.relkind when 'S' then 'sequence ' when 'v' then 'view ' else 'table ' end
                || relation.oid::regclass as object,
            case relation.relkind when 'S' then 's'::"char" else 'r' end as kind,
            relation.relowner as owner,
            relation.relacl as acl
        from pg_class as relation
        where relation.relnamespace = 'pgjobs'::regnamespace
        union all
        select
            'column ' || attribute.attrelid::regclass || '.' || attribute.attname as object,
            null as kind,
            relation.relowner as owner,
            attribute.attacl as acl
        from pg_attribute as attribute
        join pg_class as relation on relation.oid = attribute.attrelid
        where relation.relnamespace = 'pgjobs'::regnamespace
        union all
        select
            'function ' || routine.pronamespace::regnamespace || '.'
                || quote_ident(routine.proname) as object,
            'f' as kind,
            routine.proowner as owner,
            coalesce(routine.proacl, acldefault('f', routine.proowner)) as acl
        from pg_proc as routine
        where routine.pronamespace = 'pgjobs'::regnamespace
        union all
        select
            'type ' || type.oid::regtype as object,
            'T' as kind,
            type.typowner as owner,
            coalesce(type.typacl, acldefault('T', type.typowner)) as acl
        from pg_type as type
        left join pg_class as relation on relation.oid = type.typrelid
        where type.typnamespace = 'pgjobs'::regnamespace and type.typelem = 0
            and coalesce(relation.relkind, 'c') = 'c'
    ) as granted
    cross join lateral (
        select given.grantee, given.privilege_type, given.is_grantable
        from aclexplode(granted.acl) as given
        where given.grantee <> granted.owner
        union all
        select lost.grantee, lost.privilege_type, false
        from aclexplode(acldefault(granted.kind, granted.owner)) as lost
        where granted.acl is not null and lost.grantee = granted.owner
            and not exists (
                select from aclexplode(granted.acl) as given
                where (given.grantee, given.privilege_type)
                    = (lost.grantee, lost.privilege_type)
            )
    ) as acl
) as found;

comment on view pgjobs._installed is
    'Every object of the schema, its state and a digest of its definition; what verify() checks. '
    'Read-only, for the owner alone.';

create trigger _installed_read_only instead of insert or update or delete
    on pgjobs._installed for each row execute function pgjobs._guard_ledger();
comment on trigger _installed_read_only on pgjobs._installed is
    'Refuses INSERT, UPDATE and DELETE with 23V01.';


-- The refusals: one place for every error of the contract, its code, wording, hint, and the object
-- that stands behind it. Nothing of another caller's rows is ever named.
create function pgjobs._refuse(
    code text,
    subject text default null,
    element bigint default null
)
    returns boolean
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_element text := coalesce('element ' || element || ': ', '');
begin
    case code
    when 'P0002' then
        raise exception '%no such %', v_element, coalesce(subject, 'job')
            using errcode = 'P0002', schema = 'pgjobs', table = coalesce(subject, 'job'),
                  constraint = case subject
                      when 'artifact' then 'artifact_artifact_id_pkey'
                      else 'job_job_id_pkey'
                  end,
                  hint = case subject
                      when 'artifact' then 'Use an artifact_id of verification_artifact.'
                      else 'Use the job_id that enqueue or claim answered.'
                  end;
    when '23V02' then
        raise exception '%the job has its verdict', v_element
            using errcode = '23V02', schema = 'pgjobs', table = 'verdict',
                  constraint = 'verdict_job_id_pkey',
                  hint = 'A verdict is final: read it with get_job and drop this result.';
    when '23V03' then
        raise exception '%the commit already has a job for another session or lab version',
            v_element
            using errcode = '23V03', schema = 'pgjobs', table = 'job',
                  constraint = 'job_commit_sha_key',
                  hint = 'A commit has one job for ever: ask for a commit of the learner''s own. '
                         'record_attempt still records the push.';
    when '23V04' then
        raise exception '%the delivery id was already used for a request with another %',
            v_element, subject
            using errcode = '23V04', schema = 'pgjobs', table = 'lab_attempt', column = subject,
                  constraint = 'lab_attempt_session_id_delivery_id_key',
                  hint = 'Repeat the first request unchanged, or send a delivery id of its own.';
    when '23V05' then
        raise exception '%the lease token is not the current one', v_element
            using errcode = '23V05', schema = 'pgjobs', table = 'lease',
                  constraint = 'lease_session_id_pkey',
                  hint = 'The lease was taken away: stop the run and drop its result.';
    when '23V06' then
        raise exception 'the run already has an artifact of that name with another %', subject
            using errcode = '23V06', schema = 'pgjobs', table = 'artifact', column = subject,
                  constraint = 'artifact_job_id_run_no_name_key',
                  hint = 'An artifact never changes: add this one under a name of its own.';
    when '23V07' then
        raise exception 'the job has no verdict yet'
            using errcode = '23V07', schema = 'pgjobs', table = 'amendment',
                  constraint = 'amendment_job_id_fkey',
                  hint = 'Only a verdict can be amended: wait for it, or cancel the job.';
    when '23V08' then
        raise exception 'the content of the artifact has expired'
            using errcode = '23V08', schema = 'pgjobs', table = 'expiry',
                  constraint = 'expiry_kind_id_pkey',
                  hint = 'Its hash, size and name stay in verification_artifact; the bytes do not.';
    when '25000' then
        raise exception '% needs READ COMMITTED', subject
            using errcode = '25000', schema = 'pgjobs', table = subject,
                  hint = 'Nothing was done. Call it in a transaction of its own.';
    when '42P01' then
        raise exception 'there is no table % in schema public', subject
            using errcode = '42P01', schema = 'pgjobs', table = 'backfill',
                  constraint = 'backfill_log_id_pkey',
                  hint = 'A backfill reads "VerificationLog", "LabSession" and "Lab": in a '
                         'database without them there is nothing to move in.';
    when '42501' then
        raise exception '% may not read the table % of schema public', current_user, subject
            using errcode = '42501', schema = 'pgjobs', table = 'backfill',
                  constraint = 'backfill_log_id_pkey',
                  hint = format(
                      'As the owner of the tables: grant usage on schema public to %1$I; '
                      'grant select on "VerificationLog", "LabSession", "Lab" to %1$I;',
                      current_user
                  );
    when '54V01' then
        raise exception '%the session has 100 open jobs', v_element
            using errcode = '54V01', schema = 'pgjobs', table = 'lane',
                  constraint = 'lane_open_jobs_check',
                  hint = 'Nothing was written. Enqueue again when one of them has ended.';
    end case;
end
$$;
comment on function pgjobs._refuse is
    'Raises the error of the contract with that code. subject: the differing field of 23V04 or '
    '23V06, what is missing or closed, or the function; element: ordinal in a batch.';


-- 22004 for a null argument, 22023 for one out of its range or form. At most 64 characters of the
-- value are repeated, and only printable ones: a newline would forge a line of the log. The error's
-- table is the called function, its column the argument.
create function pgjobs._refuse_argument(
    routine text,
    argument text,
    value text,
    rule text,
    element bigint default null
)
    returns boolean
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_where text := argument || coalesce(' of element ' || element, '');
begin
    if value is null then
        raise exception '% must not be null', v_where
            using errcode = '22004', schema = 'pgjobs', table = routine, column = argument,
                  constraint = routine || '_' || argument || '_check',
                  hint = format('%s must be %s.', argument, rule);
    end if;
    raise exception '% must be %, not "%"',
        v_where, rule, regexp_replace(left(value, 64), '[^ -~]', '?', 'g')
        using errcode = '22023', schema = 'pgjobs', table = routine, column = argument,
              constraint = routine || '_' || argument || '_check',
              hint = 'Nothing was written. Correct the argument and call again.';
end
$$;
comment on function pgjobs._refuse_argument is
    'Raises 22004 (value is null) or 22023 for an argument of a public function.';


create function pgjobs._refuse_null(
    routine text,
    argument text,
    element bigint default null
)
    returns boolean
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    return pgjobs._refuse_argument(routine, argument, null, 'given', element);
end
$$;
comment on function pgjobs._refuse_null is
    'Raises 22004 for an argument that has no rule but to be given.';


-- Argument checks: each answers true or refuses, before any table is touched. Callers join them
-- with "and" in one expression; a rule of one place stands there as (rule) is true or
-- _refuse_argument(…). Lengths come first: no pattern sees a long value.

-- The form of a commit and of a text, planned into whatever asks. The names in such a body are
-- bound when it is created, so there is no path to pin; with a path it would be called instead. The
-- calls that many make ask these in place, and a check below only to refuse.
create function pgjobs._is_commit_sha(value text)
    returns boolean
    language sql
    immutable
    parallel safe
    security invoker
    -- A negated class is the cheapest exact test: 0.3 µs, against 5 µs for a counted one.
    return octet_length(value) in (40, 64)
        and value collate "C" !~ '[^0-9a-f]'
        and value collate "C" ~ '[^0]';
comment on function pgjobs._is_commit_sha is
    'Whether it is a full commit SHA: 40 or 64 lower-case hex digits, not all zeros.';


create function pgjobs._is_text(value text)
    returns boolean
    language sql
    immutable
    parallel safe
    security invoker
    return octet_length(value) <= 800
        and char_length(value) between 1 and 200
        and value collate "C" !~ '[\u0001-\u001f\u007f-\u009f]'
        and value collate "C" ~ '[^ \u00a0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000\ufeff]';
comment on function pgjobs._is_text is
    'Whether it is 1 … 200 characters, not blank, without U+0000-001F and U+007F-009F.';


create function pgjobs._check_commit_sha(
    routine text,
    argument text,
    value text,
    element bigint default null
)
    returns boolean
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    return pgjobs._is_commit_sha(value) is true
        or pgjobs._refuse_argument(
            routine, argument, value, '40 or 64 lower-case hex digits, not all zeros', element
        );
end
$$;
comment on function pgjobs._check_commit_sha is
    'Refuses what is not a full commit SHA.';


create function pgjobs._check_text(
    routine text,
    argument text,
    value text,
    element bigint default null
)
    returns boolean
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    return pgjobs._is_text(value) is true
        or pgjobs._refuse_argument(
            routine, argument, value,
            '1 … 200 characters, not blank, without control characters', element
        );
end
$$;
comment on function pgjobs._check_text is
    'Refuses a text that is empty, blank, longer than 200 characters or holds U+0000-001F or '
    'U+007F-009F.';


create function pgjobs._check_document(
    routine text,
    argument text,
    value jsonb,
    element bigint default null
)
    returns boolean
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    return octet_length(value::text) <= 65536
        or pgjobs._refuse_argument(
            routine, argument, value::text, 'at most 64 KiB of JSON', element
        );
end
$$;
comment on function pgjobs._check_document is
    'Refuses a JSON document of more than 65,536 bytes of text.';


create function pgjobs._check_status(
    routine text,
    argument text,
    value text,
    element bigint default null
)
    returns boolean
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    return value in ('PASSED', 'FAILED', 'ERROR') is true
        or pgjobs._refuse_argument(routine, argument, value, 'PASSED, FAILED or ERROR', element);
end
$$;
comment on function pgjobs._check_status is 'Refuses what is not a verdict.';


-- Counted in seconds, and so used: a year is 360 days to a comparison of intervals but 365.25 to
-- extract, and a day of the caller's time zone may have 23 hours.
create function pgjobs._check_duration(
    routine text,
    argument text,
    value interval,
    low integer,
    high integer
)
    returns interval
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_seconds double precision := extract(epoch from value);
begin
    if (v_seconds between low and high) is not true then
        perform pgjobs._refuse_argument(
            routine, argument, value::text, format('an interval of %s … %s seconds', low, high)
        );
    end if;
    return make_interval(secs => v_seconds);
end
$$;
comment on function pgjobs._check_duration is
    'The interval as seconds; refuses one out of its range (low and high in seconds) or null.';


create function pgjobs._check_push(
    routine text,
    author text,
    branch text,
    changed_files text[],
    pushed_at timestamptz
)
    returns boolean
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    return (author is null or pgjobs._check_text(routine, 'author', author))
        and (branch is null or pgjobs._check_text(routine, 'branch', branch))
        and (
            pushed_at is null
            or isfinite(pushed_at)
            or pgjobs._refuse_argument(routine, 'pushed_at', pushed_at::text, 'finite')
        )
        and (
            changed_files is null
            or (
                cardinality(changed_files) <= 3000
                and coalesce(array_ndims(changed_files), 1) = 1
                and array_position(changed_files, null) is null
                and octet_length(array_to_string(changed_files, '')) <= 262144
                and (
                    select coalesce(bool_and(char_length(file) between 1 and 1024), true)
                    from unnest(changed_files) as file
                )
            )
            or pgjobs._refuse_argument(
                routine, 'changed_files', changed_files::text,
                'at most 3000 paths of 1 … 1024 characters, 256 KiB in all'
            )
        );
end
$$;
comment on function pgjobs._check_push is
    'Refuses push detail out of its range; null is not refused.';


create function pgjobs._check_batch(
    routine text,
    argument text,
    value anyarray,
    size integer
)
    returns boolean
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    return (
        cardinality(value) = size
        and size <= 10000
        and coalesce(array_ndims(value), 1) = 1
    ) is true or pgjobs._refuse_argument(
            routine, argument,
            format('%s elements in %s dimensions', cardinality(value), array_ndims(value)),
            format('a one-dimensional array of %s elements, at most 10000', coalesce(size, 0))
        );
end
$$;
comment on function pgjobs._check_batch is
    'Refuses an array of a batch that is nested, longer than 10,000 elements or of another '
    'length than the first.';


create function pgjobs._check_no_null(routine text, argument text, value anyarray)
    returns boolean
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_ordinal integer := array_position(value, null);
begin
    return v_ordinal is null or pgjobs._refuse_null(routine, argument, v_ordinal);
end
$$;
comment on function pgjobs._check_no_null is 'Refuses an array with a null element.';


create function pgjobs._check_verdict(
    routine text,
    job_id bigint,
    lease_token uuid,
    status text,
    summary jsonb
)
    returns boolean
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    return (job_id is not null or pgjobs._refuse_null(routine, 'job_id'))
        and (lease_token is not null or pgjobs._refuse_null(routine, 'lease_token'))
        and pgjobs._check_status(routine, 'status', status)
        and (summary is null or pgjobs._check_document(routine, 'summary', summary));
end
$$;
comment on function pgjobs._check_verdict is 'Refuses what complete cannot take.';


create function pgjobs._check_decision(
    routine text,
    reason text,
    actor text,
    approver text,
    ticket text,
    lab_version text
)
    returns boolean
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    return pgjobs._check_text(routine, 'reason', reason)
        and pgjobs._check_text(routine, 'actor', actor)
        and pgjobs._check_text(routine, 'approver', approver)
        and pgjobs._check_text(routine, 'ticket', ticket)
        and (lab_version is null or pgjobs._check_text(routine, 'lab_version', lab_version))
        and (
            lower(actor) <> lower(approver)
            or pgjobs._refuse_argument(routine, 'approver', approver, 'another person than actor')
        );
end
$$;
comment on function pgjobs._check_decision is
    'Refuses a decision about a verdict that lacks a part, or its second person.';


create function pgjobs._check_claim(
    routine text,
    worker text,
    max_jobs integer,
    lease_for interval
)
    returns interval
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_checked boolean;
begin
    v_checked := pgjobs._check_text(routine, 'worker', worker)
        and (
            (max_jobs between 1 and 1000) is true
            or pgjobs._refuse_argument(routine, 'max_jobs', max_jobs::text, '1 … 1000')
        );
    return pgjobs._check_duration(routine, 'lease_for', lease_for, 1, 86400);
end
$$;
comment on function pgjobs._check_claim is
    'Refuses what claim cannot take; answers lease_for as seconds.';


-- The attempt of a request: found by its delivery id or its commit, or written.

create function pgjobs._find_attempt(
    session_id uuid,
    commit_sha text,
    delivery_id text,
    author text,
    branch text,
    changed_files text[],
    element bigint,
    out attempt_id bigint,
    out is_redelivery boolean
)
    language plpgsql
    stable
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_known record;
    v_differing text;
begin
    is_redelivery := false;
    if _find_attempt.delivery_id is not null then
        select
            attempt.attempt_id, attempt.commit_sha,
            detail.author, detail.branch, detail.changed_files,
            detail.attempt_id is null and attempt.detail_sha256 is not null as is_expired
        into v_known
        from pgjobs.lab_attempt as attempt
        left join pgjobs.attempt_detail as detail on detail.attempt_id = attempt.attempt_id
        where attempt.session_id = _find_attempt.session_id
            and attempt.delivery_id = _find_attempt.delivery_id;
        if found then
            -- What the call leaves null is not compared, nor is what has expired.
            v_differing := case
                when v_known.commit_sha <> _find_attempt.commit_sha then 'commit_sha'
                when v_known.is_expired then null
                when (v_known.author = _find_attempt.author) is not true
                    and _find_attempt.author is not null then 'author'
                when (v_known.branch = _find_attempt.branch) is not true
                    and _find_attempt.branch is not null then 'branch'
                when (v_known.changed_files = _find_attempt.changed_files) is not true
                    and _find_attempt.changed_files is not null then 'changed_files'
            end;
            if v_differing is not null then
                perform pgjobs._refuse('23V04', v_differing, element);
            end if;
            attempt_id := v_known.attempt_id;
            is_redelivery := true;
            return;
        end if;
    end if;
    select attempt.attempt_id into attempt_id
    from pgjobs.lab_attempt as attempt
    where attempt.session_id = _find_attempt.session_id
        and attempt.commit_sha = _find_attempt.commit_sha;
end
$$;
comment on function pgjobs._find_attempt is
    'The attempt of a request, null if there is none. is_redelivery: found by its delivery id, '
    'whose request is the same; else 23V04.';


create function pgjobs._add_attempt(
    session_id uuid,
    commit_sha text,
    delivery_id text,
    author text,
    branch text,
    changed_files text[],
    pushed_at timestamptz
)
    returns bigint
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_recorded_at timestamptz := clock_timestamp();
    v_attempt_id bigint;
    v_detail_sha256 bytea;
begin
    if num_nonnulls(author, branch, changed_files) > 0 then
        v_detail_sha256 := sha256(
            convert_to(jsonb_build_array(author, branch, changed_files)::text, 'UTF8')
        );
    end if;
    insert into pgjobs.lab_attempt (
        session_id, commit_sha, recorded_at, delivery_id, pushed_at, detail_sha256
    )
    values (
        _add_attempt.session_id, _add_attempt.commit_sha, v_recorded_at,
        _add_attempt.delivery_id, _add_attempt.pushed_at, v_detail_sha256
    )
    on conflict do nothing
    returning attempt_id into v_attempt_id;
    if v_attempt_id is not null and v_detail_sha256 is not null then
        insert into pgjobs.attempt_detail (attempt_id, author, branch, changed_files)
        values (v_attempt_id, _add_attempt.author, _add_attempt.branch, _add_attempt.changed_files);
    end if;
    return v_attempt_id;
end
$$;
comment on function pgjobs._add_attempt is
    'Writes an attempt and its detail; waits for a rival; null when the rival was there first.';


-- The lane: who is the session's head, and who comes next. Whoever calls these holds the lane's
-- lock.

create function pgjobs._take_lease(session_id uuid, job_id bigint, lease_token uuid)
    returns pgjobs.lease
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_lease pgjobs.lease;
begin
    -- Without a lease nobody waits for the lane. Two statements: the second sees what the holder of
    -- the lane's lock has left behind.
    perform from pgjobs.lane as lane
    where lane.session_id = _take_lease.session_id
        and exists (
            select from pgjobs.lease as lease
            where lease.session_id = _take_lease.session_id
                and lease.job_id = _take_lease.job_id
                and lease.lease_token = _take_lease.lease_token
        )
    for update;
    delete from pgjobs.lease as lease
    where lease.session_id = _take_lease.session_id
        and lease.job_id = _take_lease.job_id
        and lease.lease_token = _take_lease.lease_token
    returning lease.* into v_lease;
    if not found then
        perform pgjobs._check_snapshot(session_id, job_id);
    end if;
    return v_lease;
end
$$;
comment on function pgjobs._take_lease is
    'Locks the session''s lane, then ends the lease of the job with that token and answers it; '
    'null when there is none.';


-- Above READ COMMITTED an old snapshot may not know a lease, but then it knows the row that was
-- changed since to make it.
create function pgjobs._check_snapshot(session_id uuid, job_id bigint)
    returns void
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    perform from pgjobs.lane as lane
    where lane.session_id = _check_snapshot.session_id
    for update skip locked;
    perform from pgjobs.ready as ready
    where ready.job_id = _check_snapshot.job_id
    for update skip locked;
    perform from pgjobs.lease as lease
    where lease.session_id = _check_snapshot.session_id
    for update skip locked;
end
$$;
comment on function pgjobs._check_snapshot is
    'Raises 40001 when the transaction''s snapshot is too old to say who runs the session''s head; '
    'never waits.';


create function pgjobs._leave_lane(session_id uuid)
    returns void
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    delete from pgjobs.lane as lane
    where lane.session_id = _leave_lane.session_id and lane.open_jobs = 1;
    if not found then
        update pgjobs.lane as lane
        set open_jobs = lane.open_jobs - 1
        where lane.session_id = _leave_lane.session_id;
    end if;
end
$$;
comment on function pgjobs._leave_lane is
    'Takes a job that is not its head off the lane''s count.';


create function pgjobs._add_ready(job_id bigint, review_id bigint)
    returns void
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := clock_timestamp();
    v_job pgjobs.job;
    v_review pgjobs.review;
    v_attempt_id bigint;
    v_available_at timestamptz;
    v_ready_no bigint;
begin
    select job.* into strict v_job
    from pgjobs.job as job
    where job.job_id = _add_ready.job_id;
    select attempt.attempt_id into strict v_attempt_id
    from pgjobs.lab_attempt as attempt
    where attempt.session_id = v_job.session_id and attempt.commit_sha = v_job.commit_sha;
    if review_id is null then
        v_available_at := v_job.available_at;
    else
        select review.* into strict v_review
        from pgjobs.review as review
        where review.review_id = _add_ready.review_id;
    end if;

    if coalesce(v_available_at <= v_now, true) then
        v_ready_no := nextval('pgjobs.job_job_id_seq');
    end if;
    insert into pgjobs.ready (
        job_id, session_id, attempt_id, available_at, ready_no, review_id, priority, run_no
    )
    values (
        v_job.job_id, v_job.session_id, v_attempt_id,
        greatest(v_job.created_at, coalesce(v_available_at, v_now)), v_ready_no,
        _add_ready.review_id, coalesce(v_review.priority, v_job.priority),
        coalesce(v_review.runs_before, 0)
    );
end
$$;
comment on function pgjobs._add_ready is
    'Makes a job, or its review, its session''s head: claimable, or delayed until its '
    'available_at.';


create function pgjobs._promote(session_id uuid)
    returns void
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_next pgjobs.waiting;
    v_job_id bigint;
begin
    select waiting.* into strict v_next
    from pgjobs.waiting as waiting
    where waiting.session_id = _promote.session_id
    order by waiting.turn_no
    limit 1;
    delete from pgjobs.waiting as waiting
    where waiting.session_id = v_next.session_id and waiting.turn_no = v_next.turn_no;
    v_job_id := coalesce(v_next.reviewed_job_id, v_next.turn_no);
    perform pgjobs._add_ready(
        v_job_id, case when v_next.reviewed_job_id is not null then v_next.turn_no end
    );
    update pgjobs.lane as lane
    set open_jobs = lane.open_jobs - 1,
        head_job_id = v_job_id
    where lane.session_id = _promote.session_id;
end
$$;
comment on function pgjobs._promote is
    'Takes a head that has ended off its lane, and makes the session''s next waiting job or '
    'review the head.';


create function pgjobs._next_head(session_id uuid)
    returns void
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    delete from pgjobs.lane as lane
    where lane.session_id = _next_head.session_id and lane.open_jobs = 1;
    if not found then
        perform pgjobs._promote(session_id);
    end if;
end
$$;
comment on function pgjobs._next_head is
    'What comes after a head that is gone: the session''s next waiting job or review, or no lane.';


create function pgjobs._status(session_id uuid, job_id bigint)
    returns text
    language plpgsql
    stable
    security invoker
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


create function pgjobs._find_job(job_id bigint)
    returns pgjobs.job
    language plpgsql
    stable
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_job pgjobs.job;
begin
    select job.* into v_job from pgjobs.job as job where job.job_id = _find_job.job_id;
    if not found then
        perform pgjobs._refuse('P0002');
    end if;
    return v_job;
end
$$;
comment on function pgjobs._find_job is 'The job with that id; P0002 when there is none.';


create function pgjobs._is_open(job_id bigint)
    returns boolean
    language plpgsql
    stable
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    return not exists (
        select from pgjobs.verdict as verdict where verdict.job_id = _is_open.job_id
    ) or exists (
        select from pgjobs.review as review
        where review.job_id = _is_open.job_id
            and not exists (
                select from pgjobs.review_result as result
                where result.review_id = review.review_id
            )
    );
end
$$;
comment on function pgjobs._is_open is
    'Whether the job has no verdict yet, or a review without a result.';


create function pgjobs._last_run_no(job_id bigint, review_id bigint)
    returns smallint
    language plpgsql
    stable
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    return job.max_runs + coalesce(
        (
            select review.runs_before
            from pgjobs.review as review
            where review.review_id = _last_run_no.review_id
        ),
        0
    )
    from pgjobs.job as job
    where job.job_id = _last_run_no.job_id;
end
$$;
comment on function pgjobs._last_run_no is
    'The number of the last run that the job, or its review, may have.';


-- Runs that end without a verdict: lease lost or released.

create function pgjobs._end_run(
    lease pgjobs.lease,
    outcome text,
    reason text,
    retry_after interval,
    last_run_no smallint
)
    returns pgjobs.released
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_ended_at timestamptz := greatest(lease.started_at, clock_timestamp());
    v_available_at timestamptz;
    v_ready_no bigint;
begin
    insert into pgjobs.setback (job_id, started_at, ended_at, run_no, outcome, worker, reason)
    values (
        lease.job_id, lease.started_at, v_ended_at, lease.run_no,
        _end_run.outcome, lease.worker, _end_run.reason
    );
    delete from pgjobs.lease as ended where ended.session_id = lease.session_id;
    if lease.run_no >= last_run_no and lease.review_id is not null then
        insert into pgjobs.review_result (
            review_id, job_id, ended_at, started_at, run_no, outcome, worker, detail
        )
        values (
            lease.review_id, lease.job_id, v_ended_at, lease.started_at, lease.run_no,
            'RUNS_EXHAUSTED', lease.worker,
            coalesce(_end_run.reason, 'the lease of the last run was lost')
        );
        perform pgjobs._next_head(lease.session_id);
        return (
            lease.job_id, pgjobs._status(lease.session_id, lease.job_id), lease.run_no, null
        )::pgjobs.released;
    elsif lease.run_no >= last_run_no then
        insert into pgjobs.verdict (
            job_id, completed_at, started_at, run_no, status, worker, error_reason, error_detail
        )
        values (
            lease.job_id, v_ended_at, lease.started_at, lease.run_no, 'ERROR', lease.worker,
            'RUNS_EXHAUSTED', coalesce(_end_run.reason, 'the lease of the last run was lost')
        );
        perform pgjobs._next_head(lease.session_id);
        return (lease.job_id, 'ERROR', lease.run_no, null)::pgjobs.released;
    end if;

    v_available_at := greatest(lease.available_at, clock_timestamp()) + retry_after;
    if retry_after = interval '0' then
        v_ready_no := nextval('pgjobs.job_job_id_seq');
    end if;
    insert into pgjobs.ready (
        job_id, session_id, attempt_id, available_at, ready_no, review_id, started_at, priority,
        run_no, worker
    )
    values (
        lease.job_id, lease.session_id, lease.attempt_id, v_available_at, v_ready_no,
        lease.review_id, lease.started_at, lease.priority, lease.run_no, lease.worker
    );
    return (lease.job_id, 'QUEUED', lease.run_no, v_available_at)::pgjobs.released;
end
$$;
comment on function pgjobs._end_run is
    'Ends a run without a verdict: a setback, and the job is queued again, or ERROR when that '
    'was its last run; a review then ends without an answer. The caller holds the lease''s lock '
    'and, for the last run, the lane''s.';


-- Takes the leases that are over. A lease is over when its end has passed, or lies further ahead
-- than it was ever granted for: then the clock was set back. Never waits: a row that somebody else
-- holds is left to the next caller.
create function pgjobs._take_leases(max_jobs integer, since timestamptz)
    returns setof pgjobs.rescued
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := clock_timestamp();
    v_until timestamptz := case when since = '-infinity' then 'infinity' else v_now end;
    v_lease pgjobs.lease;
    v_last_run_no smallint;
    v_rescued pgjobs.rescued;
begin
    for v_lease in
        select lease.*
        from pgjobs.lease as lease
        where lease.lease_expires_at between since and v_until
            and (
                lease.lease_expires_at <= v_now
                -- The clock as it is now: a lease may be younger than v_now. The second forgives a
                -- clock that is being adjusted.
                or lease.lease_expires_at
                    > clock_timestamp() + lease.lease_for + interval '1 second'
            )
        order by lease.lease_expires_at
        limit max_jobs
        for update skip locked
    loop
        v_last_run_no := pgjobs._last_run_no(v_lease.job_id, v_lease.review_id);
        if v_lease.run_no >= v_last_run_no then
            perform from pgjobs.lane as lane
            where lane.session_id = v_lease.session_id
            for update skip locked;
            continue when not found;
        end if;
        select ended.job_id, ended.status into v_rescued
        from pgjobs._end_run(
            v_lease, 'LEASE_LOST', null, interval '0', v_last_run_no
        ) as ended;
        return next v_rescued;
    end loop;
end
$$;
comment on function pgjobs._take_leases is
    'Takes up to max_jobs leases whose end has passed since then, and answers what became of '
    'their jobs; since -infinity also those of a clock that was set back.';


create function pgjobs._sweep(since timestamptz)
    returns boolean
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := clock_timestamp();
    v_rescued integer;
    v_promoted integer := 0;
    v_job_id bigint;
    v_ready_no bigint;
begin
    select count(*) into v_rescued from pgjobs._take_leases(1000, since);
    for v_job_id in
        select ready.job_id
        from pgjobs.ready as ready
        where ready.ready_no is null and ready.available_at between since and v_now
        order by ready.available_at
        limit 1000
        for update skip locked
    loop
        v_ready_no := nextval('pgjobs.job_job_id_seq');
        update pgjobs.ready as ready set ready_no = v_ready_no where ready.job_id = v_job_id;
        v_promoted := v_promoted + 1;
    end loop;
    return v_rescued < 1000 and v_promoted < 1000;
end
$$;
comment on function pgjobs._sweep is
    'Takes leases that are over and makes delayed heads claimable, up to 1,000 each, whose time '
    'has come since then; false if there may be more.';


create function pgjobs._refuse_lease(session_id uuid, job_id bigint)
    returns void
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (
        select from pgjobs.verdict as verdict where verdict.job_id = _refuse_lease.job_id
    ) and not exists (
        select from pgjobs.lane as lane
        where lane.session_id = _refuse_lease.session_id
            and lane.head_job_id = _refuse_lease.job_id
    ) then
        perform pgjobs._refuse('23V02');
    end if;
    perform pgjobs._check_snapshot(session_id, job_id);
    perform pgjobs._refuse('23V05');
end
$$;
comment on function pgjobs._refuse_lease is
    'Refuses a token that does not hold the job: 23V02 when it has its verdict and is not being '
    'judged again, else 23V05.';


-- enqueue and enqueue_many, once the arguments are known to be good.
--
-- The race: two callers bring the same commit. Both look, neither finds it. The lane's row lock
-- lets one pass; the other waits there and, by the unique keys, finds out on its next look. Callers
-- of two sessions meet at job_commit_sha_key instead. Every "on conflict" is followed by a look in
-- a new statement, which under READ COMMITTED sees what the rival committed; a rival that rolled
-- back is never seen, and this call goes on. Above READ COMMITTED the same places raise 40001.
create function pgjobs._enqueue(
    session_id uuid,
    commit_sha text,
    lab_version text,
    delivery_id text,
    priority integer,
    available_at timestamptz,
    max_runs integer,
    author text,
    branch text,
    changed_files text[],
    pushed_at timestamptz,
    payload jsonb,
    new_job_id bigint default null,
    element bigint default null
)
    returns pgjobs.enqueued
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_created_at timestamptz;
    v_payload_sha256 bytea := sha256(convert_to(payload::text, 'UTF8'));
    v_attempt record;
    v_attempt_id bigint;
    v_has_attempt boolean := delivery_id is not null;
    v_job record;
    v_job_id bigint;
    v_lane tid;
    v_lane_is_full boolean;
    v_open_jobs smallint;
begin
    loop
        -- First the job, then its attempt: what the first look finds, the second cannot miss.
        select job.job_id, job.session_id, job.lab_version, job.payload_sha256 into v_job
        from pgjobs.job as job
        where job.commit_sha = _enqueue.commit_sha;
        if v_job.job_id is not null or v_has_attempt then
            v_attempt := pgjobs._find_attempt(
                session_id, commit_sha, delivery_id, author, branch, changed_files, element
            );
            v_attempt_id := v_attempt.attempt_id;
        end if;
        exit when v_job.job_id is not null;
        if v_lane_is_full then
            perform pgjobs._refuse('54V01', null, element);
        end if;

        if v_open_jobs is null then
            select lane.ctid, lane.open_jobs = 100 into v_lane, v_lane_is_full
            from pgjobs.lane as lane
            where lane.session_id = _enqueue.session_id
            for update;
            if not found then
                v_job_id := coalesce(new_job_id, nextval('pgjobs.job_job_id_seq'));
                v_created_at := clock_timestamp();
                insert into pgjobs.lane as lane (session_id, head_job_id, open_jobs)
                values (_enqueue.session_id, v_job_id, 1)
                on conflict do nothing
                returning lane.open_jobs into v_open_jobs;
                -- Ids rise in the order of enqueuing within a session: while this call waited, a
                -- lane of the session may have come and gone, and others have drawn since.
                if found and new_job_id is null
                    and clock_timestamp() > v_created_at + interval '0.1 milliseconds'
                    and pg_sequence_last_value('pgjobs.job_job_id_seq') > v_job_id
                then
                    v_job_id := nextval('pgjobs.job_job_id_seq');
                    update pgjobs.lane as lane
                    set head_job_id = v_job_id
                    where lane.session_id = _enqueue.session_id;
                end if;
            elsif not v_lane_is_full then
                update pgjobs.lane as lane
                set open_jobs = lane.open_jobs + 1
                where lane.ctid = v_lane
                returning lane.open_jobs into v_open_jobs;
            end if;
            continue when v_open_jobs is null;
        end if;

        if v_attempt_id is null then
            v_attempt_id := pgjobs._add_attempt(
                session_id, commit_sha, delivery_id, author, branch, changed_files, pushed_at
            );
            v_has_attempt := v_attempt_id is null;
            continue when v_has_attempt;
        end if;

        if v_open_jobs > 1 then
            v_job_id := coalesce(new_job_id, nextval('pgjobs.job_job_id_seq'));
        end if;
        v_created_at := clock_timestamp();
        insert into pgjobs.job (
            job_id, session_id, commit_sha, lab_version, priority, max_runs,
            created_at, available_at, payload_sha256
        )
        overriding system value
        values (
            v_job_id, _enqueue.session_id, _enqueue.commit_sha, _enqueue.lab_version,
            _enqueue.priority, _enqueue.max_runs, v_created_at, _enqueue.available_at,
            v_payload_sha256
        )
        on conflict do nothing;
        continue when not found;

        if payload is not null then
            insert into pgjobs.job_payload (job_id, payload) values (v_job_id, _enqueue.payload);
        end if;
        if v_open_jobs = 1 then
            insert into pgjobs.ready (
                job_id, session_id, attempt_id, available_at, ready_no, priority
            )
            values (
                v_job_id, _enqueue.session_id, v_attempt_id,
                coalesce(_enqueue.available_at, v_created_at),
                case
                    when _enqueue.available_at is not null then null
                    -- Its id, unless it was drawn before a wait: then claims may be far beyond.
                    when new_job_id is null
                        and clock_timestamp() < v_created_at + interval '10 milliseconds'
                        then v_job_id
                    else nextval('pgjobs.job_job_id_seq')
                end,
                _enqueue.priority
            );
        else
            insert into pgjobs.waiting (session_id, turn_no) values (_enqueue.session_id, v_job_id);
        end if;
        return (v_job_id, v_attempt_id, 'QUEUED', true)::pgjobs.enqueued;
    end loop;

    -- The commit has its job. Is it an answer to this request?
    if v_job.session_id <> session_id then
        perform pgjobs._refuse('23V03', null, element);
    elsif v_job.lab_version <> lab_version then
        perform pgjobs._refuse(
            case when v_attempt.is_redelivery then '23V04' else '23V03' end, 'lab_version', element
        );
    elsif v_attempt.is_redelivery
        and v_job.payload_sha256 is distinct from coalesce(v_payload_sha256, v_job.payload_sha256)
    then
        perform pgjobs._refuse('23V04', 'payload', element);
    end if;
    if v_open_jobs is not null then
        perform pgjobs._leave_lane(session_id);
    end if;
    return (
        v_job.job_id, v_attempt_id, pgjobs._status(session_id, v_job.job_id), false
    )::pgjobs.enqueued;
end
$$;
comment on function pgjobs._enqueue is
    'The job of a commit, found or made. new_job_id: an id drawn before, for a batch; element: '
    'ordinal in a batch.';


-- The set-based part of enqueue_many: the elements that have a new id, all or none. It writes them
-- as if they were new. A key that is taken, or a lane that gets too full, undoes everything; then
-- somebody was there first, and _enqueue, one by one, knows how to answer.
create function pgjobs._enqueue_new(
    session_ids uuid[],
    commit_shas text[],
    lab_versions text[],
    delivery_ids text[],
    priority integer,
    max_runs integer,
    payloads jsonb[],
    new_job_ids bigint[],
    new_attempt_ids bigint[]
)
    returns boolean
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_now timestamptz := clock_timestamp();
    v_lane record;
    v_heads bigint[] := '{}';
    v_has_waiting boolean := false;
    v_is_late boolean;
begin
    -- The lanes in the order of their sessions, and the heads as they come back: above READ
    -- COMMITTED a later look may also see the lane that a session had before.
    for v_lane in
        insert into pgjobs.lane as lane (session_id, head_job_id, open_jobs)
        select element.session_id, min(element.job_id), count(*)
        from unnest((select session_ids), (select new_job_ids)) as element (session_id, job_id)
        where element.job_id is not null
        group by element.session_id
        order by element.session_id
        on conflict on constraint lane_session_id_pkey do update
            set open_jobs = lane.open_jobs + excluded.open_jobs
        returning lane.open_jobs, lane.head_job_id
    loop
        v_heads := v_heads || v_lane.head_job_id;
        v_has_waiting := v_has_waiting or v_lane.open_jobs > 1;
    end loop;

    insert into pgjobs.lab_attempt (attempt_id, session_id, commit_sha, recorded_at, delivery_id)
    overriding system value
    select
        element.attempt_id, element.session_id, element.commit_sha, v_now, element.delivery_id
    from unnest(
        (select session_ids), (select commit_shas), (select delivery_ids),
        (select new_attempt_ids)
    ) as element (session_id, commit_sha, delivery_id, attempt_id)
    where element.attempt_id is not null;

    insert into pgjobs.job (
        job_id, session_id, commit_sha, lab_version, priority, max_runs, created_at,
        payload_sha256
    )
    overriding system value
    select
        element.job_id, element.session_id, element.commit_sha, element.lab_version,
        _enqueue_new.priority, _enqueue_new.max_runs, v_now,
        sha256(convert_to(element.payload::text, 'UTF8'))
    from unnest(
        (select session_ids), (select commit_shas), (select lab_versions), (select payloads),
        (select new_job_ids)
    ) as element (session_id, commit_sha, lab_version, payload, job_id)
    where element.job_id is not null
    order by element.commit_sha;

    if payloads is not null then
        insert into pgjobs.job_payload (job_id, payload)
        select element.job_id, element.payload
        from unnest((select payloads), (select new_job_ids)) as element (payload, job_id)
        where element.job_id is not null and element.payload is not null;
    end if;

    -- The place of a head is its id, unless this call has waited for so long, for a lane or a key,
    -- that claims are far beyond.
    v_is_late := pg_sequence_last_value('pgjobs.job_job_id_seq') > 1000 + (
        select max(job_id) from unnest((select new_job_ids)) as job_id
    );
    insert into pgjobs.ready (
        job_id, session_id, attempt_id, available_at, ready_no, priority
    )
    select
        element.job_id, element.session_id, element.attempt_id, v_now,
        case when v_is_late then nextval('pgjobs.job_job_id_seq') else element.job_id end,
        _enqueue_new.priority
    from unnest((select session_ids), (select new_job_ids), (select new_attempt_ids))
        as element (session_id, job_id, attempt_id)
    where element.job_id is not null
        and (not v_has_waiting or element.job_id in (select unnest(v_heads)));
    if v_has_waiting then
        insert into pgjobs.waiting (session_id, turn_no)
        select element.session_id, element.job_id
        from unnest((select session_ids), (select new_job_ids)) as element (session_id, job_id)
        where element.job_id is not null and element.job_id not in (select unnest(v_heads));
    end if;
    return true;
exception
    when unique_violation or check_violation then
        return false;
end
$$;
comment on function pgjobs._enqueue_new is
    'Writes the attempts and jobs of a batch that have a new id; false, and nothing written, when '
    'one of them is not new or a lane is too full.';


create function pgjobs.enqueue(
    session_id uuid,
    commit_sha text,
    lab_version text,
    delivery_id text default null,
    priority integer default 2,
    available_at timestamptz default null,
    max_runs integer default 3,
    author text default null,
    branch text default null,
    changed_files text[] default null,
    pushed_at timestamptz default null,
    payload jsonb default null
)
    returns pgjobs.enqueued
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := clock_timestamp();
    v_checked boolean;
begin
    v_checked :=
        (session_id is not null or pgjobs._refuse_null('enqueue', 'session_id'))
        and (
            pgjobs._is_commit_sha(commit_sha) is true
            or pgjobs._check_commit_sha('enqueue', 'commit_sha', commit_sha)
        )
        and (
            pgjobs._is_text(lab_version) is true
            or pgjobs._check_text('enqueue', 'lab_version', lab_version)
        )
        and (delivery_id is null or pgjobs._check_text('enqueue', 'delivery_id', delivery_id))
        and (
            (priority between 1 and 4) is true
            or pgjobs._refuse_argument('enqueue', 'priority', priority::text, '1 … 4')
        )
        and (
            (max_runs between 1 and 25) is true
            or pgjobs._refuse_argument('enqueue', 'max_runs', max_runs::text, '1 … 25')
        )
        and (
            available_at is null
            or (isfinite(available_at) and available_at <= v_now + interval '30 days')
            or pgjobs._refuse_argument(
                'enqueue', 'available_at', available_at::text, 'finite and at most 30 days ahead'
            )
        )
        and (
            num_nonnulls(author, branch, changed_files, pushed_at) = 0
            or pgjobs._check_push('enqueue', author, branch, changed_files, pushed_at)
        )
        and (payload is null or pgjobs._check_document('enqueue', 'payload', payload));
    if available_at <= v_now then
        available_at := null;
    end if;
    return pgjobs._enqueue(
        session_id, commit_sha, lab_version, delivery_id, priority, available_at, max_runs,
        author, branch, changed_files, pushed_at, payload
    );
end
$$;
comment on function pgjobs.enqueue is
    'Queues the one verification of a commit, recording its attempt, or answers the existing '
    'job (created = false). Part of the caller''s transaction. priority 1 first … 4 last; '
    'max_runs 1 … 25; available_at at most 30 days ahead. Errors: 22023, 22004, 23V03, 23V04, '
    '54V01, 40001.';


-- New commits are written set by set: first the lanes in the order of their sessions, then the jobs
-- in the order of their commits, so that two overlapping batches never deadlock. Whatever else
-- there is goes through _enqueue, one by one: known and repeated commits always; all of the batch
-- when a rival came in between, a lane is full, or an attempt was there before its job.
create function pgjobs.enqueue_many(
    session_ids uuid[],
    commit_shas text[],
    lab_versions text[],
    delivery_ids text[] default null,
    priority integer default 2,
    max_runs integer default 3,
    payloads jsonb[] default null
)
    returns setof pgjobs.enqueued_element
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_checked boolean;
    v_size integer := cardinality(session_ids);
    v_known text[];
    v_job_ids bigint[];
    v_attempt_ids bigint[];
    v_is_written boolean;
    v_element record;
    v_enqueued pgjobs.enqueued;
    v_answers pgjobs.enqueued_element[] := '{}';
begin
    v_checked :=
        (session_ids is not null or pgjobs._refuse_null('enqueue_many', 'session_ids'))
        and (commit_shas is not null or pgjobs._refuse_null('enqueue_many', 'commit_shas'))
        and (lab_versions is not null or pgjobs._refuse_null('enqueue_many', 'lab_versions'))
        and pgjobs._check_batch('enqueue_many', 'session_ids', session_ids, v_size)
        and pgjobs._check_batch('enqueue_many', 'commit_shas', commit_shas, v_size)
        and pgjobs._check_batch('enqueue_many', 'lab_versions', lab_versions, v_size)
        and (
            delivery_ids is null
            or pgjobs._check_batch('enqueue_many', 'delivery_ids', delivery_ids, v_size)
        )
        and (payloads is null or pgjobs._check_batch('enqueue_many', 'payloads', payloads, v_size))
        and (
            (priority between 1 and 4) is true
            or pgjobs._refuse_argument('enqueue_many', 'priority', priority::text, '1 … 4')
        )
        and (
            (max_runs between 1 and 25) is true
            or pgjobs._refuse_argument('enqueue_many', 'max_runs', max_runs::text, '1 … 25')
        );
    v_checked :=
        pgjobs._check_no_null('enqueue_many', 'session_ids', session_ids)
        and (
            select bool_and(
                pgjobs._is_commit_sha(element.commit_sha) is true
                or pgjobs._check_commit_sha(
                    'enqueue_many', 'commit_shas', element.commit_sha, element.ordinal
                )
            )
            from unnest(commit_shas) with ordinality as element (commit_sha, ordinal)
        )
        and (
            select bool_and(
                pgjobs._check_text(
                    'enqueue_many', 'lab_versions', element.lab_version, element.first
                )
            )
            from (
                select element.lab_version, min(element.ordinal) as first
                from unnest(lab_versions) with ordinality as element (lab_version, ordinal)
                group by element.lab_version
            ) as element
        )
        and (
            select bool_and(
                pgjobs._check_text(
                    'enqueue_many', 'delivery_ids', element.delivery_id, element.ordinal
                )
            )
            from unnest(delivery_ids) with ordinality as element (delivery_id, ordinal)
            where element.delivery_id is not null
        )
        and (
            select bool_and(
                pgjobs._check_document(
                    'enqueue_many', 'payloads', element.payload, element.ordinal
                )
            )
            from unnest(payloads) with ordinality as element (payload, ordinal)
            where element.payload is not null
        );

    -- The ids of the new jobs are drawn first, in input order: for all, when no commit is known or
    -- repeated.
    v_known := array(
        select job.commit_sha
        from unnest((select commit_shas)) as element (commit_sha)
        cross join lateral (
            select job.commit_sha
            from pgjobs.job as job
            where job.commit_sha = element.commit_sha
            offset 0
        ) as job
    );
    if v_known = '{}' and v_size = (
        select count(*)
        from (select from unnest(commit_shas) as commit_sha group by commit_sha) as commit
    ) then
        select
            array_agg(nextval('pgjobs.job_job_id_seq')),
            array_agg(nextval('pgjobs.lab_attempt_attempt_id_seq'))
        into v_job_ids, v_attempt_ids
        from generate_series(1, v_size);
    else
        select
            array_agg(case when element.is_new then nextval('pgjobs.job_job_id_seq') end),
            array_agg(
                case when element.is_new then nextval('pgjobs.lab_attempt_attempt_id_seq') end
            )
        into v_job_ids, v_attempt_ids
        from (
            select
                row_number() over (partition by element.commit_sha order by element.ordinal) = 1
                    and element.commit_sha not in (select unnest(v_known)) as is_new
            from unnest(commit_shas) with ordinality as element (commit_sha, ordinal)
            order by element.ordinal
        ) as element;
    end if;

    v_is_written := pgjobs._enqueue_new(
        session_ids, commit_shas, lab_versions, delivery_ids, priority, max_runs, payloads,
        v_job_ids, v_attempt_ids
    );
    for v_element in
        select element.*
        from unnest(
            session_ids, commit_shas, lab_versions, delivery_ids, payloads, v_job_ids
        )
            with ordinality as element (
                session_id, commit_sha, lab_version, delivery_id, payload, job_id, ordinal
            )
        where not (v_is_written and element.job_id is not null)
        order by element.session_id, element.ordinal
    loop
        v_enqueued := pgjobs._enqueue(
            v_element.session_id, v_element.commit_sha, v_element.lab_version,
            v_element.delivery_id, priority, null, max_runs, null, null, null, null,
            v_element.payload, v_element.job_id, v_element.ordinal
        );
        v_answers := v_answers || (
            v_element.ordinal, v_enqueued.job_id, v_enqueued.attempt_id, v_enqueued.status,
            v_enqueued.created
        )::pgjobs.enqueued_element;
    end loop;

    return query
    select element.ordinal::integer, element.job_id, element.attempt_id, 'QUEUED', true
    from unnest(v_job_ids, v_attempt_ids)
        with ordinality as element (job_id, attempt_id, ordinal)
    where v_is_written and element.job_id is not null
    union all
    select answer.* from unnest(v_answers) as answer
    order by 1;
end
$$;
comment on function pgjobs.enqueue_many is
    'enqueue for 0 … 10,000 commits, all or nothing; one row per element in input order. Arrays'
    ' of one length, no null among the first three. The error names the ordinal. Errors: those '
    'of enqueue.';


create function pgjobs.record_attempt(
    session_id uuid,
    commit_sha text,
    delivery_id text default null,
    author text default null,
    branch text default null,
    changed_files text[] default null,
    pushed_at timestamptz default null
)
    returns pgjobs.recorded
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_checked boolean;
    v_attempt_id bigint;
begin
    v_checked :=
        (session_id is not null or pgjobs._refuse_null('record_attempt', 'session_id'))
        and pgjobs._check_commit_sha('record_attempt', 'commit_sha', commit_sha)
        and (
            delivery_id is null
            or pgjobs._check_text('record_attempt', 'delivery_id', delivery_id)
        )
        and pgjobs._check_push('record_attempt', author, branch, changed_files, pushed_at);
    loop
        select known.attempt_id into v_attempt_id
        from pgjobs._find_attempt(
            session_id, commit_sha, delivery_id, author, branch, changed_files, null
        ) as known;
        if v_attempt_id is not null then
            return (v_attempt_id, false)::pgjobs.recorded;
        end if;
        v_attempt_id := pgjobs._add_attempt(
            session_id, commit_sha, delivery_id, author, branch, changed_files, pushed_at
        );
        if v_attempt_id is not null then
            return (v_attempt_id, true)::pgjobs.recorded;
        end if;
    end loop;
end
$$;
comment on function pgjobs.record_attempt is
    'Records a push that is not (yet) to be verified, or answers the existing attempt (created '
    '= false). Errors: 22023, 22004, 23V04, 40001.';


-- The row of verification_job, read by its keys in a fixed order. Through the view the planner
-- chooses the order by what it believes of the hot tables, which are full or empty within a minute.
create function pgjobs.get_job(commit_sha text)
    returns setof pgjobs.verification_job
    language plpgsql
    stable
    security definer
    rows 1
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_checked boolean;
begin
    v_checked := pgjobs._check_commit_sha('get_job', 'commit_sha', commit_sha);
    return query
    select
        job.job_id,
        attempt.attempt_id,
        job.session_id,
        job.commit_sha,
        job.lab_version,
        coalesce(
            verdict.status,
            case when lease.job_id is null then 'QUEUED' else 'RUNNING' end collate "C"
        ),
        job.priority::integer,
        payload.payload,
        job.created_at,
        coalesce(
            ready.available_at, lease.available_at, job.available_at, job.created_at
        ),
        coalesce(verdict.started_at, ready.started_at, lease.started_at),
        verdict.completed_at,
        coalesce(verdict.run_no, ready.run_no, lease.run_no, 0)::integer,
        job.max_runs::integer,
        coalesce(verdict.worker, ready.worker, lease.worker),
        verdict.error_reason,
        verdict.error_detail || coalesce(' (cancelled by ' || verdict.actor || ')', ''),
        summary.summary,
        coalesce(
            amendment.status,
            verdict.status,
            case when lease.job_id is null then 'QUEUED' else 'RUNNING' end collate "C"
        ),
        amendment.amended_at,
        coalesce(verdict.origin, 'QUEUE')
    from pgjobs.job as job
    cross join lateral (
        select attempt.attempt_id
        from pgjobs.lab_attempt as attempt
        where attempt.session_id = job.session_id and attempt.commit_sha = job.commit_sha
        offset 0
    ) as attempt
    left join lateral (
        select verdict.*
        from pgjobs.verdict as verdict
        where verdict.job_id = job.job_id
        offset 0
    ) as verdict on true
    left join lateral (
        select ready.*
        from pgjobs.ready as ready
        where ready.job_id = job.job_id and verdict.job_id is null
        offset 0
    ) as ready on true
    left join lateral (
        select lease.*
        from pgjobs.lease as lease
        where lease.session_id = job.session_id
            and lease.job_id = job.job_id
            and verdict.job_id is null
        offset 0
    ) as lease on true
    left join lateral (
        select payload.payload
        from pgjobs.job_payload as payload
        where payload.job_id = job.job_id
        offset 0
    ) as payload on true
    left join lateral (
        select summary.summary
        from pgjobs.verdict_summary as summary
        where summary.job_id = job.job_id
        offset 0
    ) as summary on true
    left join lateral (
        select amendment.status, amendment.amended_at
        from pgjobs.amendment as amendment
        where amendment.job_id = job.job_id
        order by amendment.amendment_no desc
        limit 1
    ) as amendment on true
    where job.commit_sha = get_job.commit_sha;
end
$$;
comment on function pgjobs.get_job is
    'The job of a commit as verification_job shows it: one row or none. Errors: 22023, 22004.';


-- The one place of the package that looks for a job. Per priority it walks the claimable heads in
-- order, from the low-water mark up: below it lie the entries of jobs long claimed, which nobody
-- can clean away while somebody holds an old snapshot.
--
-- The race: a head may become visible below the mark, when its number was drawn early and committed
-- late, or when the claim that raised the mark rolls back. So once a second one claim starts
-- further down, once a minute one from the very start; what it finds lowers the mark. No claim
-- answers that there is nothing before it has looked from the very start; where that takes long,
-- since much has died under a snapshot, not all idle workers do, but one in a tenth of a second.
--
-- Values that a plan must not depend on are selected: a plan is made once, and not for every
-- number.
create function pgjobs.claim(
    worker text,
    max_jobs integer default 1,
    lease_for interval default '5 minutes'
)
    returns setof pgjobs.claimed
    language plpgsql
    volatile
    security definer
    rows 1
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    c_low_water constant regclass[] := array[
        'pgjobs.low_water_1'::regclass, 'pgjobs.low_water_2'::regclass,
        'pgjobs.low_water_3'::regclass, 'pgjobs.low_water_4'::regclass
    ];
    c_everything constant bigint := 9223372036854775807;
    v_now timestamptz := clock_timestamp();
    v_swept_at timestamptz;
    v_since timestamptz := '-infinity';
    v_idle_at timestamptz;
    v_looks_at timestamptz;
    v_drawn bigint;
    v_lease_for interval;
    v_depth bigint := 0;
    v_low_water bigint;
    v_ready_no bigint;
    v_row tid;
    v_rows tid[] := '{}';
    v_head pgjobs.ready[];
    v_heads pgjobs.ready[] := '{}';
    v_leases pgjobs.lease[];
begin
    v_lease_for := pgjobs._check_claim('claim', worker, max_jobs, lease_for);

    select to_timestamp(mark.last_value / 1000.0) into v_swept_at from pgjobs.swept_at as mark;
    if v_now >= v_swept_at and date_trunc('minute', v_now) = date_trunc('minute', v_swept_at) then
        v_since := v_swept_at - interval '10 seconds';
    end if;
    if v_now not between v_swept_at and v_swept_at + interval '1 second' then
        v_depth := case when v_since = '-infinity' then c_everything else 10000 end;
        perform setval('pgjobs.swept_at', floor(extract(epoch from v_now) * 1000)::bigint);
        if not pgjobs._sweep(v_since) then
            perform setval('pgjobs.swept_at', 0);
        end if;
    end if;

    loop
        for v_priority in 1 .. 4 loop
            v_low_water := coalesce(pg_sequence_last_value(c_low_water[v_priority]), 0);
            select ready.ctid, array[ready], ready.ready_no into v_row, v_head, v_ready_no
            from pgjobs.ready as ready
            where ready.priority = (select v_priority)
                and ready.ready_no > (select v_low_water - v_depth)
            order by ready.ready_no
            limit 1
            for update skip locked;
            continue when not found;
            if v_ready_no not between v_low_water + 1 and v_low_water + 16 then
                perform setval(c_low_water[v_priority], v_ready_no - 1);
            end if;
            v_rows := v_rows || v_row;
            v_heads := v_heads || v_head;
            exit when cardinality(v_rows) = max_jobs;
            select v_rows || array_agg(place.ctid), v_heads || array_agg(place.head)
            into v_rows, v_heads
            from (
                select ready.ctid, ready as head
                from pgjobs.ready as ready
                where ready.priority = (select v_priority)
                    and ready.ready_no > (select v_ready_no)
                order by ready.ready_no
                limit (select max_jobs - cardinality(v_rows))
                for update skip locked
            ) as place;
            exit when cardinality(v_rows) = max_jobs;
        end loop;
        exit when v_rows <> '{}' or v_depth = c_everything;
        select to_timestamp(mark.last_value / 1000.0) into v_idle_at from pgjobs.idle_at as mark;
        exit when clock_timestamp() between v_idle_at and v_idle_at + interval '0.1 seconds';
        v_depth := c_everything;
        v_looks_at := clock_timestamp();
        v_drawn := pg_sequence_last_value('pgjobs.job_job_id_seq');
        perform pgjobs._sweep('-infinity');
    end loop;
    if v_rows = '{}' then
        if clock_timestamp() > v_looks_at + interval '5 milliseconds' then
            perform setval(
                'pgjobs.idle_at', floor(extract(epoch from clock_timestamp()) * 1000)::bigint
            );
            -- What had a number then is dead, or will be found as a late one is.
            perform setval(mark, v_drawn)
            from unnest(c_low_water) as mark
            where v_drawn > coalesce(pg_sequence_last_value(mark), 0);
        end if;
        return;
    end if;

    v_leases := array(
        select (
            ready.session_id, ready.job_id, ready.attempt_id, ready.available_at,
            greatest(ready.available_at, v_now), v_now + v_lease_for, gen_random_uuid(),
            v_lease_for, ready.review_id, ready.priority, ready.run_no + 1, claim.worker
        )::pgjobs.lease
        from unnest(v_heads) as ready
    );
    -- By their place on disk, which needs no index.
    delete from pgjobs.ready as ready where ready.ctid = any ((select v_rows)::tid[]);
    insert into pgjobs.lease
    select lease.* from unnest((select v_leases)) as lease;
    return query
    select
        job.job_id, lease.attempt_id, job.session_id, job.commit_sha,
        coalesce(
            (
                select review.lab_version
                from pgjobs.review as review
                where review.review_id = lease.review_id
            ),
            job.lab_version
        ),
        lease.priority::integer, lease.run_no::integer, lease.lease_token,
        lease.lease_expires_at, job.created_at,
        (
            select payload.payload
            from pgjobs.job_payload as payload
            where payload.job_id = job.job_id and job.payload_sha256 is not null
        ),
        lease.review_id
    from unnest((select v_leases)) with ordinality as lease
    cross join lateral (
        select job.*
        from pgjobs.job as job
        where job.job_id = lease.job_id
        offset 0
    ) as job
    order by lease.ordinality;
end
$$;
comment on function pgjobs.claim is
    'Starts a run of up to max_jobs (1 … 1000) claimable jobs, by priority and age, one per '
    'session, under a lease of lease_for (1 s … 1 day); no rows when there is nothing to do. '
    'Also rescues lost leases. Never waits. Errors: 22023, 22004.';


create function pgjobs.heartbeat(
    job_id bigint,
    lease_token uuid,
    lease_for interval default '5 minutes'
)
    returns timestamptz
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_checked boolean;
    v_lease_for interval;
    v_lease_expires_at timestamptz;
    v_job pgjobs.job;
begin
    v_checked :=
        (heartbeat.job_id is not null or pgjobs._refuse_null('heartbeat', 'job_id'))
        and (
            heartbeat.lease_token is not null
            or pgjobs._refuse_null('heartbeat', 'lease_token')
        );
    v_lease_for := pgjobs._check_duration('heartbeat', 'lease_for', heartbeat.lease_for, 1, 86400);
    v_job := pgjobs._find_job(heartbeat.job_id);
    v_lease_expires_at := clock_timestamp() + v_lease_for;
    update pgjobs.lease as lease
    set lease_for = v_lease_for,
        lease_expires_at = v_lease_expires_at
    where lease.session_id = v_job.session_id
        and lease.job_id = heartbeat.job_id
        and lease.lease_token = heartbeat.lease_token;
    if not found then
        perform pgjobs._refuse_lease(v_job.session_id, heartbeat.job_id);
    end if;
    return v_lease_expires_at;
end
$$;
comment on function pgjobs.heartbeat is
    'Sets the end of the lease to now + lease_for (1 s … 1 day), which may shorten it, and '
    'answers it. Never waits for an enqueue. Errors: 22023, 22004, P0002, 23V02, 23V05.';


-- Another word on a verdict: from an operator, or the answer of a review.

create function pgjobs._add_amendment(
    job_id bigint,
    status text,
    reason text,
    actor text,
    approver text,
    ticket text,
    lab_version text,
    review_id bigint
)
    returns pgjobs.amended
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_verdict pgjobs.verdict;
    v_amendment_id bigint;
    v_amendment_no smallint;
    v_amended_at timestamptz;
begin
    select verdict.* into v_verdict
    from pgjobs.verdict as verdict
    where verdict.job_id = _add_amendment.job_id;
    if not found then
        perform pgjobs._refuse('23V07');
    end if;
    -- The race: two amendments take the same number. One waits for the other and, in its next
    -- look, finds it; above READ COMMITTED it gets 40001.
    loop
        select coalesce(max(amendment.amendment_no), 0) + 1 into v_amendment_no
        from pgjobs.amendment as amendment
        where amendment.job_id = _add_amendment.job_id;
        v_amended_at := greatest(v_verdict.completed_at, clock_timestamp());
        insert into pgjobs.amendment (
            job_id, completed_at, amended_at, review_id, amendment_no, verdict_status, status,
            lab_version, reason, actor, approver, ticket, login
        )
        values (
            v_verdict.job_id, v_verdict.completed_at, v_amended_at, _add_amendment.review_id,
            v_amendment_no, v_verdict.status, _add_amendment.status, _add_amendment.lab_version,
            _add_amendment.reason, _add_amendment.actor, _add_amendment.approver,
            _add_amendment.ticket, session_user
        )
        on conflict do nothing
        returning amendment_id into v_amendment_id;
        exit when found;
    end loop;
    return (v_amendment_id, job_id, status, v_amended_at)::pgjobs.amended;
end
$$;
comment on function pgjobs._add_amendment is
    'Appends an amendment; 23V07 when the job has no verdict.';


create function pgjobs._answer_review(
    lease pgjobs.lease,
    ended_at timestamptz,
    status text,
    summary jsonb
)
    returns void
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_review pgjobs.review;
begin
    select review.* into strict v_review
    from pgjobs.review as review
    where review.review_id = lease.review_id;
    insert into pgjobs.review_result (
        review_id, job_id, ended_at, started_at, lease_token, run_no, outcome, worker,
        summary_sha256
    )
    values (
        lease.review_id, lease.job_id, _answer_review.ended_at, lease.started_at, lease.lease_token,
        lease.run_no, _answer_review.status, lease.worker,
        sha256(convert_to(_answer_review.summary::text, 'UTF8'))
    );
    if summary is not null then
        insert into pgjobs.review_summary (review_id, summary)
        values (lease.review_id, _answer_review.summary);
    end if;
    perform pgjobs._add_amendment(
        lease.job_id, status, v_review.reason, v_review.actor, v_review.approver,
        v_review.ticket, v_review.lab_version, lease.review_id
    );
end
$$;
comment on function pgjobs._answer_review is
    'Ends a review with an answer, and amends the verdict by it. The caller holds the lane.';


create function pgjobs._effective_status(job_id bigint)
    returns text
    language plpgsql
    stable
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce(
        (
            select amendment.status
            from pgjobs.amendment as amendment
            where amendment.job_id = _effective_status.job_id
            order by amendment.amendment_no desc
            limit 1
        ),
        (
            select verdict.status
            from pgjobs.verdict as verdict
            where verdict.job_id = _effective_status.job_id
        )
    );
end
$$;
comment on function pgjobs._effective_status is
    'The latest amendment of a job, else its verdict; null while it has none.';


-- complete and complete_many, once the arguments are known to be good. The lane's lock decides
-- between complete, cancel and the last release or rescue; the lease's lock between complete and
-- the taking of the lease. Who comes second finds the token gone.
create function pgjobs._complete(
    job_id bigint,
    lease_token uuid,
    status text,
    summary jsonb,
    ordinal integer default null
)
    returns pgjobs.completed_element
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_session_id uuid;
    v_lease pgjobs.lease;
    v_verdict pgjobs.verdict;
    v_result pgjobs.review_result;
    v_completed_at timestamptz;
    v_summary_sha256 bytea := sha256(convert_to(summary::text, 'UTF8'));
begin
    select job.session_id into v_session_id
    from pgjobs.job as job
    where job.job_id = _complete.job_id;
    if not found then
        return (ordinal, job_id, null, null, 'not_found')::pgjobs.completed_element;
    end if;

    v_lease := pgjobs._take_lease(v_session_id, job_id, lease_token);
    if v_lease.job_id is not null then
        v_completed_at := greatest(v_lease.started_at, clock_timestamp());
        if v_lease.review_id is not null then
            perform pgjobs._answer_review(v_lease, v_completed_at, status, summary);
        else
            insert into pgjobs.verdict (
                job_id, completed_at, started_at, lease_token, run_no, status, worker,
                error_reason, summary_sha256
            )
            values (
                _complete.job_id, v_completed_at, v_lease.started_at, v_lease.lease_token,
                v_lease.run_no, _complete.status, v_lease.worker,
                case when _complete.status = 'ERROR' then 'REPORTED' end, v_summary_sha256
            );
            if summary is not null then
                insert into pgjobs.verdict_summary (job_id, summary)
                values (_complete.job_id, _complete.summary);
            end if;
        end if;
        perform pgjobs._next_head(v_session_id);
        return (ordinal, job_id, status, v_completed_at, 'completed')::pgjobs.completed_element;
    end if;

    select verdict.* into v_verdict
    from pgjobs.verdict as verdict
    where verdict.job_id = _complete.job_id;
    if not found then
        return (ordinal, job_id, null, null, 'lease_lost')::pgjobs.completed_element;
    elsif v_verdict.lease_token = lease_token
        and v_verdict.status = status
        and v_verdict.summary_sha256 is not distinct from v_summary_sha256
        and v_verdict.actor is null
    then
        return (
            ordinal, job_id, status, v_verdict.completed_at, 'replayed'
        )::pgjobs.completed_element;
    end if;

    select result.* into v_result
    from pgjobs.review_result as result
    where result.review_id = (
        select review.review_id
        from pgjobs.review as review
        where review.job_id = _complete.job_id
        order by review.review_no desc
        limit 1
    );
    if v_result.lease_token = lease_token
        and v_result.outcome = status
        and v_result.summary_sha256 is not distinct from v_summary_sha256
    then
        return (
            ordinal, job_id, status, v_result.ended_at, 'replayed'
        )::pgjobs.completed_element;
    end if;
    return (
        ordinal, job_id, v_verdict.status, v_verdict.completed_at,
        case
            when exists (
                select from pgjobs.lane as lane
                where lane.session_id = v_session_id and lane.head_job_id = _complete.job_id
            ) then 'lease_lost'
            else 'verdict_final'
        end
    )::pgjobs.completed_element;
end
$$;
comment on function pgjobs._complete is
    'Writes a verdict, or the answer of a review, under a lease, or says why not. replayed: the '
    'very call that wrote it, once more.';


create function pgjobs.complete(
    job_id bigint,
    lease_token uuid,
    status text,
    summary jsonb default null
)
    returns pgjobs.completed
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_checked boolean;
    v_answer pgjobs.completed_element;
begin
    v_checked := pgjobs._check_verdict('complete', job_id, lease_token, status, summary);
    v_answer := pgjobs._complete(job_id, lease_token, status, summary);
    case v_answer.outcome
        when 'completed', 'replayed' then
            return (
                job_id, v_answer.status, v_answer.completed_at, v_answer.outcome = 'replayed'
            )::pgjobs.completed;
        when 'verdict_final' then
            perform pgjobs._refuse('23V02');
        when 'lease_lost' then
            perform pgjobs._refuse_lease((pgjobs._find_job(job_id)).session_id, job_id);
        when 'not_found' then
            perform pgjobs._refuse('P0002');
    end case;
end
$$;
comment on function pgjobs.complete is
    'Writes the verdict (PASSED, FAILED or ERROR) under the current lease; repeating the same '
    'call answers replayed = true. Errors: 22023, 22004, P0002, 23V02, 23V05, 40001.';


create function pgjobs.complete_many(
    job_ids bigint[],
    lease_tokens uuid[],
    statuses text[],
    summaries jsonb[] default null
)
    returns setof pgjobs.completed_element
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_checked boolean;
    v_size integer := cardinality(job_ids);
    v_element record;
    v_now timestamptz;
    v_sessions uuid[];
    v_lanes tid[];
    v_leases tid[];
    v_ordinals bigint[];
    v_ended bigint[];
    v_started timestamptz[];
    v_held uuid[];
    v_run_nos smallint[];
    v_workers text[];
    v_verdicts text[];
    v_summaries jsonb[];
    v_session_id uuid;
    v_left integer;
    v_answers pgjobs.completed_element[] := '{}';
begin
    v_checked :=
        (job_ids is not null or pgjobs._refuse_null('complete_many', 'job_ids'))
        and (lease_tokens is not null or pgjobs._refuse_null('complete_many', 'lease_tokens'))
        and (statuses is not null or pgjobs._refuse_null('complete_many', 'statuses'))
        and pgjobs._check_batch('complete_many', 'job_ids', job_ids, v_size)
        and pgjobs._check_batch('complete_many', 'lease_tokens', lease_tokens, v_size)
        and pgjobs._check_batch('complete_many', 'statuses', statuses, v_size)
        and (
            summaries is null
            or pgjobs._check_batch('complete_many', 'summaries', summaries, v_size)
        )
        and pgjobs._check_no_null('complete_many', 'job_ids', job_ids)
        and pgjobs._check_no_null('complete_many', 'lease_tokens', lease_tokens)
        and (
            select bool_and(
                pgjobs._check_status('complete_many', 'statuses', element.status, element.first)
            )
            from (
                select element.status, min(element.ordinal) as first
                from unnest(statuses) with ordinality as element (status, ordinal)
                group by element.status
            ) as element
        )
        and (
            select bool_and(
                pgjobs._check_document(
                    'complete_many', 'summaries', element.summary, element.ordinal
                )
            )
            from unnest(summaries) with ordinality as element (summary, ordinal)
            where element.summary is not null
        );

    -- The lanes in the order of their sessions, as enqueue_many locks them: two batches never wait
    -- for one another. Each statement then sees what the holders of those locks have left behind.
    select array_agg(place.session_id), array_agg(place.ordinal), array_agg(lane.ctid)
    into v_sessions, v_ordinals, v_lanes
    from (
        select job.session_id, element.ordinal
        from unnest((select job_ids)) with ordinality as element (job_id, ordinal)
        cross join lateral (
            select job.session_id
            from pgjobs.job as job
            where job.job_id = element.job_id
            offset 0
        ) as job
        order by job.session_id
    ) as place
    cross join lateral (
        select lane.ctid
        from pgjobs.lane as lane
        where lane.session_id = place.session_id
        for update
    ) as lane;

    -- What is held under its token for its verdict, and named once, ends here.
    select
        array_agg(place.lane), array_agg(lease.ctid), array_agg(place.ordinal),
        array_agg(lease.job_id), array_agg(lease.started_at), array_agg(lease.lease_token),
        array_agg(lease.run_no), array_agg(lease.worker), array_agg(statuses[place.ordinal]),
        array_agg(summaries[place.ordinal])
    into
        v_lanes, v_leases, v_ordinals, v_ended, v_started, v_held, v_run_nos, v_workers,
        v_verdicts, v_summaries
    from unnest((select v_sessions), (select v_ordinals), (select v_lanes))
        as place (session_id, ordinal, lane)
    cross join lateral (
        select lease.*, lease.ctid
        from pgjobs.lease as lease
        where lease.session_id = place.session_id
            and lease.job_id = job_ids[place.ordinal]
            and lease.review_id is null
            and lease.lease_token = lease_tokens[place.ordinal]
        for update
    ) as lease
    where v_size = (select count(distinct named.job_id) from unnest(job_ids) as named (job_id));

    if v_ended is not null then
        v_now := clock_timestamp();
        insert into pgjobs.verdict (
            job_id, completed_at, started_at, lease_token, run_no, status, worker,
            error_reason, summary_sha256
        )
        select
            ended.job_id, greatest(ended.started_at, v_now), ended.started_at, ended.lease_token,
            ended.run_no, ended.status, ended.worker,
            case when ended.status = 'ERROR' then 'REPORTED' end,
            sha256(convert_to(ended.summary::text, 'UTF8'))
        from unnest(v_ended, v_started, v_held, v_run_nos, v_workers, v_verdicts, v_summaries)
            as ended (job_id, started_at, lease_token, run_no, worker, status, summary)
        order by ended.job_id;
        insert into pgjobs.verdict_summary (job_id, summary)
        select ended.job_id, ended.summary
        from unnest(v_ended, v_summaries) as ended (job_id, summary)
        where ended.summary is not null;

        delete from pgjobs.lease as lease where lease.ctid = any ((select v_leases)::tid[]);
        delete from pgjobs.lane as lane
        where lane.ctid = any ((select v_lanes)::tid[]) and lane.open_jobs = 1;
        get diagnostics v_left = row_count;
        if v_left < cardinality(v_ended) then
            for v_session_id in
                select lane.session_id
                from pgjobs.lane as lane
                where lane.ctid = any ((select v_lanes)::tid[])
            loop
                perform pgjobs._promote(v_session_id);
            end loop;
        end if;
    end if;

    -- The others get their answers one by one, in order.
    if v_size > coalesce(cardinality(v_ended), 0) then
        for v_element in
            select element.*
            from unnest(job_ids, lease_tokens, statuses, summaries)
                with ordinality as element (job_id, lease_token, status, summary, ordinal)
            where element.ordinal in (
                select generate_series(1, v_size)
                except
                select unnest(v_ordinals)
            )
            order by element.ordinal
        loop
            v_answers := v_answers || pgjobs._complete(
                v_element.job_id, v_element.lease_token, v_element.status, v_element.summary,
                v_element.ordinal::integer
            );
        end loop;
    end if;

    return query
    select
        ended.ordinal::integer, ended.job_id, ended.status, greatest(ended.started_at, v_now),
        'completed'
    from unnest(v_ordinals, v_ended, v_verdicts, v_started)
        as ended (ordinal, job_id, status, started_at)
    union all
    select answer.* from unnest(v_answers) as answer
    order by 1;
end
$$;
comment on function pgjobs.complete_many is
    'complete for 0 … 10,000 jobs; one row per element in input order, its outcome completed, '
    'replayed, lease_lost, verdict_final or not_found. A null or a bad status fails the whole '
    'call. Errors: 22023, 22004, 40001.';


-- First complete, which may wait, then claim, which never does: no lock is held while waiting.
create function pgjobs.complete_and_claim(
    job_id bigint,
    lease_token uuid,
    status text,
    worker text,
    summary jsonb default null,
    max_jobs integer default 1,
    lease_for interval default '5 minutes'
)
    returns setof pgjobs.claimed
    language plpgsql
    volatile
    security definer
    rows 1
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_checked boolean;
    v_lease_for interval;
begin
    v_checked := pgjobs._check_verdict(
        'complete_and_claim', job_id, lease_token, status, summary
    );
    v_lease_for := pgjobs._check_claim('complete_and_claim', worker, max_jobs, lease_for);
    perform pgjobs.complete(job_id, lease_token, status, summary);
    return query select claimed.* from pgjobs.claim(worker, max_jobs, v_lease_for) as claimed;
end
$$;
comment on function pgjobs.complete_and_claim is
    'complete, then claim, in one call: all or nothing. A repeated call after a lost answer '
    'completes nothing twice, but the runs that the lost answer named last until their leases end. '
    'Errors: those of complete and claim.';


create function pgjobs.release(
    job_id bigint,
    lease_token uuid,
    reason text,
    retry_after interval default null
)
    returns pgjobs.released
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_checked boolean;
    v_retry_after interval;
    v_job pgjobs.job;
    v_last_run_no smallint;
    v_lease pgjobs.lease;
begin
    v_checked :=
        (release.job_id is not null or pgjobs._refuse_null('release', 'job_id'))
        and (
            release.lease_token is not null
            or pgjobs._refuse_null('release', 'lease_token')
        )
        and pgjobs._check_text('release', 'reason', release.reason);
    if release.retry_after is not null then
        v_retry_after := pgjobs._check_duration(
            'release', 'retry_after', release.retry_after, 0, 86400
        );
    end if;
    v_job := pgjobs._find_job(release.job_id);

    -- The last run ends the job, for which the lane's lock comes first; any other needs the
    -- lease's.
    select lease.* into v_lease
    from pgjobs.lease as lease
    where lease.session_id = v_job.session_id
        and lease.job_id = release.job_id
        and lease.lease_token = release.lease_token;
    if found then
        v_last_run_no := pgjobs._last_run_no(release.job_id, v_lease.review_id);
        if v_lease.run_no >= v_last_run_no then
            perform from pgjobs.lane as lane where lane.session_id = v_job.session_id for update;
        end if;
        select lease.* into v_lease
        from pgjobs.lease as lease
        where lease.session_id = v_job.session_id
            and lease.job_id = release.job_id
            and lease.lease_token = release.lease_token
        for update;
    end if;
    if v_lease.job_id is null then
        perform pgjobs._refuse_lease(v_job.session_id, release.job_id);
    end if;
    return pgjobs._end_run(
        v_lease, 'RELEASED', release.reason,
        coalesce(
            v_retry_after,
            least(
                interval '30 seconds'
                    * power(2, v_job.max_runs - (v_last_run_no - v_lease.run_no) - 1),
                interval '15 minutes'
            )
        ),
        v_last_run_no
    );
end
$$;
comment on function pgjobs.release is
    'Gives the job back because the infrastructure failed: QUEUED again after retry_after (0 … '
    '1 day; default 30 s, doubled with every run, at most 15 min), or ERROR when its runs are '
    'used up. Errors: 22023, 22004, P0002, 23V02, 23V05, 40001.';


create function pgjobs.rescue(max_jobs integer default 100)
    returns setof pgjobs.rescued
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_checked boolean;
begin
    v_checked := (max_jobs between 1 and 1000) is true
        or pgjobs._refuse_argument('rescue', 'max_jobs', max_jobs::text, '1 … 1000');
    return query select rescued.* from pgjobs._take_leases(max_jobs, '-infinity') as rescued;
end
$$;
comment on function pgjobs.rescue is
    'Takes up to max_jobs (1 … 1000) leases that are over: QUEUED again, or ERROR when the runs'
    ' are used up. claim does this by itself; never waits. Errors: 22023, 22004.';


create function pgjobs.cancel(
    job_id bigint,
    reason text,
    actor text
)
    returns pgjobs.cancelled
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_checked boolean;
    v_job pgjobs.job;
    v_ended_at timestamptz;
    v_status text;
    v_lease pgjobs.lease;
    v_ready pgjobs.ready;
    v_started_at timestamptz;
    v_run_no smallint;
    v_worker text;
    v_review_id bigint;
    v_is_head boolean := true;
begin
    v_checked :=
        (cancel.job_id is not null or pgjobs._refuse_null('cancel', 'job_id'))
        and pgjobs._check_text('cancel', 'reason', cancel.reason)
        and pgjobs._check_text('cancel', 'actor', cancel.actor);
    v_job := pgjobs._find_job(cancel.job_id);
    -- The lane's lock keeps the head its head; claim and release still move it between lease and
    -- ready. Who finds it gone from both has met such a move, and looks again.
    perform from pgjobs.lane as lane where lane.session_id = v_job.session_id for update;
    loop
        delete from pgjobs.lease as lease
        where lease.session_id = v_job.session_id and lease.job_id = cancel.job_id
        returning lease.* into v_lease;
        exit when found;
        delete from pgjobs.ready as ready
        where ready.job_id = cancel.job_id
        returning ready.* into v_ready;
        exit when found;
        v_is_head := exists (
            select from pgjobs.ready as ready where ready.job_id = cancel.job_id
            union all
            select from pgjobs.lease as lease
            where lease.session_id = v_job.session_id and lease.job_id = cancel.job_id
        );
        exit when not v_is_head;
    end loop;
    v_started_at := coalesce(v_lease.started_at, v_ready.started_at);
    v_run_no := coalesce(v_lease.run_no, v_ready.run_no);
    v_worker := coalesce(v_lease.worker, v_ready.worker);
    v_review_id := coalesce(v_lease.review_id, v_ready.review_id);
    if not v_is_head then
        delete from pgjobs.waiting as waiting
        where waiting.session_id = v_job.session_id
            and (waiting.turn_no = cancel.job_id or waiting.reviewed_job_id = cancel.job_id)
        returning case when waiting.reviewed_job_id is not null then waiting.turn_no end
        into v_review_id;
        if not found then
            perform pgjobs._refuse('23V02');
        end if;
    end if;

    v_ended_at := greatest(v_job.created_at, v_started_at, clock_timestamp());
    if v_review_id is null then
        v_status := 'ERROR';
        insert into pgjobs.verdict (
            job_id, completed_at, started_at, lease_token, run_no, status, worker,
            error_reason, error_detail, actor, login
        )
        values (
            cancel.job_id, v_ended_at, v_started_at, v_lease.lease_token,
            coalesce(v_run_no, 0), v_status, v_worker, 'CANCELLED',
            cancel.reason, cancel.actor, session_user
        );
    else
        v_status := pgjobs._status(v_job.session_id, cancel.job_id);
        insert into pgjobs.review_result (
            review_id, job_id, ended_at, started_at, lease_token, run_no, outcome, worker,
            detail, actor, login
        )
        select
            review.review_id, cancel.job_id, v_ended_at, v_started_at, v_lease.lease_token,
            coalesce(v_run_no, review.runs_before), 'CANCELLED', v_worker,
            cancel.reason, cancel.actor, session_user
        from pgjobs.review as review
        where review.review_id = v_review_id;
    end if;
    if v_is_head then
        perform pgjobs._next_head(v_job.session_id);
    else
        perform pgjobs._leave_lane(v_job.session_id);
    end if;
    return (cancel.job_id, v_status, v_ended_at)::pgjobs.cancelled;
end
$$;
comment on function pgjobs.cancel is
    'Ends a QUEUED or RUNNING job with ERROR, reason CANCELLED, or the review of a finished one, '
    'whose status stays; a worker that still runs it writes nothing any more. Errors: 22023, '
    '22004, P0002, 23V02, 40001.';


-- Not part of enqueue: a notification makes commits wait for one another and fails when the queue
-- of notifications is full, and nothing that is promised depends on it.
create function pgjobs.wake()
    returns void
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    notify pgjobs;
end
$$;
comment on function pgjobs.wake is
    'Wakes the workers that listen on the channel pgjobs. Optional; call it after the commit of an '
    'enqueue, in a transaction of its own. Workers that poll need no wake.';


create function pgjobs.amend(
    job_id bigint,
    status text,
    reason text,
    actor text,
    approver text,
    ticket text,
    lab_version text default null
)
    returns pgjobs.amended
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_checked boolean;
begin
    v_checked := (job_id is not null or pgjobs._refuse_null('amend', 'job_id'))
        and pgjobs._check_status('amend', 'status', status)
        and pgjobs._check_decision('amend', reason, actor, approver, ticket, lab_version);
    perform pgjobs._find_job(job_id);
    return pgjobs._add_amendment(
        job_id, status, reason, actor, approver, ticket, lab_version, null
    );
end
$$;
comment on function pgjobs.amend is
    'Says PASSED, FAILED or ERROR over a verdict, which itself stands: the audited override. '
    'reason, actor, approver, ticket, lab_version 1 … 200 characters; actor and approver are two '
    'people. The latest amendment of a job is its effective status. Errors: 22023, 22004, P0002, '
    '23V07, 40001.';


-- A finished job goes back among the open ones, as a review. From there claim, lease and lane do
-- with it what they do with any job.
--
-- The race: two calls name the same job, or a call and a session's enqueue meet. Who adds to a lane
-- holds its lock, and looks for an open review once more when it has it. Above READ COMMITTED an
-- old snapshot may not know a review that has come and gone: the number it takes is then taken, and
-- it gets 40001. Lanes are locked in the order of their sessions.
create function pgjobs.reverify(
    job_ids bigint[],
    reason text,
    actor text,
    approver text,
    ticket text,
    lab_version text default null,
    priority integer default 3
)
    returns setof pgjobs.reviewed_element
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_checked boolean;
    v_jobs pgjobs.job[];
    v_element record;
    v_run_no smallint;
    v_outcome text;
    v_open_jobs smallint;
    v_review_no smallint;
    v_runs_before smallint;
    v_review_id bigint;
    v_answers pgjobs.reviewed_element[] := '{}';
begin
    v_checked := (job_ids is not null or pgjobs._refuse_null('reverify', 'job_ids'))
        and pgjobs._check_batch('reverify', 'job_ids', job_ids, cardinality(job_ids))
        and pgjobs._check_no_null('reverify', 'job_ids', job_ids)
        and pgjobs._check_decision(
            'reverify', reverify.reason, reverify.actor, reverify.approver, reverify.ticket,
            reverify.lab_version
        )
        and (
            (reverify.priority between 1 and 4) is true
            or pgjobs._refuse_argument(
                'reverify', 'priority', reverify.priority::text, '1 … 4'
            )
        );
    v_jobs := array(
        select job from pgjobs.job as job where job.job_id = any ((select job_ids)::bigint[])
    );
    for v_element in
        select
            element.ordinal::integer as ordinal, element.job_id as asked, job.job_id,
            job.session_id, job.lab_version
        from unnest(job_ids) with ordinality as element (job_id, ordinal)
        left join unnest(v_jobs) as job on job.job_id = element.job_id
        order by job.session_id, element.ordinal
    loop
        v_review_id := null;
        v_open_jobs := null;
        select verdict.run_no into v_run_no
        from pgjobs.verdict as verdict
        where verdict.job_id = v_element.job_id;
        v_outcome := case
            when v_element.job_id is null then 'not_found'
            when v_run_no is null then 'not_final'
            when pgjobs._is_open(v_element.job_id) then 'already_queued'
        end;
        if v_outcome is null then
            insert into pgjobs.lane as lane (session_id, head_job_id, open_jobs)
            values (v_element.session_id, v_element.job_id, 1)
            on conflict on constraint lane_session_id_pkey do update
                set open_jobs = lane.open_jobs + 1
                where lane.open_jobs < 100
            returning lane.open_jobs into v_open_jobs;
            if pgjobs._is_open(v_element.job_id) then
                v_outcome := 'already_queued';
                if v_open_jobs is not null then
                    perform pgjobs._leave_lane(v_element.session_id);
                end if;
            elsif v_open_jobs is null then
                perform pgjobs._refuse('54V01', null, v_element.ordinal);
            else
                select
                    count(*) + 1, coalesce(max(result.run_no), v_run_no)
                into v_review_no, v_runs_before
                from pgjobs.review as review
                join pgjobs.review_result as result on result.review_id = review.review_id
                where review.job_id = v_element.job_id;
                v_outcome := 'queued';
                v_review_id := nextval('pgjobs.job_job_id_seq');
                insert into pgjobs.review (
                    review_id, job_id, requested_at, priority, review_no, runs_before,
                    lab_version, reason, actor, approver, ticket, login
                )
                values (
                    v_review_id, v_element.job_id, clock_timestamp(), reverify.priority,
                    v_review_no, v_runs_before,
                    coalesce(reverify.lab_version, v_element.lab_version), reverify.reason,
                    reverify.actor, reverify.approver, reverify.ticket, session_user
                )
                on conflict do nothing;
                if v_open_jobs = 1 then
                    perform pgjobs._add_ready(v_element.job_id, v_review_id);
                else
                    insert into pgjobs.waiting (session_id, turn_no, reviewed_job_id)
                    values (v_element.session_id, v_review_id, v_element.job_id);
                end if;
            end if;
        end if;
        v_answers := v_answers || (
            v_element.ordinal, v_element.asked, v_review_id, v_outcome
        )::pgjobs.reviewed_element;
    end loop;
    return query select answer.* from unnest(v_answers) as answer order by answer.ordinal;
end
$$;
comment on function pgjobs.reverify is
    'Has 0 … 10,000 finished jobs judged again, all or nothing; one row per element in input order,'
    ' its outcome queued, not_final, already_queued or not_found. A worker''s answer becomes an '
    'amendment by actor, approver and ticket. lab_version: null for the job''s; priority 1 first '
    '… 4 last. Errors: 22023, 22004, 54V01, 40001.';


-- Artifacts: what add_artifact takes, and where equal bytes are kept once.

create function pgjobs._check_artifact(
    kind text,
    name text,
    content bytea,
    location text,
    sha256 bytea,
    size_bytes bigint,
    media_type text,
    truncated boolean
)
    returns boolean
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    c_routine constant text := 'add_artifact';
begin
    return (
        kind in ('LOG', 'REPORT', 'DIFF', 'OUTPUT', 'OTHER') is true
        or pgjobs._refuse_argument(c_routine, 'kind', kind, 'LOG, REPORT, DIFF, OUTPUT or OTHER')
    )
        and pgjobs._check_text(c_routine, 'name', name)
        and (
            -- chr(92) is a backslash, which a literal cannot show in every session.
            (name !~ '(^|/)[.]{0,2}(/|$)' and strpos(name, chr(92)) = 0)
            or pgjobs._refuse_argument(
                c_routine, 'name', name,
                'a relative path without backslashes and without empty, . or .. parts'
            )
        )
        and pgjobs._check_text(c_routine, 'media_type', media_type)
        and (truncated is not null or pgjobs._refuse_null(c_routine, 'truncated'))
        and (
            num_nonnulls(content, location) = 1
            or pgjobs._refuse_argument(
                c_routine, 'content', format('%s of the two', num_nonnulls(content, location)),
                'given, or else location'
            )
        )
        and (
            content is null
            or octet_length(content) <= 1048576
            or pgjobs._refuse_argument(
                c_routine, 'content', octet_length(content) || ' bytes', 'at most 1 MiB'
            )
        )
        and (
            location is null
            or (
                octet_length(location) <= 4096
                and char_length(location) between 1 and 1024
                and location collate "C" !~ '[\u0001-\u0020\u007f-\u00a0]'
            )
            or pgjobs._refuse_argument(
                c_routine, 'location', location,
                '1 … 1024 characters without blanks and control characters'
            )
        )
        and (
            (sha256 is null and content is not null)
            or (octet_length(sha256) = 32 and sha256 = coalesce(sha256(content), sha256)) is true
            or pgjobs._refuse_argument(
                c_routine, 'sha256', encode(sha256, 'hex'), 'the SHA-256 of the content'
            )
        )
        and (
            (size_bytes is null and content is not null)
            or (size_bytes >= 0 and size_bytes = coalesce(octet_length(content), size_bytes))
                is true
            or pgjobs._refuse_argument(
                c_routine, 'size_bytes', size_bytes::text, 'the size of the content in bytes'
            )
        );
end
$$;
comment on function pgjobs._check_artifact is 'Refuses what add_artifact cannot take.';


create function pgjobs._keep_body(content bytea, sha256 bytea)
    returns bigint
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_body_id bigint;
begin
    loop
        -- Locked, so that no expiry drops it before the artifact that shares it is there.
        select body.body_id into v_body_id
        from pgjobs.body as body
        where body.sha256 = _keep_body.sha256
        for key share;
        exit when found;
        insert into pgjobs.body (created_at, sha256, content)
        values (clock_timestamp(), _keep_body.sha256, _keep_body.content)
        on conflict do nothing
        returning body_id into v_body_id;
        exit when found;
    end loop;
    return v_body_id;
end
$$;
comment on function pgjobs._keep_body is 'The body with those bytes, found and locked, or stored.';


-- The race: an equal artifact, or another of the same run, comes at the same time; the lease
-- is locked first, so they come one after the other, and no verdict comes between. Equal bytes of
-- another run meet at body_sha256_key. An expiry that is dropping those bytes holds the body's row:
-- this waits, finds it gone and stores the bytes anew. Above READ COMMITTED the keys raise 40001.
create function pgjobs.add_artifact(
    job_id bigint,
    lease_token uuid,
    kind text,
    name text,
    content bytea default null,
    location text default null,
    sha256 bytea default null,
    size_bytes bigint default null,
    media_type text default 'application/octet-stream',
    truncated boolean default false
)
    returns pgjobs.artifact_added
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_checked boolean;
    v_sha256 bytea;
    v_size_bytes bigint;
    v_job pgjobs.job;
    v_lease pgjobs.lease;
    v_known pgjobs.artifact;
    v_latest pgjobs.artifact;
    v_differing text;
    v_body_id bigint;
    v_artifact_id bigint;
begin
    v_checked := (add_artifact.job_id is not null or pgjobs._refuse_null('add_artifact', 'job_id'))
        and (
            add_artifact.lease_token is not null
            or pgjobs._refuse_null('add_artifact', 'lease_token')
        )
        and pgjobs._check_artifact(
            kind, name, content, location, sha256, size_bytes, media_type, truncated
        );
    v_sha256 := coalesce(sha256(add_artifact.content), add_artifact.sha256);
    v_size_bytes := coalesce(octet_length(add_artifact.content), add_artifact.size_bytes);
    v_job := pgjobs._find_job(add_artifact.job_id);
    select lease.* into v_lease
    from pgjobs.lease as lease
    where lease.session_id = v_job.session_id and lease.job_id = add_artifact.job_id
    for update;
    if v_lease.lease_token is distinct from add_artifact.lease_token then
        perform pgjobs._refuse_lease(v_job.session_id, add_artifact.job_id);
    end if;

    loop
        select artifact.* into v_known
        from pgjobs.artifact as artifact
        where artifact.job_id = add_artifact.job_id
            and artifact.run_no = v_lease.run_no
            and artifact.name = add_artifact.name;
        if found then
            v_differing := case
                when v_known.sha256 <> v_sha256 then 'sha256'
                when v_known.size_bytes <> v_size_bytes then 'size_bytes'
                when v_known.location is distinct from add_artifact.location then 'location'
                when v_known.kind <> add_artifact.kind then 'kind'
                when v_known.media_type <> add_artifact.media_type then 'media_type'
                when v_known.truncated <> add_artifact.truncated then 'truncated'
            end;
            if v_differing is not null then
                perform pgjobs._refuse('23V06', v_differing);
            end if;
            return (
                v_known.artifact_id, v_sha256, v_size_bytes, false
            )::pgjobs.artifact_added;
        end if;

        select artifact.* into v_latest
        from pgjobs.artifact as artifact
        where artifact.job_id = add_artifact.job_id and artifact.run_no = v_lease.run_no
        order by artifact.artifact_no desc
        limit 1;
        v_checked := (
            coalesce(v_latest.artifact_no, 0) < 100
            or pgjobs._refuse_argument(
                'add_artifact', 'name', name, 'one of at most 100 artifacts of the run'
            )
        )
            and (
                content is null
                or coalesce(v_latest.inline_bytes, 0) + v_size_bytes <= 16777216
                or pgjobs._refuse_argument(
                    'add_artifact', 'content', v_size_bytes || ' bytes',
                    'at most 16 MiB with the other artifacts of the run'
                )
            );
        if content is not null then
            v_body_id := pgjobs._keep_body(content, v_sha256);
        end if;
        insert into pgjobs.artifact (
            job_id, created_at, size_bytes, body_id, inline_bytes, run_no, artifact_no,
            truncated, kind, name, media_type, location, sha256
        )
        values (
            add_artifact.job_id, clock_timestamp(), v_size_bytes, v_body_id,
            coalesce(v_latest.inline_bytes, 0)
                + case when v_body_id is null then 0 else v_size_bytes end,
            v_lease.run_no, coalesce(v_latest.artifact_no, 0) + 1, add_artifact.truncated,
            add_artifact.kind, add_artifact.name, add_artifact.media_type,
            add_artifact.location, v_sha256
        )
        on conflict do nothing
        returning artifact_id into v_artifact_id;
        exit when found;
    end loop;
    return (v_artifact_id, v_sha256, v_size_bytes, true)::pgjobs.artifact_added;
end
$$;
comment on function pgjobs.add_artifact is
    'Records evidence of the run under the lease: kind LOG, REPORT, DIFF, OUTPUT or OTHER; name '
    '1 … 200 characters, unique in the run; content up to 1 MiB, or location (1 … 1,024 '
    'characters) with sha256 and size_bytes. At most 100 artifacts and 16 MiB of content a run. '
    'The same call once more: created = false. Errors: 22023, 22004, P0002, 23V02, 23V05, 23V06, '
    '40001.';


create function pgjobs.read_artifact(artifact_id bigint)
    returns bytea
    language plpgsql
    stable
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_checked boolean;
    v_artifact pgjobs.artifact;
    v_content bytea;
begin
    v_checked := artifact_id is not null or pgjobs._refuse_null('read_artifact', 'artifact_id');
    select artifact.* into v_artifact
    from pgjobs.artifact as artifact
    where artifact.artifact_id = read_artifact.artifact_id;
    if not found then
        perform pgjobs._refuse('P0002', 'artifact');
    end if;
    if v_artifact.body_id is not null then
        select body.content into v_content
        from pgjobs.body as body
        where body.body_id = v_artifact.body_id;
        if not found then
            perform pgjobs._refuse('23V08');
        end if;
    end if;
    return v_content;
end
$$;
comment on function pgjobs.read_artifact is
    'The bytes of an artifact; null when only its location is known. Errors: 22004, P0002 (no '
    'such artifact), 23V08.';


-- Retention: which bodies and detail rows are old enough to go. A dry run and a real one ask here.

create function pgjobs._old_bodies(before timestamptz, max_rows integer)
    returns bigint[]
    language plpgsql
    stable
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    return array(
        select body.body_id
        from pgjobs.body as body
        where body.created_at < _old_bodies.before
            and not pgjobs._is_shared(body.body_id, _old_bodies.before)
        order by body.created_at, body.body_id
        limit max_rows
    );
end
$$;
comment on function pgjobs._old_bodies is
    'Up to max_rows bodies, the oldest first, all of whose artifacts are older than before and of '
    'jobs that are not open.';


create function pgjobs._is_shared(body_id bigint, before timestamptz)
    returns boolean
    language plpgsql
    stable
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    return exists (
        select from pgjobs.artifact as artifact
        where artifact.body_id = _is_shared.body_id
            and (
                artifact.created_at >= _is_shared.before
                or pgjobs._is_open(artifact.job_id)
            )
    );
end
$$;
comment on function pgjobs._is_shared is
    'Whether an artifact that is not older than before, or of an open job, needs the body.';


create function pgjobs._old_details(kind text, before timestamptz, max_rows integer)
    returns bigint[]
    language plpgsql
    stable
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    case kind
    when 'ATTEMPT' then
        return array(
            select detail.attempt_id
            from pgjobs.attempt_detail as detail
            join pgjobs.lab_attempt as attempt on attempt.attempt_id = detail.attempt_id
            left join pgjobs.job as job
                on job.session_id = attempt.session_id and job.commit_sha = attempt.commit_sha
            where attempt.recorded_at < _old_details.before
                and (job.job_id is null or not pgjobs._is_open(job.job_id))
            order by detail.attempt_id
            limit max_rows
        );
    when 'PAYLOAD' then
        return array(
            select payload.job_id
            from pgjobs.job_payload as payload
            join pgjobs.verdict as verdict on verdict.job_id = payload.job_id
            where verdict.completed_at < _old_details.before
                and not pgjobs._is_open(payload.job_id)
            order by payload.job_id
            limit max_rows
        );
    when 'SUMMARY' then
        return array(
            select summary.job_id
            from pgjobs.verdict_summary as summary
            join pgjobs.verdict as verdict on verdict.job_id = summary.job_id
            where verdict.completed_at < _old_details.before
                and not pgjobs._is_open(summary.job_id)
            order by summary.job_id
            limit max_rows
        );
    when 'REVIEW' then
        return array(
            select summary.review_id
            from pgjobs.review_summary as summary
            join pgjobs.review_result as result on result.review_id = summary.review_id
            where result.ended_at < _old_details.before
                and not pgjobs._is_open(result.job_id)
            order by summary.review_id
            limit max_rows
        );
    end case;
end
$$;
comment on function pgjobs._old_details is
    'Up to max_rows detail rows of a kind of expiry, the oldest first, that are older than before '
    'and of jobs that are not open.';


-- Two at once: one waits for the other at expiry_kind_id_pkey, and then finds the rows gone.
create function pgjobs._expire(kind text, ids bigint[])
    returns bigint
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_dropped bigint;
begin
    insert into pgjobs.expiry (id, expired_at, kind, login)
    select id, clock_timestamp(), _expire.kind, session_user
    from unnest((select ids)) as id
    order by id
    on conflict do nothing;
    case kind
    when 'BODY' then
        delete from pgjobs.body as body where body.body_id = any ((select ids)::bigint[]);
    when 'ATTEMPT' then
        delete from pgjobs.attempt_detail as detail
        where detail.attempt_id = any ((select ids)::bigint[]);
    when 'PAYLOAD' then
        delete from pgjobs.job_payload as payload
        where payload.job_id = any ((select ids)::bigint[]);
    when 'SUMMARY' then
        delete from pgjobs.verdict_summary as summary
        where summary.job_id = any ((select ids)::bigint[]);
    when 'REVIEW' then
        delete from pgjobs.review_summary as summary
        where summary.review_id = any ((select ids)::bigint[]);
    end case;
    get diagnostics v_dropped = row_count;
    return v_dropped;
end
$$;
comment on function pgjobs._expire is
    'Puts the expiry of rows on record and drops them; answers how many it dropped.';


create function pgjobs._check_expiry(
    routine text,
    older_than interval,
    max_rows integer,
    dry_run boolean
)
    returns timestamptz
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_checked boolean;
begin
    v_checked := (
        (max_rows between 1 and 10000) is true
        or pgjobs._refuse_argument(routine, 'max_rows', max_rows::text, '1 … 10000')
    )
        and (dry_run is not null or pgjobs._refuse_null(routine, 'dry_run'));
    -- An old snapshot does not see who shares a body since, and no lock would tell.
    if current_setting('transaction_isolation') <> 'read committed' then
        perform pgjobs._refuse('25000', routine);
    end if;
    return clock_timestamp()
        - pgjobs._check_duration(routine, 'older_than', older_than, 0, 1577880000);
end
$$;
comment on function pgjobs._check_expiry is
    'Refuses what retention cannot take; answers before when it is older_than.';


-- The race: an artifact that shares an old body comes while it is being dropped. add_artifact locks
-- the body it shares; who holds such a lock keeps the body, and one that came before our lock is
-- seen by the second look.
create function pgjobs.expire_artifacts(
    older_than interval,
    max_rows integer default 1000,
    dry_run boolean default true
)
    returns pgjobs.artifacts_expired
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_before timestamptz;
    v_ids bigint[];
    v_artifacts bigint;
    v_bodies bigint;
    v_bytes bigint;
begin
    v_before := pgjobs._check_expiry('expire_artifacts', older_than, max_rows, dry_run);
    v_ids := pgjobs._old_bodies(v_before, max_rows);
    if not dry_run then
        v_ids := array(
            select body.body_id
            from pgjobs.body as body
            where body.body_id = any ((select v_ids)::bigint[])
            order by body.body_id
            for update skip locked
        );
        v_ids := array(
            select id from unnest((select v_ids)) as id where not pgjobs._is_shared(id, v_before)
        );
    end if;
    select count(*), coalesce(sum(octet_length(body.content)), 0)
    into v_bodies, v_bytes
    from pgjobs.body as body
    where body.body_id = any ((select v_ids)::bigint[]);
    select count(*) into v_artifacts
    from pgjobs.artifact as artifact
    where artifact.body_id = any ((select v_ids)::bigint[]);
    if not dry_run then
        perform pgjobs._expire('BODY', v_ids);
    end if;
    return (v_artifacts, v_bodies, v_bytes)::pgjobs.artifacts_expired;
end
$$;
comment on function pgjobs.expire_artifacts is
    'Drops up to max_rows (1 … 10,000) bodies, the oldest first, all of whose artifacts are older '
    'than older_than (0 s … 50 years) and of finished jobs; hash, size and name stay. A dry run '
    'counts the same. Errors: 22023, 22004, 25000.';


create function pgjobs.expire_details(
    older_than interval,
    kinds text[] default '{ATTEMPT,SUMMARY,PAYLOAD}',
    max_rows integer default 1000,
    dry_run boolean default true
)
    returns setof pgjobs.details_expired
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_checked boolean;
    v_before timestamptz;
    v_kind text;
    v_table text;
    v_ids bigint[];
    v_details integer;
begin
    v_checked := (kinds is not null or pgjobs._refuse_null('expire_details', 'kinds'))
        and (
            (kinds <@ '{ATTEMPT,SUMMARY,PAYLOAD}' and cardinality(kinds) between 1 and 3) is true
            or pgjobs._refuse_argument(
                'expire_details', 'kinds', kinds::text, 'some of ATTEMPT, SUMMARY, PAYLOAD'
            )
        );
    v_before := pgjobs._check_expiry('expire_details', older_than, max_rows, dry_run);
    for v_kind in select distinct kind from unnest(kinds) as kind order by kind loop
        v_details := 0;
        -- Summaries lie beside the verdict and beside the answer of a review.
        for v_table in
            select part
            from unnest(case v_kind when 'SUMMARY' then '{SUMMARY,REVIEW}' else array[v_kind] end)
                as part
        loop
            v_ids := pgjobs._old_details(v_table, v_before, max_rows - v_details);
            v_details := v_details
                + case when dry_run then cardinality(v_ids) else pgjobs._expire(v_table, v_ids) end;
        end loop;
        return query select v_kind, v_details::bigint;
    end loop;
end
$$;
comment on function pgjobs.expire_details is
    'Drops up to max_rows (1 … 10,000) rows of each kind that are older than older_than (0 s … 50 '
    'years) and of finished jobs: ATTEMPT (author, branch, changed files), SUMMARY, PAYLOAD; the '
    'ledger keeps their hash. A dry run counts the same. Errors: 22023, 22004, 25000.';


-- The one place with dynamic SQL: the host's table has no name before an operator gives it. Its row
-- policies would run as our owner; with row_security off a table that has them is refused (42501).
create function pgjobs.link_lab_sessions(
    target regclass default to_regclass('public."LabSession"')
)
    returns pgjobs.session_link
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
    -- Two locks are waited for at most, one behind the other: a second in all.
    set lock_timeout = '500ms'
    set row_security = off
as $$
declare
    v_schema oid;
    v_table text;
    v_link pg_constraint;
    v_orphans bigint;
    v_examples uuid[];
begin
    if target is null then
        perform pgjobs._refuse_argument('link_lab_sessions', 'target', null, 'a table that exists');
    end if;
    select namespace.oid, format('%I.%I', namespace.nspname, class.relname)
    into v_schema, v_table
    from pg_class as class
    join pg_namespace as namespace on namespace.oid = class.relnamespace
    where class.oid = target
        and class.relkind = 'r'
        and exists (
            select from pg_index as index
            join pg_attribute as attribute on attribute.attrelid = index.indrelid
                and attribute.attnum = index.indkey[0]
            where index.indrelid = class.oid and index.indnkeyatts = 1 and index.indpred is null
                and index.indisunique and index.indisvalid and index.indimmediate
                and attribute.attname = 'id' and attribute.atttypid = 'uuid'::regtype
        );
    if v_table is null then
        perform pgjobs._refuse_argument(
            'link_lab_sessions', 'target', target::text, 'an ordinary table with a uuid key "id"'
        );
    end if;
    if not has_schema_privilege(v_schema, 'usage')
        or not has_column_privilege(target, 'id', 'select')
        or not has_column_privilege(target, 'id', 'references')
    then
        raise exception '% may not refer to %', current_user, v_table
            using errcode = '42501', schema = 'pgjobs', table = 'link_lab_sessions',
                  column = 'target', constraint = 'link_lab_sessions_target_check',
                  hint = format(
                      'grant usage on schema %1$s to %3$I; '
                      'grant select (id), references (id) on %2$s to %3$I;',
                      v_schema::regnamespace, v_table, current_user
                  );
    end if;

    select link.* into v_link
    from pg_constraint as link
    where link.conrelid = 'pgjobs.lab_attempt'::regclass
        and link.conname = 'lab_attempt_session_id_fkey';
    if v_link.oid is null then
        execute format(
            'alter table pgjobs.lab_attempt add constraint lab_attempt_session_id_fkey '
            'foreign key (session_id) references %s (id) not valid',
            v_table
        );
        comment on constraint lab_attempt_session_id_fkey on pgjobs.lab_attempt is
            'The session is one of the host''s; made by link_lab_sessions.';
        return ('added', null, '{}')::pgjobs.session_link;
    end if;
    if v_link.confrelid <> target then
        perform pgjobs._refuse_argument(
            'link_lab_sessions', 'target', target::text,
            'the linked table; unlink_lab_sessions() undoes the link'
        );
    end if;
    if v_link.convalidated then
        return ('linked', 0, '{}')::pgjobs.session_link;
    end if;

    execute format(
        'with orphan as materialized ('
        'select distinct session_id from pgjobs.lab_attempt as attempt '
        'where not exists (select from only %s as session where session.id = attempt.session_id)'
        ') '
        'select count(*), array(select session_id from orphan order by session_id limit 10) '
        'from orphan',
        v_table
    ) into v_orphans, v_examples;
    if v_orphans > 0 then
        return ('orphans', v_orphans, v_examples)::pgjobs.session_link;
    end if;
    alter table pgjobs.lab_attempt validate constraint lab_attempt_session_id_fkey;
    return ('validated', 0, '{}')::pgjobs.session_link;
end
$$;
comment on function pgjobs.link_lab_sessions is
    'Lets attempts refer to the host''s sessions by a foreign key to target (id), one step a call '
    'and a transaction: added (for new attempts), orphans (sessions with attempts that target does '
    'not have; nothing was done), validated, linked (nothing to do). Errors: 22004, 22023, 42501, '
    '55P03 after half a second of waiting for a lock.';


create function pgjobs.unlink_lab_sessions()
    returns boolean
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
    -- Two locks are waited for at most, one behind the other: a second in all.
    set lock_timeout = '500ms'
as $$
begin
    if not exists (
        select from pg_constraint as link
        where link.conrelid = 'pgjobs.lab_attempt'::regclass
            and link.conname = 'lab_attempt_session_id_fkey'
    ) then
        return false;
    end if;
    alter table pgjobs.lab_attempt drop constraint lab_attempt_session_id_fkey;
    return true;
end
$$;
comment on function pgjobs.unlink_lab_sessions is
    'Drops the foreign key of link_lab_sessions and answers whether there was one. Errors: 55P03 '
    'after half a second of waiting for a lock.';


create function pgjobs.is_passed(commit_sha text)
    returns boolean
    language plpgsql
    stable
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_checked boolean;
    v_job_id bigint;
begin
    v_checked := pgjobs._check_commit_sha('is_passed', 'commit_sha', commit_sha);
    select job.job_id into v_job_id
    from pgjobs.job as job
    where job.commit_sha = is_passed.commit_sha;
    return coalesce(pgjobs._effective_status(v_job_id) = 'PASSED', false);
end
$$;
comment on function pgjobs.is_passed is
    'Whether the effective status of a commit''s job is PASSED; false for an unknown commit. '
    'Errors: 22023, 22004.';


create function pgjobs.timeline(commit_sha text)
    returns setof pgjobs.event
    language plpgsql
    stable
    security definer
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_checked boolean;
    v_job pgjobs.job;
    v_attempt pgjobs.lab_attempt;
begin
    v_checked := pgjobs._check_commit_sha('timeline', 'commit_sha', timeline.commit_sha);
    select job.* into v_job from pgjobs.job as job where job.commit_sha = timeline.commit_sha;
    select attempt.* into v_attempt
    from pgjobs.lab_attempt as attempt
    where attempt.session_id = v_job.session_id and attempt.commit_sha = v_job.commit_sha;
    -- By time, then in the order in which things follow from one another.
    return query
    select event.at, event.event, event.run_no, event.actor, jsonb_strip_nulls(event.detail)
    from (
        select
            1 as step, v_attempt.attempt_id as id, v_attempt.recorded_at as at,
            'recorded' as event, null::integer as run_no, null::text as actor,
            jsonb_build_object(
                'attempt_id', v_attempt.attempt_id, 'pushed_at', v_attempt.pushed_at,
                'delivery_id', v_attempt.delivery_id
            ) as detail
        where v_attempt.attempt_id is not null
        union all
        select
            2, v_job.job_id, v_job.created_at, 'enqueued', null, null,
            jsonb_build_object(
                'job_id', v_job.job_id, 'lab_version', v_job.lab_version,
                'priority', v_job.priority, 'max_runs', v_job.max_runs,
                'available_at', v_job.available_at
            )
        where v_job.job_id is not null
        union all
        select
            3, review.review_id, review.requested_at, 'review_queued', null, review.actor,
            jsonb_build_object(
                'review_id', review.review_id, 'lab_version', review.lab_version,
                'reason', review.reason, 'approver', review.approver, 'ticket', review.ticket,
                'login', review.login
            )
        from pgjobs.review as review
        where review.job_id = v_job.job_id
        union all
        select
            4, run.run_no, run.started_at, 'claimed', run.run_no, run.worker, '{}'
        from pgjobs.verification_run as run
        where run.job_id = v_job.job_id
        union all
        select
            5, artifact.artifact_no, artifact.created_at, 'artifact_added', artifact.run_no, null,
            jsonb_build_object(
                'artifact_id', artifact.artifact_id, 'kind', artifact.kind,
                'name', artifact.name, 'size_bytes', artifact.size_bytes,
                'truncated', nullif(artifact.truncated, false)
            )
        from pgjobs.artifact as artifact
        where artifact.job_id = v_job.job_id
        union all
        select
            6, setback.run_no, setback.ended_at, lower(setback.outcome), setback.run_no,
            setback.worker, jsonb_build_object('reason', setback.reason)
        from pgjobs.setback as setback
        where setback.job_id = v_job.job_id
        union all
        select
            7, 0, verdict.completed_at,
            case
                when verdict.origin is not null then 'backfilled'
                when verdict.error_reason = 'CANCELLED' then 'cancelled'
                when verdict.error_reason = 'RUNS_EXHAUSTED' then 'runs_exhausted'
                else 'completed'
            end,
            nullif(verdict.run_no, 0),
            case
                when verdict.error_reason = 'CANCELLED' then verdict.actor
                when verdict.error_reason = 'RUNS_EXHAUSTED' then null
                else verdict.worker
            end,
            jsonb_build_object(
                'status', verdict.status, 'reason', verdict.error_detail, 'login', verdict.login
            )
        from pgjobs.verdict as verdict
        where verdict.job_id = v_job.job_id
        union all
        select
            8, result.review_id, result.ended_at,
            'review_' || case
                when result.outcome in ('PASSED', 'FAILED', 'ERROR') then 'completed'
                else lower(result.outcome)
            end,
            result.run_no,
            case when result.lease_token is null or result.actor is not null
                then result.actor else result.worker
            end,
            jsonb_build_object(
                'review_id', result.review_id,
                'status', case
                    when result.outcome in ('PASSED', 'FAILED', 'ERROR') then result.outcome
                end,
                'reason', result.detail, 'login', result.login
            )
        from pgjobs.review_result as result
        where result.review_id in (
            select review.review_id from pgjobs.review as review where review.job_id = v_job.job_id
        )
        union all
        select
            9, amendment.amendment_no, amendment.amended_at, 'amended', null, amendment.actor,
            jsonb_build_object(
                'status', amendment.status, 'review_id', amendment.review_id,
                'lab_version', amendment.lab_version, 'reason', amendment.reason,
                'approver', amendment.approver, 'ticket', amendment.ticket,
                'login', amendment.login
            )
        from pgjobs.amendment as amendment
        where amendment.job_id = v_job.job_id
        union all
        select
            10, artifact.artifact_no, expiry.expired_at, 'artifact_expired', artifact.run_no,
            expiry.login, jsonb_build_object('name', artifact.name)
        from pgjobs.artifact as artifact
        join pgjobs.expiry as expiry on expiry.kind = 'BODY' and expiry.id = artifact.body_id
        where artifact.job_id = v_job.job_id
        union all
        select
            11, expiry.id, expiry.expired_at, 'detail_expired', null, expiry.login,
            case expiry.kind
                when 'REVIEW' then jsonb_build_object('kind', 'SUMMARY', 'review_id', expiry.id)
                else jsonb_build_object('kind', expiry.kind)
            end
        from pgjobs.expiry as expiry
        where (expiry.kind = 'ATTEMPT' and expiry.id = v_attempt.attempt_id)
            or (expiry.kind in ('PAYLOAD', 'SUMMARY') and expiry.id = v_job.job_id)
            or (
                expiry.kind = 'REVIEW'
                and expiry.id in (
                    select review.review_id
                    from pgjobs.review as review
                    where review.job_id = v_job.job_id
                )
            )
    ) as event
    order by event.at, event.step, event.id;
end
$$;
comment on function pgjobs.timeline is
    'What happened to a commit that has a job, in order: recorded, enqueued, claimed, '
    'artifact_added, lease_lost, released, completed, cancelled, runs_exhausted, backfilled, '
    'review_queued, review_completed, review_cancelled, review_runs_exhausted, amended, '
    'artifact_expired, detail_expired. actor: the worker of a run, who decided, or the login of an '
    'expiry. No rows for a commit without a job. Errors: 22023, 22004.';


create function pgjobs.why_waiting(job_id bigint)
    returns pgjobs.waiting_reason
    language plpgsql
    stable
    security definer
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    c_most constant integer := 1000;
    v_now timestamptz := clock_timestamp();
    v_checked boolean;
    v_job pgjobs.job;
    v_verdict pgjobs.verdict;
    v_head_job_id bigint;
    v_ready pgjobs.ready;
    v_lease pgjobs.lease;
    v_review_id bigint;
    v_ahead integer;
    v_reason text;
    v_detail jsonb;
begin
    v_checked := why_waiting.job_id is not null or pgjobs._refuse_null('why_waiting', 'job_id');
    v_job := pgjobs._find_job(why_waiting.job_id);
    select verdict.* into v_verdict
    from pgjobs.verdict as verdict
    where verdict.job_id = why_waiting.job_id;

    if v_verdict.job_id is not null and not pgjobs._is_open(why_waiting.job_id) then
        v_reason := 'final';
        v_detail := jsonb_build_object(
            'status', v_verdict.status, 'completed_at', v_verdict.completed_at,
            'effective_status', pgjobs._effective_status(why_waiting.job_id)
        );
        return (v_reason, jsonb_strip_nulls(v_detail))::pgjobs.waiting_reason;
    end if;

    select lane.head_job_id into v_head_job_id
    from pgjobs.lane as lane
    where lane.session_id = v_job.session_id;
    select lease.* into v_lease
    from pgjobs.lease as lease
    where lease.session_id = v_job.session_id;
    select ready.* into v_ready
    from pgjobs.ready as ready
    where ready.job_id = why_waiting.job_id;
    if v_head_job_id is distinct from why_waiting.job_id then
        select waiting.turn_no into v_review_id
        from pgjobs.waiting as waiting
        where waiting.session_id = v_job.session_id
            and waiting.reviewed_job_id = why_waiting.job_id;
        select count(*) into v_ahead
        from pgjobs.waiting as waiting
        where waiting.session_id = v_job.session_id
            and waiting.turn_no < coalesce(v_review_id, why_waiting.job_id);
        v_reason := 'session_busy';
        v_detail := jsonb_build_object(
            'job_id', v_head_job_id, 'ahead', v_ahead + 1, 'review_id', v_review_id,
            'running', v_lease.job_id is not null
        );
    elsif v_lease.job_id is not null then
        v_reason := case when v_lease.lease_expires_at > v_now then 'running' else 'lease_over' end;
        v_detail := jsonb_build_object(
            'worker', v_lease.worker, 'run_no', v_lease.run_no, 'started_at', v_lease.started_at,
            'lease_expires_at', v_lease.lease_expires_at, 'review_id', v_lease.review_id
        );
    elsif v_ready.ready_no is null and v_ready.available_at > v_now then
        v_reason := 'delayed';
        v_detail := jsonb_build_object(
            'available_at', v_ready.available_at, 'run_no', v_ready.run_no,
            'review_id', v_ready.review_id
        );
    else
        -- Counted up to a bound: a long queue is not read through.
        select count(*) into v_ahead
        from (
            select from pgjobs.ready as ready
            where ready.ready_no is not null
                and (
                    ready.priority < v_ready.priority
                    or (ready.priority = v_ready.priority and ready.ready_no < v_ready.ready_no)
                )
            order by ready.priority, ready.ready_no
            limit c_most
        ) as place;
        v_reason := case v_ahead when 0 then 'next' else 'behind' end;
        v_detail := jsonb_build_object(
            'ahead', nullif(v_ahead, 0), 'at_least', nullif(v_ahead = c_most, false),
            'priority', v_ready.priority, 'review_id', v_ready.review_id
        );
    end if;
    return (v_reason, jsonb_strip_nulls(v_detail))::pgjobs.waiting_reason;
end
$$;
comment on function pgjobs.why_waiting is
    'Why a job, or its review, is not done yet, in one word with its detail: final; session_busy '
    '(job_id: the session''s head; ahead: how many of the session); running; lease_over (any claim '
    'will take it); delayed; behind (ahead: claimable ones before it, counted up to 1,000); next. '
    'Errors: 22004, P0002.';


-- What verify() finds wrong with the objects of the schema: they are held against the published
-- fingerprint.

create function pgjobs._verify_objects()
    returns setof pgjobs.finding
    language plpgsql
    stable
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    -- Without the group roles the grants are the DBA's own.
    v_owner constant oid := namespace.nspowner
        from pg_namespace as namespace where namespace.nspname = 'pgjobs';
    v_has_roles constant boolean := (v_owner = to_regrole('pgjobs_owner')) is true;
    -- A statement asks the catalogue or a table, not both.
    v_published constant pgjobs.fingerprint[] := array(
        select published from pgjobs.fingerprint as published
    );
begin
    return query
    with live as materialized (
        select installed.object, installed.state, installed.digest
        from pgjobs._installed as installed
    )
    select
        'error', published.object, 'is missing',
        'Restore it from the release: sql/ has its definition.'
    from unnest(v_published) as published
    where not exists (select from live where live.object = published.object)
        and (v_has_roles or published.object not like 'grant %')
    group by published.object
    union all
    select
        'error', live.object,
        case
            when bool_or(published.state = live.state) then 'is not as released'
            else 'is ' || live.state
                || coalesce(', not ' || nullif(min(published.state), 'present'), '')
        end,
        'Restore it from the release: sql/ has its definition.'
    from live
    join unnest(v_published) as published on published.object = live.object
    group by live.object, live.state, live.digest
    having not bool_or(published.state = live.state and published.digest = live.digest)
    union all
    select extra.severity, extra.object, extra.finding, extra.hint
    from (
        select
            case
                when live.object like any (
                    '{grant % to PUBLIC,grant % to pgjobs_owner,grant % to pgjobs_app,'
                    'grant % to pgjobs_worker,grant % to pgjobs_reader,grant % to pgjobs_operator}'
                ) then 'error'
                -- A helper checks nothing: its caller has.
                when live.object ~ '^grant execute on function pgjobs[.]_' then 'error'
                -- Tables of the host may point at these two.
                when live.object like any (
                    '{grant references on table pgjobs.job to %,'
                    'grant references on column pgjobs.job.% to %,'
                    'grant references on table pgjobs.lab_attempt to %,'
                    'grant references on column pgjobs.lab_attempt.% to %}'
                ) then null
                when live.object like any (
                    '{grant execute on function %,grant select on view %,'
                    'grant select on column pgjobs.verification%,'
                    'grant usage on schema %,grant usage on type %}'
                ) then case when v_has_roles then 'warning' end
                when live.object like 'index %' then 'warning'
                -- The link of link_lab_sessions.
                when live.object = 'constraint lab_attempt_session_id_fkey on pgjobs.lab_attempt'
                    then case
                        when not exists (
                            select from pg_constraint as link
                            where link.conrelid = 'pgjobs.lab_attempt'::regclass
                                and link.conname = 'lab_attempt_session_id_fkey'
                                and link.contype = 'f' and not link.condeferrable
                                and (link.confupdtype, link.confdeltype) = ('a', 'a')
                                and pg_get_constraintdef(link.oid)
                                    like 'FOREIGN KEY (session_id) REFERENCES %(id)%'
                        ) then 'error'
                        when live.state = 'present, not validated' then 'warning'
                        when live.state <> 'present' then 'error'
                    end
                else 'error'
            end,
            live.object,
            case live.state when 'present' then '' else 'is ' || live.state || ', and ' end
                || 'is not of this version',
            case
                when live.object like 'grant %' then 'Revoke it, or grant one of the group roles.'
                when live.object like 'index %' then 'It is no fault, but every write pays for it.'
                when live.object like 'constraint lab_attempt_session_id_fkey %'
                    then 'Call link_lab_sessions again to validate it.'
                else 'Drop it, if nobody can say what it is for.'
            end
        from live
        where not exists (
            select from unnest(v_published) as published where published.object = live.object
        )
    ) as extra (severity, object, finding, hint)
    where extra.severity is not null;
end
$$;
comment on function pgjobs._verify_objects is
    'Objects that are missing, changed, switched off, of another owner, or not of this version.';


-- What verify() finds wrong with rows. Each check is one statement that reads a table a fixed
-- number of times; of many rows with the same fault the first 100 are named.

create function pgjobs._verify_open_jobs()
    returns setof pgjobs.finding
    language plpgsql
    stable
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    c_most constant integer := 100;
    c_hint constant text := 'Stop the workers, and find out who wrote to the tables.';
begin
    -- Every place of a job or a review, and the lane it counts in.
    return query
    select
        'error', 'session ' || coalesce(lane.session_id, place.session_id),
        case
            when place.heads > 1 then format('has %s heads', place.heads)
            when lane.open_jobs is distinct from coalesce(place.jobs, 0)
                then format(
                    'counts %s open jobs, has %s, %s of them head',
                    coalesce(lane.open_jobs, 0), coalesce(place.jobs, 0), coalesce(place.heads, 0)
                )
            else format(
                'has job %s as its head, which is %s', lane.head_job_id,
                coalesce('job ' || place.head_job_id, 'neither ready nor leased')
            )
        end,
        c_hint
    from pgjobs.lane as lane
    full join (
        select
            every_place.session_id, count(*) as jobs, count(every_place.job_id) as heads,
            min(every_place.job_id) as head_job_id
        from (
            select ready.session_id, ready.job_id from pgjobs.ready as ready
            union all
            select lease.session_id, lease.job_id from pgjobs.lease as lease
            union all
            select waiting.session_id, null from pgjobs.waiting as waiting
        ) as every_place
        group by every_place.session_id
    ) as place on place.session_id = lane.session_id
    where (lane.open_jobs::bigint, 1::bigint, lane.head_job_id)
        is distinct from (place.jobs, place.heads, place.head_job_id)
    limit c_most;

    return query
    select
        'error', 'job ' || place.job_id,
        case
            when job.job_id is null then 'is ' || place.name || ', but there is no such job'
            when job.session_id <> place.session_id
                then 'is ' || place.name || ' of another session'
            when place.review_id is null then 'is ' || place.name || ', although it has its verdict'
            else 'is ' || place.name || ' for a review that is not open'
        end,
        c_hint
    from (
        select 'ready', ready.session_id, ready.job_id, ready.review_id
        from pgjobs.ready as ready
        union all
        select 'leased', lease.session_id, lease.job_id, lease.review_id
        from pgjobs.lease as lease
        union all
        select
            'waiting', waiting.session_id, coalesce(waiting.reviewed_job_id, waiting.turn_no),
            case when waiting.reviewed_job_id is not null then waiting.turn_no end
        from pgjobs.waiting as waiting
    ) as place (name, session_id, job_id, review_id)
    left join pgjobs.job as job on job.job_id = place.job_id
    left join pgjobs.verdict as verdict on verdict.job_id = place.job_id
    left join pgjobs.review as review
        on review.review_id = place.review_id and review.job_id = place.job_id
    left join pgjobs.review_result as result on result.review_id = place.review_id
    where job.session_id is distinct from place.session_id
        or case
            when place.review_id is null then verdict.job_id is not null
            else review.review_id is null or result.review_id is not null
        end
    limit c_most;

    return query
    select 'error', 'job ' || job.job_id, 'is open, but neither ready, leased nor waiting', c_hint
    from pgjobs.job as job
    where not exists (select from pgjobs.verdict as verdict where verdict.job_id = job.job_id)
        and not exists (
            select from pgjobs.ready as ready
            where ready.job_id = job.job_id and ready.review_id is null
        )
        and not exists (
            select from pgjobs.lease as lease
            where lease.session_id = job.session_id and lease.job_id = job.job_id
                and lease.review_id is null
        )
        and not exists (
            select from pgjobs.waiting as waiting
            where waiting.session_id = job.session_id and waiting.turn_no = job.job_id
        )
    limit c_most;

    return query
    select
        'error', 'review ' || review.review_id, 'is open, but neither ready, leased nor waiting',
        c_hint
    from pgjobs.review as review
    where not exists (
        select from pgjobs.review_result as result where result.review_id = review.review_id
    )
        and not exists (select from pgjobs.ready as ready where ready.review_id = review.review_id)
        and not exists (select from pgjobs.lease as lease where lease.review_id = review.review_id)
        and not exists (
            select from pgjobs.waiting as waiting
            where waiting.reviewed_job_id = review.job_id and waiting.turn_no = review.review_id
        )
    limit c_most;

    -- In two places: the head of its session, and waiting behind itself.
    return query
    select 'error', 'job ' || head.job_id, 'is head, and waits behind itself', c_hint
    from (
        select ready.session_id, ready.job_id, ready.review_id from pgjobs.ready as ready
        union all
        select lease.session_id, lease.job_id, lease.review_id from pgjobs.lease as lease
    ) as head
    join pgjobs.waiting as waiting
        on waiting.session_id = head.session_id
        and waiting.turn_no = coalesce(head.review_id, head.job_id)
    limit c_most;
end
$$;
comment on function pgjobs._verify_open_jobs is
    'Open jobs and reviews that are not in exactly one place, finished ones that are in any, and '
    'lanes that count wrong.';


-- The one place that reads what a foreign key says instead of trusting it: rows can be written past
-- it, with its triggers switched off.
create function pgjobs._verify_ledger()
    returns setof pgjobs.finding
    language plpgsql
    stable
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_key record;
    v_orphans bigint;
    v_next bigint[];
    v_highest bigint[];
begin
    for v_key in
        select
            key.conname, key.convalidated, key.conrelid::regclass as child,
            key.confrelid::regclass as parent,
            bool_and(has_column_privilege(key.confrelid, pair.theirs, 'select'))
                and not row_security_active(key.confrelid) as is_readable,
            string_agg(
                format('child.%I = parent.%I', own.attname, theirs.attname), ' and '
            ) as matches,
            string_agg(format('child.%I is not null', own.attname), ' and ') as is_given
        from pg_constraint as key
        cross join lateral unnest(key.conkey, key.confkey) as pair (own, theirs)
        join pg_attribute as own on own.attrelid = key.conrelid and own.attnum = pair.own
        join pg_attribute as theirs
            on theirs.attrelid = key.confrelid and theirs.attnum = pair.theirs
        where key.connamespace = 'pgjobs'::regnamespace and key.contype = 'f'
        group by key.oid
        order by key.conname
    loop
        if not v_key.is_readable then
            return query
            select
                'warning', 'constraint ' || v_key.conname,
                'cannot be checked: ' || v_key.parent || ' is not readable for the owner',
                format('grant select on %s to %s', v_key.parent, current_user);
            continue;
        end if;
        execute format(
            'select count(*) from %s as child where %s'
            ' and not exists (select from %s as parent where %s)',
            v_key.child, v_key.is_given, v_key.parent, v_key.matches
        ) into v_orphans;
        if v_orphans > 0 then
            return query
            select
                case when v_key.convalidated then 'error' else 'warning' end,
                'constraint ' || v_key.conname,
                format('%s rows of %s have no row in %s', v_orphans, v_key.child, v_key.parent),
                case when v_key.convalidated then 'Restore the missing rows from a backup.'
                    else 'The key is not validated: they were there before it.' end;
        end if;
    end loop;

    -- Said by keys; counted by sorting the rows, not by asking the index.
    return query
    select
        'error', 'commit ' || job.commit_sha, 'has ' || count(*) || ' jobs',
        'Its key was not looked at: find out who wrote past it.'
    from pgjobs.job as job
    group by job.commit_sha
    having count(*) > 1
    limit 100;

    return query
    select
        'error', 'job ' || verdict.job_id, 'has ' || count(*) || ' verdicts',
        'Its key was not looked at: find out who wrote past it.'
    from pgjobs.verdict as verdict
    group by verdict.job_id
    having count(*) > 1
    limit 100;

    return query
    select
        'error', 'amendment ' || amendment.amendment_id, 'does not agree with its verdict',
        'One of the two was changed: compare them with a backup.'
    from pgjobs.amendment as amendment
    join pgjobs.verdict as verdict on verdict.job_id = amendment.job_id
    where (amendment.completed_at, amendment.verdict_status)
        is distinct from (verdict.completed_at, verdict.status)
    limit 100;

    return query
    select
        'error', 'artifact ' || artifact.artifact_id,
        'its content is gone, and no expiry is on record',
        'Restore the row of pgjobs.body from a backup.'
    from pgjobs.artifact as artifact
    where artifact.body_id is not null
        and not exists (
            select from pgjobs.body as body where body.body_id = artifact.body_id
        )
        and not exists (
            select from pgjobs.expiry as expiry
            where expiry.kind = 'BODY' and expiry.id = artifact.body_id
        )
    limit 100;

    -- Sequences and tables in statements of their own: a cell draws ids on another node.
    v_next := array(
        select sequence.last_value + sequence.is_called::integer
        from pgjobs.lab_attempt_attempt_id_seq as sequence
        union all
        select sequence.last_value + sequence.is_called::integer
        from pgjobs.job_job_id_seq as sequence
        union all
        select sequence.last_value + sequence.is_called::integer
        from pgjobs.amendment_amendment_id_seq as sequence
        union all
        select sequence.last_value + sequence.is_called::integer
        from pgjobs.artifact_artifact_id_seq as sequence
        union all
        select sequence.last_value + sequence.is_called::integer
        from pgjobs.body_body_id_seq as sequence
    );
    v_highest := array[
        (select max(attempt.attempt_id) from pgjobs.lab_attempt as attempt),
        greatest(
            (select max(job.job_id) from pgjobs.job as job),
            (select max(review.review_id) from pgjobs.review as review),
            (select max(ready.ready_no) from pgjobs.ready as ready)
        ),
        (select max(amendment.amendment_id) from pgjobs.amendment as amendment),
        (select max(artifact.artifact_id) from pgjobs.artifact as artifact),
        (select max(artifact.body_id) from pgjobs.artifact as artifact)
    ];
    return query
    select
        'error', 'sequence pgjobs.' || used.name, 'gives ids that are taken',
        format('select setval(%L, %s)', 'pgjobs.' || used.name, used.highest)
    from unnest(
        array[
            'lab_attempt_attempt_id_seq', 'job_job_id_seq', 'amendment_amendment_id_seq',
            'artifact_artifact_id_seq', 'body_body_id_seq'
        ],
        v_next, v_highest
    ) as used (name, next, highest)
    where used.highest >= used.next;
end
$$;
comment on function pgjobs._verify_ledger is
    'Second jobs and verdicts, rows whose foreign key leads nowhere, amendments that do not agree '
    'with their verdict, content that is gone without an expiry, and sequences that are behind.';


-- What verify() finds wrong around the schema: roles that can do too much, and the server.

create function pgjobs._verify_roles()
    returns setof pgjobs.finding
    language plpgsql
    stable
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_owner constant oid := namespace.nspowner
        from pg_namespace as namespace where namespace.nspname = 'pgjobs';
    -- A statement asks the catalogue or a table, not both.
    v_installers constant text[] := array(
        select migration.applied_by from pgjobs.migration as migration
    );
begin
    return query
    select
        case
            when v_owner = to_regrole('pgjobs_owner') or role.rolsuper
                or role.rolname <> all (v_installers)
                then 'error'
            else 'warning'
        end,
        'role ' || role.oid::regrole,
        'owns everything and ' || case when role.rolsuper then 'is a superuser' else 'can log in'
            end,
        'alter role … nosuperuser nologin'
    from pg_roles as role
    where role.oid = v_owner and (role.rolcanlogin or role.rolsuper)
    union all
    select
        case when role.rolname = any (v_installers)
            then 'warning' else 'error' end,
        'role ' || role.oid::regrole,
        format('is a member of %s, which owns everything', v_owner::regrole),
        format('revoke %s from %s', v_owner::regrole, role.oid::regrole)
    from pg_roles as role
    where role.oid <> v_owner and not role.rolsuper
        and pg_has_role(role.oid, v_owner, 'member')
    union all
    select
        'warning', 'role ' || role.oid::regrole,
        'is a member of ' || everything.rolname || ', which opens every table',
        'The ledger stays as it is, but leases can be read, and with pg_write_all_data taken.'
    from pg_roles as role
    join pg_roles as everything
        on everything.rolname in ('pg_read_all_data', 'pg_write_all_data', 'pg_maintain')
        and pg_has_role(role.oid, everything.oid, 'member')
    where not role.rolsuper and role.oid <> everything.oid
    union all
    select
        'error', 'role ' || case acl.grantee when 0 then 'PUBLIC' else acl.grantee::regrole::text
            end,
        'may ' || lower(acl.privilege_type) || ' ' || parameter.parname,
        'revoke … on parameter … from …'
    from pg_parameter_acl as parameter
    cross join lateral aclexplode(parameter.paracl) as acl
    where parameter.parname in (
            'session_replication_role', 'allow_system_table_mods', 'ignore_checksum_failure',
            'zero_damaged_pages', 'session_preload_libraries', 'shared_preload_libraries'
        )
        and acl.grantee not in (select role.oid from pg_roles as role where role.rolsuper)
    union all
    -- Who acts for a group role can become what that role can become.
    select
        'error', 'role ' || role.oid::regrole,
        case when other.oid = role.oid then 'is more than a group: superuser or createrole'
            else 'can become ' || other.oid::regrole end,
        'alter role … nosuperuser nocreaterole; revoke … from …'
    from pg_roles as role
    join pg_roles as other on pg_has_role(role.oid, other.oid, 'member') and (
            other.rolsuper or other.rolcreaterole
            or other.rolname in (
                'pg_execute_server_program', 'pg_write_server_files', 'pg_read_server_files',
                'pgjobs_app', 'pgjobs_worker', 'pgjobs_operator'
            ) and other.oid <> role.oid
        )
    where role.rolname in (
            'pgjobs_owner', 'pgjobs_app', 'pgjobs_worker', 'pgjobs_reader', 'pgjobs_operator'
        )
    union all
    -- Outside of the schema: what runs as the owner, and what reads its tables.
    select
        'error', pg_describe_object(owned.classid, owned.objid, 0),
        'belongs to ' || v_owner::regrole || ', outside of the schema', 'Drop it.'
    from pg_shdepend as owned
    left join pg_proc as routine
        on owned.classid = 'pg_proc'::regclass and routine.oid = owned.objid
    left join pg_class as relation
        on owned.classid = 'pg_class'::regclass and relation.oid = owned.objid
    where v_owner = to_regrole('pgjobs_owner')
        and owned.refclassid = 'pg_authid'::regclass and owned.refobjid = v_owner
        and owned.deptype = 'o'
        and owned.dbid = (select oid from pg_database where datname = current_database())
        and coalesce(routine.pronamespace, relation.relnamespace) <> 'pgjobs'::regnamespace
    union all
    select distinct
        'error', 'view ' || reader.oid::regclass,
        'reads ' || source.oid::regclass || ' from outside of the schema', 'Drop it.'
    from pg_class as source
    join pg_depend as needed
        on needed.refclassid = 'pg_class'::regclass and needed.refobjid = source.oid
        and needed.classid = 'pg_rewrite'::regclass
    join pg_rewrite as rule on rule.oid = needed.objid
    join pg_class as reader on reader.oid = rule.ev_class
    where source.relnamespace = 'pgjobs'::regnamespace and source.relkind = 'r'
        and reader.relnamespace <> source.relnamespace
    union all
    -- Rows of the hot tables come and go: nobody may refer to them.
    select
        'error', 'constraint ' || key.conname || ' on ' || key.conrelid::regclass,
        'refers to ' || key.confrelid::regclass || ', whose rows come and go', 'Drop it.'
    from pg_constraint as key
    join pg_class as parent on parent.oid = key.confrelid
    where key.contype = 'f' and parent.relnamespace = 'pgjobs'::regnamespace
        and key.connamespace <> parent.relnamespace
        and parent.relname in (
            'ready', 'lease', 'waiting', 'lane', 'body', 'attempt_detail', 'job_payload',
            'verdict_summary', 'review_summary'
        );
end
$$;
comment on function pgjobs._verify_roles is
    'Roles that can do what only the owner should.';


create function pgjobs._verify_server()
    returns setof pgjobs.finding
    language plpgsql
    stable
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    select
        'warning', format('sequence %s.%s', sequence.schemaname, sequence.sequencename),
        'has given more than 80 % of its numbers', 'Plan for a larger one.'
    from pg_sequences as sequence
    where sequence.schemaname = 'pgjobs' and sequence.last_value > 0.8 * sequence.max_value
    union all
    -- What a new session gets, not what this one has set.
    select
        case risk.name when 'session_replication_role' then 'error' else 'warning' end,
        'setting ' || risk.name, 'is ' || setting.reset_val, risk.hint
    from (
        values
            ('session_replication_role', 'replica', 'Foreign keys are not looked at.'),
            ('data_checksums', 'off', 'A flipped byte is not noticed: pg_checksums --enable'),
            ('ignore_checksum_failure', 'on', 'Damaged pages are read as if they were whole.'),
            ('zero_damaged_pages', 'on', 'Damaged pages lose their rows without a word.'),
            ('synchronous_commit', 'off', 'Acknowledged calls can be lost in a crash.'),
            ('fsync', 'off', 'A crash can destroy the cluster.'),
            ('full_page_writes', 'off', 'A crash can destroy pages.')
    ) as risk (name, value, hint)
    join pg_settings as setting on setting.name = risk.name and setting.reset_val = risk.value
    union all
    select
        case when setting.value like 'synchronous_commit=%' then 'warning' else 'error' end,
        case when scope.setrole = 0 then 'database ' || current_database()
            else 'role ' || scope.setrole::regrole end,
        'sets ' || setting.value,
        'alter … reset ' || split_part(setting.value, '=', 1)
    from pg_db_role_setting as scope
    cross join lateral unnest(scope.setconfig) as setting (value)
    where scope.setdatabase in (
            0, (select oid from pg_database where datname = current_database())
        )
        and lower(setting.value) in (
            'synchronous_commit=off', 'synchronous_commit=false', 'synchronous_commit=no',
            'synchronous_commit=0', 'session_replication_role=replica'
        )
    union all
    select
        'warning', 'prepared transaction ' || prepared.gid,
        'holds its locks since ' || prepared.prepared, 'commit prepared, or rollback prepared'
    from pg_prepared_xacts as prepared
    where prepared.database = current_database()
    union all
    select
        'warning', 'database ' || database.datname,
        'PUBLIC has ' || string_agg(
            lower(acl.privilege_type), ' and ' order by acl.privilege_type
        ),
        'No dump without --create has the lockdown of docs/security.md: revoke … from public'
    from pg_database as database
    cross join lateral aclexplode(coalesce(database.datacl, acldefault('d', database.datdba)))
        as acl
    where database.datname = current_database() and acl.grantee = 0
    group by database.datname
    union all
    select
        'warning', 'notification queue', 'is more than half full',
        'Find the session that listens and stays in its transaction; enqueue goes on, wake fails.'
    where pg_notification_queue_usage() > 0.5
    union all
    select
        'warning', 'replication slot ' || slot.slot_name,
        'is not in use, and keeps WAL and dead rows', 'select pg_drop_replication_slot(…)'
    from pg_replication_slots as slot
    where not slot.active
    union all
    select
        'warning', 'database ' || current_database(),
        'has used more than 80 % of its transaction ids', 'Let vacuum finish: end old snapshots.'
    from pg_database as database
    where database.datname = current_database() and age(database.datfrozenxid) > 1717986918
    union all
    select
        'warning', 'table ' || class.oid::regclass,
        format('its oldest transaction id is %s behind', age(class.relfrozenxid)),
        format(
            'Autovacuum reads all of it at %s. In a quiet hour: vacuum (freeze) %s',
            current_setting('autovacuum_freeze_max_age'), class.oid::regclass
        )
    from pg_class as class
    where class.relnamespace = 'pgjobs'::regnamespace and class.relkind = 'r'
        and age(class.relfrozenxid) > current_setting('autovacuum_freeze_max_age')::integer / 2;
end
$$;
comment on function pgjobs._verify_server is
    'Sequences that are nearly used up, settings that lose data, and what keeps vacuum from its '
    'work.';


create function pgjobs.verify_bodies(
    after_body_id bigint default 0,
    max_bodies integer default 1000
)
    returns pgjobs.bodies_verified
    language plpgsql
    stable
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_checked boolean;
    v_bodies bigint;
    v_last_body_id bigint;
    v_wrong bigint[];
begin
    v_checked := (
        verify_bodies.after_body_id is not null
        or pgjobs._refuse_null('verify_bodies', 'after_body_id')
    )
        and (
            (max_bodies between 1 and 10000) is true
            or pgjobs._refuse_argument(
                'verify_bodies', 'max_bodies', max_bodies::text, '1 … 10000'
            )
        );
    select
        count(*), max(part.body_id),
        coalesce(array_agg(part.body_id order by part.body_id) filter (where part.is_wrong), '{}')
    into v_bodies, v_last_body_id, v_wrong
    from (
        select
            body.body_id,
            sha256(body.content) <> body.sha256
                or exists (
                    select from pgjobs.artifact as artifact
                    where artifact.body_id = body.body_id
                        and (artifact.sha256, artifact.size_bytes)
                            <> (body.sha256, octet_length(body.content)::bigint)
                ) as is_wrong
        from pgjobs.body as body
        where body.body_id > verify_bodies.after_body_id
        order by body.body_id
        limit max_bodies
    ) as part;
    if v_bodies < max_bodies then
        v_last_body_id := null;
    end if;
    return (v_bodies, v_last_body_id, v_wrong)::pgjobs.bodies_verified;
end
$$;
comment on function pgjobs.verify_bodies is
    'Computes again the hashes of up to max_bodies (1 … 10,000) bodies of artifacts behind '
    'after_body_id; last_body_id is where to go on, null at the end; wrong: bodies whose bytes '
    'have another hash or size than recorded. Errors: 22023, 22004.';


-- Everything is read as of one snapshot, and nothing is locked or written.
create function pgjobs.verify()
    returns setof pgjobs.finding
    language plpgsql
    stable
    security definer
    set search_path = pg_catalog, pg_temp
    -- Definitions are written out as these say.
    set quote_all_identifiers = off
    set intervalstyle = postgres
as $$
declare
    v_named pgjobs.finding[];
    v_bodies pgjobs.bodies_verified;
begin
    v_named := array(select named from pgjobs._verify_objects() as named);
    return query select named.* from unnest(v_named) as named order by named.severity, named.object;
    return query
    select named.* from pgjobs._verify_server() as named order by named.severity, named.object;
    if exists (
        select from unnest(v_named) as named
        where named.severity = 'error' and named.object like any ('{table %,type %}')
    ) then
        return query
        select 'error', 'roles and rows', 'were not looked at', 'Mend the tables and types first.';
        return;
    end if;
    return query
    select named.* from pgjobs._verify_roles() as named order by named.severity, named.object;
    return query select named.* from pgjobs._verify_open_jobs() as named;
    return query select named.* from pgjobs._verify_ledger() as named;
    v_bodies := pgjobs.verify_bodies();
    return query
    select
        'error', 'body ' || wrong, 'its bytes are not those of its hash',
        'Restore the row of pgjobs.body from a backup.'
    from unnest(v_bodies.wrong) as wrong;
    if v_bodies.last_body_id is not null then
        return query
        select
            'info', 'artifacts', format('the hashes of %s bodies were checked', v_bodies.bodies),
            format(
                'The rest: select * from pgjobs.verify_bodies(after_body_id => %s)',
                v_bodies.last_body_id
            );
    end if;
end
$$;
comment on function pgjobs.verify is
    'Whether this installation is as released and its rows agree: no row of severity error. '
    'Compares every object, owner and grant with the published fingerprint, asks for the foreign '
    'keys, the places of open jobs and the first 1,000 bodies again, and warns of settings.';


-- Grants: callers may execute the functions of their role and read the views, nothing else; PUBLIC
-- has nothing. Functions run as their owner, so no caller needs a right on a table.
revoke all on schema pgjobs from public;
revoke all on all tables in schema pgjobs from public;
revoke all on all sequences in schema pgjobs from public;
revoke all on all functions in schema pgjobs from public;
revoke all on type
    pgjobs.recorded, pgjobs.enqueued, pgjobs.enqueued_element, pgjobs.claimed, pgjobs.completed,
    pgjobs.completed_element, pgjobs.released, pgjobs.rescued, pgjobs.cancelled,
    pgjobs.artifact_added, pgjobs.amended, pgjobs.reviewed_element, pgjobs.artifacts_expired,
    pgjobs.details_expired, pgjobs.event, pgjobs.waiting_reason, pgjobs.finding,
    pgjobs.bodies_verified, pgjobs.session_link,
    pgjobs.priority, pgjobs.max_runs, pgjobs.open_jobs
from public;

do $$
begin
    if to_regrole('pgjobs_app') is null
        or to_regrole('pgjobs_worker') is null
        or to_regrole('pgjobs_reader') is null
        or to_regrole('pgjobs_operator') is null
    then
        raise notice 'installed without the group roles; % owns everything', current_user
            using hint = 'Create pgjobs_app, pgjobs_worker, pgjobs_reader and pgjobs_operator and '
                         'run the grants of sql/grants.sql, or grant the same to other roles.';
        return;
    end if;

    grant usage on schema pgjobs to pgjobs_app, pgjobs_worker, pgjobs_reader, pgjobs_operator;

    grant execute on function
        pgjobs.enqueue, pgjobs.enqueue_many, pgjobs.record_attempt, pgjobs.get_job,
        pgjobs.wake
    to pgjobs_app;

    grant execute on function
        pgjobs.is_passed, pgjobs.timeline, pgjobs.why_waiting
    to pgjobs_app, pgjobs_reader, pgjobs_operator;

    grant execute on function
        pgjobs.claim, pgjobs.heartbeat, pgjobs.complete, pgjobs.complete_many,
        pgjobs.complete_and_claim, pgjobs.release, pgjobs.add_artifact
    to pgjobs_worker;

    grant execute on function
        pgjobs.cancel, pgjobs.rescue, pgjobs.wake, pgjobs.amend, pgjobs.reverify,
        pgjobs.expire_artifacts, pgjobs.expire_details, pgjobs.verify, pgjobs.verify_bodies,
        pgjobs.link_lab_sessions, pgjobs.unlink_lab_sessions
    to pgjobs_operator;

    grant execute on function pgjobs.read_artifact to pgjobs_reader, pgjobs_operator;

    grant select on
        pgjobs.verification_job, pgjobs.verification_verdict, pgjobs.verification_run,
        pgjobs.verification_attempt, pgjobs.verification_artifact,
        pgjobs.verification_amendment, pgjobs.verification_review
    to pgjobs_reader, pgjobs_operator;
end
$$;


-- The objects of migration 0001.ledger, as published; written by `make generate`.
insert into pgjobs.fingerprint (migration_id, object, state, digest)
select '0001.ledger', object.* from (values
    ('constraint amendment_amendment_id_pkey on pgjobs.amendment',
        'present', '0f1f4bf3e06e95e278b00dbfa117850c'),
    ('constraint amendment_approver_check on pgjobs.amendment',
        'present', '18a782c85c895011ec6db0f62a28d205'),
    ('constraint amendment_job_id_amendment_no_key on pgjobs.amendment',
        'present', '8491e52bf6dd98cffff4527c355d4a4c'),
    ('constraint amendment_job_id_fkey on pgjobs.amendment',
        'present', 'edcdba21937007feda90efa2a2263a1b'),
    ('constraint amendment_review_id_fkey on pgjobs.amendment',
        'present', '8ced320da5fb3ef6d3fd065303c68ea7'),
    ('constraint amendment_review_id_key on pgjobs.amendment',
        'present', '2078de64a3ff4bc0ec3a650ec81d7ba0'),
    ('constraint amendment_status_check on pgjobs.amendment',
        'present', '63daa01157c1e1e65b5d13ae404c9f38'),
    ('constraint artifact_artifact_id_pkey on pgjobs.artifact',
        'present', 'f42184eece76ddfbec19791428972b54'),
    ('constraint artifact_artifact_no_check on pgjobs.artifact',
        'present', 'ca194ad5974419ea608f4b44b4fda0f9'),
    ('constraint artifact_inline_bytes_check on pgjobs.artifact',
        'present', '0c81689bb16b0b0eb82cfb3d784b885e'),
    ('constraint artifact_job_id_fkey on pgjobs.artifact',
        'present', 'ad8e204bd6810ad6f833d6fb7014ea8a'),
    ('constraint artifact_job_id_run_no_artifact_no_key on pgjobs.artifact',
        'present', 'e96c4f70a3e7d6ba865a0e77b2c42a10'),
    ('constraint artifact_job_id_run_no_name_key on pgjobs.artifact',
        'present', '311456e8f6a31f136107af2b36be93b3'),
    ('constraint artifact_kind_check on pgjobs.artifact',
        'present', 'f147222c85473ff2f929c8904453c618'),
    ('constraint artifact_location_check on pgjobs.artifact',
        'present', '5b7d89e6ff11686ac9b5cdf9b756b198'),
    ('constraint artifact_sha256_check on pgjobs.artifact',
        'present', 'df42bede200ebd517613ceace3009983'),
    ('constraint artifact_size_bytes_check on pgjobs.artifact',
        'present', 'f54086968f6c320f10ad6291e4607c6d'),
    ('constraint attempt_detail_attempt_id_fkey on pgjobs.attempt_detail',
        'present', 'ce1769d23e021631e2e00edcbd3cd560'),
    ('constraint attempt_detail_attempt_id_pkey on pgjobs.attempt_detail',
        'present', '2be533aeb4035f98d57d4c210ced67ca'),
    ('constraint backfill_attempt_id_fkey on pgjobs.backfill',
        'present', 'ce1769d23e021631e2e00edcbd3cd560'),
    ('constraint backfill_job_id_fkey on pgjobs.backfill',
        'present', 'ad8e204bd6810ad6f833d6fb7014ea8a'),
    ('constraint backfill_job_id_key on pgjobs.backfill',
        'present', '15ea35be8f3d3f40b5ca8c37ca9603de'),
    ('constraint backfill_ledger_sha256_check on pgjobs.backfill',
        'present', '78f4f5f1b56b2e3e2ec369fa8f9f53d8'),
    ('constraint backfill_log_id_pkey on pgjobs.backfill',
        'present', '540dc6277eff06df739a62ddbba0c7f5'),
    ('constraint backfill_log_sha256_check on pgjobs.backfill',
        'present', '91aab072e567ebcebf60b69065ecc874'),
    ('constraint backfill_outcome_check on pgjobs.backfill',
        'present', 'a3c5ec7e5b32da6e2d6ec689138bb9c1'),
    ('constraint backfill_reason_check on pgjobs.backfill',
        'present', '43647a13a278df9c01531bdbe0cfd50a'),
    ('constraint body_body_id_pkey on pgjobs.body',
        'present', '2f1a0f222aca3317e06dd78f20746ee5'),
    ('constraint body_content_check on pgjobs.body',
        'present', '71270cabef36a10da156d1fd1a2f829e'),
    ('constraint body_sha256_check on pgjobs.body',
        'present', 'df42bede200ebd517613ceace3009983'),
    ('constraint body_sha256_key on pgjobs.body',
        'present', '3addb13d0fc44ad72debc9cdefa24d19'),
    ('constraint expiry_kind_check on pgjobs.expiry',
        'present', 'fac34b062b286672bc55f4dc6a2c9f4d'),
    ('constraint expiry_kind_id_pkey on pgjobs.expiry',
        'present', 'c2c26ba183b72d3d4ce2e26debac8fe9'),
    ('constraint fingerprint_object_digest_pkey on pgjobs.fingerprint',
        'present', 'fe79408f8e87b51f7a4ca46299e44671'),
    ('constraint job_commit_sha_key on pgjobs.job',
        'present', '3b465284361112bf0d98eb44909f3eab'),
    ('constraint job_job_id_pkey on pgjobs.job',
        'present', '29678e1c3ab7cd9b0fc3d750121a0c25'),
    ('constraint job_max_runs_check on pgjobs.max_runs',
        'present', '3e2af4e392df39ff7e0a6e9190c71a3b'),
    ('constraint job_payload_job_id_fkey on pgjobs.job_payload',
        'present', 'ad8e204bd6810ad6f833d6fb7014ea8a'),
    ('constraint job_payload_job_id_pkey on pgjobs.job_payload',
        'present', '29678e1c3ab7cd9b0fc3d750121a0c25'),
    ('constraint job_priority_check on pgjobs.priority',
        'present', '77669aaae5473b6cfcbb10291288af17'),
    ('constraint job_session_id_commit_sha_fkey on pgjobs.job',
        'present', 'e5f606768c6d353a0c17a4cff1e35d20'),
    ('constraint lab_attempt_attempt_id_pkey on pgjobs.lab_attempt',
        'present', '2be533aeb4035f98d57d4c210ced67ca'),
    ('constraint lab_attempt_commit_sha_check on pgjobs.lab_attempt',
        'present', 'fb124d9a3dfabeebe3b5bc01ab23bc5c'),
    ('constraint lab_attempt_session_id_commit_sha_key on pgjobs.lab_attempt',
        'present', '40efac0493784ef8fa2ee1901da86c0f'),
    ('constraint lane_open_jobs_check on pgjobs.open_jobs',
        'present', 'ce0259a1684582897d7ce16cb1233ac7'),
    ('constraint lane_session_id_pkey on pgjobs.lane',
        'present', 'fa57ddb4a88770a478bd64d3fa0349ab'),
    ('constraint lease_session_id_pkey on pgjobs.lease',
        'present', 'fa57ddb4a88770a478bd64d3fa0349ab'),
    ('constraint migration_migration_id_pkey on pgjobs.migration',
        'present', 'a6765841c98fe29343f8fd102aa5052b'),
    ('constraint ready_job_id_pkey on pgjobs.ready',
        'present', '29678e1c3ab7cd9b0fc3d750121a0c25'),
    ('constraint review_approver_check on pgjobs.review',
        'present', '18a782c85c895011ec6db0f62a28d205'),
    ('constraint review_job_id_fkey on pgjobs.review',
        'present', 'edcdba21937007feda90efa2a2263a1b'),
    ('constraint review_job_id_review_no_key on pgjobs.review',
        'present', '9cea96133c5f3609a8ec31d4f7259b95'),
    ('constraint review_result_lease_token_check on pgjobs.review_result',
        'present', '4cde27035d9a677ea3652c6e0c15a07e'),
    ('constraint review_result_outcome_check on pgjobs.review_result',
        'present', 'aa0feee8a5fcd5cce73d3516fd3db68a'),
    ('constraint review_result_review_id_fkey on pgjobs.review_result',
        'present', '93dd2c65b00344c438d9f39912ae6b20'),
    ('constraint review_result_review_id_pkey on pgjobs.review_result',
        'present', '831b702eeeafb42162c75b735e2b5e13'),
    ('constraint review_review_id_pkey on pgjobs.review',
        'present', '831b702eeeafb42162c75b735e2b5e13'),
    ('constraint review_summary_review_id_fkey on pgjobs.review_summary',
        'present', '8ced320da5fb3ef6d3fd065303c68ea7'),
    ('constraint review_summary_review_id_pkey on pgjobs.review_summary',
        'present', '831b702eeeafb42162c75b735e2b5e13'),
    ('constraint setback_job_id_fkey on pgjobs.setback',
        'present', 'ad8e204bd6810ad6f833d6fb7014ea8a'),
    ('constraint setback_job_id_run_no_pkey on pgjobs.setback',
        'present', '33284e06596db7a9ae087ccf7355fa3f'),
    ('constraint setback_outcome_check on pgjobs.setback',
        'present', '412a2d8f5ddce19c76caab04ac066ed5'),
    ('constraint setback_reason_check on pgjobs.setback',
        'present', '7cae2331bf43f0501b05e9efc0d74fa5'),
    ('constraint setback_run_no_check on pgjobs.setback',
        'present', '99eafe9ce7b4bae0a5606c42036cb5af'),
    ('constraint verdict_error_reason_check on pgjobs.verdict',
        'present', 'b2b31163cbdb40aba5df6773e327fda7'),
    ('constraint verdict_job_id_fkey on pgjobs.verdict',
        'present', 'ad8e204bd6810ad6f833d6fb7014ea8a'),
    ('constraint verdict_job_id_pkey on pgjobs.verdict',
        'present', '29678e1c3ab7cd9b0fc3d750121a0c25'),
    ('constraint verdict_lease_token_check on pgjobs.verdict',
        'present', 'a91f35b3be36af7c879b99a54379ec37'),
    ('constraint verdict_origin_check on pgjobs.verdict',
        'present', '5cbc39b7fd4daae11d2866552955b0ff'),
    ('constraint verdict_status_check on pgjobs.verdict',
        'present', '63daa01157c1e1e65b5d13ae404c9f38'),
    ('constraint verdict_summary_job_id_fkey on pgjobs.verdict_summary',
        'present', 'edcdba21937007feda90efa2a2263a1b'),
    ('constraint verdict_summary_job_id_pkey on pgjobs.verdict_summary',
        'present', '29678e1c3ab7cd9b0fc3d750121a0c25'),
    ('constraint waiting_session_id_turn_no_pkey on pgjobs.waiting',
        'present', '735e977c762637cd20358332a7a1fe39'),
    ('function pgjobs._add_amendment',
        'present', '1de48f2010f5a92862c5beb6f9b5ad12'),
    ('function pgjobs._add_attempt',
        'present', 'c35a65ffb1be84946c2489cf04c304b5'),
    ('function pgjobs._add_ready',
        'present', 'ebbac9d8f0da351ac5da4595238940bb'),
    ('function pgjobs._answer_review',
        'present', 'a953fe1c1ef5d791d0821a6ae5955f8c'),
    ('function pgjobs._check_artifact',
        'present', 'bb2f81bfec80d685c99bdbe8904efb9e'),
    ('function pgjobs._check_batch',
        'present', 'a720c7570fa842deefe802a165f33b01'),
    ('function pgjobs._check_claim',
        'present', '18f887ca435263e30649f828d354fe45'),
    ('function pgjobs._check_commit_sha',
        'present', 'dc9c8e87f26f4656d70ac9dd98730960'),
    ('function pgjobs._check_decision',
        'present', '87dba395086e75470d45f62e4ae947dd'),
    ('function pgjobs._check_document',
        'present', '619f93e1e1120e16eaf15fb50c3a548c'),
    ('function pgjobs._check_duration',
        'present', '3a5859c6a3ffcc1c1a292b4824f5109a'),
    ('function pgjobs._check_expiry',
        'present', 'f18b016bfbc1a330486f7c825d37e540'),
    ('function pgjobs._check_no_null',
        'present', '6406ebe3d72b325f68ad2d9b4f9c63ea'),
    ('function pgjobs._check_push',
        'present', '41434fabd0de2111b027a11141417d70'),
    ('function pgjobs._check_snapshot',
        'present', '4b7d1c425582354dfc7de0a6e3b6c1d3'),
    ('function pgjobs._check_status',
        'present', '283648710f86295711fa91da9977d00e'),
    ('function pgjobs._check_text',
        'present', '782b0d9351ad4307cd0230a29988d565'),
    ('function pgjobs._check_verdict',
        'present', 'feeb4674d36d5d740cab456c9e7a4a87'),
    ('function pgjobs._complete',
        'present', 'ef193e167509be9922b2309627d0888f'),
    ('function pgjobs._effective_status',
        'present', '9b38066dd4f4c112529e2d809cff8337'),
    ('function pgjobs._end_run',
        'present', 'b06276e2ed9fd22d5b87f3aa4767a61b'),
    ('function pgjobs._enqueue',
        'present', '6f69d7e4aed645b2e158e0150d32cbfe'),
    ('function pgjobs._enqueue_new',
        'present', '23ddb491a9b58f27f29b81d0dbbd8caa'),
    ('function pgjobs._expire',
        'present', '7ed8edab8eef28bfa105e88f1b1a885e'),
    ('function pgjobs._find_attempt',
        'present', '99556f192270acbff3e348e7ffc7752a'),
    ('function pgjobs._find_job',
        'present', '547cf44f1bb4045e23bedb0d6b0af89c'),
    ('function pgjobs._guard_detail',
        'present', '04bce8bb961eb20e3e30313f34d5cdf7'),
    ('function pgjobs._guard_ledger',
        'present', '19f1f1f94bc43b168e8ad12505c0c8a4'),
    ('function pgjobs._is_commit_sha',
        'present', '44b185431e515156527934d6932f11c6'),
    ('function pgjobs._is_open',
        'present', '80bf5a49fe5d4560a2d05e7514f66ea1'),
    ('function pgjobs._is_shared',
        'present', 'b73879aeb4baea2d408c199168ec0668'),
    ('function pgjobs._is_text',
        'present', 'd6701efd4d70e96d50a3a69b0511e63b'),
    ('function pgjobs._keep_body',
        'present', '0009bc9dbd8455f4dbc07efd8609257b'),
    ('function pgjobs._last_run_no',
        'present', 'c4c2870dccd86d3b3db2ae0486703d37'),
    ('function pgjobs._leave_lane',
        'present', 'c572233330b8e716f511139e2ad61253'),
    ('function pgjobs._next_head',
        'present', 'e259eef0b6f4c8439dfa3c95031c9a40'),
    ('function pgjobs._old_bodies',
        'present', 'f98051217e11808d5d5e8419d3a5a636'),
    ('function pgjobs._old_details',
        'present', '41e6021c5cf56ece1b8662e2aaa0b03e'),
    ('function pgjobs._promote',
        'present', 'fc5bb3cef5e15b8c824d944e99d0fb15'),
    ('function pgjobs._refuse',
        'present', '3469d8f17016f28e473b59341d38108f'),
    ('function pgjobs._refuse_argument',
        'present', '972003b4cc7540e3406e1f4a471e8e5c'),
    ('function pgjobs._refuse_lease',
        'present', '9a613f4238255247a8baa28efd82bed0'),
    ('function pgjobs._refuse_null',
        'present', 'fb533aaa143308335d454e636aa6fa6a'),
    ('function pgjobs._status',
        'present', '7700e41be65d2b636e595f52143d218e'),
    ('function pgjobs._sweep',
        'present', '49655a6713c89e03c4cab8c1ae2a6e44'),
    ('function pgjobs._take_lease',
        'present', '9aa15c37a0b59ec098a8e5b689d58f2b'),
    ('function pgjobs._take_leases',
        'present', 'fd88f8f20b17bd2fd22e504ede24e2ed'),
    ('function pgjobs._verify_ledger',
        'present', '2dff2d3fba8efcc943b09141fbfd3c54'),
    ('function pgjobs._verify_objects',
        'present', '11a04ec171342d49d1fd46438d002810'),
    ('function pgjobs._verify_open_jobs',
        'present', '888d950b44256f7f380029778ad78d40'),
    ('function pgjobs._verify_roles',
        'present', '1aa545df29eb9c82286a72dc1e6a37ce'),
    ('function pgjobs._verify_server',
        'present', '0af8d173b858fa18bf6bb3c86d845ca9'),
    ('function pgjobs.add_artifact',
        'present', '028db7e5c68e2391d857524b681dee85'),
    ('function pgjobs.amend',
        'present', '73b8d7787c01a27fc78cd785617539c7'),
    ('function pgjobs.cancel',
        'present', '315b5b4032eebbb3d0cd9bba22b959fd'),
    ('function pgjobs.claim',
        'present', '13a7d6cd6ff611b09efc2a36b66ba07f'),
    ('function pgjobs.complete',
        'present', '5acf769c81df3361a08d35295ebec5ef'),
    ('function pgjobs.complete_and_claim',
        'present', '0007df7f8145fa195408e835818d4359'),
    ('function pgjobs.complete_many',
        'present', '077451f1ed83c1c3f8367cb2a836a530'),
    ('function pgjobs.enqueue',
        'present', 'a77d249553ed3a288b9d1a81bb5c4da3'),
    ('function pgjobs.enqueue_many',
        'present', 'c8587e8b2ec3d81f57a5f868ec6fdba6'),
    ('function pgjobs.expire_artifacts',
        'present', '854c140c7cd4d05a8ac097be320deb7c'),
    ('function pgjobs.expire_details',
        'present', 'f4cfde4f0fd2ce45f8b33bdcb903dce2'),
    ('function pgjobs.get_job',
        'present', 'a8dcc36fefbbe6247e792f9bf0e6aabd'),
    ('function pgjobs.heartbeat',
        'present', '1b4b5e38d235617f5c704883c5ca5023'),
    ('function pgjobs.is_passed',
        'present', '1b2a481fc08463248e2c8201c8fd3e43'),
    ('function pgjobs.link_lab_sessions',
        'present', 'c6cdcb23465a2582d23df05e5f71673e'),
    ('function pgjobs.read_artifact',
        'present', '2deea3b0db260723794c8d378c61b8db'),
    ('function pgjobs.record_attempt',
        'present', 'c4b4ebab0338205630bf0ba49cd40926'),
    ('function pgjobs.release',
        'present', '8f826c56139afb6c2a0cb21ed6bf3ebf'),
    ('function pgjobs.rescue',
        'present', '038b7dba5faae7c7184f6327ef322f0b'),
    ('function pgjobs.reverify',
        'present', '4dcd81bcb74f9869e59b31d90f7fa380'),
    ('function pgjobs.timeline',
        'present', '4f0dc13c24e7863d2510a4c47e84713e'),
    ('function pgjobs.unlink_lab_sessions',
        'present', 'c0a79f3e42c8fe4194c5d68451016b56'),
    ('function pgjobs.verify',
        'present', 'b8e1d59dda29bf0732369dd3e87d8e8c'),
    ('function pgjobs.verify_bodies',
        'present', 'e171e739b2033873193107ca1cde0ada'),
    ('function pgjobs.wake',
        'present', 'f4c0f2a71b868ef77758e4fce5a8ed87'),
    ('function pgjobs.why_waiting',
        'present', 'dca541c82b8f2448ed2cdc9c584b445e'),
    ('grant execute on function pgjobs.add_artifact to pgjobs_worker',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.amend to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.cancel to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.claim to pgjobs_worker',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.complete to pgjobs_worker',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.complete_and_claim to pgjobs_worker',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.complete_many to pgjobs_worker',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.enqueue to pgjobs_app',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.enqueue_many to pgjobs_app',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.expire_artifacts to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.expire_details to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.get_job to pgjobs_app',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.heartbeat to pgjobs_worker',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.is_passed to pgjobs_app',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.is_passed to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.is_passed to pgjobs_reader',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.link_lab_sessions to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.read_artifact to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.read_artifact to pgjobs_reader',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.record_attempt to pgjobs_app',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.release to pgjobs_worker',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.rescue to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.reverify to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.timeline to pgjobs_app',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.timeline to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.timeline to pgjobs_reader',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.unlink_lab_sessions to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.verify to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.verify_bodies to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.wake to pgjobs_app',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.wake to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.why_waiting to pgjobs_app',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.why_waiting to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant execute on function pgjobs.why_waiting to pgjobs_reader',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_amendment to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_amendment to pgjobs_reader',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_artifact to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_artifact to pgjobs_reader',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_attempt to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_attempt to pgjobs_reader',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_job to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_job to pgjobs_reader',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_review to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_review to pgjobs_reader',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_run to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_run to pgjobs_reader',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_verdict to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant select on view pgjobs.verification_verdict to pgjobs_reader',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant usage on schema pgjobs to pgjobs_app',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant usage on schema pgjobs to pgjobs_operator',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant usage on schema pgjobs to pgjobs_reader',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('grant usage on schema pgjobs to pgjobs_worker',
        'present', 'e3b0c44298fc1c149afbf4c8996fb924'),
    ('index pgjobs.amendment_status_completed_at_idx',
        'present', '5dd6f645eaecbf066bc8c7e6fd972e18'),
    ('index pgjobs.amendment_verdict_status_completed_at_idx',
        'present', '3d36a0620cc82292d522500b364398fe'),
    ('index pgjobs.artifact_body_id_idx',
        'present', 'd6e849c53ca30e1f5c7e23b788562a49'),
    ('index pgjobs.body_created_at_idx',
        'present', 'b3e534de252b24c3871699dacf88a2ed'),
    ('index pgjobs.lease_lease_expires_at_idx',
        'present', '3e69f5d121a5d4bd8509bb5e32f056a7'),
    ('index pgjobs.ready_available_at_idx',
        'present', 'e1ea44c76f5c66294132e2ed8edca7c1'),
    ('index pgjobs.ready_priority_ready_no_idx',
        'present', 'bee1b7e89c32730398d7ee1a8dfbb4af'),
    ('index pgjobs.verdict_status_completed_at_idx',
        'present', '55af117c8860f16fd38b4048397bcfeb'),
    ('sequence pgjobs.amendment_amendment_id_seq',
        'present', '4ca46ec6d83719bdaf4ef4e34251c2b2'),
    ('sequence pgjobs.artifact_artifact_id_seq',
        'present', '4ca46ec6d83719bdaf4ef4e34251c2b2'),
    ('sequence pgjobs.body_body_id_seq',
        'present', '4ca46ec6d83719bdaf4ef4e34251c2b2'),
    ('sequence pgjobs.idle_at',
        'present', 'c1a18014dccba64b1f1a23fab388c7bc'),
    ('sequence pgjobs.job_job_id_seq',
        'present', '4ca46ec6d83719bdaf4ef4e34251c2b2'),
    ('sequence pgjobs.lab_attempt_attempt_id_seq',
        'present', '4ca46ec6d83719bdaf4ef4e34251c2b2'),
    ('sequence pgjobs.low_water_1',
        'present', 'c1a18014dccba64b1f1a23fab388c7bc'),
    ('sequence pgjobs.low_water_2',
        'present', 'c1a18014dccba64b1f1a23fab388c7bc'),
    ('sequence pgjobs.low_water_3',
        'present', 'c1a18014dccba64b1f1a23fab388c7bc'),
    ('sequence pgjobs.low_water_4',
        'present', 'c1a18014dccba64b1f1a23fab388c7bc'),
    ('sequence pgjobs.swept_at',
        'present', 'c1a18014dccba64b1f1a23fab388c7bc'),
    ('table pgjobs.amendment',
        'present', 'fdd96023c3b263a29835eefa39f3769e'),
    ('table pgjobs.artifact',
        'present', 'e1a36c55300803348c92cdb6e8e34380'),
    ('table pgjobs.attempt_detail',
        'present', 'e3dfe3070426314b3841897e3e4968e6'),
    ('table pgjobs.backfill',
        'present', '69f47274ff79eb615468e6e02cdb4dd0'),
    ('table pgjobs.body',
        'present', '24d1771621eeec5d6f48cca0df691723'),
    ('table pgjobs.expiry',
        'present', '0bd168729a6f8380b3d47f2fc9a27a1b'),
    ('table pgjobs.fingerprint',
        'present', '68e388a9d479203b492e98635ded0706'),
    ('table pgjobs.job',
        'present', 'c736612b5c5519e3096e6b07110fe8a2'),
    ('table pgjobs.job_payload',
        'present', 'a8639c53fcdf2a2b6448df07d4cc252a'),
    ('table pgjobs.lab_attempt',
        'present', '69bc550ecbb8ed3d28f749cb0c760912'),
    ('table pgjobs.lane',
        'present', 'ac33b8afff58b2644a4884d2e04d2aaa'),
    ('table pgjobs.lease',
        'present', '958aa5c69b84aeb6e8f96a9138a37a0e'),
    ('table pgjobs.migration',
        'present', 'e3d5cd2f94c84ed10e26206850d152eb'),
    ('table pgjobs.ready',
        'present', 'b7ec871a8f4f71cfaf8da7f3097372f3'),
    ('table pgjobs.review',
        'present', '855a9cb31b6ee16ed8a5296af94da8b5'),
    ('table pgjobs.review_result',
        'present', 'ee01f8d2d9d66bea5dabeebc66ca6e9f'),
    ('table pgjobs.review_summary',
        'present', 'e604fcad997e6d28628a132bfd138768'),
    ('table pgjobs.setback',
        'present', 'f1f66318c88b91e9eb0680b75c6ad9d3'),
    ('table pgjobs.verdict',
        'present', 'c20871fa12b7c5e75284f54c5c9623f6'),
    ('table pgjobs.verdict_summary',
        'present', '93eb50b84951a71047b885a57d1980bc'),
    ('table pgjobs.waiting',
        'present', 'd7f8571796ce538a325a93da13ed7337'),
    ('trigger _installed_read_only on pgjobs._installed',
        'ordinary', 'd3b5ffb1e2f1d54c85644467dfb4796b'),
    ('trigger amendment_append_only on pgjobs.amendment',
        'always on', '25374a35e9936ae78dc73be2e6a4a91a'),
    ('trigger amendment_no_truncate on pgjobs.amendment',
        'always on', 'a9a00717d3bf6d7c0a92ca3b50db2940'),
    ('trigger artifact_append_only on pgjobs.artifact',
        'always on', 'ce40f237db47147b5138459077af5784'),
    ('trigger artifact_no_truncate on pgjobs.artifact',
        'always on', 'd7bd187330e7f8bdf954fe0ae2d51022'),
    ('trigger attempt_detail_append_only on pgjobs.attempt_detail',
        'always on', 'ea6ec56bdb86eba1f89466b79965a0b0'),
    ('trigger attempt_detail_no_truncate on pgjobs.attempt_detail',
        'always on', '03ec3f14f3a354aaab0ce045e53c7fc0'),
    ('trigger backfill_append_only on pgjobs.backfill',
        'always on', '04e27cc3cb783cc2524da480380590dc'),
    ('trigger backfill_no_truncate on pgjobs.backfill',
        'always on', '423952b5f8fe9545f73525f328d35fff'),
    ('trigger body_append_only on pgjobs.body',
        'always on', 'a2d5ad5961eb3a9afa961b1bc1df5220'),
    ('trigger body_no_truncate on pgjobs.body',
        'always on', '00d488ad009fce76c43131039a88276e'),
    ('trigger expiry_append_only on pgjobs.expiry',
        'always on', '69f5d25f548f6a22e9d98fa9d9f799a8'),
    ('trigger expiry_no_truncate on pgjobs.expiry',
        'always on', 'd7b4b0c11e0e604785d280f8c92c5dae'),
    ('trigger job_append_only on pgjobs.job',
        'always on', '4557895cdddd0131f36b52d1cdc79c98'),
    ('trigger job_no_truncate on pgjobs.job',
        'always on', 'ba9f21a6b63a1cd1747561f9f23fb0aa'),
    ('trigger job_payload_append_only on pgjobs.job_payload',
        'always on', 'f56f2491fdb655c174f7fea242b8405e'),
    ('trigger job_payload_no_truncate on pgjobs.job_payload',
        'always on', '16a72ab52287beb88196b5f368575b60'),
    ('trigger lab_attempt_append_only on pgjobs.lab_attempt',
        'always on', '789fa434852ae8ec2e9bc6f537429f39'),
    ('trigger lab_attempt_no_truncate on pgjobs.lab_attempt',
        'always on', '966c9324df46dd3d23d0b143da20a549'),
    ('trigger review_append_only on pgjobs.review',
        'always on', '30cd7ee5a5cd89a90d95f6061653cf7f'),
    ('trigger review_no_truncate on pgjobs.review',
        'always on', '2eb0321ace756e9da48a508b825e5c49'),
    ('trigger review_result_append_only on pgjobs.review_result',
        'always on', 'd5fea14ff54b24408e1acd739eac7adc'),
    ('trigger review_result_no_truncate on pgjobs.review_result',
        'always on', '7bfbd36855abb8b1b629144fcec32868'),
    ('trigger review_summary_append_only on pgjobs.review_summary',
        'always on', '0254436bc9c7d57b70acbf44b5761755'),
    ('trigger review_summary_no_truncate on pgjobs.review_summary',
        'always on', '04e0a191b7dead7caa5bfd805370f32a'),
    ('trigger setback_append_only on pgjobs.setback',
        'always on', '9a292e7a02c2daf1598acb9fa68482e2'),
    ('trigger setback_no_truncate on pgjobs.setback',
        'always on', '4ba385f40234b8719495cda3aadb2d38'),
    ('trigger verdict_append_only on pgjobs.verdict',
        'always on', '2cf691b06550cdc60ff3f5f68e5f0506'),
    ('trigger verdict_no_truncate on pgjobs.verdict',
        'always on', '75dec0c6742f190290f83e7af982abc2'),
    ('trigger verdict_summary_append_only on pgjobs.verdict_summary',
        'always on', 'c51fdd2a07e18eaa4377f05f40bfc0fa'),
    ('trigger verdict_summary_no_truncate on pgjobs.verdict_summary',
        'always on', '6c2afc04f8e6ab0aae2d8ae73402d555'),
    ('trigger verification_amendment_read_only on pgjobs.verification_amendment',
        'ordinary', '21f96598b9d59264c2321d5794812ecf'),
    ('trigger verification_artifact_read_only on pgjobs.verification_artifact',
        'ordinary', '39507f697615eb797551121e4930a561'),
    ('trigger verification_attempt_read_only on pgjobs.verification_attempt',
        'ordinary', 'c47477e2e98a90434d1206d5ab7894cc'),
    ('trigger verification_job_read_only on pgjobs.verification_job',
        'ordinary', 'b151eab51b3f47525deec38134c73305'),
    ('trigger verification_review_read_only on pgjobs.verification_review',
        'ordinary', '3ad9b2c83f35eb4a931b04731fcd95d2'),
    ('trigger verification_run_read_only on pgjobs.verification_run',
        'ordinary', 'f5f869280cd321f47e329b7a4e92389c'),
    ('trigger verification_verdict_read_only on pgjobs.verification_verdict',
        'ordinary', 'e09a25fb67a9640eeb43241f1722187c'),
    ('type pgjobs.amended',
        'present', '45f48bc615381dd9c42f72c72d49cfeb'),
    ('type pgjobs.artifact_added',
        'present', 'dcbcc347d2976980b8f5b4e35c3786a0'),
    ('type pgjobs.artifacts_expired',
        'present', '97cf914a402636261941c923fdf61f0b'),
    ('type pgjobs.bodies_verified',
        'present', '50f5ea66f4e1e72c9d4ef7b3cc0bf269'),
    ('type pgjobs.cancelled',
        'present', '8c38a3d8ab1b8e130c02d4815bc912a7'),
    ('type pgjobs.claimed',
        'present', 'e59be8e4398bbb6bbfa989e7ac37942c'),
    ('type pgjobs.completed',
        'present', '0d72d8a47b01095d3931dced5d80c0bd'),
    ('type pgjobs.completed_element',
        'present', '43a612dd6f916b77815cc91b74cc0b41'),
    ('type pgjobs.details_expired',
        'present', '5096fca47ea17000c911227254273bdc'),
    ('type pgjobs.enqueued',
        'present', '6c5b5e3d1d4042d11c512c30700dcc2f'),
    ('type pgjobs.enqueued_element',
        'present', '4955ca3aada598bc40f20c3e7f220904'),
    ('type pgjobs.event',
        'present', 'e645fe38524e90ee630eb11659615a11'),
    ('type pgjobs.finding',
        'present', 'f5bc18383b0b2e536b6678f52bb4d6b4'),
    ('type pgjobs.max_runs',
        'present', 'bc9233b5032bbcc79bdf7168b30f7de3'),
    ('type pgjobs.open_jobs',
        'present', 'bc9233b5032bbcc79bdf7168b30f7de3'),
    ('type pgjobs.priority',
        'present', 'bc9233b5032bbcc79bdf7168b30f7de3'),
    ('type pgjobs.recorded',
        'present', '95e2c6a35e6f819cc4d8f0b2362b9664'),
    ('type pgjobs.released',
        'present', '36e09208a72fbba4b951df596e59f5e6'),
    ('type pgjobs.rescued',
        'present', 'bea2482674e4bee32262644841a3cc2c'),
    ('type pgjobs.reviewed_element',
        'present', 'd2d9d08fd2079bdb47d13504393cfffe'),
    ('type pgjobs.session_link',
        'present', '0c9052d4b04d25f3ad23ff8052e896cf'),
    ('type pgjobs.waiting_reason',
        'present', 'd073a778fcf21acf3e93da56495b09fd'),
    ('unique index pgjobs.amendment_amendment_id_pkey',
        'present', 'b4f766a7c3b3c41de7e781254a444f44'),
    ('unique index pgjobs.amendment_job_id_amendment_no_key',
        'present', '951b90819fee5e2cb3823fa0e6e7b7a4'),
    ('unique index pgjobs.amendment_review_id_key',
        'present', 'e60833111d14c22ac856f163f4607f03'),
    ('unique index pgjobs.artifact_artifact_id_pkey',
        'present', 'e11c2e1fa43ef7529fb1074f2300a574'),
    ('unique index pgjobs.artifact_job_id_run_no_artifact_no_key',
        'present', 'ec1ed40d58f8de7b42ac972e80279e35'),
    ('unique index pgjobs.artifact_job_id_run_no_name_key',
        'present', '0cf519108a4318095d6c63aaee865e16'),
    ('unique index pgjobs.attempt_detail_attempt_id_pkey',
        'present', '71e68842ab4d0132697f0b13d91e0b1e'),
    ('unique index pgjobs.backfill_job_id_key',
        'present', '0f7fff57a11d72d4d830a1bdda665a12'),
    ('unique index pgjobs.backfill_log_id_pkey',
        'present', '0c1a914a481def039e736c5b30b4479c'),
    ('unique index pgjobs.body_body_id_pkey',
        'present', '2ee54773a38c4852fdb54f225f0f7bc2'),
    ('unique index pgjobs.body_sha256_key',
        'present', 'fba748a24288e1aa1df168a619397723'),
    ('unique index pgjobs.expiry_kind_id_pkey',
        'present', '9efae0dbd380fd3eef23042ec74607a5'),
    ('unique index pgjobs.fingerprint_object_digest_pkey',
        'present', 'c81f2ccc61a0ec25a881309c512dc43f'),
    ('unique index pgjobs.job_commit_sha_key',
        'present', 'f110757d196392c8373306fd5c9e6955'),
    ('unique index pgjobs.job_job_id_pkey',
        'present', 'f0582543d17723bc157dcbbe8a9d0fb8'),
    ('unique index pgjobs.job_payload_job_id_pkey',
        'present', 'a82094ac815321d46536be2ea01f3274'),
    ('unique index pgjobs.lab_attempt_attempt_id_pkey',
        'present', '682d86b0e8fcec13547b586e4396c9ab'),
    ('unique index pgjobs.lab_attempt_session_id_commit_sha_key',
        'present', '1c2ffa602911aaa9f898d556842ecb82'),
    ('unique index pgjobs.lab_attempt_session_id_delivery_id_key',
        'present', '9006c5736b2ca4b67570f81305773848'),
    ('unique index pgjobs.lane_session_id_pkey',
        'present', '163cacf36afecf9a74b8e05a9c8ee1f4'),
    ('unique index pgjobs.lease_session_id_pkey',
        'present', 'ea7c33a18d94aab6e1bf674def29f231'),
    ('unique index pgjobs.migration_migration_id_pkey',
        'present', '8da5ad704ca0118710ea0012f0d18151'),
    ('unique index pgjobs.ready_job_id_pkey',
        'present', '0ef402fdcfcea248212a540c8fa55232'),
    ('unique index pgjobs.review_job_id_review_no_key',
        'present', '7d3ff56ced388f1a0c07daabc0bb6aed'),
    ('unique index pgjobs.review_result_review_id_pkey',
        'present', '74d4e514ea552ac4b4339d1c5009dbab'),
    ('unique index pgjobs.review_review_id_pkey',
        'present', 'ea29b3d6fd56b9f7932d3e40b10fe9ed'),
    ('unique index pgjobs.review_summary_review_id_pkey',
        'present', '78a4d5118e8f7f90b9fa44550f0f1d47'),
    ('unique index pgjobs.setback_job_id_run_no_pkey',
        'present', '86eb0a4c6504894c7b0d7833c33e79ba'),
    ('unique index pgjobs.verdict_job_id_pkey',
        'present', 'e55680f8257c011bb92aefe9e429b0f7'),
    ('unique index pgjobs.verdict_summary_job_id_pkey',
        'present', '79105bfdc0b6a2c0ca01413060fa5002'),
    ('unique index pgjobs.waiting_session_id_turn_no_pkey',
        'present', '7cc381730fb9aca7570d89cce93980f1'),
    ('view pgjobs._installed',
        'present', '9341b57bc24425c4cb547d908d37c82e'),
    ('view pgjobs._installed',
        'present', 'b8ee216e8419d2e4cdd79617bd6d10ea'),
    ('view pgjobs.verification_amendment',
        'present', '5ad0e02430b744491904536cb63ddff0'),
    ('view pgjobs.verification_amendment',
        'present', '9b46fec1bbced3d0dd9fe139993c78b8'),
    ('view pgjobs.verification_artifact',
        'present', '6d748e0a937f460b38808c5833a7ede5'),
    ('view pgjobs.verification_attempt',
        'present', '040619733c68745caf20344af2687868'),
    ('view pgjobs.verification_job',
        'present', '98904c0210ca93b40591d7946f91e058'),
    ('view pgjobs.verification_review',
        'present', '63574598c5ee5fd3d31a2d2596705142'),
    ('view pgjobs.verification_run',
        'present', '5ae4e28ae2e3b3e3e0549bdce56d72ca'),
    ('view pgjobs.verification_verdict',
        'present', '49ad52bce4b25e65a683591f0156e769')
) as object;


insert into pgjobs.migration (migration_id, checksum)
values ('0001.ledger', 'ff9e016bed20d0b121464a223a13f7b73efd8253195606f44a581d3a3234a843');
