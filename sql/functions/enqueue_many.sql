-- Elements are taken by session, then in input order: two overlapping batches ask for the lanes in
-- the same order and never deadlock. The ids of the new jobs are drawn first, in input order.
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
    v_element record;
    v_enqueued pgjobs.enqueued;
    v_new_job_ids bigint[];
    v_job_ids bigint[];
    v_attempt_ids bigint[];
    v_statuses text[];
    v_created boolean[];
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
    if v_size = 0 then
        return;
    end if;

    v_new_job_ids := array_fill(null::bigint, array[v_size]);
    for v_element in
        select element.*
        from unnest(session_ids, commit_shas, lab_versions, delivery_ids, payloads)
            with ordinality as element (
                session_id, commit_sha, lab_version, delivery_id, payload, ordinal
            )
    loop
        v_checked :=
            (
                v_element.session_id is not null
                or pgjobs._refuse_null('enqueue_many', 'session_ids', v_element.ordinal)
            )
            and pgjobs._check_commit_sha(
                'enqueue_many', 'commit_shas', v_element.commit_sha, v_element.ordinal
            )
            and pgjobs._check_text(
                'enqueue_many', 'lab_versions', v_element.lab_version, v_element.ordinal
            )
            and (
                v_element.delivery_id is null
                or pgjobs._check_text(
                    'enqueue_many', 'delivery_ids', v_element.delivery_id, v_element.ordinal
                )
            )
            and (
                v_element.payload is null
                or pgjobs._check_document(
                    'enqueue_many', 'payloads', v_element.payload, v_element.ordinal
                )
            );
    end loop;

    for v_element in
        select distinct on (element.commit_sha) element.ordinal
        from unnest(commit_shas) with ordinality as element (commit_sha, ordinal)
        where not exists (select from pgjobs.job as job where job.commit_sha = element.commit_sha)
        order by element.commit_sha, element.ordinal
    loop
        v_new_job_ids[v_element.ordinal] := 0;
    end loop;
    for v_ordinal in 1 .. v_size loop
        if v_new_job_ids[v_ordinal] = 0 then
            v_new_job_ids[v_ordinal] := nextval('pgjobs.job_job_id_seq');
        end if;
    end loop;

    for v_element in
        select element.*
        from unnest(session_ids, commit_shas, lab_versions, delivery_ids, payloads)
            with ordinality as element (
                session_id, commit_sha, lab_version, delivery_id, payload, ordinal
            )
        order by element.session_id, element.ordinal
    loop
        v_enqueued := pgjobs._enqueue(
            v_element.session_id, v_element.commit_sha, v_element.lab_version,
            v_element.delivery_id, priority, null, max_runs, null, null, null, null,
            v_element.payload, v_new_job_ids[v_element.ordinal], v_element.ordinal
        );
        v_job_ids[v_element.ordinal] := v_enqueued.job_id;
        v_attempt_ids[v_element.ordinal] := v_enqueued.attempt_id;
        v_statuses[v_element.ordinal] := v_enqueued.status;
        v_created[v_element.ordinal] := v_enqueued.created;
    end loop;

    return query
    select
        element.ordinal::integer, element.job_id, element.attempt_id, element.status,
        element.created
    from unnest(v_job_ids, v_attempt_ids, v_statuses, v_created)
        with ordinality as element (job_id, attempt_id, status, created, ordinal);
end
$$;
comment on function pgjobs.enqueue_many is
    'enqueue for 0 … 10,000 commits, all or nothing; one row per element in input order. Arrays'
    ' of one length, no null among the first three. The error names the ordinal. Errors: those '
    'of enqueue.';
