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
-- later ones are waiting. A worker's claim turns the head into a lease: a random token and an end.
-- Whoever shows that token may write the verdict, which is again a ledger row, and the session's
-- next waiting job becomes the head. A lease that ends without a verdict leaves a setback, and the
-- same job is claimable again until its runs are used up. A job with a verdict is in no hot table
-- any more.
--
--   lab_attempt --< job ---- verdict        the ledger: insert only, guarded, for ever
--        |           | \--< setback
--     detail      payload  summary          details: bulky or personal, hash kept in the ledger
--
--   lane ---- head (claimable, delayed or leased)     hot: one row per session with open jobs
--      \----< waiting                                 hot: the session's later jobs
--
-- Locks are taken in one order: the lane, then the ledger's unique keys or the head, then the rest.
-- The lane is locked by whoever changes how many jobs a session has open (enqueue, complete,
-- cancel, the last release), never by claim, heartbeat or rescue, which do not wait for an open
-- enqueue.


-- Roles: five group roles without login. They belong to the whole cluster: created if absent, never
-- dropped. pgjobs_owner owns every object, so that no login does; the rest of the installation runs
-- as that role until the transaction ends. Where the installing role may not create roles, it
-- becomes the owner itself; grants.sql says what is then left to do by hand.
set local lock_timeout = '5s';
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
    payload jsonb
);
comment on type pgjobs.claimed is 'Answer of claim: a run of a job under a lease.';


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
comment on type pgjobs.cancelled is 'Answer of cancel: the status is always ERROR.';


create sequence pgjobs.ready_no as bigint;
comment on sequence pgjobs.ready_no is
    'Numbers heads in the order in which they become claimable; never goes back.';


-- Marks are sequences, not rows: a row that claims update would leave dead versions that every
-- claim steps over while somebody holds an old snapshot. A mark saves work and is never believed:
-- no answer depends on it, and setting one is not undone by a rollback.
create sequence pgjobs.swept_at as bigint minvalue 0 start 0;
comment on sequence pgjobs.swept_at is
    'When a claim last looked for ended leases and delays: milliseconds since 1970.';
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
    autovacuum_vacuum_insert_threshold = 5000
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
    autovacuum_vacuum_insert_threshold = 5000
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
    for each row execute function pgjobs._guard_ledger();
create trigger attempt_detail_no_truncate before truncate on pgjobs.attempt_detail
    for each statement execute function pgjobs._guard_ledger();
alter table pgjobs.attempt_detail enable always trigger attempt_detail_append_only;
alter table pgjobs.attempt_detail enable always trigger attempt_detail_no_truncate;
comment on trigger attempt_detail_append_only on pgjobs.attempt_detail is
    'Refuses UPDATE and DELETE with 23V01.';
comment on trigger attempt_detail_no_truncate on pgjobs.attempt_detail is
    'Refuses TRUNCATE with 23V01.';


-- job: the verification of a commit. Guarantees: one per commit SHA for ever (job_commit_sha_key),
-- of an attempt of the same session and commit (job_session_id_commit_sha_fkey), no change ever
-- (the guards). It has no status: an open job is in head or waiting, a finished one has a verdict.
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
    autovacuum_vacuum_insert_threshold = 5000
);

comment on sequence pgjobs.job_job_id_seq is
    'Gives job ids, in the order of enqueuing within a session.';
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
    autovacuum_vacuum_insert_threshold = 5000
);

comment on table pgjobs.job_payload is
    'Detail: what the worker needs beyond the ids (repository URL, steps, …).';
comment on column pgjobs.job_payload.job_id is 'The job.';
comment on column pgjobs.job_payload.payload is 'As given to enqueue; at most 64 KiB of text.';
comment on constraint job_payload_job_id_pkey on pgjobs.job_payload is 'One payload per job.';
comment on constraint job_payload_job_id_fkey on pgjobs.job_payload is
    'A payload belongs to a job.';

create trigger job_payload_append_only before update or delete on pgjobs.job_payload
    for each row execute function pgjobs._guard_ledger();
create trigger job_payload_no_truncate before truncate on pgjobs.job_payload
    for each statement execute function pgjobs._guard_ledger();
alter table pgjobs.job_payload enable always trigger job_payload_append_only;
alter table pgjobs.job_payload enable always trigger job_payload_no_truncate;
comment on trigger job_payload_append_only on pgjobs.job_payload is
    'Refuses UPDATE and DELETE with 23V01.';
comment on trigger job_payload_no_truncate on pgjobs.job_payload is 'Refuses TRUNCATE with 23V01.';


-- verdict: how a job ended. Guarantees: one per job (verdict_job_id_pkey), only PASSED, FAILED or
-- ERROR (verdict_status_check), a reason exactly for ERROR (verdict_error_reason_check), a worker's
-- lease behind every verdict a worker gave (verdict_lease_token_check), no change ever (the
-- guards).
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
    constraint verdict_job_id_pkey primary key (job_id),
    constraint verdict_job_id_fkey foreign key (job_id) references pgjobs.job (job_id),
    constraint verdict_status_check check (status in ('PASSED', 'FAILED', 'ERROR')),
    constraint verdict_error_reason_check check (
        (status = 'ERROR') = (error_reason is not null)
        and error_reason in ('REPORTED', 'RUNS_EXHAUSTED', 'CANCELLED')
    ),
    constraint verdict_lease_token_check check (
        case error_reason
            when 'CANCELLED' then actor is not null
            when 'RUNS_EXHAUSTED' then actor is null and lease_token is null
            else actor is null and lease_token is not null
        end
        and (lease_token is null or (worker is not null and started_at is not null and run_no > 0))
    )
) with (
    vacuum_truncate = off,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_threshold = 5000
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
    'REPORTED by the worker, RUNS_EXHAUSTED or CANCELLED; null unless ERROR.';
comment on column pgjobs.verdict.error_detail is 'The reason given to release or cancel.';
comment on column pgjobs.verdict.actor is 'Who cancelled.';
comment on column pgjobs.verdict.summary_sha256 is
    'SHA-256 of the summary''s text, null where none was given.';
comment on constraint verdict_job_id_pkey on pgjobs.verdict is 'One verdict per job.';
comment on constraint verdict_job_id_fkey on pgjobs.verdict is 'A verdict belongs to a job.';
comment on constraint verdict_status_check on pgjobs.verdict is 'The three verdicts.';
comment on constraint verdict_error_reason_check on pgjobs.verdict is 'A reason exactly for ERROR.';
comment on constraint verdict_lease_token_check on pgjobs.verdict is
    'A worker''s verdict has its lease, a cancel its actor.';
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
    autovacuum_vacuum_insert_threshold = 5000
);

comment on table pgjobs.verdict_summary is 'Detail: what the worker says beside the status.';
comment on column pgjobs.verdict_summary.job_id is 'The job.';
comment on column pgjobs.verdict_summary.summary is 'As given to complete; at most 64 KiB of text.';
comment on constraint verdict_summary_job_id_pkey on pgjobs.verdict_summary is
    'One summary per verdict.';
comment on constraint verdict_summary_job_id_fkey on pgjobs.verdict_summary is
    'A summary belongs to a verdict.';

create trigger verdict_summary_append_only before update or delete on pgjobs.verdict_summary
    for each row execute function pgjobs._guard_ledger();
create trigger verdict_summary_no_truncate before truncate on pgjobs.verdict_summary
    for each statement execute function pgjobs._guard_ledger();
alter table pgjobs.verdict_summary enable always trigger verdict_summary_append_only;
alter table pgjobs.verdict_summary enable always trigger verdict_summary_no_truncate;
comment on trigger verdict_summary_append_only on pgjobs.verdict_summary is
    'Refuses UPDATE and DELETE with 23V01.';
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
    constraint setback_run_no_check check (run_no between 1 and 25),
    constraint setback_outcome_check check (outcome in ('LEASE_LOST', 'RELEASED')),
    constraint setback_reason_check check ((outcome = 'RELEASED') = (reason is not null))
) with (
    vacuum_truncate = off,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_threshold = 5000
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
comment on constraint setback_run_no_check on pgjobs.setback is '1 … 25.';
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


-- lane: a session with open jobs, and how many. Guarantees: at most 100 (the domain open_jobs,
-- asked by enqueue before it is hit). Its row lock is what makes "the next job of a session" safe:
-- every call that adds or ends a job changes this row, so two of them never pass each other, and
-- above READ COMMITTED the second gets 40001.
create table pgjobs.lane (
    session_id uuid not null,
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
    'Hot: a session with open jobs, and how many; the lock for adding and ending jobs.';
comment on column pgjobs.lane.session_id is 'The lab session.';
comment on column pgjobs.lane.open_jobs is 'Its head and its waiting jobs.';
comment on constraint lane_session_id_pkey on pgjobs.lane is 'One lane per session.';


-- head: the one job of a session that is claimable, delayed or running. Guarantees: one per
-- session, hence one running job per session (head_session_id_pkey); exactly one of the three
-- states (head_lease_token_check). Hot tables have no foreign keys and no triggers: only the
-- functions write.
create table pgjobs.head (
    session_id uuid not null,
    job_id bigint not null,
    attempt_id bigint not null,
    available_at timestamptz not null,
    ready_no bigint,
    started_at timestamptz,
    lease_expires_at timestamptz,
    lease_token uuid,
    lease_for interval,
    priority smallint not null,
    run_no smallint not null default 0,
    worker text collate "C",
    constraint head_session_id_pkey primary key (session_id),
    constraint head_lease_token_check check (
        (lease_token is null) = (lease_expires_at is null)
        and (lease_token is null) = (lease_for is null)
        and (lease_token is null or ready_no is null)
    )
) with (
    fillfactor = 70,
    vacuum_truncate = off,
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0
);

-- Serves claim: the claimable heads in order.
create index head_priority_ready_no_idx on pgjobs.head (priority, ready_no)
    where ready_no is not null;
-- Serves the promotion of heads whose time has come.
create index head_available_at_idx on pgjobs.head (available_at)
    where ready_no is null and lease_token is null;
-- Serves rescue.
create index head_lease_expires_at_idx on pgjobs.head (lease_expires_at)
    where lease_token is not null;

comment on table pgjobs.head is
    'Hot: the first open job of a session: claimable, delayed or leased.';
comment on column pgjobs.head.session_id is 'The lab session.';
comment on column pgjobs.head.job_id is 'The job.';
comment on column pgjobs.head.attempt_id is
    'Its attempt, so that claim need not look for it.';
comment on column pgjobs.head.available_at is 'Not to be claimed before.';
comment on column pgjobs.head.ready_no is
    'Place among the claimable heads of its priority; null while delayed or leased.';
comment on column pgjobs.head.started_at is 'When the latest run was claimed.';
comment on column pgjobs.head.lease_expires_at is
    'From then on the lease may be taken away; null unless leased.';
comment on column pgjobs.head.lease_token is
    'Who shows it may write the verdict; null unless leased.';
comment on column pgjobs.head.lease_for is
    'The granted length, to tell a lease given by a clock that ran ahead.';
comment on column pgjobs.head.priority is '1 first … 4 last.';
comment on column pgjobs.head.run_no is 'How many runs the job has had.';
comment on column pgjobs.head.worker is 'Who claimed the latest run.';
comment on constraint head_session_id_pkey on pgjobs.head is
    'One head, so one running job, per session.';
comment on constraint head_lease_token_check on pgjobs.head is
    'A head is leased or claimable or delayed.';
comment on index pgjobs.head_priority_ready_no_idx is 'The claimable heads, in the order of claim.';
comment on index pgjobs.head_available_at_idx is 'The delayed heads, by when their time comes.';
comment on index pgjobs.head_lease_expires_at_idx is 'The leased heads, by the end of the lease.';


-- waiting: a session's open jobs behind its head, in the order of enqueuing.
create table pgjobs.waiting (
    session_id uuid not null,
    job_id bigint not null,
    constraint waiting_session_id_job_id_pkey primary key (session_id, job_id)
) with (
    vacuum_truncate = off,
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0
);

comment on table pgjobs.waiting is 'Hot: a session''s open jobs behind its head.';
comment on column pgjobs.waiting.session_id is 'The lab session.';
comment on column pgjobs.waiting.job_id is 'The job.';
comment on constraint waiting_session_id_job_id_pkey on pgjobs.waiting is
    'Serves "the lowest waiting job of a session".';


-- migration: which migrations this database has, each written in the migration's own transaction.
create table pgjobs.migration (
    migration_id text not null,
    checksum text not null,
    applied_at timestamptz not null default now(),
    constraint migration_migration_id_pkey primary key (migration_id)
);

comment on table pgjobs.migration is
    'The migrations this database has; the runner trusts this table.';
comment on column pgjobs.migration.migration_id is 'File name without its ending.';
comment on column pgjobs.migration.checksum is
    'SHA-256, in hex, of the file''s text above the line that inserts this row.';
comment on column pgjobs.migration.applied_at is 'When it was applied.';
comment on constraint migration_migration_id_pkey on pgjobs.migration is
    'A migration is applied once.';


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
        job_id, completed_at, run_no, status, error_reason, error_detail, actor
    )
    select job.job_id, now(), 0, 'ERROR', 'CANCELLED', v_wide, '-' from pgjobs.job as job;
    insert into pgjobs.verdict_summary (job_id, summary)
    select job.job_id, to_jsonb(v_wide) from pgjobs.job as job;
    insert into pgjobs.setback (job_id, started_at, ended_at, run_no, outcome, worker)
    select job.job_id, now(), now(), 1, 'LEASE_LOST', v_wide from pgjobs.job as job;

    insert into pgjobs.lane (session_id, open_jobs)
    select gen_random_uuid(), 1 from generate_series(1, 8000);
    insert into pgjobs.head (session_id, job_id, attempt_id, available_at, priority, worker)
    select gen_random_uuid(), 0, 0, now(), 1, v_wide from generate_series(1, 200);
    insert into pgjobs.waiting (session_id, job_id)
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
reindex table pgjobs.lane;
reindex table pgjobs.head;
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


-- verification_verdict: the finished jobs. "The newest 50 FAILED" over this view walks
-- verdict_status_completed_at_idx backwards; over verification_job, a union, it could not.
create view pgjobs.verification_verdict as
select
    verdict.job_id,
    attempt.attempt_id,
    attempt.session_id,
    job.commit_sha,
    job.lab_version,
    verdict.status,
    job.priority::integer as priority,
    payload.payload,
    job.created_at,
    coalesce(job.available_at, job.created_at) as available_at,
    verdict.started_at,
    verdict.completed_at,
    verdict.run_no::integer as run_no,
    job.max_runs::integer as max_runs,
    verdict.worker,
    verdict.error_reason,
    verdict.error_detail || coalesce(' (cancelled by ' || verdict.actor || ')', '') as error_detail,
    summary.summary
from pgjobs.verdict as verdict
join pgjobs.job as job on job.job_id = verdict.job_id
join pgjobs.lab_attempt as attempt
    on attempt.session_id = job.session_id and attempt.commit_sha = job.commit_sha
left join pgjobs.job_payload as payload on payload.job_id = verdict.job_id
left join pgjobs.verdict_summary as summary on summary.job_id = verdict.job_id;

comment on view pgjobs.verification_verdict is 'The finished jobs, one row each. Read-only.';

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
    null::jsonb as summary
from pgjobs.waiting as waiting
join open_job on open_job.session_id = waiting.session_id and open_job.job_id = waiting.job_id
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
    head.available_at,
    head.started_at,
    null,
    head.run_no::integer,
    open_job.max_runs,
    head.worker,
    null,
    null,
    null
from pgjobs.head as head
join open_job on open_job.session_id = head.session_id and open_job.job_id = head.job_id
where head.lease_token is null
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
    head.available_at,
    head.started_at,
    null,
    head.run_no::integer,
    open_job.max_runs,
    head.worker,
    null,
    null,
    null
from pgjobs.head as head
join open_job on open_job.session_id = head.session_id and open_job.job_id = head.job_id
where head.lease_token is not null
union all
select
    job_id, attempt_id, session_id, commit_sha, lab_version, 'PASSED'::text collate "C", priority,
    payload, created_at, available_at, started_at, completed_at, run_no, max_runs, worker,
    error_reason, error_detail, summary
from pgjobs.verification_verdict
where status = 'PASSED'
union all
select
    job_id, attempt_id, session_id, commit_sha, lab_version, 'FAILED'::text collate "C", priority,
    payload, created_at, available_at, started_at, completed_at, run_no, max_runs, worker,
    error_reason, error_detail, summary
from pgjobs.verification_verdict
where status = 'FAILED'
union all
select
    job_id, attempt_id, session_id, commit_sha, lab_version, 'ERROR'::text collate "C", priority,
    payload, created_at, available_at, started_at, completed_at, run_no, max_runs, worker,
    error_reason, error_detail, summary
from pgjobs.verification_verdict
where status = 'ERROR';

comment on view pgjobs.verification_job is
    'Every job once: QUEUED, RUNNING, PASSED, FAILED or ERROR. started_at and worker are those of'
    ' the latest run. Read-only.';

create trigger verification_job_read_only instead of insert or update or delete
    on pgjobs.verification_job for each row execute function pgjobs._guard_ledger();
comment on trigger verification_job_read_only on pgjobs.verification_job is
    'Refuses INSERT, UPDATE and DELETE with 23V01.';


-- verification_run: every run of every job, from the one place that recorded it: a setback, the
-- verdict that ended it (its lease_token says so), or the head that is running.
create view pgjobs.verification_run as
select
    head.job_id,
    head.run_no::integer as run_no,
    head.worker,
    head.started_at,
    null::timestamptz as ended_at,
    'RUNNING'::text collate "C" as outcome,
    null::text as reason
from pgjobs.head as head
where head.lease_token is not null
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
where verdict.lease_token is not null;

comment on view pgjobs.verification_run is
    'Every run of every job: RUNNING, PASSED, FAILED, ERROR, LEASE_LOST, RELEASED or CANCELLED. '
    'Read-only.';

create trigger verification_run_read_only instead of insert or update or delete
    on pgjobs.verification_run for each row execute function pgjobs._guard_ledger();
comment on trigger verification_run_read_only on pgjobs.verification_run is
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
        raise exception '%no such job', v_element
            using errcode = 'P0002', schema = 'pgjobs', table = 'job',
                  constraint = 'job_job_id_pkey',
                  hint = 'Use the job_id that enqueue or claim answered.';
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
            using errcode = '23V05', schema = 'pgjobs', table = 'head',
                  constraint = 'head_lease_token_check',
                  hint = 'The lease was taken away: stop the run and drop its result.';
    when '54V01' then
        raise exception '%the session has 100 open jobs', v_element
            using errcode = '54V01', schema = 'pgjobs', table = 'lane',
                  constraint = 'lane_open_jobs_check',
                  hint = 'Nothing was written. Enqueue again when one of them has ended.';
    end case;
end
$$;
comment on function pgjobs._refuse is
    'Raises the error of the contract with that code. subject: the differing field of 23V04; '
    'element: ordinal in a batch.';


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
    -- A negated class is the cheapest exact test: 0.3 µs, against 5 µs for a counted one.
    return (
        octet_length(value) in (40, 64)
        and value collate "C" !~ '[^0-9a-f]'
        and value collate "C" ~ '[^0]'
    ) is true or pgjobs._refuse_argument(
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
    return (
        octet_length(value) <= 800
        and char_length(value) between 1 and 200
        and value collate "C" !~ '[\u0001-\u001f\u007f-\u009f]'
        and value collate "C" ~ '[^ \u00a0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000\ufeff]'
    ) is true or pgjobs._refuse_argument(
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
            detail.author, detail.branch, detail.changed_files
        into v_known
        from pgjobs.lab_attempt as attempt
        left join pgjobs.attempt_detail as detail on detail.attempt_id = attempt.attempt_id
        where attempt.session_id = _find_attempt.session_id
            and attempt.delivery_id = _find_attempt.delivery_id;
        if found then
            -- What the call leaves null is not compared.
            v_differing := case
                when v_known.commit_sha <> _find_attempt.commit_sha then 'commit_sha'
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

create function pgjobs._lock_head(session_id uuid)
    returns pgjobs.head
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_head pgjobs.head;
begin
    -- Two statements: the second sees what the holder of the lane's lock has left behind.
    perform from pgjobs.lane as lane where lane.session_id = _lock_head.session_id for update;
    select head.* into v_head
    from pgjobs.head as head
    where head.session_id = _lock_head.session_id
    for update;
    return v_head;
end
$$;
comment on function pgjobs._lock_head is
    'Locks the session''s lane, then its head, and answers the head; null when the session has '
    'no open job.';


create function pgjobs._leave_lane(session_id uuid)
    returns boolean
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    delete from pgjobs.lane as lane
    where lane.session_id = _leave_lane.session_id and lane.open_jobs = 1;
    if found then
        return false;
    end if;
    update pgjobs.lane as lane
    set open_jobs = lane.open_jobs - 1
    where lane.session_id = _leave_lane.session_id;
    return found;
end
$$;
comment on function pgjobs._leave_lane is
    'Takes one job off the lane''s count; false when it was the last.';


create function pgjobs._promote(session_id uuid)
    returns void
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := clock_timestamp();
    v_job pgjobs.job;
    v_attempt_id bigint;
    v_ready_no bigint;
begin
    select job.* into strict v_job
    from pgjobs.job as job
    where job.job_id = (
        select min(waiting.job_id)
        from pgjobs.waiting as waiting
        where waiting.session_id = _promote.session_id
    );
    delete from pgjobs.waiting as waiting
    where waiting.session_id = _promote.session_id and waiting.job_id = v_job.job_id;
    select attempt.attempt_id into strict v_attempt_id
    from pgjobs.lab_attempt as attempt
    where attempt.session_id = _promote.session_id and attempt.commit_sha = v_job.commit_sha;

    if coalesce(v_job.available_at <= v_now, true) then
        v_ready_no := nextval('pgjobs.ready_no');
    end if;
    insert into pgjobs.head (session_id, job_id, attempt_id, available_at, ready_no, priority)
    values (
        _promote.session_id, v_job.job_id, v_attempt_id,
        greatest(v_job.created_at, coalesce(v_job.available_at, v_now)), v_ready_no,
        v_job.priority
    );
end
$$;
comment on function pgjobs._promote is
    'Makes the lowest waiting job of a session without a head its head: claimable, or delayed '
    'until its available_at.';


create function pgjobs._next_head(session_id uuid)
    returns void
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    delete from pgjobs.head as head where head.session_id = _next_head.session_id;
    if pgjobs._leave_lane(session_id) then
        perform pgjobs._promote(session_id);
    end if;
end
$$;
comment on function pgjobs._next_head is
    'Takes the session''s head off its lane and makes its lowest waiting job the head.';


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
            select case when head.lease_token is null then 'QUEUED' else 'RUNNING' end
            from pgjobs.head as head
            where head.session_id = _status.session_id and head.job_id = _status.job_id
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


-- Runs that end without a verdict: lease lost or released.

create function pgjobs._end_run(
    head pgjobs.head,
    outcome text,
    reason text,
    retry_after interval,
    max_runs smallint
)
    returns pgjobs.released
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_ended_at timestamptz := greatest(head.started_at, clock_timestamp());
    v_available_at timestamptz;
    v_ready_no bigint;
begin
    insert into pgjobs.setback (job_id, started_at, ended_at, run_no, outcome, worker, reason)
    values (
        head.job_id, head.started_at, v_ended_at, head.run_no,
        _end_run.outcome, head.worker, _end_run.reason
    );
    if head.run_no >= max_runs then
        insert into pgjobs.verdict (
            job_id, completed_at, started_at, run_no, status, worker, error_reason, error_detail
        )
        values (
            head.job_id, v_ended_at, head.started_at, head.run_no, 'ERROR', head.worker,
            'RUNS_EXHAUSTED', coalesce(_end_run.reason, 'the lease of the last run was lost')
        );
        perform pgjobs._next_head(head.session_id);
        return (head.job_id, 'ERROR', head.run_no, null)::pgjobs.released;
    end if;

    v_available_at := greatest(head.available_at, clock_timestamp()) + retry_after;
    if retry_after = interval '0' then
        v_ready_no := nextval('pgjobs.ready_no');
    end if;
    update pgjobs.head as place
    set available_at = v_available_at,
        ready_no = v_ready_no,
        lease_token = null,
        lease_for = null,
        lease_expires_at = null
    where place.session_id = head.session_id;
    return (head.job_id, 'QUEUED', head.run_no, v_available_at)::pgjobs.released;
end
$$;
comment on function pgjobs._end_run is
    'Ends a run without a verdict: a setback, and the job is queued again, or ERROR when that '
    'was its last run. The caller holds the head''s lock and, for the last run, the lane''s.';


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
    v_head pgjobs.head;
    v_max_runs smallint;
    v_rescued pgjobs.rescued;
begin
    for v_head in
        select head.*
        from pgjobs.head as head
        where head.lease_token is not null
            and head.lease_expires_at between since and v_until
            and (
                head.lease_expires_at <= v_now
                -- The clock as it is now: a lease may be younger than v_now. The second forgives a
                -- clock that is being adjusted.
                or head.lease_expires_at
                    > clock_timestamp() + head.lease_for + interval '1 second'
            )
        order by head.lease_expires_at
        limit max_jobs
        for update skip locked
    loop
        select job.max_runs into v_max_runs from pgjobs.job as job where job.job_id = v_head.job_id;
        if v_head.run_no >= v_max_runs then
            perform from pgjobs.lane as lane
            where lane.session_id = v_head.session_id
            for update skip locked;
            continue when not found;
        end if;
        select ended.job_id, ended.status into v_rescued
        from pgjobs._end_run(v_head, 'LEASE_LOST', null, interval '0', v_max_runs) as ended;
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
    v_session_id uuid;
    v_ready_no bigint;
begin
    select count(*) into v_rescued from pgjobs._take_leases(1000, since);
    for v_session_id in
        select head.session_id
        from pgjobs.head as head
        where head.ready_no is null
            and head.lease_token is null
            and head.available_at between since and v_now
        order by head.available_at
        limit 1000
        for update skip locked
    loop
        v_ready_no := nextval('pgjobs.ready_no');
        update pgjobs.head as head set ready_no = v_ready_no where head.session_id = v_session_id;
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
    ) then
        perform pgjobs._refuse('23V02');
    end if;
    -- Above READ COMMITTED an old snapshot may not know the lease: then this lock raises 40001.
    perform from pgjobs.head as head
    where head.session_id = _refuse_lease.session_id
    for update skip locked;
    perform pgjobs._refuse('23V05');
end
$$;
comment on function pgjobs._refuse_lease is
    'Refuses a token that does not hold the job: 23V02 when it has its verdict, else 23V05.';


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
    v_created_at timestamptz := clock_timestamp();
    v_payload_sha256 bytea := sha256(convert_to(payload::text, 'UTF8'));
    v_attempt record;
    v_attempt_id bigint;
    v_has_attempt boolean := delivery_id is not null;
    v_job record;
    v_job_id bigint;
    v_open_jobs smallint;
    v_lane_is_full boolean := false;
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
            insert into pgjobs.lane as lane (session_id, open_jobs)
            values (_enqueue.session_id, 1)
            on conflict on constraint lane_session_id_pkey do update
                set open_jobs = lane.open_jobs + 1
                where lane.open_jobs < 100
            returning lane.open_jobs into v_open_jobs;
            v_lane_is_full := not found;
            continue when v_lane_is_full;
        end if;

        if v_attempt_id is null then
            v_attempt_id := pgjobs._add_attempt(
                session_id, commit_sha, delivery_id, author, branch, changed_files, pushed_at
            );
            v_has_attempt := v_attempt_id is null;
            continue when v_has_attempt;
        end if;

        v_job_id := coalesce(new_job_id, nextval('pgjobs.job_job_id_seq'));
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
            insert into pgjobs.head (
                session_id, job_id, attempt_id, available_at, ready_no, priority
            )
            values (
                _enqueue.session_id, v_job_id, v_attempt_id,
                coalesce(_enqueue.available_at, v_created_at),
                case when _enqueue.available_at is null then nextval('pgjobs.ready_no') end,
                _enqueue.priority
            );
        else
            insert into pgjobs.waiting (session_id, job_id) values (_enqueue.session_id, v_job_id);
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
begin
    -- The lanes in the order of their sessions.
    insert into pgjobs.lane as lane (session_id, open_jobs)
    select element.session_id, count(*)
    from unnest((select session_ids), (select new_job_ids)) as element (session_id, job_id)
    where element.job_id is not null
    group by element.session_id
    order by element.session_id
    on conflict on constraint lane_session_id_pkey do update
        set open_jobs = lane.open_jobs + excluded.open_jobs;

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

    -- The first of a session whose lane was empty is its head.
    with place as materialized (
        select
            element.*,
            lane.open_jobs = count(*) over (partition by element.session_id)
                and row_number() over (
                    partition by element.session_id order by element.job_id
                ) = 1 as is_head
        from unnest((select session_ids), (select new_job_ids), (select new_attempt_ids))
            as element (session_id, job_id, attempt_id)
        cross join lateral (
            select lane.open_jobs
            from pgjobs.lane as lane
            where lane.session_id = element.session_id
            offset 0
        ) as lane
        where element.job_id is not null
    ), waiting as (
        insert into pgjobs.waiting (session_id, job_id)
        select place.session_id, place.job_id from place where not place.is_head
    )
    insert into pgjobs.head (session_id, job_id, attempt_id, available_at, ready_no, priority)
    select
        place.session_id, place.job_id, place.attempt_id, v_now, nextval('pgjobs.ready_no'),
        _enqueue_new.priority
    from (
        select place.session_id, place.job_id, place.attempt_id
        from place
        where place.is_head
        order by place.job_id
    ) as place;
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
        and pgjobs._check_commit_sha('enqueue', 'commit_sha', commit_sha)
        and pgjobs._check_text('enqueue', 'lab_version', lab_version)
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
                pgjobs._check_commit_sha(
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

    -- The ids of the new jobs are drawn first, in input order.
    select
        array_agg(case when element.is_new then nextval('pgjobs.job_job_id_seq') end),
        array_agg(case when element.is_new then nextval('pgjobs.lab_attempt_attempt_id_seq') end)
    into v_job_ids, v_attempt_ids
    from (
        select
            row_number() over (partition by element.commit_sha order by element.ordinal) = 1
                and job.job_id is null as is_new
        from unnest((select commit_shas)) with ordinality as element (commit_sha, ordinal)
        left join lateral (
            select job.job_id
            from pgjobs.job as job
            where job.commit_sha = element.commit_sha
            offset 0
        ) as job on true
        order by element.ordinal
    ) as element;

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
            case when head.lease_token is null then 'QUEUED' else 'RUNNING' end collate "C"
        ),
        job.priority::integer,
        payload.payload,
        job.created_at,
        coalesce(head.available_at, job.available_at, job.created_at),
        coalesce(verdict.started_at, head.started_at),
        verdict.completed_at,
        coalesce(verdict.run_no, head.run_no, 0)::integer,
        job.max_runs::integer,
        coalesce(verdict.worker, head.worker),
        verdict.error_reason,
        verdict.error_detail || coalesce(' (cancelled by ' || verdict.actor || ')', ''),
        summary.summary
    from pgjobs.job as job
    cross join lateral (
        select attempt.attempt_id
        from pgjobs.lab_attempt as attempt
        where attempt.session_id = job.session_id and attempt.commit_sha = job.commit_sha
        offset 0
    ) as attempt
    left join lateral (
        select head.*
        from pgjobs.head as head
        where head.session_id = job.session_id and head.job_id = job.job_id
        offset 0
    ) as head on true
    left join lateral (
        select verdict.*
        from pgjobs.verdict as verdict
        where verdict.job_id = job.job_id
        offset 0
    ) as verdict on true
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
-- answers that there is nothing before it has looked from the very start.
--
-- The plans do not know max_jobs: with it they would be made anew on every call.
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
    set plan_cache_mode = force_generic_plan
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
    v_lease_for interval;
    v_depth bigint := 0;
    v_low_water bigint;
    v_ready_no bigint;
    v_row tid;
    v_rows tid[] := '{}';
    v_job_id bigint;
    v_job_ids bigint[] := '{}';
begin
    v_lease_for := pgjobs._check_claim('claim', worker, max_jobs, lease_for);

    select to_timestamp(mark.last_value / 1000.0) into v_swept_at from pgjobs.swept_at as mark;
    if v_now >= v_swept_at and date_trunc('minute', v_now) = date_trunc('minute', v_swept_at) then
        v_since := v_swept_at - interval '10 seconds';
    end if;
    if v_now not between v_swept_at and v_swept_at + interval '1 second' then
        v_depth := case v_since when '-infinity' then c_everything else 10000 end;
        perform setval('pgjobs.swept_at', floor(extract(epoch from v_now) * 1000)::bigint);
        if not pgjobs._sweep(v_since) then
            perform setval('pgjobs.swept_at', 0);
        end if;
    end if;

    loop
        for v_priority in 1 .. 4 loop
            v_low_water := coalesce(pg_sequence_last_value(c_low_water[v_priority]), 0);
            select head.ctid, head.job_id, head.ready_no into v_row, v_job_id, v_ready_no
            from pgjobs.head as head
            where head.priority = v_priority and head.ready_no > v_low_water - v_depth
            order by head.ready_no
            limit 1
            for update skip locked;
            continue when not found;
            if v_ready_no not between v_low_water + 1 and v_low_water + 16 then
                perform setval(c_low_water[v_priority], v_ready_no - 1);
            end if;
            v_rows := v_rows || v_row;
            v_job_ids := v_job_ids || v_job_id;
            exit when cardinality(v_job_ids) = max_jobs;
            select v_rows || array_agg(place.ctid), v_job_ids || array_agg(place.job_id)
            into v_rows, v_job_ids
            from (
                select head.ctid, head.job_id
                from pgjobs.head as head
                where head.priority = v_priority and head.ready_no > v_ready_no
                order by head.ready_no
                limit max_jobs - cardinality(v_job_ids)
                for update skip locked
            ) as place;
            exit when cardinality(v_job_ids) = max_jobs;
        end loop;
        exit when v_job_ids <> '{}';
        if v_depth = c_everything then
            return;
        end if;
        v_depth := c_everything;
        perform pgjobs._sweep('-infinity');
    end loop;

    -- By their place on disk: a session's earlier heads may lie dead under the same key. The array
    -- is selected so that the planner does not see how many there are, and plans but once.
    return query
    with leased as (
        update pgjobs.head as head
        set ready_no = null,
            started_at = greatest(head.available_at, v_now),
            lease_token = gen_random_uuid(),
            lease_for = v_lease_for,
            lease_expires_at = v_now + v_lease_for,
            run_no = head.run_no + 1,
            worker = claim.worker
        where head.ctid = any ((select v_rows)::tid[])
        returning head.job_id, head.attempt_id, head.run_no, head.lease_token, head.lease_expires_at
    )
    select
        job.job_id, leased.attempt_id, job.session_id, job.commit_sha, job.lab_version,
        job.priority::integer, leased.run_no::integer, leased.lease_token,
        leased.lease_expires_at, job.created_at, payload.payload
    from leased
    cross join lateral (
        select job.*
        from pgjobs.job as job
        where job.job_id = leased.job_id
        offset 0
    ) as job
    left join lateral (
        select payload.payload
        from pgjobs.job_payload as payload
        where payload.job_id = job.job_id and job.payload_sha256 is not null
        offset 0
    ) as payload on true
    order by array_position(v_job_ids, leased.job_id);
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
    update pgjobs.head as head
    set lease_for = v_lease_for,
        lease_expires_at = v_lease_expires_at
    where head.session_id = v_job.session_id
        and head.job_id = heartbeat.job_id
        -- Not "=": that would let the planner read the index of all leases.
        and head.lease_token is not distinct from heartbeat.lease_token;
    if not found then
        perform pgjobs._refuse_lease(v_job.session_id, heartbeat.job_id);
    end if;
    return v_lease_expires_at;
end
$$;
comment on function pgjobs.heartbeat is
    'Sets the end of the lease to now + lease_for (1 s … 1 day), which may shorten it, and '
    'answers it. Never waits for an enqueue. Errors: 22023, 22004, P0002, 23V02, 23V05.';


-- complete and complete_many, once the arguments are known to be good. The lane's lock decides
-- between complete, cancel and the last release or rescue; the head's lock between complete and the
-- taking of the lease. Who comes second finds the token gone.
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
    v_head pgjobs.head;
    v_verdict pgjobs.verdict;
    v_completed_at timestamptz;
    v_summary_sha256 bytea := sha256(convert_to(summary::text, 'UTF8'));
begin
    select job.session_id into v_session_id
    from pgjobs.job as job
    where job.job_id = _complete.job_id;
    if not found then
        return (ordinal, job_id, null, null, 'not_found')::pgjobs.completed_element;
    end if;

    v_head := pgjobs._lock_head(v_session_id);
    if v_head.job_id = job_id and v_head.lease_token = lease_token then
        v_completed_at := greatest(v_head.started_at, clock_timestamp());
        insert into pgjobs.verdict (
            job_id, completed_at, started_at, lease_token, run_no, status, worker,
            error_reason, summary_sha256
        )
        values (
            _complete.job_id, v_completed_at, v_head.started_at, v_head.lease_token,
            v_head.run_no, _complete.status, v_head.worker,
            case _complete.status when 'ERROR' then 'REPORTED' end, v_summary_sha256
        );
        if summary is not null then
            insert into pgjobs.verdict_summary (job_id, summary)
            values (_complete.job_id, _complete.summary);
        end if;
        perform pgjobs._next_head(v_session_id);
        return (ordinal, job_id, status, v_completed_at, 'completed')::pgjobs.completed_element;
    end if;

    select verdict.* into v_verdict
    from pgjobs.verdict as verdict
    where verdict.job_id = _complete.job_id;
    if not found then
        return (ordinal, job_id, null, null, 'lease_lost')::pgjobs.completed_element;
    end if;
    return (
        ordinal, job_id, v_verdict.status, v_verdict.completed_at,
        case
            when v_verdict.lease_token = lease_token
                and v_verdict.status = status
                and v_verdict.summary_sha256 is not distinct from v_summary_sha256
                and v_verdict.actor is null
            then 'replayed'
            else 'verdict_final'
        end
    )::pgjobs.completed_element;
end
$$;
comment on function pgjobs._complete is
    'Writes a verdict under a lease, or says why not. replayed: the very call that wrote it, '
    'once more.';


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
    v_heads tid[];
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

    -- What is held under its token, and named once, ends here.
    select
        array_agg(place.lane), array_agg(head.ctid), array_agg(place.ordinal),
        array_agg(head.job_id), array_agg(head.started_at), array_agg(head.lease_token),
        array_agg(head.run_no), array_agg(head.worker), array_agg(statuses[place.ordinal]),
        array_agg(summaries[place.ordinal])
    into
        v_lanes, v_heads, v_ordinals, v_ended, v_started, v_held, v_run_nos, v_workers,
        v_verdicts, v_summaries
    from unnest((select v_sessions), (select v_ordinals), (select v_lanes))
        as place (session_id, ordinal, lane)
    cross join lateral (
        select head.*, head.ctid
        from pgjobs.head as head
        where head.session_id = place.session_id
            and head.job_id = job_ids[place.ordinal]
            -- Not "=": that would let the planner read the index of all leases.
            and head.lease_token is not distinct from lease_tokens[place.ordinal]
        for update
    ) as head
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
            case ended.status when 'ERROR' then 'REPORTED' end,
            sha256(convert_to(ended.summary::text, 'UTF8'))
        from unnest(v_ended, v_started, v_held, v_run_nos, v_workers, v_verdicts, v_summaries)
            as ended (job_id, started_at, lease_token, run_no, worker, status, summary)
        order by ended.job_id;
        insert into pgjobs.verdict_summary (job_id, summary)
        select ended.job_id, ended.summary
        from unnest(v_ended, v_summaries) as ended (job_id, summary)
        where ended.summary is not null;

        delete from pgjobs.head as head where head.ctid = any ((select v_heads)::tid[]);
        delete from pgjobs.lane as lane
        where lane.ctid = any ((select v_lanes)::tid[]) and lane.open_jobs = 1;
        get diagnostics v_left = row_count;
        if v_left < cardinality(v_ended) then
            for v_session_id in
                update pgjobs.lane as lane
                set open_jobs = lane.open_jobs - 1
                where lane.ctid = any ((select v_lanes)::tid[])
                returning lane.session_id
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
    v_head pgjobs.head;
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

    -- The last run ends the job, for which the lane's lock comes first; any other needs the head's.
    if exists (
        select from pgjobs.head as head
        where head.session_id = v_job.session_id
            and head.job_id = release.job_id
            and head.run_no >= v_job.max_runs
    ) then
        v_head := pgjobs._lock_head(v_job.session_id);
    else
        select head.* into v_head
        from pgjobs.head as head
        where head.session_id = v_job.session_id
        for update;
    end if;
    if v_head.job_id is distinct from release.job_id
        or v_head.lease_token is distinct from release.lease_token
    then
        perform pgjobs._refuse_lease(v_job.session_id, release.job_id);
    end if;
    return pgjobs._end_run(
        v_head, 'RELEASED', release.reason,
        coalesce(
            v_retry_after,
            least(interval '30 seconds' * power(2, v_head.run_no - 1), interval '15 minutes')
        ),
        v_job.max_runs
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
    v_completed_at timestamptz;
    v_head pgjobs.head;
    v_is_head boolean;
begin
    v_checked :=
        (cancel.job_id is not null or pgjobs._refuse_null('cancel', 'job_id'))
        and pgjobs._check_text('cancel', 'reason', cancel.reason)
        and pgjobs._check_text('cancel', 'actor', cancel.actor);
    v_job := pgjobs._find_job(cancel.job_id);
    v_head := pgjobs._lock_head(v_job.session_id);
    v_is_head := coalesce(v_head.job_id = cancel.job_id, false);
    if not v_is_head then
        v_head := null;
        delete from pgjobs.waiting as waiting
        where waiting.session_id = v_job.session_id and waiting.job_id = cancel.job_id;
        if not found then
            perform pgjobs._refuse('23V02');
        end if;
    end if;

    v_completed_at := greatest(v_job.created_at, v_head.started_at, clock_timestamp());
    insert into pgjobs.verdict (
        job_id, completed_at, started_at, lease_token, run_no, status, worker,
        error_reason, error_detail, actor
    )
    values (
        cancel.job_id, v_completed_at, v_head.started_at, v_head.lease_token,
        coalesce(v_head.run_no, 0), 'ERROR', v_head.worker, 'CANCELLED',
        cancel.reason, cancel.actor
    );
    if v_is_head then
        perform pgjobs._next_head(v_job.session_id);
    else
        perform pgjobs._leave_lane(v_job.session_id);
    end if;
    return (cancel.job_id, 'ERROR', v_completed_at)::pgjobs.cancelled;
end
$$;
comment on function pgjobs.cancel is
    'Ends a QUEUED or RUNNING job with ERROR, reason CANCELLED; a worker that still runs it '
    'writes nothing any more. Errors: 22023, 22004, P0002, 23V02, 40001.';


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


-- Grants: callers may execute the functions of their role and read the views, nothing else; PUBLIC
-- has nothing. Functions run as their owner, so no caller needs a right on a table.
revoke all on schema pgjobs from public;
revoke all on all tables in schema pgjobs from public;
revoke all on all sequences in schema pgjobs from public;
revoke all on all functions in schema pgjobs from public;
revoke all on type
    pgjobs.recorded, pgjobs.enqueued, pgjobs.enqueued_element, pgjobs.claimed, pgjobs.completed,
    pgjobs.completed_element, pgjobs.released, pgjobs.rescued, pgjobs.cancelled
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
        pgjobs.claim, pgjobs.heartbeat, pgjobs.complete, pgjobs.complete_many,
        pgjobs.complete_and_claim, pgjobs.release
    to pgjobs_worker;

    grant execute on function
        pgjobs.cancel, pgjobs.rescue, pgjobs.wake
    to pgjobs_operator;

    grant select on
        pgjobs.verification_job, pgjobs.verification_verdict, pgjobs.verification_run,
        pgjobs.verification_attempt
    to pgjobs_reader, pgjobs_operator;
end
$$;


insert into pgjobs.migration (migration_id, checksum)
values ('0001.ledger', '27db55f03a0d2236586adabca56913ac63d1e3e26d5c2d23c40c1cf3640828d8');
