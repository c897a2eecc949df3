-- review: a request to judge a finished job again. Guarantees: only of a job with a verdict
-- (review_job_id_fkey), in one order per job (review_job_id_review_no_key), by two people
-- (review_approver_check), no change ever (the guards). While it is open its job is head of its
-- lane or waits in it, as before its verdict. Its id comes from the sequence of the jobs: within a
-- session jobs and reviews have one order.
create table pgjobs.review (
    review_id bigint not null,
    job_id bigint not null,
    requested_at timestamptz not null,
    priority pgjobs.priority not null,
    review_no smallint not null,
    runs_before smallint not null,
    lab_version text collate "C" not null,
    reason text not null,
    actor text not null,
    approver text not null,
    ticket text not null,
    login text collate "C" not null,
    constraint review_review_id_pkey primary key (review_id),
    constraint review_job_id_review_no_key unique (job_id, review_no),
    constraint review_job_id_fkey foreign key (job_id) references pgjobs.verdict (job_id),
    constraint review_approver_check check (not pgjobs._is_same_person(actor, approver))
);

comment on table pgjobs.review is
    'Ledger: a request to judge a finished job again.';
comment on column pgjobs.review.review_id is 'Key, from the sequence of the jobs.';
comment on column pgjobs.review.review_no is 'Order of the reviews of a job, from 1.';
comment on column pgjobs.review.runs_before is
    'How many runs the job had had; a review''s runs are counted on from there.';
comment on constraint review_job_id_review_no_key on pgjobs.review is
    'One order per job; serves "the reviews of a job".';


-- review_result: how a review ended. Guarantees: one per review (review_result_review_id_pkey), a
-- worker's lease behind every answer (review_result_lease_token_check), no change ever (the
-- guards). With an answer it stands beside an amendment; without one nothing else changes.
create table pgjobs.review_result (
    review_id bigint not null,
    job_id bigint not null,
    ended_at timestamptz not null,
    started_at timestamptz,
    lease_token uuid,
    run_no smallint not null,
    outcome text collate "C" not null,
    worker text collate "C",
    detail text,
    actor text,
    login text collate "C",
    summary_sha256 bytea,
    constraint review_result_review_id_pkey primary key (review_id),
    constraint review_result_review_id_fkey foreign key (review_id)
        references pgjobs.review (review_id),
    constraint review_result_outcome_check check (
        outcome in ('PASSED', 'FAILED', 'ERROR', 'RUNS_EXHAUSTED', 'CANCELLED')
    ),
    constraint review_result_lease_token_check check (
        case outcome
            when 'CANCELLED' then actor is not null
            when 'RUNS_EXHAUSTED' then actor is null and lease_token is null
            else actor is null and lease_token is not null
        end
        and (actor is null) = (login is null)
        and (lease_token is null or (worker is not null and started_at is not null))
    )
);

comment on table pgjobs.review_result is
    'Ledger: how a review ended, written once.';
comment on column pgjobs.review_result.started_at is
    'When its latest run started; null where there was none.';
comment on column pgjobs.review_result.lease_token is
    'The lease of the run that this ended; null where it ended none.';
comment on column pgjobs.review_result.run_no is 'How many runs the job has had in all.';
comment on column pgjobs.review_result.outcome is
    'PASSED, FAILED or ERROR, as amended; RUNS_EXHAUSTED or CANCELLED: no answer.';
comment on column pgjobs.review_result.worker is
    'The worker of the latest run; null where there was none.';
comment on column pgjobs.review_result.login is
    'The database login, session_user, of who cancelled.';
comment on column pgjobs.review_result.summary_sha256 is
    'SHA-256 of the summary''s text, null where none was given.';
comment on constraint review_result_lease_token_check on pgjobs.review_result is
    'A worker''s answer has its lease, a cancel its actor.';


-- review_summary: what the worker says beside its answer. Written only when given.
create table pgjobs.review_summary (
    review_id bigint not null,
    summary jsonb not null,
    constraint review_summary_review_id_pkey primary key (review_id),
    constraint review_summary_review_id_fkey foreign key (review_id)
        references pgjobs.review_result (review_id)
);

comment on table pgjobs.review_summary is
    'Detail: what the worker says beside its answer to a review.';
comment on column pgjobs.review_summary.summary is 'As given to complete; at most 64 KiB of text.';


create type pgjobs.reviewed_element as (
    ordinal integer,
    job_id bigint,
    review_id bigint,
    outcome text
);
comment on type pgjobs.reviewed_element is
    'Answer of reverify for one element, counted from 1: queued, not_final, already_queued or '
    'not_found.';


-- A finished job goes back among the open ones, as a review. From there claim, lease and lane do
-- with it what they do with any job.
--
-- The race: two calls name the same job, or a call and a session's enqueue meet. Who adds to a lane
-- holds its lock, and looks for an open review once more when it has it. Above READ COMMITTED an
-- old snapshot may not know a review that has come and gone: the number it takes is then taken, and
-- it gets 40001. Lanes are locked in the order of their sessions.
create function pgjobs.reverify(
    job_ids bigint[],
    reason text,
    actor text,
    approver text,
    ticket text,
    lab_version text default null,
    priority integer default 3
)
    returns setof pgjobs.reviewed_element
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_bad text;
    v_bad_ordinal integer;
    v_jobs pgjobs.job[];
    v_element record;
    v_run_no smallint;
    v_outcome text;
    v_open_jobs smallint;
    v_review_no smallint;
    v_runs_before smallint;
    v_review_id bigint;
    v_answers pgjobs.reviewed_element[] := '{}';
begin
    v_bad := case
        when not pgjobs._has_size(job_ids, cardinality(job_ids)) then 'job_ids'
        when (reverify.priority between 1 and 4) is not true then 'priority'
        else pgjobs._bad_decision(
            reverify.reason, reverify.actor, reverify.approver, reverify.ticket,
            reverify.lab_version
        )
    end;
    if v_bad is null then
        v_bad_ordinal := array_position(job_ids, null);
    end if;
    if v_bad is not null or v_bad_ordinal is not null then
        perform pgjobs._refuse_argument('reverify', coalesce(v_bad, 'job_ids'), jsonb_build_object(
            'job_ids', job_ids, 'reason', reverify.reason, 'actor', reverify.actor,
            'approver', reverify.approver, 'ticket', reverify.ticket,
            'lab_version', reverify.lab_version, 'priority', reverify.priority
        ), v_bad_ordinal);
    end if;
    v_jobs := array(
        select job from pgjobs.job as job where job.job_id = any ((select job_ids)::bigint[])
    );
    for v_element in
        select
            element.ordinal::integer as ordinal, element.job_id as asked, job.job_id,
            job.session_id, job.lab_version
        from unnest(job_ids) with ordinality as element (job_id, ordinal)
        left join unnest(v_jobs) as job on job.job_id = element.job_id
        order by job.session_id, element.ordinal
    loop
        v_review_id := null;
        v_open_jobs := null;
        select verdict.run_no into v_run_no
        from pgjobs.verdict as verdict
        where verdict.job_id = v_element.job_id;
        v_outcome := case
            when v_element.job_id is null then 'not_found'
            when v_run_no is null then 'not_final'
            when pgjobs._is_open(v_element.job_id) then 'already_queued'
        end;
        if v_outcome is null then
            insert into pgjobs.lane as lane (session_id, head_job_id, open_jobs)
            values (v_element.session_id, v_element.job_id, 1)
            on conflict on constraint lane_session_id_pkey do update
                set open_jobs = lane.open_jobs + 1
                where lane.open_jobs < 100
            returning lane.open_jobs into v_open_jobs;
            if pgjobs._is_open(v_element.job_id) then
                v_outcome := 'already_queued';
                if v_open_jobs is not null then
                    perform pgjobs._leave_lane(v_element.session_id);
                end if;
            elsif v_open_jobs is null then
                perform pgjobs._refuse('too_many_open_jobs', '100', v_element.ordinal);
            else
                select
                    count(*) + 1, coalesce(max(result.run_no), v_run_no)
                into v_review_no, v_runs_before
                from pgjobs.review as review
                join pgjobs.review_result as result on result.review_id = review.review_id
                where review.job_id = v_element.job_id;
                v_outcome := 'queued';
                v_review_id := nextval('pgjobs.job_job_id_seq');
                insert into pgjobs.review (
                    review_id, job_id, requested_at, priority, review_no, runs_before,
                    lab_version, reason, actor, approver, ticket, login
                )
                values (
                    v_review_id, v_element.job_id, clock_timestamp(), reverify.priority,
                    v_review_no, v_runs_before,
                    coalesce(reverify.lab_version, v_element.lab_version), reverify.reason,
                    reverify.actor, reverify.approver, reverify.ticket, session_user
                )
                on conflict do nothing;
                if v_open_jobs = 1 then
                    perform pgjobs._add_ready(v_element.job_id, v_review_id);
                else
                    insert into pgjobs.waiting (session_id, turn_no, reviewed_job_id)
                    values (v_element.session_id, v_review_id, v_element.job_id);
                end if;
            end if;
        end if;
        v_answers := v_answers || (
            v_element.ordinal, v_element.asked, v_review_id, v_outcome
        )::pgjobs.reviewed_element;
    end loop;
    return query select answer.* from unnest(v_answers) as answer order by answer.ordinal;
end
$$;
comment on function pgjobs.reverify is
    'Has 0 to 10,000 finished jobs judged again, all or nothing; one row per element, in order,'
    ' its outcome queued, not_final, already_queued or not_found. A worker''s answer becomes an '
    'amendment by actor, approver and ticket. lab_version: null for the job''s; priority 1 first, '
    '4 last. Errors: 22023, 22004, 54V01, 40001.';


create function pgjobs._answer_review(
    lease pgjobs.lease,
    ended_at timestamptz,
    status text,
    summary jsonb,
    detail text
)
    returns void
    language plpgsql volatile
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
        detail, summary_sha256
    )
    values (
        lease.review_id, lease.job_id, _answer_review.ended_at, lease.started_at, lease.lease_token,
        lease.run_no, _answer_review.status, lease.worker, _answer_review.detail,
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


create function pgjobs._is_open(job_id bigint)
    returns boolean
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return not exists (
        select from pgjobs.verdict as verdict where verdict.job_id = _is_open.job_id
    ) or exists (
        select from pgjobs.review as review
        where review.job_id = _is_open.job_id
            and not exists (
                select from pgjobs.review_result as result
                where result.review_id = review.review_id
            )
    );
end
$$;
comment on function pgjobs._is_open is
    'Whether the job has no verdict yet, or a review without a result.';
