-- Another word on a verdict: from an operator, or the answer of a review.

create function pgjobs._add_amendment(
    job_id bigint,
    status text,
    reason text,
    actor text,
    approver text,
    ticket text,
    lab_version text,
    review_id bigint
)
    returns pgjobs.amended
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_verdict pgjobs.verdict;
    v_amendment_id bigint;
    v_amendment_no smallint;
    v_amended_at timestamptz;
begin
    select verdict.* into v_verdict
    from pgjobs.verdict as verdict
    where verdict.job_id = _add_amendment.job_id;
    if not found then
        perform pgjobs._refuse('23V07');
    end if;
    -- The race: two amendments take the same number. One waits for the other and, in its next
    -- look, finds it; above READ COMMITTED it gets 40001.
    loop
        select coalesce(max(amendment.amendment_no), 0) + 1 into v_amendment_no
        from pgjobs.amendment as amendment
        where amendment.job_id = _add_amendment.job_id;
        v_amended_at := greatest(v_verdict.completed_at, clock_timestamp());
        insert into pgjobs.amendment (
            job_id, completed_at, amended_at, review_id, amendment_no, verdict_status, status,
            lab_version, reason, actor, approver, ticket, login
        )
        values (
            v_verdict.job_id, v_verdict.completed_at, v_amended_at, _add_amendment.review_id,
            v_amendment_no, v_verdict.status, _add_amendment.status, _add_amendment.lab_version,
            _add_amendment.reason, _add_amendment.actor, _add_amendment.approver,
            _add_amendment.ticket, session_user
        )
        on conflict do nothing
        returning amendment_id into v_amendment_id;
        exit when found;
    end loop;
    return (v_amendment_id, job_id, status, v_amended_at)::pgjobs.amended;
end
$$;
comment on function pgjobs._add_amendment is
    'Appends an amendment; 23V07 when the job has no verdict.';


create function pgjobs._answer_review(
    lease pgjobs.lease,
    ended_at timestamptz,
    status text,
    summary jsonb
)
    returns void
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_review pgjobs.review;
begin
    select review.* into strict v_review
    from pgjobs.review as review
    where review.review_id = lease.review_id;
    insert into pgjobs.review_result (
        review_id, job_id, ended_at, started_at, lease_token, run_no, outcome, worker,
        summary_sha256
    )
    values (
        lease.review_id, lease.job_id, _answer_review.ended_at, lease.started_at, lease.lease_token,
        lease.run_no, _answer_review.status, lease.worker,
        sha256(convert_to(_answer_review.summary::text, 'UTF8'))
    );
    if summary is not null then
        insert into pgjobs.review_summary (review_id, summary)
        values (lease.review_id, _answer_review.summary);
    end if;
    perform pgjobs._add_amendment(
        lease.job_id, status, v_review.reason, v_review.actor, v_review.approver,
        v_review.ticket, v_review.lab_version, lease.review_id
    );
end
$$;
comment on function pgjobs._answer_review is
    'Ends a review with an answer, and amends the verdict by it. The caller holds the lane.';


create function pgjobs._effective_status(job_id bigint)
    returns text
    language plpgsql
    stable
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce(
        (
            select amendment.status
            from pgjobs.amendment as amendment
            where amendment.job_id = _effective_status.job_id
            order by amendment.amendment_no desc
            limit 1
        ),
        (
            select verdict.status
            from pgjobs.verdict as verdict
            where verdict.job_id = _effective_status.job_id
        )
    );
end
$$;
comment on function pgjobs._effective_status is
    'The latest amendment of a job, else its verdict; null while it has none.';
