-- head: the one job or review of a session that is claimable, delayed or running. Guarantees: one
-- per session, hence one running job per session (head_session_id_pkey); exactly one of the three
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
    review_id bigint,
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
comment on column pgjobs.head.review_id is
    'The review for which the job is judged again; null for its first verification.';
comment on constraint head_session_id_pkey on pgjobs.head is
    'One head, so one running job, per session.';
comment on constraint head_lease_token_check on pgjobs.head is
    'A head is leased or claimable or delayed.';
comment on index pgjobs.head_priority_ready_no_idx is 'The claimable heads, in the order of claim.';
comment on index pgjobs.head_available_at_idx is 'The delayed heads, by when their time comes.';
comment on index pgjobs.head_lease_expires_at_idx is 'The leased heads, by the end of the lease.';
