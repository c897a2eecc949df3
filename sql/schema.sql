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
    payload jsonb,
    review_id bigint
);
comment on type pgjobs.claimed is
    'Answer of claim: a run of a job under a lease; review_id is null unless the job is judged '
    'again.';


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
comment on type pgjobs.cancelled is
    'Answer of cancel: the status is ERROR; of a cancelled review the verdict''s, which stands.';


create type pgjobs.artifact_added as (
    artifact_id bigint,
    sha256 bytea,
    size_bytes bigint,
    created boolean
);
comment on type pgjobs.artifact_added is
    'Answer of add_artifact: created is true for the one call that recorded it.';


create type pgjobs.amended as (
    amendment_id bigint,
    job_id bigint,
    effective_status text,
    amended_at timestamptz
);
comment on type pgjobs.amended is 'Answer of amend.';


create type pgjobs.reviewed_element as (
    ordinal integer,
    job_id bigint,
    review_id bigint,
    outcome text
);
comment on type pgjobs.reviewed_element is
    'Answer of reverify for one element, counted from 1: queued, not_final, already_queued or '
    'not_found.';


create type pgjobs.artifacts_expired as (
    artifacts bigint,
    bodies bigint,
    bytes bigint
);
comment on type pgjobs.artifacts_expired is
    'Answer of expire_artifacts: bodies dropped, the artifacts that were theirs, and their bytes.';


create type pgjobs.details_expired as (
    kind text,
    details bigint
);
comment on type pgjobs.details_expired is
    'Answer of expire_details: how many rows of a kind were dropped.';


create type pgjobs.event as (
    at timestamptz,
    event text,
    run_no integer,
    actor text,
    detail jsonb
);
comment on type pgjobs.event is 'Answer of timeline: what happened to a commit.';


create type pgjobs.waiting_reason as (
    reason text,
    detail jsonb
);
comment on type pgjobs.waiting_reason is 'Answer of why_waiting.';


create type pgjobs.finding as (
    severity text,
    object text,
    finding text,
    hint text
);
comment on type pgjobs.finding is
    'Answer of verify: severity is error, warning or info.';


create type pgjobs.bodies_verified as (
    bodies bigint,
    last_body_id bigint,
    wrong bigint[]
);
comment on type pgjobs.bodies_verified is
    'Answer of verify_bodies: last_body_id is null when there are no more; wrong has body ids.';


create type pgjobs.session_link as (
    state text,
    orphans bigint,
    examples uuid[]
);
comment on type pgjobs.session_link is
    'Answer of link_lab_sessions: examples are at most ten of the orphans.';


-- Marks are sequences, not rows: a row that claims update would leave dead versions that every
-- claim steps over while somebody holds an old snapshot. Setting one is not undone by a rollback. A
-- mark saves work, and no answer depends on it, but that there is nothing, on idle_at, for 0.1 s.
create sequence pgjobs.swept_at as bigint minvalue 0 start 0;
comment on sequence pgjobs.swept_at is
    'When a claim last looked for ended leases and delays: milliseconds since 1970.';
create sequence pgjobs.idle_at as bigint minvalue 0 start 0;
comment on sequence pgjobs.idle_at is
    'When a claim last looked at everything for long and found nothing: milliseconds since 1970.';
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
