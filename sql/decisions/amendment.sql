-- amendment: another word on a verdict that stands. Guarantees: only of a job with a verdict
-- (amendment_job_id_fkey), by two people (amendment_approver_check), in one order per job
-- (amendment_job_id_amendment_no_key), at most one per review (amendment_review_id_key), no change
-- ever (the guards).
create table pgjobs.amendment (
    amendment_id bigint generated always as identity,
    job_id bigint not null,
    completed_at timestamptz not null,
    amended_at timestamptz not null,
    review_id bigint,
    amendment_no smallint not null,
    verdict_status text collate "C" not null,
    status text collate "C" not null,
    lab_version text collate "C",
    reason text not null,
    actor text not null,
    approver text not null,
    ticket text not null,
    login text collate "C" not null,
    constraint amendment_amendment_id_pkey primary key (amendment_id),
    constraint amendment_job_id_amendment_no_key unique (job_id, amendment_no),
    constraint amendment_review_id_key unique (review_id),
    constraint amendment_job_id_fkey foreign key (job_id) references pgjobs.verdict (job_id),
    constraint amendment_review_id_fkey foreign key (review_id)
        references pgjobs.review_result (review_id),
    constraint amendment_status_check check (status in ('PASSED', 'FAILED', 'ERROR')),
    constraint amendment_approver_check check (not pgjobs._is_same_person(actor, approver))
);

-- Serves "the newest 50 whose effective status is ...", beside the verdict's.
create index amendment_status_completed_at_idx on pgjobs.amendment (status, completed_at);
-- Serves "the newest 50 of a verdict", beside the verdict's.
create index amendment_verdict_status_completed_at_idx
    on pgjobs.amendment (verdict_status, completed_at);

comment on table pgjobs.amendment is
    'Ledger: another word on a verdict that stands.';
comment on column pgjobs.amendment.completed_at is
    'When the job ended, copied from its verdict for the order of both.';
comment on column pgjobs.amendment.review_id is
    'The review whose answer this is; null where a person said so.';
comment on column pgjobs.amendment.amendment_no is
    'Order of the amendments of a job, from 1; the last one counts.';
comment on column pgjobs.amendment.verdict_status is
    'The status of the verdict, copied from it for the order of both.';
comment on column pgjobs.amendment.lab_version is
    'The version of the lab it was judged by; null: the job''s.';
comment on column pgjobs.amendment.login is
    'The database login, session_user; for a review''s answer that of the worker.';
comment on constraint amendment_job_id_amendment_no_key on pgjobs.amendment is
    'One order per job; serves "the latest of a job".';


create type pgjobs.amended as (
    amendment_id bigint,
    job_id bigint,
    effective_status text,
    amended_at timestamptz
);
comment on type pgjobs.amended is 'Answer of amend.';


create function pgjobs.amend(
    job_id bigint,
    status text,
    reason text,
    actor text,
    approver text,
    ticket text,
    lab_version text default null
)
    returns pgjobs.amended
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_bad text;
begin
    v_bad := case
        when job_id is null then 'job_id'
        when status in ('PASSED', 'FAILED', 'ERROR') is not true then 'status'
        else pgjobs._bad_decision(reason, actor, approver, ticket, lab_version)
    end;
    if v_bad is not null then
        perform pgjobs._refuse_argument('amend', v_bad, jsonb_build_object(
            'status', status, 'reason', reason, 'actor', actor, 'approver', approver,
            'ticket', ticket, 'lab_version', lab_version
        ));
    end if;
    perform pgjobs._find_job(job_id);
    return pgjobs._add_amendment(
        job_id, status, reason, actor, approver, ticket, lab_version, null
    );
end
$$;
comment on function pgjobs.amend is
    'Says PASSED, FAILED or ERROR over a verdict, which itself stands: the audited override. '
    'reason, actor, approver, ticket, lab_version 1 to 200 characters; actor and approver are two '
    'people. The latest amendment of a job is its effective status. Errors: 22023, 22004, P0002, '
    '23V07, 40001.';


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
    language plpgsql volatile
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
        perform pgjobs._refuse('not_final');
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


create function pgjobs._effective_status(job_id bigint)
    returns text
    language plpgsql stable
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
