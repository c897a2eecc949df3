-- The refusals: one place for every error of the contract, its code, wording, hint, and the object
-- that stands behind it. Nothing of another caller's rows is ever named.
create function pgjobs._refuse(
    code text,
    subject text default null,
    element bigint default null
)
    returns boolean
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_element text := coalesce('element ' || element || ': ', '');
begin
    case code
    when 'P0002' then
        raise exception '%no such %', v_element, coalesce(subject, 'job')
            using errcode = 'P0002', schema = 'pgjobs', table = coalesce(subject, 'job'),
                  constraint = case subject
                      when 'artifact' then 'artifact_artifact_id_pkey'
                      else 'job_job_id_pkey'
                  end,
                  hint = case subject
                      when 'artifact' then 'Use an artifact_id of verification_artifact.'
                      else 'Use the job_id that enqueue or claim answered.'
                  end;
    when '23V02' then
        raise exception '%the job has its verdict', v_element
            using errcode = '23V02', schema = 'pgjobs', table = 'verdict',
                  constraint = 'verdict_job_id_pkey',
                  hint = 'A verdict is final: read it with get_job and drop this result.';
    when '23V03' then
        raise exception '%the commit already has a job for another session or lab version',
            v_element
            using errcode = '23V03', schema = 'pgjobs', table = 'job',
                  constraint = 'job_commit_sha_key',
                  hint = 'A commit has one job for ever: ask for a commit of the learner''s own. '
                         'record_attempt still records the push.';
    when '23V04' then
        raise exception '%the delivery id was already used for a request with another %',
            v_element, subject
            using errcode = '23V04', schema = 'pgjobs', table = 'lab_attempt', column = subject,
                  constraint = 'lab_attempt_session_id_delivery_id_key',
                  hint = 'Repeat the first request unchanged, or send a delivery id of its own.';
    when '23V05' then
        raise exception '%the lease token is not the current one', v_element
            using errcode = '23V05', schema = 'pgjobs', table = 'lease',
                  constraint = 'lease_session_id_pkey',
                  hint = 'The lease was taken away: stop the run and drop its result.';
    when '23V06' then
        raise exception 'the run already has an artifact of that name with another %', subject
            using errcode = '23V06', schema = 'pgjobs', table = 'artifact', column = subject,
                  constraint = 'artifact_job_id_run_no_name_key',
                  hint = 'An artifact never changes: add this one under a name of its own.';
    when '23V07' then
        raise exception 'the job has no verdict yet'
            using errcode = '23V07', schema = 'pgjobs', table = 'amendment',
                  constraint = 'amendment_job_id_fkey',
                  hint = 'Only a verdict can be amended: wait for it, or cancel the job.';
    when '23V08' then
        raise exception 'the content of the artifact has expired'
            using errcode = '23V08', schema = 'pgjobs', table = 'expiry',
                  constraint = 'expiry_kind_id_pkey',
                  hint = 'Its hash, size and name stay in verification_artifact; the bytes do not.';
    when '25000' then
        raise exception '% needs READ COMMITTED', subject
            using errcode = '25000', schema = 'pgjobs', table = subject,
                  hint = 'Nothing was done. Call it in a transaction of its own.';
    when '42P01' then
        raise exception 'there is no table % in schema public', subject
            using errcode = '42P01', schema = 'pgjobs', table = 'backfill',
                  constraint = 'backfill_log_id_pkey',
                  hint = 'A backfill reads "VerificationLog", "LabSession" and "Lab": in a '
                         'database without them there is nothing to move in.';
    when '42501' then
        raise exception '% may not read the table % of schema public', current_user, subject
            using errcode = '42501', schema = 'pgjobs', table = 'backfill',
                  constraint = 'backfill_log_id_pkey',
                  hint = format(
                      'As the owner of the tables: grant usage on schema public to %1$I; '
                      'grant select on "VerificationLog", "LabSession", "Lab" to %1$I;',
                      current_user
                  );
    when '54V01' then
        raise exception '%the session has 100 open jobs', v_element
            using errcode = '54V01', schema = 'pgjobs', table = 'lane',
                  constraint = 'lane_open_jobs_check',
                  hint = 'Nothing was written. Enqueue again when one of them has ended.';
    end case;
end
$$;
comment on function pgjobs._refuse is
    'Raises the error of the contract with that code. subject: the differing field of 23V04 or '
    '23V06, what is missing or closed, or the function; element: ordinal in a batch.';


-- 22004 for a null argument, 22023 for one out of its range or form. At most 64 characters of the
-- value are repeated, and only printable ones: a newline would forge a line of the log. The error's
-- table is the called function, its column the argument.
create function pgjobs._refuse_argument(
    routine text,
    argument text,
    value text,
    rule text,
    element bigint default null
)
    returns boolean
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_where text := argument || coalesce(' of element ' || element, '');
begin
    if value is null then
        raise exception '% must not be null', v_where
            using errcode = '22004', schema = 'pgjobs', table = routine, column = argument,
                  constraint = routine || '_' || argument || '_check',
                  hint = format('%s must be %s.', argument, rule);
    end if;
    raise exception '% must be %, not "%"',
        v_where, rule, regexp_replace(left(value, 64), '[^ -~]', '?', 'g')
        using errcode = '22023', schema = 'pgjobs', table = routine, column = argument,
              constraint = routine || '_' || argument || '_check',
              hint = 'Nothing was written. Correct the argument and call again.';
end
$$;
comment on function pgjobs._refuse_argument is
    'Raises 22004 (value is null) or 22023 for an argument of a public function.';


create function pgjobs._refuse_null(
    routine text,
    argument text,
    element bigint default null
)
    returns boolean
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    return pgjobs._refuse_argument(routine, argument, null, 'given', element);
end
$$;
comment on function pgjobs._refuse_null is
    'Raises 22004 for an argument that has no rule but to be given.';
