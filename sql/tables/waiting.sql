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
