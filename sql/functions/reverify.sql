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
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_checked boolean;
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
    v_checked := (job_ids is not null or pgjobs._refuse_null('reverify', 'job_ids'))
        and pgjobs._check_batch('reverify', 'job_ids', job_ids, cardinality(job_ids))
        and pgjobs._check_no_null('reverify', 'job_ids', job_ids)
        and pgjobs._check_decision(
            'reverify', reverify.reason, reverify.actor, reverify.approver, reverify.ticket,
            reverify.lab_version
        )
        and (
            (reverify.priority between 1 and 4) is true
            or pgjobs._refuse_argument(
                'reverify', 'priority', reverify.priority::text, '1 … 4'
            )
        );
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
                perform pgjobs._refuse('54V01', null, v_element.ordinal);
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
    'Has 0 … 10,000 finished jobs judged again, all or nothing; one row per element in input order,'
    ' its outcome queued, not_final, already_queued or not_found. A worker''s answer becomes an '
    'amendment by actor, approver and ticket. lab_version: null for the job''s; priority 1 first '
    '… 4 last. Errors: 22023, 22004, 54V01, 40001.';
