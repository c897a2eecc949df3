-- The hot tables: where a session's open jobs stand. Rows come and go, so they have no foreign keys
-- and no triggers: only the functions of queue/ and decisions/review.sql write here.

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
);

comment on table pgjobs.lane is
    'Hot: a session with open jobs, and its head; the lock for adding and ending jobs.';
comment on column pgjobs.lane.head_job_id is
    'The first of its open jobs, or the job whose review is: the row of ready or lease.';


-- ready: the head of a session while nobody runs it: claimable, or delayed until its time comes.
-- One row per job (ready_job_id_pkey).
create table pgjobs.ready (
    job_id bigint not null,
    session_id uuid not null,
    attempt_id bigint not null,
    available_at timestamptz not null,
    ready_no bigint,
    review_id bigint,
    started_at timestamptz,
    priority smallint not null,
    run_no smallint,
    last_run_no smallint not null,
    worker text collate "C",
    lease_lost boolean,
    start_by timestamptz,
    constraint ready_job_id_pkey primary key (job_id)
);

-- Serves claim: the claimable heads in order.
create index ready_priority_ready_no_idx on pgjobs.ready (priority, ready_no)
    where ready_no is not null;
-- Serves the promotion of heads whose time has come.
create index ready_available_at_idx on pgjobs.ready (available_at) where ready_no is null;
-- Serves the expiry of jobs that nobody has begun.
create index ready_start_by_idx on pgjobs.ready (start_by) where start_by is not null;

comment on table pgjobs.ready is
    'Hot: the first open job of a session, claimable or delayed.';
comment on column pgjobs.ready.attempt_id is
    'Its attempt, so that claim need not look for it.';
comment on column pgjobs.ready.available_at is 'Not to be claimed before.';
comment on column pgjobs.ready.ready_no is
    'Place among the claimable heads of its priority, from the sequence of the jobs: the id of a '
    'new job that is its session''s head at once, else the next number; null while delayed.';
comment on column pgjobs.ready.review_id is
    'The review for which the job is judged again; null for its first verification.';
comment on column pgjobs.ready.started_at is 'When the latest run was claimed; null without one.';
comment on column pgjobs.ready.run_no is 'How many runs the job has had; null without one.';
comment on column pgjobs.ready.last_run_no is
    'The run that ends the job, or its review, when it is lost or released.';
comment on column pgjobs.ready.worker is 'Who claimed the latest run; null without one.';
comment on column pgjobs.ready.lease_lost is
    'Whether the latest run lost its lease; null without one.';
comment on column pgjobs.ready.start_by is
    'Not to be claimed from then on: the job''s, until its first run; null for a review.';


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
    lease_for integer not null,
    review_id bigint,
    priority smallint not null,
    run_no smallint not null,
    last_run_no smallint not null,
    worker text collate "C" not null,
    constraint lease_session_id_pkey primary key (session_id)
);

-- Serves rescue.
create index lease_lease_expires_at_idx on pgjobs.lease (lease_expires_at);

comment on table pgjobs.lease is 'Hot: the first open job of a session, running.';
comment on column pgjobs.lease.available_at is 'From when on it could be claimed.';
comment on column pgjobs.lease.lease_expires_at is
    'From then on the lease may be taken away.';
comment on column pgjobs.lease.lease_token is 'The holder of this token may write the verdict.';
comment on column pgjobs.lease.lease_for is
    'The granted length in milliseconds, to tell a lease of a clock that ran ahead.';
comment on column pgjobs.lease.review_id is
    'The review for which the job is judged again; null for its first verification.';
comment on column pgjobs.lease.run_no is 'How many runs the job has had, this one included.';


-- waiting: a session's open jobs and reviews behind its head, in the order of their coming.
create table pgjobs.waiting (
    session_id uuid not null,
    turn_no bigint not null,
    reviewed_job_id bigint,
    start_by timestamptz,
    constraint waiting_session_id_turn_no_pkey primary key (session_id, turn_no)
);

-- Serves the expiry of jobs that nobody has begun.
create index waiting_start_by_idx on pgjobs.waiting (start_by) where start_by is not null;

comment on table pgjobs.waiting is 'Hot: a session''s open jobs and reviews behind its head.';
comment on column pgjobs.waiting.turn_no is
    'The job, or the review: their ids come from one sequence.';
comment on column pgjobs.waiting.reviewed_job_id is
    'The job that the review is of; null for a job that waits for its first verification.';
