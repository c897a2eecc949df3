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
