-- New commits are written set by set: first the lanes in the order of their sessions, then the jobs
-- in the order of their commits, so that two overlapping batches never deadlock. Whatever else
-- there is goes through _enqueue, one by one: known and repeated commits always; all of the batch
-- when a rival came in between, a lane is full, or an attempt was there before its job.
create function pgjobs.enqueue_many(
    session_ids uuid[],
    commit_shas text[],
    lab_versions text[],
    delivery_ids text[] default null,
    priority integer default 2,
    max_runs integer default 3,
    payloads jsonb[] default null
)
    returns setof pgjobs.enqueued_element
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_checked boolean;
    v_size integer := cardinality(session_ids);
    v_known text[];
    v_job_ids bigint[];
    v_attempt_ids bigint[];
    v_is_written boolean;
    v_element record;
    v_enqueued pgjobs.enqueued;
    v_answers pgjobs.enqueued_element[] := '{}';
begin
    v_checked :=
        (session_ids is not null or pgjobs._refuse_null('enqueue_many', 'session_ids'))
        and (commit_shas is not null or pgjobs._refuse_null('enqueue_many', 'commit_shas'))
        and (lab_versions is not null or pgjobs._refuse_null('enqueue_many', 'lab_versions'))
        and pgjobs._check_batch('enqueue_many', 'session_ids', session_ids, v_size)
        and pgjobs._check_batch('enqueue_many', 'commit_shas', commit_shas, v_size)
        and pgjobs._check_batch('enqueue_many', 'lab_versions', lab_versions, v_size)
        and (
            delivery_ids is null
            or pgjobs._check_batch('enqueue_many', 'delivery_ids', delivery_ids, v_size)
        )
        and (payloads is null or pgjobs._check_batch('enqueue_many', 'payloads', payloads, v_size))
        and (
            (priority between 1 and 4) is true
            or pgjobs._refuse_argument('enqueue_many', 'priority', priority::text, '1 … 4')
        )
        and (
            (max_runs between 1 and 25) is true
            or pgjobs._refuse_argument('enqueue_many', 'max_runs', max_runs::text, '1 … 25')
        );
    v_checked :=
        pgjobs._check_no_null('enqueue_many', 'session_ids', session_ids)
        and (
            select bool_and(
                pgjobs._is_commit_sha(element.commit_sha) is true
                or pgjobs._check_commit_sha(
                    'enqueue_many', 'commit_shas', element.commit_sha, element.ordinal
                )
            )
            from unnest(commit_shas) with ordinality as element (commit_sha, ordinal)
        )
        and (
            select bool_and(
                pgjobs._check_text(
                    'enqueue_many', 'lab_versions', element.lab_version, element.first
                )
            )
            from (
                select element.lab_version, min(element.ordinal) as first
                from unnest(lab_versions) with ordinality as element (lab_version, ordinal)
                group by element.lab_version
            ) as element
        )
        and (
            select bool_and(
                pgjobs._check_text(
                    'enqueue_many', 'delivery_ids', element.delivery_id, element.ordinal
                )
            )
            from unnest(delivery_ids) with ordinality as element (delivery_id, ordinal)
            where element.delivery_id is not null
        )
        and (
            select bool_and(
                pgjobs._check_document(
                    'enqueue_many', 'payloads', element.payload, element.ordinal
                )
            )
            from unnest(payloads) with ordinality as element (payload, ordinal)
            where element.payload is not null
        );

    -- The ids of the new jobs are drawn first, in input order: for all, when no commit is known or
    -- repeated.
    v_known := array(
        select job.commit_sha
        from unnest((select commit_shas)) as element (commit_sha)
        cross join lateral (
            select job.commit_sha
            from pgjobs.job as job
            where job.commit_sha = element.commit_sha
            offset 0
        ) as job
    );
    if v_known = '{}' and v_size = (
        select count(*)
        from (select from unnest(commit_shas) as commit_sha group by commit_sha) as commit
    ) then
        select
            array_agg(nextval('pgjobs.job_job_id_seq')),
            array_agg(nextval('pgjobs.lab_attempt_attempt_id_seq'))
        into v_job_ids, v_attempt_ids
        from generate_series(1, v_size);
    else
        select
            array_agg(case when element.is_new then nextval('pgjobs.job_job_id_seq') end),
            array_agg(
                case when element.is_new then nextval('pgjobs.lab_attempt_attempt_id_seq') end
            )
        into v_job_ids, v_attempt_ids
        from (
            select
                row_number() over (partition by element.commit_sha order by element.ordinal) = 1
                    and element.commit_sha not in (select unnest(v_known)) as is_new
            from unnest(commit_shas) with ordinality as element (commit_sha, ordinal)
            order by element.ordinal
        ) as element;
    end if;

    v_is_written := pgjobs._enqueue_new(
        session_ids, commit_shas, lab_versions, delivery_ids, priority, max_runs, payloads,
        v_job_ids, v_attempt_ids
    );
    for v_element in
        select element.*
        from unnest(
            session_ids, commit_shas, lab_versions, delivery_ids, payloads, v_job_ids
        )
            with ordinality as element (
                session_id, commit_sha, lab_version, delivery_id, payload, job_id, ordinal
            )
        where not (v_is_written and element.job_id is not null)
        order by element.session_id, element.ordinal
    loop
        v_enqueued := pgjobs._enqueue(
            v_element.session_id, v_element.commit_sha, v_element.lab_version,
            v_element.delivery_id, priority, null, max_runs, null, null, null, null,
            v_element.payload, v_element.job_id, v_element.ordinal
        );
        v_answers := v_answers || (
            v_element.ordinal, v_enqueued.job_id, v_enqueued.attempt_id, v_enqueued.status,
            v_enqueued.created
        )::pgjobs.enqueued_element;
    end loop;

    return query
    select element.ordinal::integer, element.job_id, element.attempt_id, 'QUEUED', true
    from unnest(v_job_ids, v_attempt_ids)
        with ordinality as element (job_id, attempt_id, ordinal)
    where v_is_written and element.job_id is not null
    union all
    select answer.* from unnest(v_answers) as answer
    order by 1;
end
$$;
comment on function pgjobs.enqueue_many is
    'enqueue for 0 … 10,000 commits, all or nothing; one row per element in input order. Arrays'
    ' of one length, no null among the first three. The error names the ordinal. Errors: those '
    'of enqueue.';
