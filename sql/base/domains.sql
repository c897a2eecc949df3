-- What a value of a column can be, and the marks of claim.

-- Domains, since PostgreSQL prepares the CHECK of a column anew for every INSERT statement, that of
-- a domain once a session; none is a key.
create domain pgjobs.priority as smallint
    constraint job_priority_check check (value between 1 and 4);
comment on domain pgjobs.priority is '1 first, 4 last.';


create domain pgjobs.max_runs as smallint
    constraint job_max_runs_check check (value between 1 and 25);
comment on domain pgjobs.max_runs is 'How many runs a job may have in all, 1 to 25.';


create domain pgjobs.open_jobs as smallint
    constraint lane_open_jobs_check check (value between 1 and 100);
comment on domain pgjobs.open_jobs is 'Back-pressure: at most 100 open jobs per session.';


-- Marks are sequences, not rows: a row that claims update would leave dead versions that every
-- claim steps over while somebody holds an old snapshot. Setting one is not undone by a rollback. A
-- mark saves work, and no answer depends on it, but that there is nothing, on idle_at, for 0.1 s.
create sequence pgjobs.swept_at as bigint minvalue 0 start 0;
comment on sequence pgjobs.swept_at is
    'When a claim last looked for ended leases and delays: milliseconds since 1970.';
create sequence pgjobs.idle_at as bigint minvalue 0 start 0;
comment on sequence pgjobs.idle_at is
    'When a claim last looked at everything for long and found nothing: milliseconds since 1970.';
-- One a priority: a claim found nothing claimable up to this ready_no.
create sequence pgjobs.low_water_1 as bigint minvalue 0 start 0;
create sequence pgjobs.low_water_2 as bigint minvalue 0 start 0;
create sequence pgjobs.low_water_3 as bigint minvalue 0 start 0;
create sequence pgjobs.low_water_4 as bigint minvalue 0 start 0;
