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
    v_size integer := cardinality(job_ids);
    v_element record;
    v_answers pgjobs.completed_element[];
begin
    perform pgjobs._check_batch('complete_many', 'job_ids', array_ndims(job_ids), v_size, v_size);
    perform pgjobs._check_batch('complete_many', 'lease_tokens', array_ndims(lease_tokens), cardinality(lease_tokens), v_size);
    perform pgjobs._check_batch('complete_many', 'statuses', array_ndims(statuses), cardinality(statuses), v_size);
    if summaries is not null then
        perform pgjobs._check_batch('complete_many', 'summaries', array_ndims(summaries), cardinality(summaries), v_size);
    end if;
    for v_element in
        select element.*
        from unnest(job_ids, lease_tokens, statuses, summaries)
            with ordinality as element (job_id, lease_token, status, summary, ordinal)
    loop
        perform pgjobs._check_given('complete_many', 'job_ids', v_element.job_id is not null, v_element.ordinal);
        perform pgjobs._check_given('complete_many', 'lease_tokens', v_element.lease_token is not null, v_element.ordinal);
        perform pgjobs._check_status('complete_many', 'statuses', v_element.status, v_element.ordinal);
        if v_element.summary is not null then
            perform pgjobs._check_document('complete_many', 'summaries', v_element.summary, v_element.ordinal);
        end if;
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
comment on function pgjobs.complete_many(bigint[], uuid[], text[], jsonb[]) is
    'complete for 0 … 10,000 jobs; one row per element in input order, its outcome completed, replayed, lease_lost, verdict_final or not_found. A null or a bad status fails the whole call. Errors: 22023, 22004, 40001.';
