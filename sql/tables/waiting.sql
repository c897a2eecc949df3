-- waiting: a session's open jobs behind its head, in the order of enqueuing.
create table pgjobs.waiting (
    session_id uuid not null,
    job_id bigint not null,
    constraint waiting_session_id_job_id_pkey primary key (session_id, job_id)
) with (vacuum_truncate = off);

comment on table pgjobs.waiting is 'Hot: a session''s open jobs behind its head.';
comment on column pgjobs.waiting.session_id is 'The lab session.';
comment on column pgjobs.waiting.job_id is 'The job.';
comment on constraint waiting_session_id_job_id_pkey on pgjobs.waiting is
    'Serves "the lowest waiting job of a session".';


-- A plan made while a hot table is empty must be the plan for a full one: a table of no pages is
-- read whole, and that plan then lives on in its session. Sixteen pages, which vacuum keeps, make
-- the index the cheaper way from the first day.
insert into pgjobs.lane (session_id, open_jobs)
select gen_random_uuid(), 1 from generate_series(1, 3000);
insert into pgjobs.head (session_id, job_id, available_at, priority)
select gen_random_uuid(), 0, now(), 1 from generate_series(1, 1600);
insert into pgjobs.waiting (session_id, job_id)
select gen_random_uuid(), 0 from generate_series(1, 3000);
delete from pgjobs.lane;
delete from pgjobs.head;
delete from pgjobs.waiting;
