create type pgjobs.completed_element as (
    ordinal integer,
    job_id bigint,
    status text,
    completed_at timestamptz,
    outcome text
);
comment on type pgjobs.completed_element is
    'Answer of _complete, and of complete_many for one element: completed, replayed, lease_lost, '
    'verdict_final or not_found.';


create type pgjobs.completed as (
    job_id bigint,
    status text,
    completed_at timestamptz,
    replayed boolean
);
comment on type pgjobs.completed is
    'Answer of complete: replayed is true when this very call had already succeeded.';


create function pgjobs.complete(
    job_id bigint,
    lease_token uuid,
    status text,
    summary jsonb default null,
    reason text default null
)
    returns pgjobs.completed
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_bad text := pgjobs._bad_verdict(job_id, lease_token, status, summary, reason);
    v_answer pgjobs.completed_element;
begin
    if v_bad is not null then
        perform pgjobs._refuse_argument('complete', v_bad, jsonb_build_object(
            'status', status, 'summary', summary, 'reason', reason
        ));
    end if;
    v_answer := pgjobs._complete(job_id, lease_token, status, summary, reason);
    case v_answer.outcome
        when 'completed', 'replayed' then
            return (
                job_id, v_answer.status, v_answer.completed_at, v_answer.outcome = 'replayed'
            )::pgjobs.completed;
        when 'verdict_final' then
            perform pgjobs._refuse('verdict_final');
        when 'lease_lost' then
            perform pgjobs._refuse_lease((pgjobs._find_job(job_id)).session_id, job_id);
        when 'not_found' then
            perform pgjobs._refuse('job_not_found');
    end case;
end
$$;
comment on function pgjobs.complete is
    'Writes the verdict (PASSED, FAILED or ERROR) under the current lease, or the amendment of a '
    'review; repeating the same call answers replayed = true. reason: of an ERROR, becomes '
    'error_detail. Errors: 22023, 22004, P0002, 23V02, '
    '23V05, 40001.';


-- First complete, which may wait, then claim, which never does: so it waits only before it holds a
-- lock.
create function pgjobs.complete_and_claim(
    job_id bigint,
    lease_token uuid,
    status text,
    worker text,
    summary jsonb default null,
    max_jobs integer default 1,
    lease_for interval default '5 minutes',
    reason text default null
)
    returns setof pgjobs.claimed
    language plpgsql volatile security definer rows 1
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_bad text := coalesce(
        pgjobs._bad_verdict(job_id, lease_token, status, summary, reason),
        pgjobs._bad_claim(worker, max_jobs, lease_for)
    );
begin
    if v_bad is not null then
        perform pgjobs._refuse_argument('complete_and_claim', v_bad, jsonb_build_object(
            'status', status, 'summary', summary, 'worker', worker, 'max_jobs', max_jobs,
            'lease_for', lease_for, 'reason', reason
        ));
    end if;
    perform pgjobs.complete(job_id, lease_token, status, summary, reason);
    return query select claimed.* from pgjobs.claim(worker, max_jobs, lease_for) as claimed;
end
$$;
comment on function pgjobs.complete_and_claim is
    'complete, then claim, in one call: all or nothing. A repeated call after a lost answer '
    'completes nothing twice, but the runs that the lost answer named stay leased until they end. '
    'Errors: those of complete and claim.';


-- complete and complete_many, once the arguments are known to be good. The lane's lock decides
-- between complete, cancel and the last release or rescue; the lease's lock between complete and
-- the taking of the lease. Who comes second finds the token gone.
create function pgjobs._complete(
    job_id bigint,
    lease_token uuid,
    status text,
    summary jsonb,
    reason text,
    ordinal integer default null
)
    returns pgjobs.completed_element
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_session_id uuid;
    v_lease pgjobs.lease;
    v_verdict pgjobs.verdict;
    v_result record;
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
            perform pgjobs._answer_review(
                v_lease, v_completed_at, status, summary, reason
            );
        else
            insert into pgjobs.verdict (
                job_id, completed_at, started_at, lease_token, run_no, status, worker,
                error_reason, error_detail, summary_sha256
            )
            values (
                _complete.job_id, v_completed_at, v_lease.started_at, v_lease.lease_token,
                v_lease.run_no, _complete.status, v_lease.worker,
                case when _complete.status = 'ERROR' then 'REPORTED' end, _complete.reason,
                v_summary_sha256
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
        and v_verdict.error_detail is not distinct from reason
        -- A cancel keeps the token of the run that it ends.
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
        and v_result.detail is not distinct from reason
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
