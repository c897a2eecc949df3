-- complete and complete_many, once the arguments are known to be good. The lane's lock decides
-- between complete, cancel and the last release or rescue; the lease's lock between complete and
-- the taking of the lease. Who comes second finds the token gone.
create function pgjobs._complete(
    job_id bigint,
    lease_token uuid,
    status text,
    summary jsonb,
    ordinal integer default null
)
    returns pgjobs.completed_element
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_session_id uuid;
    v_lease pgjobs.lease;
    v_verdict pgjobs.verdict;
    v_result pgjobs.review_result;
    v_completed_at timestamptz;
    v_summary_sha256 bytea := sha256(convert_to(summary::text, 'UTF8'));
begin
    select job.session_id into v_session_id
    from pgjobs.job as job
    where job.job_id = _complete.job_id;
    if not found then
        return (ordinal, job_id, null, null, 'not_found')::pgjobs.completed_element;
    end if;

    v_lease := pgjobs._take_lease(v_session_id, job_id, lease_token);
    if v_lease.job_id is not null then
        v_completed_at := greatest(v_lease.started_at, clock_timestamp());
        if v_lease.review_id is not null then
            perform pgjobs._answer_review(v_lease, v_completed_at, status, summary);
        else
            insert into pgjobs.verdict (
                job_id, completed_at, started_at, lease_token, run_no, status, worker,
                error_reason, summary_sha256
            )
            values (
                _complete.job_id, v_completed_at, v_lease.started_at, v_lease.lease_token,
                v_lease.run_no, _complete.status, v_lease.worker,
                case when _complete.status = 'ERROR' then 'REPORTED' end, v_summary_sha256
            );
            if summary is not null then
                insert into pgjobs.verdict_summary (job_id, summary)
                values (_complete.job_id, _complete.summary);
            end if;
        end if;
        perform pgjobs._next_head(v_session_id);
        return (ordinal, job_id, status, v_completed_at, 'completed')::pgjobs.completed_element;
    end if;

    select verdict.* into v_verdict
    from pgjobs.verdict as verdict
    where verdict.job_id = _complete.job_id;
    if not found then
        return (ordinal, job_id, null, null, 'lease_lost')::pgjobs.completed_element;
    elsif v_verdict.lease_token = lease_token
        and v_verdict.status = status
        and v_verdict.summary_sha256 is not distinct from v_summary_sha256
        and v_verdict.actor is null
    then
        return (
            ordinal, job_id, status, v_verdict.completed_at, 'replayed'
        )::pgjobs.completed_element;
    end if;

    select result.* into v_result
    from pgjobs.review_result as result
    where result.review_id = (
        select review.review_id
        from pgjobs.review as review
        where review.job_id = _complete.job_id
        order by review.review_no desc
        limit 1
    );
    if v_result.lease_token = lease_token
        and v_result.outcome = status
        and v_result.summary_sha256 is not distinct from v_summary_sha256
    then
        return (
            ordinal, job_id, status, v_result.ended_at, 'replayed'
        )::pgjobs.completed_element;
    end if;
    return (
        ordinal, job_id, v_verdict.status, v_verdict.completed_at,
        case
            when exists (
                select from pgjobs.lane as lane
                where lane.session_id = v_session_id and lane.head_job_id = _complete.job_id
            ) then 'lease_lost'
            else 'verdict_final'
        end
    )::pgjobs.completed_element;
end
$$;
comment on function pgjobs._complete is
    'Writes a verdict, or the answer of a review, under a lease, or says why not. replayed: the '
    'very call that wrote it, once more.';
