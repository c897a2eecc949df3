-- The refusals: every error of the contract but 23V01 (guards.sql), its code, its words, the
-- caller's next step, and the object that stands behind it. Nothing of another caller's rows is
-- ever named.
create function pgjobs._refuse(refusal text, subject text default null, ordinal bigint default null)
    returns void
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_subject constant text := coalesce(subject, '');
    v_is_version constant boolean := v_subject = 'lab_version';
    c_pin constant text := 'The lab version of a job never changes: pin it per session, or send '
        'the one that get_job answers.';
    v_error record;
    v_message text;
begin
    select error.* into strict v_error
    from (
        values
            ('job_not_found', 'P0002', 'job', 'job_job_id_pkey',
                'no such job',
                'Use the job_id that enqueue or claim answered.'),
            ('artifact_not_found', 'P0002', 'artifact', 'artifact_artifact_id_pkey',
                'no such artifact',
                'Use an artifact_id of verification_artifact.'),
            ('verdict_final', '23V02', 'verdict', 'verdict_job_id_pkey',
                'the job has its verdict',
                'A verdict is final: read it with get_job and drop this result.'),
            ('commit_taken', '23V03', 'job', 'job_commit_sha_key',
                'the commit already has a job for another ' || case when v_is_version
                    then 'lab version in this session' else 'session or lab version' end,
                case when v_is_version then c_pin
                    else 'A commit has one job for ever: ask for a commit of the learner''s own. '
                        'record_attempt still records the push.' end),
            ('delivery_conflict', '23V04', 'lab_attempt', 'lab_attempt_session_id_delivery_id_key',
                'the delivery id was already used for a request with another ' || v_subject,
                case when v_is_version then c_pin
                    else 'Repeat the first request unchanged, or send a delivery id of its own.'
                end),
            ('lease_lost', '23V05', 'lease', 'lease_session_id_pkey',
                'the lease token is not the current one',
                'The lease was taken away: stop the run and drop its result.'),
            ('artifact_conflict', '23V06', 'artifact', 'artifact_job_id_run_no_name_key',
                'the run already has an artifact of that name with another ' || v_subject,
                'An artifact never changes: add this one under a name of its own.'),
            ('not_final', '23V07', 'amendment', 'amendment_job_id_fkey',
                'the job has no verdict yet',
                'Only a verdict can be amended: wait for it, or cancel the job.'),
            ('artifact_expired', '23V08', 'expiry', 'expiry_kind_id_pkey',
                'the content of the artifact has expired',
                'Its hash, size and name stay in verification_artifact; the bytes do not.'),
            ('on_hold', '23V09', 'hold', 'hold_session_id_ticket_hold_no_pkey',
                'the session is on hold',
                'Nothing was erased. verification_hold has the tickets, each of which lifts its '
                'own hold.'),
            ('session_busy', '55V02', 'lane', 'lane_session_id_pkey',
                'the session has open jobs',
                'Nothing was erased. Call again when they have ended, or cancel them.'),
            ('not_running', '55V01', 'lease', 'lease_session_id_pkey',
                'the job is not running',
                'Only a run can be revoked: cancel ends a job that waits, and why_waiting says '
                'what for.'),
            ('too_many_open_jobs', '54V01', 'lane', 'lane_open_jobs_check',
                'the session has ' || v_subject || ' open jobs or more',
                'Nothing was written. Enqueue again when fewer than ' || v_subject || ' are open.'),
            ('isolation_too_high', '25000', v_subject, '',
                v_subject || ' needs READ COMMITTED',
                'Nothing was done. Call it in a transaction of its own.'),
            ('host_table_missing', '42P01', 'backfill', 'backfill_log_id_pkey',
                'there is no table ' || v_subject || ' in schema public',
                'A backfill reads "VerificationLog", "LabSession" and "Lab": in a database '
                'without them there is nothing to move in.'),
            ('host_table_closed', '42501', 'backfill', 'backfill_log_id_pkey',
                current_user || ' may not read the table ' || v_subject || ' of schema public',
                format(
                    'As the owner of the tables: grant usage on schema public to %1$I; '
                    'grant select on "VerificationLog", "LabSession", "Lab" to %1$I;',
                    current_user
                ))
    ) as error (refusal, code, relation, rule, message, hint)
    where error.refusal = _refuse.refusal;
    v_message := coalesce('element ' || ordinal || ': ', '') || v_error.message;

    if subject is not null
        and refusal in ('commit_taken', 'delivery_conflict', 'artifact_conflict')
    then
        raise exception '%', v_message
            using errcode = v_error.code, schema = 'pgjobs', table = v_error.relation,
                  column = v_subject, constraint = v_error.rule, hint = v_error.hint;
    end if;
    raise exception '%', v_message
        using errcode = v_error.code, schema = 'pgjobs', table = v_error.relation,
              constraint = v_error.rule, hint = v_error.hint;
end
$$;
comment on function pgjobs._refuse is
    'Raises the error of the contract with that name. subject: the field that differs from the '
    'session''s own, what is missing or closed, the limit, or the function; ordinal: of an element '
    'in a batch, from 1.';


-- 22004 for a null argument, 22023 for one out of its range or form. At most 64 characters of the
-- value are repeated, and only printable ones: a newline would forge a line of the log. The error's
-- table is the called function, its column the argument.
create function pgjobs._refuse_argument(
    routine text,
    argument text,
    arguments jsonb default null,
    ordinal bigint default null,
    rule text default null
)
    returns void
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_where constant text := argument || coalesce(' of element ' || ordinal, '');
    v_is_array constant boolean := ordinal is null and argument not in ('changed_files', 'kinds')
        and jsonb_typeof(arguments -> argument) = 'array';
    v_value constant text := case
        when ordinal is not null then arguments -> argument ->> (ordinal - 1)::integer
        when v_is_array then jsonb_array_length(arguments -> argument) || ' elements'
            || case jsonb_typeof(arguments -> argument -> 0) when 'array' then ', nested'
                else '' end
        else arguments ->> argument
    end;
    -- The rules, by the argument's name; the arrays of a batch bear the plural.
    v_rule constant text := coalesce(
        rule,
        case
            when argument = 'changed_files'
                then 'at most 3000 paths of 1 to 1024 characters, 256 KiB in all'
            when argument = 'kinds' and routine = 'expire_artifacts'
                then 'some of LOG, REPORT, DIFF, OUTPUT, OTHER'
            when argument = 'kinds' then 'some of ATTEMPT, SUMMARY, PAYLOAD'
            when v_is_array
                then 'a one-dimensional array as long as the first, of at most 10000 elements'
            when argument in ('commit_sha', 'commit_shas')
                then '40 or 64 lower-case hex digits, not all zeros'
            when argument = 'approver'
                and pgjobs._is_same_person(v_value, arguments ->> 'actor')
                then 'another person than actor'
            when argument = 'branch'
                then '1 to 200 characters or 255 bytes, not blank, without control characters'
            when argument in ('reason', 'reasons') and routine like 'complete%'
                then 'of an ERROR, 1 to 200 characters, not blank, without control characters'
            when argument in (
                'lab_version', 'lab_versions', 'delivery_id', 'delivery_ids', 'author',
                'worker', 'reason', 'actor', 'approver', 'ticket', 'name', 'media_type'
            ) then '1 to 200 characters, not blank, without control characters'
            when argument in ('payload', 'payloads', 'summary', 'summaries')
                then 'at most 64 KiB of JSON'
            when argument in ('status', 'statuses') then 'PASSED, FAILED or ERROR'
            when argument = 'priority' then '1 to 4'
            when argument = 'max_runs' then '1 to 25'
            when argument = 'max_jobs' then '1 to 1000'
            when argument = 'max_open_jobs' then '1 to 100'
            when argument in ('max_rows', 'max_bodies', 'batch_size') then '1 to 10000'
            when argument in ('lease_for', 'recent') then 'an interval of 1 to 86400 seconds'
            when argument = 'retry_after' then 'an interval of 0 to 86400 seconds'
            when argument = 'start_within' then 'an interval of 1 to 2592000 seconds'
            when argument = 'older_than' then 'an interval of 0 to 1577880000 seconds'
            when argument = 'settle' then 'an interval of 0 to 2592000 seconds'
            when argument = 'available_at' then 'finite and at most 30 days ahead'
            when argument = 'pushed_at' then 'from 0001-01-01 to a day ahead'
            when argument = 'kind' then 'LOG, REPORT, DIFF, OUTPUT or OTHER'
            when argument = 'location'
                then '1 to 1024 characters without blanks and control characters'
            when argument = 'sha256' then 'the SHA-256 of the content'
            when argument = 'size_bytes' then 'the size of the content in bytes'
            when argument = 'original_sha256' then 'the SHA-256 of what was truncated'
            when argument = 'original_size_bytes'
                then 'the size of what was truncated, at least what is stored'
            else 'given'
        end
    );
begin
    if v_value is null then
        raise exception '% must not be null', v_where
            using errcode = '22004', schema = 'pgjobs', table = routine, column = argument,
                  constraint = routine || '_' || argument || '_check',
                  hint = format('%s must be %s.', argument, v_rule);
    end if;
    raise exception '% must be %, not "%"',
        v_where, v_rule, regexp_replace(left(v_value, 64), '[^ -~]', '?', 'g')
        using errcode = '22023', schema = 'pgjobs', table = routine, column = argument,
              constraint = routine || '_' || argument || '_check',
              hint = 'Nothing was written. Correct the argument and call again.';
end
$$;
comment on function pgjobs._refuse_argument is
    'Raises 22004 or 22023 for an argument of a public function. arguments: those of the call, by '
    'name; ordinal: of the element in a batch, from 1; rule: where it is not that of the name.';
