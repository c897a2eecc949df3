-- aborted_run: a run that ended without a verdict. Guarantees: one record per run
-- (aborted_run_job_id_run_no_pkey), no change ever (the guards). Infrastructure trouble ends here,
-- never in a FAILED.
create table pgjobs.aborted_run (
    job_id bigint not null,
    started_at timestamptz not null,
    ended_at timestamptz not null,
    run_no smallint not null,
    outcome text collate "C" not null,
    worker text collate "C" not null,
    reason text,
    actor text,
    login text collate "C",
    constraint aborted_run_job_id_run_no_pkey primary key (job_id, run_no),
    constraint aborted_run_job_id_fkey foreign key (job_id) references pgjobs.job (job_id),
    constraint aborted_run_run_no_check check (run_no >= 1),
    constraint aborted_run_outcome_check check (
        outcome in ('LEASE_LOST', 'RELEASED', 'INTERRUPTED', 'REVOKED')
    ),
    constraint aborted_run_reason_check check ((outcome = 'LEASE_LOST') = (reason is null)),
    constraint aborted_run_actor_check check (
        num_nonnulls(actor, login) = case outcome when 'REVOKED' then 2 else 0 end
    )
);

comment on table pgjobs.aborted_run is 'Ledger: a run that ended without a verdict.';
comment on column pgjobs.aborted_run.ended_at is 'When the lease was taken away or given back.';
comment on column pgjobs.aborted_run.outcome is
    'LEASE_LOST, RELEASED, or not counted against max_runs: INTERRUPTED, released by a worker that '
    'stops, and REVOKED by an operator.';
comment on column pgjobs.aborted_run.login is
    'The database login, session_user, of who revoked the lease.';
