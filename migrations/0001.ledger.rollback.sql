-- Undoes 0001.ledger. Refuses while a later migration is there; and while there are ledger rows,
-- unless the operator says, in the same transaction: set local pgjobs.force_rollback = on. It
-- holds the tables from that question to the drop. The group roles stay: they belong to the
-- cluster, and other databases may use them.
-- Locks on what exists: ACCESS EXCLUSIVE on every table and view of the schema.

do $migration$
begin

-- How every part begins. It runs with its own role and settings, and end.sql puts back those it has
-- found, because the rest of the transaction may be another tool's.
do $$
begin
    perform
        pg_catalog.set_config(
            'pgjobs.former_search_path', pg_catalog.current_setting('search_path'), true
        ),
        pg_catalog.set_config(
            'pgjobs.former_lock_timeout', pg_catalog.current_setting('lock_timeout'), true
        ),
        pg_catalog.set_config('pgjobs.former_role', pg_catalog.current_setting('role'), true);
end
$$;
set local lock_timeout = '500ms';
-- Names below mean PostgreSQL's own, whatever stands in the installing session's path.
set local search_path = pg_catalog, pg_temp;

-- Where the schema is there already, the rest is done as its owner, whoever of its members runs it.
do $$
begin
    perform set_config('role', pg_get_userbyid(namespace.nspowner), true)
    from pg_namespace as namespace
    where namespace.nspname = 'pgjobs';
end
$$;


lock table
    pgjobs.lab_attempt, pgjobs.attempt_detail, pgjobs.job, pgjobs.job_payload, pgjobs.verdict,
    pgjobs.verdict_summary, pgjobs.aborted_run, pgjobs.backfill, pgjobs.migration, pgjobs.lane,
    pgjobs.ready, pgjobs.lease, pgjobs.waiting, pgjobs.artifact, pgjobs.body, pgjobs.review,
    pgjobs.review_result, pgjobs.review_summary, pgjobs.amendment, pgjobs.hold, pgjobs.expiry
in access exclusive mode;

if exists (select from pgjobs.migration where migration_id > '0001.ledger') then
    raise exception 'a later migration is there, and stands on this one'
        using errcode = '55000', schema = 'pgjobs', table = 'migration',
              constraint = 'migration_migration_id_pkey',
              hint = 'Undo the later ones first, the newest before the others: '
                     'select migration_id from pgjobs.migration.';
end if;
if (exists (select from pgjobs.lab_attempt) or exists (select from pgjobs.hold))
    and current_setting('pgjobs.force_rollback', true) is distinct from 'on'
then
    raise exception 'the ledger has rows, and this rollback would destroy them'
        using errcode = '55000', schema = 'pgjobs', table = 'lab_attempt',
              constraint = 'lab_attempt_append_only',
              hint = 'Dump it; then: set local pgjobs.force_rollback = on, or rollback --force.';
end if;

drop function
    pgjobs._refuse, pgjobs._refuse_argument, pgjobs._is_commit_sha, pgjobs._is_text,
    pgjobs._is_document, pgjobs._is_duration, pgjobs._has_size, pgjobs._bad_push, pgjobs._bad_claim,
    pgjobs._bad_verdict, pgjobs._bad_order, pgjobs._bad_decision, pgjobs._find_job, pgjobs._status,
    pgjobs.record_attempt, pgjobs._find_attempt, pgjobs._add_attempt, pgjobs.enqueue,
    pgjobs._enqueue, pgjobs.wake, pgjobs.enqueue_many, pgjobs._enqueue_new, pgjobs.claim,
    pgjobs._take_lease, pgjobs._check_snapshot, pgjobs._refuse_lease, pgjobs._leave_lane,
    pgjobs._add_ready, pgjobs._promote, pgjobs._next_head, pgjobs.heartbeat, pgjobs.heartbeat_many,
    pgjobs.release, pgjobs.rescue, pgjobs._sweep, pgjobs._take_leases, pgjobs._end_run,
    pgjobs.revoke_lease, pgjobs._expire_jobs, pgjobs.complete, pgjobs.complete_and_claim,
    pgjobs._complete, pgjobs.complete_many, pgjobs.cancel, pgjobs.read_artifact,
    pgjobs.add_artifact, pgjobs._keep_body, pgjobs.reverify, pgjobs._answer_review, pgjobs._is_open,
    pgjobs.amend, pgjobs._add_amendment, pgjobs._effective_status, pgjobs.hold, pgjobs.lift_hold,
    pgjobs._decide_hold, pgjobs._is_held, pgjobs.expire_artifacts, pgjobs.expire_details,
    pgjobs.expire_locations, pgjobs.erase_session, pgjobs._old_bodies, pgjobs._is_needed,
    pgjobs._has_expired, pgjobs._details, pgjobs._held_details, pgjobs._expire,
    pgjobs._begin_retention, pgjobs._expire_before, pgjobs.get_job, pgjobs.is_passed,
    pgjobs.attempts, pgjobs.timeline, pgjobs.why_waiting, pgjobs.metrics;
drop view
    pgjobs.verification_verdict, pgjobs.verification_job, pgjobs.verification_attempt,
    pgjobs.verification_run, pgjobs.verification_artifact, pgjobs.verification_hold,
    pgjobs.verification_amendment, pgjobs.verification_review;
drop table
    pgjobs.lab_attempt, pgjobs.attempt_detail, pgjobs.job, pgjobs.job_payload, pgjobs.verdict,
    pgjobs.verdict_summary, pgjobs.aborted_run, pgjobs.backfill, pgjobs.migration, pgjobs.lane,
    pgjobs.ready, pgjobs.lease, pgjobs.waiting, pgjobs.artifact, pgjobs.body, pgjobs.review,
    pgjobs.review_result, pgjobs.review_summary, pgjobs.amendment, pgjobs.hold, pgjobs.expiry;
drop function pgjobs._guard_ledger, pgjobs._guard_detail, pgjobs._is_same_person;
drop sequence
    pgjobs.swept_at, pgjobs.idle_at, pgjobs.low_water_1, pgjobs.low_water_2, pgjobs.low_water_3,
    pgjobs.low_water_4;
drop type
    pgjobs.recorded, pgjobs.enqueued, pgjobs.enqueued_element, pgjobs.claimed,
    pgjobs.heartbeat_element, pgjobs.released, pgjobs.rescued, pgjobs.completed_element,
    pgjobs.completed, pgjobs.cancelled, pgjobs.artifact_added, pgjobs.reviewed_element,
    pgjobs.amended, pgjobs.held, pgjobs.artifacts_expired, pgjobs.details_expired,
    pgjobs.location_expired, pgjobs.details_erased, pgjobs.event, pgjobs.waiting_reason,
    pgjobs.metric;
drop domain pgjobs.priority, pgjobs.max_runs, pgjobs.open_jobs;
drop schema pgjobs;


-- How every part ends: with the role and the settings that begin.sql has found.
do $$
begin
    perform
        set_config('role', current_setting('pgjobs.former_role'), true),
        set_config('lock_timeout', current_setting('pgjobs.former_lock_timeout'), true),
        set_config('search_path', current_setting('pgjobs.former_search_path'), true);
end
$$;

end
$migration$;
