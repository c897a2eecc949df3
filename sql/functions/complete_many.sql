-- Jobs are taken by session, so that two batches ask for the lanes in the same order.
create function pgjobs.complete_many(
    job_ids bigint[],
    lease_tokens uuid[],
    statuses text[],
    summaries jsonb[] default null
)
    returns setof pgjobs.completed_element
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_checked boolean;
    v_size integer := cardinality(job_ids);
    v_element record;
    v_answers pgjobs.completed_element[];
begin
    v_checked :=
        (job_ids is not null or pgjobs._refuse_null('complete_many', 'job_ids'))
        and (lease_tokens is not null or pgjobs._refuse_null('complete_many', 'lease_tokens'))
        and (statuses is not null or pgjobs._refuse_null('complete_many', 'statuses'))
        and pgjobs._check_batch('complete_many', 'job_ids', job_ids, v_size)
        and pgjobs._check_batch('complete_many', 'lease_tokens', lease_tokens, v_size)
        and pgjobs._check_batch('complete_many', 'statuses', statuses, v_size)
        and (
            summaries is null
            or pgjobs._check_batch('complete_many', 'summaries', summaries, v_size)
        );
    for v_element in
        select element.*
        from unnest(job_ids, lease_tokens, statuses, summaries)
            with ordinality as element (job_id, lease_token, status, summary, ordinal)
    loop
        v_checked :=
            (
                v_element.job_id is not null
                or pgjobs._refuse_null('complete_many', 'job_ids', v_element.ordinal)
            )
            and (
                v_element.lease_token is not null
                or pgjobs._refuse_null('complete_many', 'lease_tokens', v_element.ordinal)
            )
            and pgjobs._check_status(
                'complete_many', 'statuses', v_element.status, v_element.ordinal
            )
            and (
                v_element.summary is null
                or pgjobs._check_document(
                    'complete_many', 'summaries', v_element.summary, v_element.ordinal
                )
            );
    end loop;

    for v_element in
        select element.*
        from unnest(job_ids, lease_tokens, statuses, summaries)
            with ordinality as element (job_id, lease_token, status, summary, ordinal)
        left join pgjobs.job as job on job.job_id = element.job_id
        order by job.session_id, element.ordinal
    loop
        v_answers[v_element.ordinal] := pgjobs._complete(
            v_element.job_id, v_element.lease_token, v_element.status, v_element.summary,
            v_element.ordinal::integer
        );
    end loop;
    return query select answer.* from unnest(v_answers) as answer;
end
$$;
comment on function pgjobs.complete_many is
    'complete for 0 … 10,000 jobs; one row per element in input order, its outcome completed, '
    'replayed, lease_lost, verdict_final or not_found. A null or a bad status fails the whole '
    'call. Errors: 22023, 22004, 40001.';
