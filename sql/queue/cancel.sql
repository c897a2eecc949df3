create type pgjobs.cancelled as (
    job_id bigint,
    status text,
    completed_at timestamptz
);
comment on type pgjobs.cancelled is
    'Answer of cancel: the status is ERROR; of a cancelled review the verdict''s, which stands.';


create function pgjobs.cancel(
    job_id bigint,
    reason text,
    actor text
)
    returns pgjobs.cancelled
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_bad text;
    v_job pgjobs.job;
    v_ended_at timestamptz;
    v_status text;
    v_lease pgjobs.lease;
    v_ready pgjobs.ready;
    v_started_at timestamptz;
    v_run_no smallint;
    v_worker text;
    v_review_id bigint;
    v_is_head boolean := true;
begin
    v_bad := case
        when cancel.job_id is null then 'job_id'
        when pgjobs._is_text(cancel.reason) is not true then 'reason'
        when pgjobs._is_text(cancel.actor) is not true then 'actor'
    end;
    if v_bad is not null then
        perform pgjobs._refuse_argument('cancel', v_bad, jsonb_build_object(
            'reason', cancel.reason, 'actor', cancel.actor
        ));
    end if;
    v_job := pgjobs._find_job(cancel.job_id);
    -- The lane's lock keeps the head its head; claim and release still move it between lease and
    -- ready. Who finds it gone from both has met such a move, and looks again.
    perform from pgjobs.lane as lane where lane.session_id = v_job.session_id for update;
    loop
        delete from pgjobs.lease as lease
        where lease.session_id = v_job.session_id and lease.job_id = cancel.job_id
        returning lease.* into v_lease;
        exit when found;
        delete from pgjobs.ready as ready
        where ready.job_id = cancel.job_id
        returning ready.* into v_ready;
        exit when found;
        v_is_head := exists (
            select from pgjobs.ready as ready where ready.job_id = cancel.job_id
            union all
            select from pgjobs.lease as lease
            where lease.session_id = v_job.session_id and lease.job_id = cancel.job_id
        );
        exit when not v_is_head;
    end loop;
    v_started_at := coalesce(v_lease.started_at, v_ready.started_at);
    v_run_no := coalesce(v_lease.run_no, v_ready.run_no);
    v_worker := coalesce(v_lease.worker, v_ready.worker);
    v_review_id := coalesce(v_lease.review_id, v_ready.review_id);
    if not v_is_head then
        delete from pgjobs.waiting as waiting
        where waiting.session_id = v_job.session_id
            and (waiting.turn_no = cancel.job_id or waiting.reviewed_job_id = cancel.job_id)
        returning case when waiting.reviewed_job_id is not null then waiting.turn_no end
        into v_review_id;
        if not found then
            perform pgjobs._refuse('verdict_final');
        end if;
    end if;

    v_ended_at := greatest(v_job.created_at, v_started_at, clock_timestamp());
    if v_review_id is null then
        v_status := 'ERROR';
        insert into pgjobs.verdict (
            job_id, completed_at, started_at, lease_token, run_no, status, worker,
            error_reason, error_detail, actor, login
        )
        values (
            cancel.job_id, v_ended_at, v_started_at, v_lease.lease_token,
            coalesce(v_run_no, 0), v_status, v_worker, 'CANCELLED',
            cancel.reason, cancel.actor, session_user
        );
    else
        v_status := pgjobs._status(v_job.session_id, cancel.job_id);
        insert into pgjobs.review_result (
            review_id, job_id, ended_at, started_at, lease_token, run_no, outcome, worker,
            detail, actor, login
        )
        select
            review.review_id, cancel.job_id, v_ended_at, v_started_at, v_lease.lease_token,
            coalesce(v_run_no, review.runs_before), 'CANCELLED', v_worker,
            cancel.reason, cancel.actor, session_user
        from pgjobs.review as review
        where review.review_id = v_review_id;
    end if;
    if v_is_head then
        perform pgjobs._next_head(v_job.session_id);
    else
        perform pgjobs._leave_lane(v_job.session_id);
    end if;
    return (cancel.job_id, v_status, v_ended_at)::pgjobs.cancelled;
end
$$;
comment on function pgjobs.cancel is
    'Ends a QUEUED or RUNNING job with ERROR, reason CANCELLED, or the review of a finished one, '
    'whose status stays; a worker that still runs it writes nothing any more. Errors: 22023, '
    '22004, P0002, 23V02, 40001.';
