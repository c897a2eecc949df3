-- Undoes 0001.ledger. Refuses while a later migration is there; and while there are ledger rows,
-- unless the operator says, in the same session: set pgjobs.force_rollback = on. It holds the
-- tables from that question to the drop. The group roles stay: they belong to the cluster, and
-- other databases may use them.
set local lock_timeout = '500ms';
set local search_path = pg_catalog, pg_temp;

lock table
    pgjobs.lab_attempt, pgjobs.attempt_detail, pgjobs.job, pgjobs.job_payload, pgjobs.verdict,
    pgjobs.verdict_summary, pgjobs.setback, pgjobs.lane, pgjobs.ready, pgjobs.lease,
    pgjobs.waiting, pgjobs.migration
in access exclusive mode;

do $$
begin
    if exists (select from pgjobs.migration where migration_id > '0001.ledger') then
        raise exception 'a later migration is there, and stands on this one'
            using errcode = '55000', schema = 'pgjobs', table = 'migration',
                  constraint = 'migration_migration_id_pkey',
                  hint = 'Undo the later ones first, the newest before the others: '
                         'select migration_id from pgjobs.migration.';
    end if;
    if exists (select from pgjobs.lab_attempt)
        and current_setting('pgjobs.force_rollback', true) is distinct from 'on'
    then
        raise exception 'the ledger has rows, and this rollback would destroy them'
            using errcode = '55000', schema = 'pgjobs', table = 'lab_attempt',
                  constraint = 'lab_attempt_append_only',
                  hint = 'Dump it; then: set pgjobs.force_rollback = on, or rollback --force.';
    end if;
end
$$;

drop view
    pgjobs.verification_run, pgjobs.verification_attempt, pgjobs.verification_artifact,
    pgjobs.verification_amendment, pgjobs.verification_review, pgjobs._installed;
drop function
    pgjobs.enqueue, pgjobs.enqueue_many, pgjobs.record_attempt, pgjobs.get_job, pgjobs.claim,
    pgjobs.heartbeat, pgjobs.complete, pgjobs.complete_many, pgjobs.complete_and_claim,
    pgjobs.release, pgjobs.rescue, pgjobs.cancel, pgjobs.wake, pgjobs.amend, pgjobs.reverify,
    pgjobs.add_artifact, pgjobs.read_artifact, pgjobs.expire_artifacts, pgjobs.expire_details,
    pgjobs.is_passed, pgjobs.timeline, pgjobs.why_waiting, pgjobs.verify, pgjobs.verify_bodies,
    pgjobs.link_lab_sessions, pgjobs.unlink_lab_sessions;
drop function
    pgjobs._add_amendment, pgjobs._add_attempt, pgjobs._add_ready, pgjobs._answer_review,
    pgjobs._check_artifact, pgjobs._check_batch, pgjobs._check_claim, pgjobs._check_commit_sha,
    pgjobs._check_decision, pgjobs._check_document, pgjobs._check_duration, pgjobs._check_expiry,
    pgjobs._check_no_null, pgjobs._check_push, pgjobs._check_snapshot, pgjobs._check_status,
    pgjobs._check_text, pgjobs._check_verdict, pgjobs._complete, pgjobs._effective_status,
    pgjobs._end_run, pgjobs._enqueue, pgjobs._enqueue_new, pgjobs._expire, pgjobs._find_attempt,
    pgjobs._find_job, pgjobs._is_commit_sha, pgjobs._is_open, pgjobs._is_shared, pgjobs._is_text,
    pgjobs._keep_body, pgjobs._last_run_no, pgjobs._leave_lane, pgjobs._next_head,
    pgjobs._old_bodies, pgjobs._old_details, pgjobs._promote, pgjobs._refuse,
    pgjobs._refuse_argument, pgjobs._refuse_lease, pgjobs._refuse_null, pgjobs._status,
    pgjobs._sweep, pgjobs._take_lease, pgjobs._take_leases, pgjobs._verify_ledger,
    pgjobs._verify_objects, pgjobs._verify_open_jobs, pgjobs._verify_roles, pgjobs._verify_server;
drop view pgjobs.verification_job, pgjobs.verification_verdict;
drop table
    pgjobs.fingerprint, pgjobs.migration, pgjobs.waiting, pgjobs.ready, pgjobs.lease,
    pgjobs.lane, pgjobs.backfill, pgjobs.expiry, pgjobs.body, pgjobs.artifact, pgjobs.amendment,
    pgjobs.review_summary, pgjobs.review_result, pgjobs.review, pgjobs.setback,
    pgjobs.verdict_summary, pgjobs.verdict, pgjobs.job_payload, pgjobs.job,
    pgjobs.attempt_detail, pgjobs.lab_attempt;
drop function pgjobs._guard_ledger, pgjobs._guard_detail;
drop sequence
    pgjobs.swept_at, pgjobs.idle_at, pgjobs.low_water_1, pgjobs.low_water_2, pgjobs.low_water_3,
    pgjobs.low_water_4;
drop type
    pgjobs.recorded, pgjobs.enqueued, pgjobs.enqueued_element, pgjobs.claimed, pgjobs.completed,
    pgjobs.completed_element, pgjobs.released, pgjobs.rescued, pgjobs.cancelled,
    pgjobs.artifact_added, pgjobs.amended, pgjobs.reviewed_element, pgjobs.artifacts_expired,
    pgjobs.details_expired, pgjobs.event, pgjobs.waiting_reason, pgjobs.finding,
    pgjobs.bodies_verified, pgjobs.session_link;
drop domain pgjobs.priority, pgjobs.max_runs, pgjobs.open_jobs;
drop schema pgjobs;
