-- setback: a run that ended without a verdict. Guarantees: one record per run
-- (setback_job_id_run_no_pkey), no change ever (the guards). Infrastructure trouble ends here,
-- never in a FAILED.
create table pgjobs.setback (
    job_id bigint not null,
    started_at timestamptz not null,
    ended_at timestamptz not null,
    run_no smallint not null,
    outcome text collate "C" not null,
    worker text collate "C" not null,
    reason text,
    constraint setback_job_id_run_no_pkey primary key (job_id, run_no),
    constraint setback_job_id_fkey foreign key (job_id) references pgjobs.job (job_id),
    constraint setback_run_no_check check (run_no >= 1),
    constraint setback_outcome_check check (outcome in ('LEASE_LOST', 'RELEASED')),
    constraint setback_reason_check check ((outcome = 'RELEASED') = (reason is not null))
) with (
    vacuum_truncate = off,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_freeze_min_age = 0
);

comment on table pgjobs.setback is 'Ledger: a run that ended without a verdict.';
comment on column pgjobs.setback.job_id is 'The job.';
comment on column pgjobs.setback.started_at is 'When the run was claimed.';
comment on column pgjobs.setback.ended_at is 'When the lease was taken away or given back.';
comment on column pgjobs.setback.run_no is 'The run, counted from 1.';
comment on column pgjobs.setback.outcome is 'LEASE_LOST or RELEASED.';
comment on column pgjobs.setback.worker is 'Who had claimed it.';
comment on column pgjobs.setback.reason is 'The reason given to release.';
comment on constraint setback_job_id_run_no_pkey on pgjobs.setback is 'One record per run.';
comment on constraint setback_job_id_fkey on pgjobs.setback is 'A run belongs to a job.';
comment on constraint setback_run_no_check on pgjobs.setback is 'From 1.';
comment on constraint setback_outcome_check on pgjobs.setback is
    'The two ways to end without a verdict.';
comment on constraint setback_reason_check on pgjobs.setback is 'A reason exactly for a release.';

create trigger setback_append_only before update or delete on pgjobs.setback
    for each row execute function pgjobs._guard_ledger();
create trigger setback_no_truncate before truncate on pgjobs.setback
    for each statement execute function pgjobs._guard_ledger();
alter table pgjobs.setback enable always trigger setback_append_only;
alter table pgjobs.setback enable always trigger setback_no_truncate;
comment on trigger setback_append_only on pgjobs.setback is 'Refuses UPDATE and DELETE with 23V01.';
comment on trigger setback_no_truncate on pgjobs.setback is 'Refuses TRUNCATE with 23V01.';
