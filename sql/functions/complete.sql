create function pgjobs.complete(
    job_id bigint,
    lease_token uuid,
    status text,
    summary jsonb default null
)
    returns pgjobs.completed
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_checked boolean;
    v_answer pgjobs.completed_element;
begin
    v_checked := pgjobs._check_verdict('complete', job_id, lease_token, status, summary);
    v_answer := pgjobs._complete(job_id, lease_token, status, summary);
    case v_answer.outcome
        when 'completed', 'replayed' then
            return (
                job_id, v_answer.status, v_answer.completed_at, v_answer.outcome = 'replayed'
            )::pgjobs.completed;
        when 'verdict_final' then
            perform pgjobs._refuse('23V02');
        when 'lease_lost' then
            perform pgjobs._refuse_lease((pgjobs._find_job(job_id)).session_id, job_id);
        when 'not_found' then
            perform pgjobs._refuse('P0002');
    end case;
end
$$;
comment on function pgjobs.complete is
    'Writes the verdict (PASSED, FAILED or ERROR) under the current lease; repeating the same '
    'call answers replayed = true. Errors: 22023, 22004, P0002, 23V02, 23V05, 40001.';
