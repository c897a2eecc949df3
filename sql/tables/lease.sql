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
