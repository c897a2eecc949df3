-- Grants: callers may execute the functions of their role and read the views, nothing else; PUBLIC
-- has nothing. Functions run as their owner, so no caller needs a right on a table.
revoke all on schema pgjobs from public;
revoke all on all tables in schema pgjobs from public;
revoke all on all sequences in schema pgjobs from public;
revoke all on all functions in schema pgjobs from public;
revoke all on type
    pgjobs.recorded, pgjobs.enqueued, pgjobs.enqueued_element, pgjobs.claimed, pgjobs.completed,
    pgjobs.completed_element, pgjobs.released, pgjobs.rescued, pgjobs.cancelled,
    pgjobs.artifact_added, pgjobs.amended, pgjobs.reviewed_element, pgjobs.artifacts_expired,
    pgjobs.details_expired, pgjobs.event, pgjobs.waiting_reason, pgjobs.finding,
    pgjobs.bodies_verified, pgjobs.session_link,
    pgjobs.priority, pgjobs.max_runs, pgjobs.open_jobs
from public;

do $$
begin
    if to_regrole('pgjobs_app') is null
        or to_regrole('pgjobs_worker') is null
        or to_regrole('pgjobs_reader') is null
        or to_regrole('pgjobs_operator') is null
    then
        raise notice 'installed without the group roles; % owns everything', current_user
            using hint = 'Create pgjobs_app, pgjobs_worker, pgjobs_reader and pgjobs_operator and '
                         'run the grants of sql/grants.sql, or grant the same to other roles.';
        return;
    end if;

    grant usage on schema pgjobs to pgjobs_app, pgjobs_worker, pgjobs_reader, pgjobs_operator;

    grant execute on function
        pgjobs.enqueue, pgjobs.enqueue_many, pgjobs.record_attempt, pgjobs.get_job,
        pgjobs.wake
    to pgjobs_app;

    grant execute on function
        pgjobs.is_passed, pgjobs.timeline, pgjobs.why_waiting
    to pgjobs_app, pgjobs_reader, pgjobs_operator;

    grant execute on function
        pgjobs.claim, pgjobs.heartbeat, pgjobs.complete, pgjobs.complete_many,
        pgjobs.complete_and_claim, pgjobs.release, pgjobs.add_artifact
    to pgjobs_worker;

    grant execute on function
        pgjobs.cancel, pgjobs.rescue, pgjobs.wake, pgjobs.amend, pgjobs.reverify,
        pgjobs.expire_artifacts, pgjobs.expire_details, pgjobs.verify, pgjobs.verify_bodies,
        pgjobs.link_lab_sessions, pgjobs.unlink_lab_sessions
    to pgjobs_operator;

    grant execute on function pgjobs.read_artifact to pgjobs_reader, pgjobs_operator;

    grant select on
        pgjobs.verification_job, pgjobs.verification_verdict, pgjobs.verification_run,
        pgjobs.verification_attempt, pgjobs.verification_artifact,
        pgjobs.verification_amendment, pgjobs.verification_review
    to pgjobs_reader, pgjobs_operator;
end
$$;
