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
