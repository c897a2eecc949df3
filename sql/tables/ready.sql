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
