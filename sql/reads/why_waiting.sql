create type pgjobs.waiting_reason as (
    reason text,
    detail jsonb
);
comment on type pgjobs.waiting_reason is 'Answer of why_waiting.';


create function pgjobs.why_waiting(job_id bigint)
    returns pgjobs.waiting_reason
    language plpgsql stable security definer
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    c_most constant integer := 1000;
    v_now timestamptz := clock_timestamp();
    v_job pgjobs.job;
    v_verdict pgjobs.verdict;
    v_head_job_id bigint;
    v_ready pgjobs.ready;
    v_lease pgjobs.lease;
    v_review_id bigint;
    v_ahead integer;
    v_reason text;
    v_detail jsonb;
begin
    if why_waiting.job_id is null then
        perform pgjobs._refuse_argument('why_waiting', 'job_id');
    end if;
    v_job := pgjobs._find_job(why_waiting.job_id);
    select verdict.* into v_verdict
    from pgjobs.verdict as verdict
    where verdict.job_id = why_waiting.job_id;

    if v_verdict.job_id is not null and not pgjobs._is_open(why_waiting.job_id) then
        v_reason := 'final';
        v_detail := jsonb_build_object(
            'status', v_verdict.status, 'completed_at', v_verdict.completed_at,
            'effective_status', pgjobs._effective_status(why_waiting.job_id)
        );
        return (v_reason, jsonb_strip_nulls(v_detail))::pgjobs.waiting_reason;
    end if;

    select lane.head_job_id into v_head_job_id
    from pgjobs.lane as lane
    where lane.session_id = v_job.session_id;
    select lease.* into v_lease
    from pgjobs.lease as lease
    where lease.session_id = v_job.session_id;
    select ready.* into v_ready
    from pgjobs.ready as ready
    where ready.job_id = why_waiting.job_id;
    if v_head_job_id is distinct from why_waiting.job_id then
        select waiting.turn_no into v_review_id
        from pgjobs.waiting as waiting
        where waiting.session_id = v_job.session_id
            and waiting.reviewed_job_id = why_waiting.job_id;
        select count(*) into v_ahead
        from pgjobs.waiting as waiting
        where waiting.session_id = v_job.session_id
            and waiting.turn_no < coalesce(v_review_id, why_waiting.job_id);
        v_reason := 'session_busy';
        v_detail := jsonb_build_object(
            'job_id', v_head_job_id, 'ahead', v_ahead + 1, 'review_id', v_review_id,
            'running', v_lease.job_id is not null
        );
    elsif v_lease.job_id is not null then
        v_reason := case when v_lease.lease_expires_at > v_now then 'running' else 'lease_over' end;
        v_detail := jsonb_build_object(
            'worker', v_lease.worker, 'run_no', v_lease.run_no, 'started_at', v_lease.started_at,
            'lease_expires_at', v_lease.lease_expires_at, 'review_id', v_lease.review_id
        );
    elsif v_ready.ready_no is null and v_ready.available_at > v_now then
        v_reason := 'delayed';
        v_detail := jsonb_build_object(
            'available_at', v_ready.available_at, 'run_no', coalesce(v_ready.run_no, 0),
            'review_id', v_ready.review_id
        );
    else
        -- Counted up to a bound: a long queue is not read through.
        select count(*) into v_ahead
        from (
            select from pgjobs.ready as ready
            where ready.ready_no is not null
                and (
                    ready.priority < v_ready.priority
                    or (ready.priority = v_ready.priority and ready.ready_no < v_ready.ready_no)
                )
            order by ready.priority, ready.ready_no
            limit c_most
        ) as place;
        v_reason := case v_ahead when 0 then 'next' else 'behind' end;
        v_detail := jsonb_build_object(
            'ahead', nullif(v_ahead, 0), 'at_least', nullif(v_ahead = c_most, false),
            'priority', v_ready.priority, 'review_id', v_ready.review_id
        );
    end if;
    return (v_reason, jsonb_strip_nulls(v_detail))::pgjobs.waiting_reason;
end
$$;
comment on function pgjobs.why_waiting is
    'Why a job, or its review, is not done yet, in one word with its detail: final; session_busy '
    '(job_id: the session''s head; ahead: how many of the session); running; lease_over (any claim '
    'will take it); delayed; behind (ahead: claimable ones before it, counted up to 1,000); next. '
    'Errors: 22004, P0002.';
