create function pgjobs.cancel(
    job_id bigint,
    reason text,
    actor text
)
    returns pgjobs.cancelled
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_checked boolean;
    v_job pgjobs.job;
    v_completed_at timestamptz;
    v_head pgjobs.head;
    v_is_head boolean;
begin
    v_checked :=
        (cancel.job_id is not null or pgjobs._refuse_null('cancel', 'job_id'))
        and pgjobs._check_text('cancel', 'reason', cancel.reason)
        and pgjobs._check_text('cancel', 'actor', cancel.actor);
    v_job := pgjobs._find_job(cancel.job_id);
    v_head := pgjobs._lock_head(v_job.session_id);
    v_is_head := coalesce(v_head.job_id = cancel.job_id, false);
    if not v_is_head then
        v_head := null;
        delete from pgjobs.waiting as waiting
        where waiting.session_id = v_job.session_id and waiting.job_id = cancel.job_id;
        if not found then
            perform pgjobs._refuse('23V02');
        end if;
    end if;

    v_completed_at := greatest(v_job.created_at, v_head.started_at, clock_timestamp());
    insert into pgjobs.verdict (
        job_id, completed_at, started_at, lease_token, run_no, status, worker,
        error_reason, error_detail, actor
    )
    values (
        cancel.job_id, v_completed_at, v_head.started_at, v_head.lease_token,
        coalesce(v_head.run_no, 0), 'ERROR', v_head.worker, 'CANCELLED',
        cancel.reason, cancel.actor
    );
    if v_is_head then
        perform pgjobs._next_head(v_job.session_id);
    else
        perform pgjobs._leave_lane(v_job.session_id);
    end if;
    return (cancel.job_id, 'ERROR', v_completed_at)::pgjobs.cancelled;
end
$$;
comment on function pgjobs.cancel is
    'Ends a QUEUED or RUNNING job with ERROR, reason CANCELLED; a worker that still runs it '
    'writes nothing any more. Errors: 22023, 22004, P0002, 23V02, 40001.';
