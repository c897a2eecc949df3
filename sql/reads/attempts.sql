-- The rows of verification_attempt for a caller who may not see every session, as get_job shows
-- their jobs. The newest are found first, by their session alone: a plan that walks all attempts
-- backwards reads most of them where the session is an old one.
create function pgjobs.attempts(
    session_id uuid,
    max_rows integer default 20,
    before_attempt_id bigint default null
)
    returns setof pgjobs.verification_attempt
    language plpgsql stable security definer rows 20
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_bad text;
    v_attempt pgjobs.lab_attempt;
    v_detail pgjobs.attempt_detail;
    v_job pgjobs.verification_job;
begin
    v_bad := case
        when session_id is null then 'session_id'
        when (max_rows between 1 and 10000) is not true then 'max_rows'
    end;
    if v_bad is not null then
        perform pgjobs._refuse_argument(
            'attempts', v_bad, jsonb_build_object('max_rows', max_rows)
        );
    end if;
    for v_attempt in
        select own.*
        from (
            select attempt.*
            from pgjobs.lab_attempt as attempt
            where attempt.session_id = attempts.session_id
                and attempt.attempt_id < coalesce(before_attempt_id, 9223372036854775807)
            offset 0
        ) as own
        order by own.attempt_id desc
        limit max_rows
    loop
        select detail.* into v_detail
        from pgjobs.attempt_detail as detail
        where detail.attempt_id = v_attempt.attempt_id;
        select job.* into v_job
        from pgjobs.get_job(v_attempt.commit_sha) as job
        where job.session_id = v_attempt.session_id;
        return query
        select
            v_attempt.attempt_id, v_attempt.session_id, v_attempt.commit_sha,
            v_attempt.delivery_id, v_attempt.recorded_at, v_attempt.pushed_at,
            v_detail.author, v_detail.branch, v_detail.changed_files,
            v_job.job_id, v_job.status, v_job.effective_status, v_job.completed_at,
            v_job.error_reason;
    end loop;
end
$$;
comment on function pgjobs.attempts is
    'The newest attempts of a session, as verification_attempt shows them: up to max_rows (1 to '
    '10,000), those before before_attempt_id where one is given. Errors: 22023, 22004.';
