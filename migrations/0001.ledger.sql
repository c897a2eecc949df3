-- The ledger, its hot tables, functions, views, roles and grants.
-- depends:
--
-- For the operator: creates the schema pgjobs and, where the role may, six group roles.
-- Locks on what exists: none.
-- With psql alone: psql -v ON_ERROR_STOP=1 -f migrations/0001.ledger.sql

do $migration$
begin

-- How every part begins. It runs with its own role and settings, and end.sql puts back those it has
-- found, because the rest of the transaction may be another tool's.
do $$
begin
    perform
        pg_catalog.set_config(
            'pgjobs.former_search_path', pg_catalog.current_setting('search_path'), true
        ),
        pg_catalog.set_config(
            'pgjobs.former_lock_timeout', pg_catalog.current_setting('lock_timeout'), true
        ),
        pg_catalog.set_config('pgjobs.former_role', pg_catalog.current_setting('role'), true);
end
$$;
set local lock_timeout = '500ms';
-- Names below mean PostgreSQL's own, whatever stands in the installing session's path.
set local search_path = pg_catalog, pg_temp;

-- Where the schema is there already, the rest is done as its owner, whoever of its members runs it.
do $$
begin
    perform set_config('role', pg_get_userbyid(namespace.nspowner), true)
    from pg_namespace as namespace
    where namespace.nspname = 'pgjobs';
end
$$;


-- forgea_pgjobs: the present definition, in reading order. `psql -1 -v ON_ERROR_STOP=1 -f
-- sql/install.sql` builds everything; each part below is one migration, and there one statement.
--
-- The life of a row. A pushed commit becomes a lab_attempt, and its one verification a job: two
-- ledger rows that are inserted once and never change. Where the job stands is not a column but a
-- place. Its session has a lane, which counts the session's open jobs; the first of them is the
-- lane's head, the later ones are waiting. The head is ready, until a worker's claim makes it a
-- lease: a random token and an end. The holder of the token may write the verdict, which is again a
-- ledger row, and the session's next waiting job becomes the head. A run whose lease ends without a
-- verdict is recorded as an aborted_run, and the job is ready again until its runs are used up. A
-- job that is not begun in the time it was given expires. A job with a verdict is in no hot table
-- any more, unless it is to be judged again: then it goes the same way once more, as a review, and
-- the answer is an amendment beside the verdict. What a run leaves as evidence is its artifacts.
-- What is beside the ledger may go when it is old, unless its session is on hold; the ledger says
-- what went, when and why.
--
--   lab_attempt ---- job ---- verdict --< amendment      the ledger: insert only, guarded, for ever
--        |            | |\         \--< review ---- review_result
--        |            | | \--< aborted_run
--        |            |  \---< artifact
--     detail      payload, body, summaries              beside it: bulky or personal, may expire
--
--   lane ---- ready (claimable, delayed) or lease       hot: one row per session with open jobs
--      \----< waiting                                   hot: the session's later jobs, reviews
--
-- Locks are taken in one order: the lane, then the ledger's unique keys or the head, in lease or in
-- ready, then the rest. Every call that changes how many jobs a session has open locks its lane:
-- enqueue, reverify, complete, cancel, and whatever ends the last run of a job. claim, heartbeat
-- and rescue wait for no lane, and so for no open enqueue: they leave a locked one to a later call.
--
-- The files: base/guards.sql, the tables of ledger/ and queue/, then enqueue, claim and complete
-- are the core. A type stands above the function that answers it, a helper in the file of its
-- subject, behind the calls.


-- What everything stands on.


-- Roles: six group roles without login. They belong to the whole cluster: created if absent, never
-- dropped. pgjobs_owner owns every object, so that no login does; the rest of the installation runs
-- as that role. Where the installing role may not create roles, it becomes the owner itself;
-- grants.sql says what is then left to do by hand.
do $$
declare
    v_role text;
begin
    if coalesce(current_setting('pgjobs.former_role', true), '') = '' then
        raise exception 'what follows must be one transaction, and is not'
            using errcode = '25P01', hint = 'psql -1 -v ON_ERROR_STOP=1 -f ...';
    end if;
    if getdatabaseencoding() <> 'UTF8' then
        raise exception 'the database must be encoded in UTF8, not in %', getdatabaseencoding()
            using errcode = '0A000',
                  hint = 'create database lab encoding ''UTF8'' template template0';
    end if;
    if exists (
        select from pg_depend as part
        where part.refclassid = 'pg_namespace'::regclass
            and part.refobjid = to_regnamespace('pgjobs')
            and part.classid <> 'pg_default_acl'::regclass
    ) then
        raise exception 'there is a schema pgjobs, and it is not empty'
            using errcode = '42P06', hint = 'select * from pgjobs.migration says what it has.';
    end if;
    if exists (
        select from pg_shdepend as use
        join pg_database as other on other.oid = use.dbid and other.datname <> current_database()
        where use.refclassid = 'pg_authid'::regclass
            and use.refobjid in (to_regrole('pgjobs_app'), to_regrole('pgjobs_worker'))
    ) then
        raise notice 'another database of this cluster has an installation with the same roles'
            using hint = 'Whoever is granted one of them may call both, where he may connect: '
                         'grant CONNECT to logins, not to the group roles (docs/security.md).';
    end if;

    -- An empty schema that was made beforehand is taken as it is, but not from a superuser.
    perform set_config('role', current_setting('pgjobs.former_role'), true);
    if (select rolsuper or rolcreaterole from pg_roles where rolname = current_user) then
        begin
            foreach v_role in array array[
                'owner', 'app', 'worker', 'reader', 'operator', 'approver'
            ] loop
                if to_regrole('pgjobs_' || v_role) is null then
                    execute format('create role pgjobs_%s nologin', v_role);
                end if;
            end loop;
            if not pg_has_role(
                'pgjobs_owner',
                case when current_setting('server_version_num')::integer < 160000
                    then 'MEMBER' else 'SET' end
            ) then
                grant pgjobs_owner to current_user;
            end if;
            if to_regnamespace('pgjobs') is null then
                create schema pgjobs authorization pgjobs_owner;
            end if;
            alter schema pgjobs owner to pgjobs_owner;
            perform set_config('role', 'pgjobs_owner', true);
            return;
        exception
            when insufficient_privilege then
                raise notice 'role % may not act for the existing role pgjobs_owner', current_user
                    using hint = 'It becomes the owner of everything itself. If it should not: '
                                 'grant pgjobs_owner to it first.';
        end;
    end if;

    if to_regnamespace('pgjobs') is null then
        create schema pgjobs;
    end if;
    perform set_config('role', pg_get_userbyid(namespace.nspowner), true)
    from pg_namespace as namespace
    where namespace.nspname = 'pgjobs';
end
$$;

comment on schema pgjobs is
    'Verification jobs: one per commit for ever, one verdict per job, never changed. See '
    'docs/reference.md.';


-- What a value of a column can be, and the marks of claim.

-- Domains, since PostgreSQL prepares the CHECK of a column anew for every INSERT statement, that of
-- a domain once a session; none is a key.
create domain pgjobs.priority as smallint
    constraint job_priority_check check (value between 1 and 4);
comment on domain pgjobs.priority is '1 first, 4 last.';


create domain pgjobs.max_runs as smallint
    constraint job_max_runs_check check (value between 1 and 25);
comment on domain pgjobs.max_runs is 'How many runs a job may have in all, 1 to 25.';


create domain pgjobs.open_jobs as smallint
    constraint lane_open_jobs_check check (value between 1 and 100);
comment on domain pgjobs.open_jobs is 'Back-pressure: at most 100 open jobs per session.';


-- Marks are sequences, not rows: a row that claims update would leave dead versions that every
-- claim steps over while somebody holds an old snapshot. Setting one is not undone by a rollback. A
-- mark saves work, and no answer depends on it, but that there is nothing, on idle_at, for 0.1 s.
create sequence pgjobs.swept_at as bigint minvalue 0 start 0;
comment on sequence pgjobs.swept_at is
    'When a claim last looked for ended leases and delays: milliseconds since 1970.';
create sequence pgjobs.idle_at as bigint minvalue 0 start 0;
comment on sequence pgjobs.idle_at is
    'When a claim last looked at everything for long and found nothing: milliseconds since 1970.';
-- One a priority: a claim found nothing claimable up to this ready_no.
create sequence pgjobs.low_water_1 as bigint minvalue 0 start 0;
create sequence pgjobs.low_water_2 as bigint minvalue 0 start 0;
create sequence pgjobs.low_water_3 as bigint minvalue 0 start 0;
create sequence pgjobs.low_water_4 as bigint minvalue 0 start 0;


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


-- The rules of arguments. A public function asks them in one CASE before it touches a table, which
-- names the first bad argument, and _refuse_argument says what it must be. Lengths come first: no
-- pattern sees a long value.

-- Planned into whatever asks. The names in such a body are bound when it is created, so there is no
-- path to pin; with a path it would be called instead.
create function pgjobs._is_commit_sha(value text)
    returns boolean
    language sql immutable parallel safe
    -- A negated class is the cheapest exact test: 0.3 us, against 5 us for a counted one.
    return octet_length(value) in (40, 64)
        and value collate "C" !~ '[^0-9a-f]'
        and value collate "C" ~ '[^0]';
comment on function pgjobs._is_commit_sha is
    'Whether it is a full commit SHA: 40 or 64 lower-case hex digits, not all zeros.';


create function pgjobs._is_text(value text)
    returns boolean
    language sql immutable parallel safe
    return octet_length(value) <= 800
        and char_length(value) between 1 and 200
        and value collate "C" !~ '[\u0001-\u001f\u007f-\u009f]'
        and value collate "C" ~ '[^ \u00a0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000\ufeff]';
comment on function pgjobs._is_text is
    'Whether it is 1 to 200 characters, not blank, without U+0000-001F and U+007F-009F.';


-- Two names that look the same are one person: by case, blanks, and the forms of Unicode.
create function pgjobs._is_same_person(value text, other text)
    returns boolean
    language sql immutable parallel safe
    return lower(translate(normalize(value, nfkc), u&' \200b\200c\200d\200e\200f\2060\feff', ''))
        = lower(translate(normalize(other, nfkc), u&' \200b\200c\200d\200e\200f\2060\feff', ''));
comment on function pgjobs._is_same_person is
    'Whether two names differ at most in case, blanks, marks without width and Unicode form.';


create function pgjobs._is_document(value jsonb)
    returns boolean
    language sql stable parallel safe
    return value is null or octet_length(value::text) <= 65536;
comment on function pgjobs._is_document is 'Whether it is null, or at most 64 KiB of JSON text.';


-- In seconds: a year is 360 days to a comparison of intervals but 365.25 to extract, and a day of
-- the caller's time zone may have 23 hours.
create function pgjobs._is_duration(value interval, low integer, high integer)
    returns boolean
    language sql immutable parallel safe
    return (extract(epoch from value) between low and high) is true;
comment on function pgjobs._is_duration is
    'Whether it is an interval of low to high seconds; a caller then uses it in seconds too.';


create function pgjobs._has_size(value anyarray, size integer)
    returns boolean
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return (
        cardinality(value) = size
        and size <= 10000
        and coalesce(array_ndims(value), 1) = 1
    ) is true;
end
$$;
comment on function pgjobs._has_size is
    'Whether an array has one dimension and so many elements, at most 10,000.';


create function pgjobs._bad_push(
    author text,
    branch text,
    changed_files text[],
    pushed_at timestamptz
)
    returns text
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return case
        when not pgjobs._is_text(author) then 'author'
        -- Of git a branch may have 255 bytes, which may be more than 200 characters.
        when not (
            pgjobs._is_text(left(branch, 200))
            and pgjobs._is_text(right(branch, 200))
            and (char_length(branch) <= 200 or octet_length(branch) <= 255)
        ) then 'branch'
        -- Clients cannot read what lies before year 1.
        when not (
            pushed_at >= timestamptz '0001-01-01 00:00+00'
            and pushed_at <= now() + interval '24 hours'
        ) then 'pushed_at'
        when changed_files is not null and (
            cardinality(changed_files) <= 3000
            and coalesce(array_ndims(changed_files), 1) = 1
            and array_position(changed_files, null) is null
            and octet_length(array_to_string(changed_files, '')) <= 262144
            and (
                select coalesce(bool_and(char_length(file) between 1 and 1024), true)
                from unnest(changed_files) as file
            )
        ) is not true then 'changed_files'
    end;
end
$$;
comment on function pgjobs._bad_push is
    'The first bad argument about a push, or null; each of them may itself be null.';


create function pgjobs._bad_claim(worker text, max_jobs integer, lease_for interval)
    returns text
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return case
        when pgjobs._is_text(worker) is not true then 'worker'
        when (max_jobs between 1 and 1000) is not true then 'max_jobs'
        when not pgjobs._is_duration(lease_for, 1, 86400) then 'lease_for'
    end;
end
$$;
comment on function pgjobs._bad_claim is 'The first bad argument of claim, or null.';


create function pgjobs._bad_verdict(
    job_id bigint,
    lease_token uuid,
    status text,
    summary jsonb,
    reason text
)
    returns text
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return case
        when job_id is null then 'job_id'
        when lease_token is null then 'lease_token'
        when status in ('PASSED', 'FAILED', 'ERROR') is not true then 'status'
        when not pgjobs._is_document(summary) then 'summary'
        when reason is not null and not (pgjobs._is_text(reason) and status = 'ERROR')
            then 'reason'
    end;
end
$$;
comment on function pgjobs._bad_verdict is 'The first bad argument of complete, or null.';


create function pgjobs._bad_order(session_id uuid, reason text, actor text, ticket text)
    returns text
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return case
        when session_id is null then 'session_id'
        when pgjobs._is_text(reason) is not true then 'reason'
        when pgjobs._is_text(actor) is not true then 'actor'
        when pgjobs._is_text(ticket) is not true then 'ticket'
    end;
end
$$;
comment on function pgjobs._bad_order is
    'The first argument missing from an order about what a session keeps, or null.';


create function pgjobs._bad_decision(
    reason text,
    actor text,
    approver text,
    ticket text,
    lab_version text
)
    returns text
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return case
        when pgjobs._is_text(reason) is not true then 'reason'
        when pgjobs._is_text(actor) is not true then 'actor'
        when pgjobs._is_text(approver) is not true then 'approver'
        when pgjobs._is_text(ticket) is not true then 'ticket'
        when not pgjobs._is_text(lab_version) then 'lab_version'
        when pgjobs._is_same_person(actor, approver) then 'approver'
    end;
end
$$;
comment on function pgjobs._bad_decision is
    'The first argument missing from a decision about a verdict, or its second person, or null.';

-- The ledger: one row per push, per commit, per verdict.


-- lab_attempt: one pushed commit of one lab session. Guarantees: one attempt per session and commit
-- (lab_attempt_session_id_commit_sha_key), one per session and delivery id
-- (lab_attempt_session_id_delivery_id_key), nothing but well-formed commit SHAs
-- (lab_attempt_commit_sha_check), no change ever (the guards).
create table pgjobs.lab_attempt (
    attempt_id bigint generated always as identity,
    session_id uuid not null,
    commit_sha text collate "C" not null,
    recorded_at timestamptz not null,
    delivery_id text collate "C",
    pushed_at timestamptz,
    detail_sha256 bytea,
    constraint lab_attempt_attempt_id_pkey primary key (attempt_id),
    constraint lab_attempt_session_id_commit_sha_key unique (session_id, commit_sha),
    constraint lab_attempt_commit_sha_check check (
        octet_length(commit_sha) in (40, 64)
        and commit_sha !~ '[^0-9a-f]'
        and commit_sha ~ '[^0]'
    )
);

-- Serves the idempotency look-up of enqueue and record_attempt; keys are per session.
create unique index lab_attempt_session_id_delivery_id_key
    on pgjobs.lab_attempt (session_id, delivery_id)
    where delivery_id is not null;

comment on table pgjobs.lab_attempt is 'Ledger: one pushed commit of one lab session.';
comment on column pgjobs.lab_attempt.delivery_id is
    'The provider''s delivery id, of the call that wrote the attempt; unique per session.';
comment on column pgjobs.lab_attempt.pushed_at is 'When the commit was pushed, as the caller says.';
comment on column pgjobs.lab_attempt.detail_sha256 is
    'SHA-256 of the attempt_detail row, null where none was given.';
comment on constraint lab_attempt_session_id_commit_sha_key on pgjobs.lab_attempt is
    'One attempt per session and commit; target of job; serves "attempts and jobs of a session".';


-- attempt_detail: who pushed what where. Written only when given.
create table pgjobs.attempt_detail (
    attempt_id bigint not null,
    author text,
    branch text,
    changed_files text[],
    constraint attempt_detail_attempt_id_pkey primary key (attempt_id),
    constraint attempt_detail_attempt_id_fkey foreign key (attempt_id)
        references pgjobs.lab_attempt (attempt_id)
);

comment on table pgjobs.attempt_detail is 'Detail: personal and bulky data of an attempt.';


-- job: the verification of a commit. Guarantees: one per commit SHA for ever (job_commit_sha_key),
-- of an attempt of the same session and commit (job_session_id_commit_sha_fkey), no change ever
-- (the guards). It has no status: an open job is in ready, lease or waiting, a finished one has a
-- verdict.
create table pgjobs.job (
    job_id bigint generated always as identity,
    session_id uuid not null,
    commit_sha text collate "C" not null,
    lab_version text collate "C" not null,
    priority pgjobs.priority not null,
    max_runs pgjobs.max_runs not null,
    created_at timestamptz not null,
    available_at timestamptz,
    payload_sha256 bytea,
    start_by timestamptz,
    constraint job_job_id_pkey primary key (job_id),
    constraint job_commit_sha_key unique (commit_sha),
    -- No index of its own: the referenced rows are never updated or deleted.
    constraint job_session_id_commit_sha_fkey foreign key (session_id, commit_sha)
        references pgjobs.lab_attempt (session_id, commit_sha)
);

comment on sequence pgjobs.job_job_id_seq is
    'Gives the ids of jobs and reviews, in the order of enqueuing within a session, and the places '
    'of heads that become claimable later.';
comment on table pgjobs.job is
    'Ledger: the verification of a commit, at most one per commit SHA, for ever.';
comment on column pgjobs.job.available_at is 'Not to be claimed before; null: at once.';
comment on column pgjobs.job.payload_sha256 is
    'SHA-256 of the payload''s text, null where none was given.';
comment on column pgjobs.job.start_by is
    'Ends as EXPIRED if no run has begun by then; null: waits for ever.';
comment on constraint job_commit_sha_key on pgjobs.job is
    'One job per commit SHA; serves look-ups by commit.';


-- job_payload: what the worker needs beyond the ids. Written only when given.
create table pgjobs.job_payload (
    job_id bigint not null,
    payload jsonb not null,
    constraint job_payload_job_id_pkey primary key (job_id),
    constraint job_payload_job_id_fkey foreign key (job_id) references pgjobs.job (job_id)
);

comment on table pgjobs.job_payload is
    'Detail: what the worker needs beyond the ids (repository URL, steps, ...).';
comment on column pgjobs.job_payload.payload is 'As given to enqueue; at most 64 KiB of text.';


create function pgjobs._find_job(job_id bigint)
    returns pgjobs.job
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_job pgjobs.job;
begin
    select job.* into v_job from pgjobs.job as job where job.job_id = _find_job.job_id;
    if not found then
        perform pgjobs._refuse('job_not_found');
    end if;
    return v_job;
end
$$;
comment on function pgjobs._find_job is 'The job with that id; P0002 when there is none.';


create function pgjobs._status(session_id uuid, job_id bigint)
    returns text
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce(
        (
            select verdict.status
            from pgjobs.verdict as verdict
            where verdict.job_id = _status.job_id
        ),
        (
            select 'RUNNING'
            from pgjobs.lease as lease
            where lease.session_id = _status.session_id and lease.job_id = _status.job_id
        ),
        'QUEUED'
    );
end
$$;
comment on function pgjobs._status is 'Where a job stands now.';


-- verdict: how a job ended. Guarantees: one per job (verdict_job_id_pkey), only PASSED, FAILED or
-- ERROR (verdict_status_check), a reason exactly for ERROR (verdict_error_reason_check), a worker's
-- lease behind every verdict a worker gave, and no run behind an expired job's
-- (verdict_lease_token_check), a mark on what the history of the host says, which had no run and is
-- never FAILED (verdict_origin_check), no change ever (the guards).
create table pgjobs.verdict (
    job_id bigint not null,
    completed_at timestamptz not null,
    started_at timestamptz,
    lease_token uuid,
    run_no smallint not null,
    status text collate "C" not null,
    worker text collate "C",
    error_reason text collate "C",
    error_detail text,
    actor text,
    summary_sha256 bytea,
    login text collate "C",
    origin text collate "C",
    constraint verdict_job_id_pkey primary key (job_id),
    constraint verdict_job_id_fkey foreign key (job_id) references pgjobs.job (job_id),
    constraint verdict_status_check check (status in ('PASSED', 'FAILED', 'ERROR')),
    constraint verdict_error_reason_check check (
        (status = 'ERROR') = (error_reason is not null)
        and error_reason in (
            'REPORTED', 'RUNS_EXHAUSTED', 'CANCELLED', 'EXPIRED', 'BACKFILL_UNKNOWN'
        )
    ),
    constraint verdict_lease_token_check check (
        case
            when origin is not null then actor is null and lease_token is null
            when error_reason = 'CANCELLED' then actor is not null and login is not null
            when error_reason = 'RUNS_EXHAUSTED' then actor is null and lease_token is null
            when error_reason = 'EXPIRED'
                then num_nonnulls(actor, lease_token, started_at, worker) = 0 and run_no = 0
            else actor is null and lease_token is not null
        end
        and (lease_token is null or (worker is not null and started_at is not null and run_no > 0))
    ),
    constraint verdict_origin_check check (
        case
            when origin is null then error_reason is distinct from 'BACKFILL_UNKNOWN'
            else origin = 'BACKFILL'
                and run_no = 0
                and num_nonnulls(started_at, worker, summary_sha256) = 0
                and login is not null
                and case status
                    when 'PASSED' then error_detail is null
                    when 'ERROR' then error_reason = 'BACKFILL_UNKNOWN' and error_detail is not null
                    else false
                end
        end
    )
);

-- Serves "the newest 50 FAILED" and counts per status over a time.
create index verdict_status_completed_at_idx on pgjobs.verdict (status, completed_at);
-- Serves the count of dead letters; no plain job has an entry.
create index verdict_job_id_idx on pgjobs.verdict (job_id) where error_reason = 'RUNS_EXHAUSTED';

comment on table pgjobs.verdict is 'Ledger: how a job ended, written once.';
comment on column pgjobs.verdict.started_at is
    'When the latest run started; null where there was none.';
comment on column pgjobs.verdict.lease_token is
    'The lease of the run that this verdict ended; null where it ended none.';
comment on column pgjobs.verdict.run_no is 'How many runs the job has had.';
comment on column pgjobs.verdict.worker is
    'The worker of the latest run; null where there was none.';
comment on column pgjobs.verdict.error_reason is
    'REPORTED by the worker, RUNS_EXHAUSTED, CANCELLED, EXPIRED (not begun in time) or '
    'BACKFILL_UNKNOWN; null unless ERROR.';
comment on column pgjobs.verdict.error_detail is
    'The reason given to complete, release or cancel, or what a backfill knew instead.';
comment on column pgjobs.verdict.login is
    'The database login, session_user, of who cancelled or backfilled.';
comment on column pgjobs.verdict.summary_sha256 is
    'SHA-256 of the summary''s text, null where none was given.';
comment on column pgjobs.verdict.origin is
    'BACKFILL: the history of the host says so, no run of ours; else null.';
comment on constraint verdict_lease_token_check on pgjobs.verdict is
    'A worker''s verdict has its lease, a cancel its actor, an expired job no run.';
comment on constraint verdict_origin_check on pgjobs.verdict is
    'A backfilled verdict had no run, is PASSED or unknown, and is marked; no other is unknown.';


-- verdict_summary: what the worker says beside the status. Written only when given.
create table pgjobs.verdict_summary (
    job_id bigint not null,
    summary jsonb not null,
    constraint verdict_summary_job_id_pkey primary key (job_id),
    constraint verdict_summary_job_id_fkey foreign key (job_id) references pgjobs.verdict (job_id)
);

comment on table pgjobs.verdict_summary is 'Detail: what the worker says beside the status.';
comment on column pgjobs.verdict_summary.summary is 'As given to complete; at most 64 KiB of text.';


-- aborted_run: a run that ended without a verdict. Guarantees: one record per run
-- (aborted_run_job_id_run_no_pkey), no change ever (the guards). Infrastructure trouble ends here,
-- never in a FAILED.
create table pgjobs.aborted_run (
    job_id bigint not null,
    started_at timestamptz not null,
    ended_at timestamptz not null,
    run_no smallint not null,
    outcome text collate "C" not null,
    worker text collate "C" not null,
    reason text,
    actor text,
    login text collate "C",
    constraint aborted_run_job_id_run_no_pkey primary key (job_id, run_no),
    constraint aborted_run_job_id_fkey foreign key (job_id) references pgjobs.job (job_id),
    constraint aborted_run_run_no_check check (run_no >= 1),
    constraint aborted_run_outcome_check check (
        outcome in ('LEASE_LOST', 'RELEASED', 'INTERRUPTED', 'REVOKED')
    ),
    constraint aborted_run_reason_check check ((outcome = 'LEASE_LOST') = (reason is null)),
    constraint aborted_run_actor_check check (
        num_nonnulls(actor, login) = case outcome when 'REVOKED' then 2 else 0 end
    )
);

comment on table pgjobs.aborted_run is 'Ledger: a run that ended without a verdict.';
comment on column pgjobs.aborted_run.ended_at is 'When the lease was taken away or given back.';
comment on column pgjobs.aborted_run.outcome is
    'LEASE_LOST, RELEASED, or not counted against max_runs: INTERRUPTED, released by a worker that '
    'stops, and REVOKED by an operator.';
comment on column pgjobs.aborted_run.login is
    'The database login, session_user, of who revoked the lease.';


-- backfill: what became of a log of the host's history (backfill.sql). Guarantees: a log is looked
-- at once (backfill_log_id_pkey), a job comes from one log (backfill_job_id_key), an outcome has
-- its reason and its rows (backfill_reason_check, backfill_outcome_check), no change ever (the
-- guards). Two hashes keep what was read and what then stood in the ledger.
create table pgjobs.backfill (
    log_id uuid not null,
    session_id uuid not null,
    attempt_id bigint,
    job_id bigint,
    backfilled_at timestamptz not null,
    outcome text collate "C" not null,
    reason text collate "C" not null,
    login text collate "C" not null,
    log_sha256 bytea not null,
    ledger_sha256 bytea not null,
    constraint backfill_log_id_pkey primary key (log_id),
    constraint backfill_job_id_key unique (job_id),
    constraint backfill_job_id_fkey foreign key (job_id) references pgjobs.job (job_id),
    -- No index of its own: the referenced rows are never updated or deleted.
    constraint backfill_attempt_id_fkey foreign key (attempt_id)
        references pgjobs.lab_attempt (attempt_id),
    constraint backfill_outcome_check check (
        case outcome
            when 'JOB' then attempt_id is not null and job_id is not null
            when 'ATTEMPT' then attempt_id is not null and job_id is null
            when 'SKIPPED' then attempt_id is null and job_id is null
            else false
        end
    ),
    constraint backfill_reason_check check (
        case outcome
            when 'JOB' then reason in ('VERIFIED_PASS', 'BACKFILL_UNKNOWN')
            when 'ATTEMPT' then reason in ('COMMIT_HAS_JOB', 'BAD_LAB_VERSION')
            else reason in ('BAD_COMMIT_SHA', 'BAD_TIME')
        end
    ),
    constraint backfill_log_sha256_check check (octet_length(log_sha256) = 32),
    constraint backfill_ledger_sha256_check check (octet_length(ledger_sha256) = 32)
);

comment on table pgjobs.backfill is 'Ledger: what became of a log of the host''s history.';
comment on column pgjobs.backfill.attempt_id is
    'The attempt of its session and commit, made for it or there before.';
comment on column pgjobs.backfill.outcome is 'JOB, ATTEMPT (no job of its own) or SKIPPED.';
comment on column pgjobs.backfill.reason is
    'JOB: VERIFIED_PASS or BACKFILL_UNKNOWN. ATTEMPT: COMMIT_HAS_JOB or BAD_LAB_VERSION. SKIPPED: '
    'BAD_COMMIT_SHA or BAD_TIME.';
comment on column pgjobs.backfill.log_sha256 is 'SHA-256 of the log as it was read.';
comment on column pgjobs.backfill.ledger_sha256 is
    'SHA-256 of its attempt, job, verdict and artifacts as they stood then.';


-- migration: which migrations this database has, each written in the migration's own transaction.
create table pgjobs.migration (
    migration_id text not null,
    checksum text not null,
    applied_at timestamptz not null default now(),
    applied_by text not null default session_user,
    constraint migration_migration_id_pkey primary key (migration_id)
);

comment on table pgjobs.migration is
    'The migrations this database has; the runner trusts this table.';
comment on column pgjobs.migration.checksum is
    'SHA-256, in hex, of the file''s text above the line that inserts this row.';

-- The life of a job.


-- The hot tables: where a session's open jobs stand. Rows come and go, so they have no foreign keys
-- and no triggers: only the functions of queue/ and decisions/review.sql write here.

-- lane: a session with open jobs: how many, and which of them is the head. Guarantees: at most 100
-- (the domain open_jobs, asked by enqueue before it is hit); one head per session, which is in
-- ready or in lease, while the others wait. Its row lock is what makes "the next job of a session"
-- safe: every call that adds or ends a job changes this row, so two of them never pass each other,
-- and above READ COMMITTED the second gets 40001.
create table pgjobs.lane (
    session_id uuid not null,
    head_job_id bigint not null,
    open_jobs pgjobs.open_jobs not null,
    constraint lane_session_id_pkey primary key (session_id)
);

comment on table pgjobs.lane is
    'Hot: a session with open jobs, and its head; the lock for adding and ending jobs.';
comment on column pgjobs.lane.head_job_id is
    'The first of its open jobs, or the job whose review is: the row of ready or lease.';


-- ready: the head of a session while nobody runs it: claimable, or delayed until its time comes.
-- One row per job (ready_job_id_pkey).
create table pgjobs.ready (
    job_id bigint not null,
    session_id uuid not null,
    attempt_id bigint not null,
    available_at timestamptz not null,
    ready_no bigint,
    review_id bigint,
    started_at timestamptz,
    priority smallint not null,
    run_no smallint,
    last_run_no smallint not null,
    worker text collate "C",
    lease_lost boolean,
    start_by timestamptz,
    constraint ready_job_id_pkey primary key (job_id)
);

-- Serves claim: the claimable heads in order.
create index ready_priority_ready_no_idx on pgjobs.ready (priority, ready_no)
    where ready_no is not null;
-- Serves the promotion of heads whose time has come.
create index ready_available_at_idx on pgjobs.ready (available_at) where ready_no is null;
-- Serves the expiry of jobs that nobody has begun.
create index ready_start_by_idx on pgjobs.ready (start_by) where start_by is not null;

comment on table pgjobs.ready is
    'Hot: the first open job of a session, claimable or delayed.';
comment on column pgjobs.ready.attempt_id is
    'Its attempt, so that claim need not look for it.';
comment on column pgjobs.ready.available_at is 'Not to be claimed before.';
comment on column pgjobs.ready.ready_no is
    'Place among the claimable heads of its priority, from the sequence of the jobs: the id of a '
    'new job that is its session''s head at once, else the next number; null while delayed.';
comment on column pgjobs.ready.review_id is
    'The review for which the job is judged again; null for its first verification.';
comment on column pgjobs.ready.started_at is 'When the latest run was claimed; null without one.';
comment on column pgjobs.ready.run_no is 'How many runs the job has had; null without one.';
comment on column pgjobs.ready.last_run_no is
    'The run that ends the job, or its review, when it is lost or released.';
comment on column pgjobs.ready.worker is 'Who claimed the latest run; null without one.';
comment on column pgjobs.ready.lease_lost is
    'Whether the latest run lost its lease; null without one.';
comment on column pgjobs.ready.start_by is
    'Not to be claimed from then on: the job''s, until its first run; null for a review.';


-- lease: the head of a session while a worker runs it. Guarantees: one running job per session
-- (lease_session_id_pkey). Claim moves a row from ready to here; complete and cancel take it away;
-- release and rescue move it back, or take it away when that was the last run.
create table pgjobs.lease (
    session_id uuid not null,
    job_id bigint not null,
    attempt_id bigint not null,
    available_at timestamptz not null,
    started_at timestamptz not null,
    lease_expires_at timestamptz not null,
    lease_token uuid not null,
    lease_for integer not null,
    review_id bigint,
    priority smallint not null,
    run_no smallint not null,
    last_run_no smallint not null,
    worker text collate "C" not null,
    constraint lease_session_id_pkey primary key (session_id)
);

-- Serves rescue.
create index lease_lease_expires_at_idx on pgjobs.lease (lease_expires_at);

comment on table pgjobs.lease is 'Hot: the first open job of a session, running.';
comment on column pgjobs.lease.available_at is 'From when on it could be claimed.';
comment on column pgjobs.lease.lease_expires_at is
    'From then on the lease may be taken away.';
comment on column pgjobs.lease.lease_token is 'The holder of this token may write the verdict.';
comment on column pgjobs.lease.lease_for is
    'The granted length in milliseconds, to tell a lease of a clock that ran ahead.';
comment on column pgjobs.lease.review_id is
    'The review for which the job is judged again; null for its first verification.';
comment on column pgjobs.lease.run_no is 'How many runs the job has had, this one included.';


-- waiting: a session's open jobs and reviews behind its head, in the order of their coming.
create table pgjobs.waiting (
    session_id uuid not null,
    turn_no bigint not null,
    reviewed_job_id bigint,
    start_by timestamptz,
    constraint waiting_session_id_turn_no_pkey primary key (session_id, turn_no)
);

-- Serves the expiry of jobs that nobody has begun.
create index waiting_start_by_idx on pgjobs.waiting (start_by) where start_by is not null;

comment on table pgjobs.waiting is 'Hot: a session''s open jobs and reviews behind its head.';
comment on column pgjobs.waiting.turn_no is
    'The job, or the review: their ids come from one sequence.';
comment on column pgjobs.waiting.reviewed_job_id is
    'The job that the review is of; null for a job that waits for its first verification.';


create type pgjobs.recorded as (
    attempt_id bigint,
    created boolean
);
comment on type pgjobs.recorded is 'Answer of record_attempt.';


create function pgjobs.record_attempt(
    session_id uuid,
    commit_sha text,
    delivery_id text default null,
    author text default null,
    branch text default null,
    changed_files text[] default null,
    pushed_at timestamptz default null
)
    returns pgjobs.recorded
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_bad text;
    v_attempt_id bigint;
begin
    v_bad := case
        when session_id is null then 'session_id'
        when pgjobs._is_commit_sha(commit_sha) is not true then 'commit_sha'
        when not pgjobs._is_text(delivery_id) then 'delivery_id'
        else pgjobs._bad_push(author, branch, changed_files, pushed_at)
    end;
    if v_bad is not null then
        perform pgjobs._refuse_argument('record_attempt', v_bad, jsonb_build_object(
            'session_id', session_id, 'commit_sha', commit_sha, 'delivery_id', delivery_id,
            'author', author, 'branch', branch, 'changed_files', changed_files,
            'pushed_at', pushed_at
        ));
    end if;
    loop
        select known.attempt_id into v_attempt_id
        from pgjobs._find_attempt(
            session_id, commit_sha, delivery_id, author, branch, changed_files, null
        ) as known;
        if v_attempt_id is not null then
            return (v_attempt_id, false)::pgjobs.recorded;
        end if;
        v_attempt_id := pgjobs._add_attempt(
            session_id, commit_sha, delivery_id, author, branch, changed_files, pushed_at
        );
        if v_attempt_id is not null then
            return (v_attempt_id, true)::pgjobs.recorded;
        end if;
    end loop;
end
$$;
comment on function pgjobs.record_attempt is
    'Records a push that is not (yet) to be verified, or answers the existing attempt (created '
    '= false). Errors: 22023, 22004, 23V04, 40001.';


create function pgjobs._find_attempt(
    session_id uuid,
    commit_sha text,
    delivery_id text,
    author text,
    branch text,
    changed_files text[],
    ordinal bigint,
    out attempt_id bigint,
    out is_redelivery boolean
)
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_known record;
    v_differing text;
begin
    is_redelivery := false;
    if _find_attempt.delivery_id is not null then
        select
            attempt.attempt_id, attempt.commit_sha,
            detail.author, detail.branch, detail.changed_files,
            detail.attempt_id is null and attempt.detail_sha256 is not null as is_expired
        into v_known
        from pgjobs.lab_attempt as attempt
        left join pgjobs.attempt_detail as detail on detail.attempt_id = attempt.attempt_id
        where attempt.session_id = _find_attempt.session_id
            and attempt.delivery_id = _find_attempt.delivery_id;
        if found then
            -- What the call leaves null is not compared, nor is what has expired.
            v_differing := case
                when v_known.commit_sha <> _find_attempt.commit_sha then 'commit_sha'
                when v_known.is_expired then null
                when (v_known.author = _find_attempt.author) is not true
                    and _find_attempt.author is not null then 'author'
                when (v_known.branch = _find_attempt.branch) is not true
                    and _find_attempt.branch is not null then 'branch'
                when (v_known.changed_files = _find_attempt.changed_files) is not true
                    and _find_attempt.changed_files is not null then 'changed_files'
            end;
            if v_differing is not null then
                perform pgjobs._refuse('delivery_conflict', v_differing, ordinal);
            end if;
            attempt_id := v_known.attempt_id;
            is_redelivery := true;
            return;
        end if;
    end if;
    select attempt.attempt_id into attempt_id
    from pgjobs.lab_attempt as attempt
    where attempt.session_id = _find_attempt.session_id
        and attempt.commit_sha = _find_attempt.commit_sha;
end
$$;
comment on function pgjobs._find_attempt is
    'The attempt of a request, null if there is none. is_redelivery: found by its delivery id, '
    'whose request is the same; else 23V04.';


create function pgjobs._add_attempt(
    session_id uuid,
    commit_sha text,
    delivery_id text,
    author text,
    branch text,
    changed_files text[],
    pushed_at timestamptz
)
    returns bigint
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_recorded_at timestamptz := clock_timestamp();
    v_attempt_id bigint;
    v_detail_sha256 bytea;
begin
    if num_nonnulls(author, branch, changed_files) > 0 then
        v_detail_sha256 := sha256(
            convert_to(jsonb_build_array(author, branch, changed_files)::text, 'UTF8')
        );
    end if;
    insert into pgjobs.lab_attempt (
        session_id, commit_sha, recorded_at, delivery_id, pushed_at, detail_sha256
    )
    values (
        _add_attempt.session_id, _add_attempt.commit_sha, v_recorded_at,
        _add_attempt.delivery_id, _add_attempt.pushed_at, v_detail_sha256
    )
    on conflict do nothing
    returning attempt_id into v_attempt_id;
    if v_attempt_id is not null and v_detail_sha256 is not null then
        insert into pgjobs.attempt_detail (attempt_id, author, branch, changed_files)
        values (v_attempt_id, _add_attempt.author, _add_attempt.branch, _add_attempt.changed_files);
    end if;
    return v_attempt_id;
end
$$;
comment on function pgjobs._add_attempt is
    'Writes an attempt and its detail; waits for a rival; null when the rival was there first.';


create type pgjobs.enqueued as (
    job_id bigint,
    attempt_id bigint,
    status text,
    created boolean
);
comment on type pgjobs.enqueued is
    'Answer of enqueue: created is true for the one call that made the job.';


create function pgjobs.enqueue(
    session_id uuid,
    commit_sha text,
    lab_version text,
    delivery_id text default null,
    priority integer default 2,
    available_at timestamptz default null,
    max_runs integer default 3,
    author text default null,
    branch text default null,
    changed_files text[] default null,
    pushed_at timestamptz default null,
    payload jsonb default null,
    start_within interval default null,
    max_open_jobs integer default 100
)
    returns pgjobs.enqueued
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := clock_timestamp();
    v_bad text;
begin
    v_bad := case
        when session_id is null then 'session_id'
        when pgjobs._is_commit_sha(commit_sha) is not true then 'commit_sha'
        when pgjobs._is_text(lab_version) is not true then 'lab_version'
        when not pgjobs._is_text(delivery_id) then 'delivery_id'
        when (priority between 1 and 4) is not true then 'priority'
        when (max_runs between 1 and 25) is not true then 'max_runs'
        when not (isfinite(available_at) and available_at <= v_now + interval '30 days')
            then 'available_at'
        when not pgjobs._is_document(payload) then 'payload'
        when start_within is not null and not pgjobs._is_duration(start_within, 1, 2592000)
            then 'start_within'
        when (max_open_jobs between 1 and 100) is not true then 'max_open_jobs'
        when num_nonnulls(author, branch, changed_files, pushed_at) > 0
            then pgjobs._bad_push(author, branch, changed_files, pushed_at)
    end;
    if v_bad is not null then
        perform pgjobs._refuse_argument('enqueue', v_bad, jsonb_build_object(
            'session_id', session_id, 'commit_sha', commit_sha, 'lab_version', lab_version,
            'delivery_id', delivery_id, 'priority', priority, 'max_runs', max_runs,
            'available_at', available_at, 'payload', payload, 'author', author,
            'branch', branch, 'changed_files', changed_files, 'pushed_at', pushed_at,
            'start_within', start_within, 'max_open_jobs', max_open_jobs
        ));
    end if;
    if available_at <= v_now then
        available_at := null;
    end if;
    return pgjobs._enqueue(
        session_id, commit_sha, lab_version, delivery_id, priority, available_at, max_runs,
        author, branch, changed_files, pushed_at, payload, start_within, max_open_jobs
    );
end
$$;
comment on function pgjobs.enqueue is
    'Queues the one verification of a commit, recording its attempt, or answers the existing '
    'job (created = false). Part of the caller''s transaction. priority 1 first, 4 last; '
    'max_runs 1 to 25; available_at at most 30 days ahead; start_within 1 s to 30 days: not begun '
    'by then, it ends as ERROR, EXPIRED; max_open_jobs 1 to 100: of the session. Errors: 22023, '
    '22004, 23V03, 23V04, 54V01, 40001.';


-- enqueue and enqueue_many, once the arguments are known to be good.
--
-- The race: two callers bring the same commit. Both look, neither finds it. The lane's row lock
-- lets one pass and the other wait. The other then inserts, conflicts at a unique key, and looks
-- again. Callers of two sessions meet at job_commit_sha_key. Every "on conflict" is followed by a
-- look in a new statement, which under READ COMMITTED sees what the rival committed; a rival that
-- rolled back is never seen, and this call goes on. Above READ COMMITTED the same places raise
-- 40001. Each turn of the loop takes the steps that are still open: count in the lane, write the
-- attempt, write the job.
create function pgjobs._enqueue(
    session_id uuid,
    commit_sha text,
    lab_version text,
    delivery_id text,
    priority integer,
    available_at timestamptz,
    max_runs integer,
    author text,
    branch text,
    changed_files text[],
    pushed_at timestamptz,
    payload jsonb,
    start_within interval,
    max_open_jobs integer,
    new_job_id bigint default null,
    ordinal bigint default null
)
    returns pgjobs.enqueued
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_created_at timestamptz;
    v_start_by timestamptz;
    v_payload_sha256 bytea := sha256(convert_to(payload::text, 'UTF8'));
    v_attempt record;
    v_attempt_id bigint;
    v_may_be_recorded boolean := delivery_id is not null;
    v_job record;
    v_job_id bigint;
    v_lane tid;
    v_lane_is_full boolean;
    v_open_jobs smallint;
begin
    loop
        -- First the job, then its attempt: what the first look finds, the second cannot miss.
        select job.job_id, job.session_id, job.lab_version, job.payload_sha256 into v_job
        from pgjobs.job as job
        where job.commit_sha = _enqueue.commit_sha;
        if v_job.job_id is not null or v_may_be_recorded then
            v_attempt := pgjobs._find_attempt(
                session_id, commit_sha, delivery_id, author, branch, changed_files, ordinal
            );
            v_attempt_id := v_attempt.attempt_id;
        end if;
        exit when v_job.job_id is not null;
        -- After another look: a known commit is answered, and a used delivery id refused, first.
        if v_lane_is_full then
            perform pgjobs._refuse('too_many_open_jobs', max_open_jobs::text, ordinal);
        end if;

        if v_open_jobs is null then
            select lane.ctid, lane.open_jobs >= max_open_jobs into v_lane, v_lane_is_full
            from pgjobs.lane as lane
            where lane.session_id = _enqueue.session_id
            for update;
            if not found then
                v_job_id := coalesce(new_job_id, nextval('pgjobs.job_job_id_seq'));
                v_created_at := clock_timestamp();
                insert into pgjobs.lane as lane (session_id, head_job_id, open_jobs)
                values (_enqueue.session_id, v_job_id, 1)
                on conflict do nothing
                returning lane.open_jobs into v_open_jobs;
                -- Ids rise in the order of enqueuing within a session. An insert that took longer
                -- has waited: a lane of the session may have come and gone, and others drawn since.
                if found and new_job_id is null
                    and clock_timestamp() > v_created_at + interval '0.1 milliseconds'
                    and pg_sequence_last_value('pgjobs.job_job_id_seq') > v_job_id
                then
                    v_job_id := nextval('pgjobs.job_job_id_seq');
                    update pgjobs.lane as lane
                    set head_job_id = v_job_id
                    where lane.session_id = _enqueue.session_id;
                end if;
            elsif not v_lane_is_full then
                update pgjobs.lane as lane
                set open_jobs = lane.open_jobs + 1
                where lane.ctid = v_lane
                returning lane.open_jobs into v_open_jobs;
            end if;
            continue when v_open_jobs is null;
        end if;

        if v_attempt_id is null then
            v_attempt_id := pgjobs._add_attempt(
                session_id, commit_sha, delivery_id, author, branch, changed_files, pushed_at
            );
            v_may_be_recorded := v_attempt_id is null;
            continue when v_may_be_recorded;
        end if;

        if v_open_jobs > 1 then
            v_job_id := coalesce(new_job_id, nextval('pgjobs.job_job_id_seq'));
        end if;
        v_created_at := clock_timestamp();
        v_start_by := v_created_at + make_interval(secs => extract(epoch from start_within));
        insert into pgjobs.job (
            job_id, session_id, commit_sha, lab_version, priority, max_runs,
            created_at, available_at, payload_sha256, start_by
        )
        overriding system value
        values (
            v_job_id, _enqueue.session_id, _enqueue.commit_sha, _enqueue.lab_version,
            _enqueue.priority, _enqueue.max_runs, v_created_at, _enqueue.available_at,
            v_payload_sha256, v_start_by
        )
        on conflict do nothing;
        continue when not found;

        if payload is not null then
            insert into pgjobs.job_payload (job_id, payload) values (v_job_id, _enqueue.payload);
        end if;
        if v_open_jobs = 1 then
            insert into pgjobs.ready (
                job_id, session_id, attempt_id, available_at, ready_no, priority, last_run_no,
                start_by
            )
            values (
                v_job_id, _enqueue.session_id, v_attempt_id,
                coalesce(_enqueue.available_at, v_created_at),
                case
                    when _enqueue.available_at is not null then null
                    -- Its id, unless it was drawn before a wait, here for a rival's insert of the
                    -- job: then claims may be far beyond.
                    when new_job_id is null
                        and clock_timestamp() < v_created_at + interval '10 milliseconds'
                        then v_job_id
                    else nextval('pgjobs.job_job_id_seq')
                end,
                _enqueue.priority, _enqueue.max_runs, v_start_by
            );
        else
            insert into pgjobs.waiting (session_id, turn_no, start_by)
            values (_enqueue.session_id, v_job_id, v_start_by);
        end if;
        return (v_job_id, v_attempt_id, 'QUEUED', true)::pgjobs.enqueued;
    end loop;

    -- The commit has its job. Is it an answer to this request? Of the session's own job the refusal
    -- names what differs, of another session's nothing.
    if v_job.session_id <> session_id then
        perform pgjobs._refuse('commit_taken', null, ordinal);
    elsif v_job.lab_version <> lab_version then
        perform pgjobs._refuse(
            case when v_attempt.is_redelivery then 'delivery_conflict' else 'commit_taken' end,
            'lab_version', ordinal
        );
    elsif v_attempt.is_redelivery
        and v_job.payload_sha256 is distinct from coalesce(v_payload_sha256, v_job.payload_sha256)
    then
        perform pgjobs._refuse('delivery_conflict', 'payload', ordinal);
    end if;
    if v_open_jobs is not null then
        perform pgjobs._leave_lane(session_id);
    end if;
    return (
        v_job.job_id, v_attempt_id, pgjobs._status(session_id, v_job.job_id), false
    )::pgjobs.enqueued;
end
$$;
comment on function pgjobs._enqueue is
    'The job of a commit, found or made. In a batch new_job_id is an id drawn before, and '
    'ordinal counts from 1.';


-- Not part of enqueue: a notification makes commits wait for one another and fails when the queue
-- of notifications is full, and nothing that is promised depends on it.
create function pgjobs.wake()
    returns void
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    notify pgjobs;
end
$$;
comment on function pgjobs.wake is
    'Wakes the workers that listen on the channel pgjobs. Optional; call it after the commit of an '
    'enqueue, in a transaction of its own. Workers that poll need no wake.';


create type pgjobs.enqueued_element as (
    ordinal integer,
    job_id bigint,
    attempt_id bigint,
    status text,
    created boolean
);
comment on type pgjobs.enqueued_element is
    'Answer of enqueue_many for one element, counted from 1.';


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
    payloads jsonb[] default null,
    start_within interval default null,
    max_open_jobs integer default 100
)
    returns setof pgjobs.enqueued_element
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_bad text;
    v_bad_ordinal bigint;
    v_size integer := cardinality(session_ids);
    v_known text[];
    v_job_ids bigint[];
    v_attempt_ids bigint[];
    v_is_written boolean;
    v_element record;
    v_enqueued pgjobs.enqueued;
    v_answers pgjobs.enqueued_element[] := '{}';
begin
    v_bad := case
        when not pgjobs._has_size(session_ids, v_size) then 'session_ids'
        when not pgjobs._has_size(commit_shas, v_size) then 'commit_shas'
        when not pgjobs._has_size(lab_versions, v_size) then 'lab_versions'
        when delivery_ids is not null and not pgjobs._has_size(delivery_ids, v_size)
            then 'delivery_ids'
        when payloads is not null and not pgjobs._has_size(payloads, v_size) then 'payloads'
        when (priority between 1 and 4) is not true then 'priority'
        when (max_runs between 1 and 25) is not true then 'max_runs'
        when start_within is not null and not pgjobs._is_duration(start_within, 1, 2592000)
            then 'start_within'
        when (max_open_jobs between 1 and 100) is not true then 'max_open_jobs'
    end;
    if v_bad is null then
        select bad.argument, bad.ordinal into v_bad, v_bad_ordinal
        from (
            select
                element.ordinal,
                case
                    when element.session_id is null then 'session_ids'
                    when pgjobs._is_commit_sha(element.commit_sha) is not true then 'commit_shas'
                    when pgjobs._is_text(element.lab_version) is not true then 'lab_versions'
                    when not pgjobs._is_text(element.delivery_id) then 'delivery_ids'
                    when not pgjobs._is_document(element.payload) then 'payloads'
                end as argument
            from unnest(session_ids, commit_shas, lab_versions, delivery_ids, payloads)
                with ordinality as element (
                    session_id, commit_sha, lab_version, delivery_id, payload, ordinal
                )
        ) as bad
        where bad.argument is not null
        order by bad.ordinal
        limit 1;
    end if;
    if v_bad is not null then
        perform pgjobs._refuse_argument('enqueue_many', v_bad, jsonb_build_object(
            'session_ids', session_ids, 'commit_shas', commit_shas, 'lab_versions', lab_versions,
            'delivery_ids', delivery_ids, 'payloads', payloads, 'priority', priority,
            'max_runs', max_runs, 'start_within', start_within, 'max_open_jobs', max_open_jobs
        ), v_bad_ordinal);
    end if;

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
        start_within, max_open_jobs, v_job_ids, v_attempt_ids
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
            v_element.payload, start_within, max_open_jobs, v_element.job_id, v_element.ordinal
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
    'enqueue for 0 to 10,000 commits, all or nothing; one row per element in input order. Arrays'
    ' of one length, no null among the first three. The error names the ordinal. Errors: those '
    'of enqueue.';


-- The set-based part of enqueue_many: the elements that have a new id, all or none. It writes them
-- as if they were new. A key that is taken, or a lane that gets too full, undoes everything; then
-- somebody was there first, and _enqueue, one by one, knows how to answer.
create function pgjobs._enqueue_new(
    session_ids uuid[],
    commit_shas text[],
    lab_versions text[],
    delivery_ids text[],
    priority integer,
    max_runs integer,
    payloads jsonb[],
    start_within interval,
    max_open_jobs integer,
    new_job_ids bigint[],
    new_attempt_ids bigint[]
)
    returns boolean
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_now timestamptz := clock_timestamp();
    v_start_by timestamptz := v_now + make_interval(secs => extract(epoch from start_within));
    v_lane record;
    v_heads bigint[] := '{}';
    v_has_waiting boolean := false;
    v_is_late boolean;
begin
    -- The lanes in the order of their sessions, and the heads as they come back: above READ
    -- COMMITTED a later look may also see the lane that a session had before.
    for v_lane in
        insert into pgjobs.lane as lane (session_id, head_job_id, open_jobs)
        select element.session_id, min(element.job_id), count(*)
        from unnest((select session_ids), (select new_job_ids)) as element (session_id, job_id)
        where element.job_id is not null
        group by element.session_id
        order by element.session_id
        on conflict on constraint lane_session_id_pkey do update
            set open_jobs = lane.open_jobs + excluded.open_jobs
        returning lane.open_jobs, lane.head_job_id
    loop
        -- A lane is full with max_open_jobs as it is with 100.
        perform (v_lane.open_jobs + 100 - max_open_jobs)::pgjobs.open_jobs;
        v_heads := v_heads || v_lane.head_job_id;
        v_has_waiting := v_has_waiting or v_lane.open_jobs > 1;
    end loop;

    insert into pgjobs.lab_attempt (attempt_id, session_id, commit_sha, recorded_at, delivery_id)
    overriding system value
    select
        element.attempt_id, element.session_id, element.commit_sha, v_now, element.delivery_id
    from unnest(
        (select session_ids), (select commit_shas), (select delivery_ids),
        (select new_attempt_ids)
    ) as element (session_id, commit_sha, delivery_id, attempt_id)
    where element.attempt_id is not null;

    insert into pgjobs.job (
        job_id, session_id, commit_sha, lab_version, priority, max_runs, created_at,
        payload_sha256, start_by
    )
    overriding system value
    select
        element.job_id, element.session_id, element.commit_sha, element.lab_version,
        _enqueue_new.priority, _enqueue_new.max_runs, v_now,
        sha256(convert_to(element.payload::text, 'UTF8')), v_start_by
    from unnest(
        (select session_ids), (select commit_shas), (select lab_versions), (select payloads),
        (select new_job_ids)
    ) as element (session_id, commit_sha, lab_version, payload, job_id)
    where element.job_id is not null
    order by element.commit_sha;

    if payloads is not null then
        insert into pgjobs.job_payload (job_id, payload)
        select element.job_id, element.payload
        from unnest((select payloads), (select new_job_ids)) as element (payload, job_id)
        where element.job_id is not null and element.payload is not null;
    end if;

    -- The place of a head is its id, unless this call has waited for so long, for a lane or a key,
    -- that claims are far beyond.
    v_is_late := pg_sequence_last_value('pgjobs.job_job_id_seq') > 1000 + (
        select max(job_id) from unnest((select new_job_ids)) as job_id
    );
    insert into pgjobs.ready (
        job_id, session_id, attempt_id, available_at, ready_no, priority, last_run_no, start_by
    )
    select
        element.job_id, element.session_id, element.attempt_id, v_now,
        case when v_is_late then nextval('pgjobs.job_job_id_seq') else element.job_id end,
        _enqueue_new.priority, _enqueue_new.max_runs, v_start_by
    from unnest((select session_ids), (select new_job_ids), (select new_attempt_ids))
        as element (session_id, job_id, attempt_id)
    where element.job_id is not null
        and (not v_has_waiting or element.job_id in (select unnest(v_heads)));
    if v_has_waiting then
        insert into pgjobs.waiting (session_id, turn_no, start_by)
        select element.session_id, element.job_id, v_start_by
        from unnest((select session_ids), (select new_job_ids)) as element (session_id, job_id)
        where element.job_id is not null and element.job_id not in (select unnest(v_heads));
    end if;
    return true;
exception
    when unique_violation or check_violation then
        return false;
end
$$;
comment on function pgjobs._enqueue_new is
    'Writes the attempts and jobs of a batch that have a new id; false, and nothing written, when '
    'one of them is not new or a lane is too full.';


create type pgjobs.claimed as (
    job_id bigint,
    attempt_id bigint,
    session_id uuid,
    commit_sha text,
    lab_version text,
    priority integer,
    run_no integer,
    lease_token uuid,
    lease_expires_at timestamptz,
    created_at timestamptz,
    payload jsonb,
    review_id bigint
);
comment on type pgjobs.claimed is
    'Answer of claim: a run of a job under a lease; review_id is null unless the job is judged '
    'again.';


-- The one place of the package that looks for a job. Per priority it walks the claimable heads in
-- order, from the low-water mark up: below it lie the entries of jobs long claimed, which nobody
-- can clean away while somebody holds an old snapshot.
--
-- The race: a head may become visible below the mark, when its number was drawn early and committed
-- late, or when the claim that raised the mark rolls back. So once a second one claim starts
-- further down, once a minute one from the very start; what it finds lowers the mark. A claim that
-- finds nothing looks once more from the very start before it says so; where such a look takes
-- long, since much has died under a snapshot, only one is made in a tenth of a second.
--
-- A value that a plan must not depend on stands in a subquery of its own, (select v_depth): the
-- plan is made once, and not for every number.
create function pgjobs.claim(
    worker text,
    max_jobs integer default 1,
    lease_for interval default '5 minutes'
)
    returns setof pgjobs.claimed
    language plpgsql volatile security definer rows 1
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    c_low_water constant regclass[] := array[
        'pgjobs.low_water_1'::regclass, 'pgjobs.low_water_2'::regclass,
        'pgjobs.low_water_3'::regclass, 'pgjobs.low_water_4'::regclass
    ];
    -- How far below the mark a look goes once a second: past every number whose commit is likely to
    -- be late. From the very start it goes once a minute.
    c_depth constant bigint := 10000;
    c_everything constant bigint := 9223372036854775807;
    -- A mark is moved only when the head found lies so many numbers above: setting one writes WAL.
    c_mark_step constant integer := 16;
    c_sweep_every constant interval := '1 second';
    -- A sweep looks back further than the last one: what was open then may have been committed.
    c_sweep_back constant interval := '10 seconds';
    -- A look that finds nothing and takes longer is not repeated for c_idle_for.
    c_long_look constant interval := '5 milliseconds';
    c_idle_for constant interval := '0.1 seconds';
    v_bad text := pgjobs._bad_claim(worker, max_jobs, lease_for);
    v_now timestamptz := clock_timestamp();
    v_swept_at timestamptz;
    v_since timestamptz := '-infinity';
    v_is_whole boolean := true;
    v_idle_at timestamptz;
    v_looks_at timestamptz;
    v_drawn bigint;
    v_lease_for double precision := extract(epoch from lease_for);
    v_depth bigint := 0;
    v_low_water bigint;
    v_ready_no bigint;
    v_row tid;
    v_rows tid[] := '{}';
    v_head pgjobs.ready[];
    v_heads pgjobs.ready[] := '{}';
    v_leases pgjobs.lease[];
begin
    if v_bad is not null then
        perform pgjobs._refuse_argument('claim', v_bad, jsonb_build_object(
            'worker', worker, 'max_jobs', max_jobs, 'lease_for', lease_for
        ));
    end if;

    select to_timestamp(mark.last_value / 1000.0) into v_swept_at from pgjobs.swept_at as mark;
    if v_now >= v_swept_at and date_trunc('minute', v_now) = date_trunc('minute', v_swept_at) then
        v_since := v_swept_at - c_sweep_back;
        v_is_whole := false;
    end if;
    if v_now not between v_swept_at and v_swept_at + c_sweep_every then
        v_depth := case when v_is_whole then c_everything else c_depth end;
        perform setval('pgjobs.swept_at', floor(extract(epoch from v_now) * 1000)::bigint);
        if not pgjobs._sweep(v_since, v_is_whole) then
            -- There may be more: the next claim sweeps again, and everything.
            perform setval('pgjobs.swept_at', 0);
        end if;
    end if;

    loop
        for v_priority in 1 .. 4 loop
            v_low_water := coalesce(pg_sequence_last_value(c_low_water[v_priority]), 0);
            select ready.ctid, array[ready], ready.ready_no into v_row, v_head, v_ready_no
            from pgjobs.ready as ready
            where ready.priority = (select v_priority)
                and ready.ready_no > (select v_low_water - v_depth)
                and (ready.start_by > v_now) is not false
            order by ready.ready_no
            limit 1
            for update skip locked;
            continue when not found;
            if v_ready_no not between v_low_water + 1 and v_low_water + c_mark_step then
                perform setval(c_low_water[v_priority], v_ready_no - 1);
            end if;
            -- What lost its lease may have killed its worker: it takes no other with it.
            exit when v_head[1].lease_lost and v_rows <> '{}';
            v_rows := v_rows || v_row;
            v_heads := v_heads || v_head;
            exit when v_head[1].lease_lost or cardinality(v_rows) = max_jobs;
            select v_rows || array_agg(place.ctid), v_heads || array_agg(place.head)
            into v_rows, v_heads
            from (
                select ready.ctid, ready as head
                from pgjobs.ready as ready
                where ready.priority = (select v_priority)
                    and ready.ready_no > (select v_ready_no)
                    and ready.lease_lost is not true
                    and (ready.start_by > v_now) is not false
                order by ready.ready_no
                limit (select max_jobs - cardinality(v_rows))
                for update skip locked
            ) as place;
            exit when cardinality(v_rows) = max_jobs;
        end loop;
        exit when v_rows <> '{}' or v_depth = c_everything;
        select to_timestamp(mark.last_value / 1000.0) into v_idle_at from pgjobs.idle_at as mark;
        exit when clock_timestamp() between v_idle_at and v_idle_at + c_idle_for;
        v_depth := c_everything;
        v_looks_at := clock_timestamp();
        v_drawn := pg_sequence_last_value('pgjobs.job_job_id_seq');
        perform pgjobs._sweep('-infinity', true);
    end loop;
    if v_rows = '{}' then
        if clock_timestamp() > v_looks_at + c_long_look then
            perform setval(
                'pgjobs.idle_at', floor(extract(epoch from clock_timestamp()) * 1000)::bigint
            );
            -- What had a number by then is dead, or is found like one whose commit was late.
            perform setval(mark, v_drawn)
            from unnest(c_low_water) as mark
            where v_drawn > coalesce(pg_sequence_last_value(mark), 0);
        end if;
        return;
    end if;

    v_leases := array(
        select (
            ready.session_id, ready.job_id, ready.attempt_id, ready.available_at,
            greatest(ready.available_at, v_now), v_now + make_interval(secs => v_lease_for),
            gen_random_uuid(), v_lease_for * 1000, ready.review_id, ready.priority,
            coalesce(ready.run_no, 0) + 1, ready.last_run_no, claim.worker
        )::pgjobs.lease
        from unnest(v_heads) as ready
    );
    -- By their place on disk, which needs no index.
    delete from pgjobs.ready as ready where ready.ctid = any ((select v_rows)::tid[]);
    insert into pgjobs.lease
    select lease.* from unnest((select v_leases)) as lease;
    return query
    select
        job.job_id, lease.attempt_id, job.session_id, job.commit_sha,
        coalesce(
            (
                select review.lab_version
                from pgjobs.review as review
                where review.review_id = lease.review_id
            ),
            job.lab_version
        ),
        lease.priority::integer, lease.run_no::integer, lease.lease_token,
        lease.lease_expires_at, job.created_at,
        (
            select payload.payload
            from pgjobs.job_payload as payload
            where payload.job_id = job.job_id and job.payload_sha256 is not null
        ),
        lease.review_id
    from unnest((select v_leases)) with ordinality as lease
    cross join lateral (
        select job.*
        from pgjobs.job as job
        where job.job_id = lease.job_id
        offset 0
    ) as job
    order by lease.ordinality;
end
$$;
comment on function pgjobs.claim is
    'Starts a run of up to max_jobs (1 to 1000) claimable jobs, by priority, then those first that '
    'have been claimable longest, one per session, under a lease of lease_for (1 s to 1 day); no '
    'rows when there is nothing to do. A job whose last lease was lost comes alone. Also rescues '
    'lost leases, and ends what was not begun in time. Never waits. Errors: 22023, 22004.';


-- The lane: who is the session's head, and who comes next. Whoever calls these holds the lane's
-- lock.

create function pgjobs._take_lease(session_id uuid, job_id bigint, lease_token uuid)
    returns pgjobs.lease
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_lease pgjobs.lease;
begin
    -- Without a lease nobody waits for the lane. Two statements: the second sees what the holder of
    -- the lane's lock has left behind.
    perform from pgjobs.lane as lane
    where lane.session_id = _take_lease.session_id
        and exists (
            select from pgjobs.lease as lease
            where lease.session_id = _take_lease.session_id
                and lease.job_id = _take_lease.job_id
                and lease.lease_token = _take_lease.lease_token
        )
    for update;
    delete from pgjobs.lease as lease
    where lease.session_id = _take_lease.session_id
        and lease.job_id = _take_lease.job_id
        and lease.lease_token = _take_lease.lease_token
    returning lease.* into v_lease;
    if not found then
        perform pgjobs._check_snapshot(session_id, job_id);
    end if;
    return v_lease;
end
$$;
comment on function pgjobs._take_lease is
    'Locks the session''s lane, then ends the lease of the job with that token and answers it; '
    'null when there is none.';


-- Above READ COMMITTED an old snapshot may not know a lease, but then it knows the row that was
-- changed since to make it.
create function pgjobs._check_snapshot(session_id uuid, job_id bigint)
    returns void
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
begin
    perform from pgjobs.lane as lane
    where lane.session_id = _check_snapshot.session_id
    for update skip locked;
    perform from pgjobs.ready as ready
    where ready.job_id = _check_snapshot.job_id
    for update skip locked;
    perform from pgjobs.lease as lease
    where lease.session_id = _check_snapshot.session_id
    for update skip locked;
end
$$;
comment on function pgjobs._check_snapshot is
    'Raises 40001 when the transaction''s snapshot is too old to say who runs the session''s head; '
    'never waits.';


create function pgjobs._refuse_lease(session_id uuid, job_id bigint)
    returns void
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (
        select from pgjobs.verdict as verdict where verdict.job_id = _refuse_lease.job_id
    ) and not exists (
        select from pgjobs.lane as lane
        where lane.session_id = _refuse_lease.session_id
            and lane.head_job_id = _refuse_lease.job_id
    ) then
        perform pgjobs._refuse('verdict_final');
    end if;
    perform pgjobs._check_snapshot(session_id, job_id);
    perform pgjobs._refuse('lease_lost');
end
$$;
comment on function pgjobs._refuse_lease is
    'Refuses a token that does not hold the job: 23V02 when it has its verdict and is not being '
    'judged again, else 23V05.';


create function pgjobs._leave_lane(session_id uuid)
    returns void
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
begin
    delete from pgjobs.lane as lane
    where lane.session_id = _leave_lane.session_id and lane.open_jobs = 1;
    if not found then
        update pgjobs.lane as lane
        set open_jobs = lane.open_jobs - 1
        where lane.session_id = _leave_lane.session_id;
    end if;
end
$$;
comment on function pgjobs._leave_lane is
    'Takes a job that is not its head off the lane''s count.';


create function pgjobs._add_ready(job_id bigint, review_id bigint)
    returns void
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := clock_timestamp();
    v_job pgjobs.job;
    v_attempt_id bigint;
    v_available_at timestamptz;
    v_priority smallint;
    v_runs_before smallint;
    v_ready_no bigint;
begin
    select job.* into strict v_job
    from pgjobs.job as job
    where job.job_id = _add_ready.job_id;
    select attempt.attempt_id into strict v_attempt_id
    from pgjobs.lab_attempt as attempt
    where attempt.session_id = v_job.session_id and attempt.commit_sha = v_job.commit_sha;
    if review_id is null then
        v_available_at := v_job.available_at;
        v_priority := v_job.priority;
    else
        select review.priority, review.runs_before into strict v_priority, v_runs_before
        from pgjobs.review as review
        where review.review_id = _add_ready.review_id;
    end if;

    if coalesce(v_available_at <= v_now, true) then
        v_ready_no := nextval('pgjobs.job_job_id_seq');
    end if;
    insert into pgjobs.ready (
        job_id, session_id, attempt_id, available_at, ready_no, review_id, priority, run_no,
        last_run_no, start_by
    )
    values (
        v_job.job_id, v_job.session_id, v_attempt_id,
        greatest(v_job.created_at, coalesce(v_available_at, v_now)), v_ready_no,
        _add_ready.review_id, v_priority, v_runs_before,
        coalesce(v_runs_before, 0) + v_job.max_runs,
        case when _add_ready.review_id is null then v_job.start_by end
    );
end
$$;
comment on function pgjobs._add_ready is
    'Makes a job, or its review, its session''s head: claimable, or delayed until its '
    'available_at.';


create function pgjobs._promote(session_id uuid)
    returns void
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_next pgjobs.waiting;
    v_job_id bigint;
begin
    select waiting.* into strict v_next
    from pgjobs.waiting as waiting
    where waiting.session_id = _promote.session_id
    order by waiting.turn_no
    limit 1;
    delete from pgjobs.waiting as waiting
    where waiting.session_id = v_next.session_id and waiting.turn_no = v_next.turn_no;
    v_job_id := coalesce(v_next.reviewed_job_id, v_next.turn_no);
    perform pgjobs._add_ready(
        v_job_id, case when v_next.reviewed_job_id is not null then v_next.turn_no end
    );
    update pgjobs.lane as lane
    set open_jobs = lane.open_jobs - 1,
        head_job_id = v_job_id
    where lane.session_id = _promote.session_id;
end
$$;
comment on function pgjobs._promote is
    'Takes a head that has ended off its lane, and makes the session''s next waiting job or '
    'review the head.';


create function pgjobs._next_head(session_id uuid)
    returns void
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
begin
    delete from pgjobs.lane as lane
    where lane.session_id = _next_head.session_id and lane.open_jobs = 1;
    if not found then
        perform pgjobs._promote(session_id);
    end if;
end
$$;
comment on function pgjobs._next_head is
    'What comes after a head that is gone: the session''s next waiting job or review, or no lane.';


create function pgjobs.heartbeat(
    job_id bigint,
    lease_token uuid,
    lease_for interval default '5 minutes'
)
    returns timestamptz
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_bad text;
    v_lease_for double precision := extract(epoch from heartbeat.lease_for);
    v_lease_expires_at timestamptz;
    v_job pgjobs.job;
begin
    v_bad := case
        when heartbeat.job_id is null then 'job_id'
        when heartbeat.lease_token is null then 'lease_token'
        when not pgjobs._is_duration(heartbeat.lease_for, 1, 86400) then 'lease_for'
    end;
    if v_bad is not null then
        perform pgjobs._refuse_argument(
            'heartbeat', v_bad, jsonb_build_object('lease_for', heartbeat.lease_for)
        );
    end if;
    v_job := pgjobs._find_job(heartbeat.job_id);
    v_lease_expires_at := clock_timestamp() + make_interval(secs => v_lease_for);
    update pgjobs.lease as lease
    set lease_for = v_lease_for * 1000,
        lease_expires_at = v_lease_expires_at
    where lease.session_id = v_job.session_id
        and lease.job_id = heartbeat.job_id
        and lease.lease_token = heartbeat.lease_token;
    if not found then
        perform pgjobs._refuse_lease(v_job.session_id, heartbeat.job_id);
    end if;
    return v_lease_expires_at;
end
$$;
comment on function pgjobs.heartbeat is
    'Sets the end of the lease to now + lease_for (1 s to 1 day), which may shorten it, and '
    'answers it. Never waits for an enqueue. Errors: 22023, 22004, P0002, 23V02, 23V05.';


create type pgjobs.heartbeat_element as (
    ordinal integer,
    job_id bigint,
    lease_expires_at timestamptz,
    outcome text
);
comment on type pgjobs.heartbeat_element is
    'Answer of heartbeat_many for one element; lease_expires_at is null where nothing was set.';


-- A lease that another transaction has locked, which adds an artifact, say, holds up no other.
create function pgjobs.heartbeat_many(
    job_ids bigint[],
    lease_tokens uuid[],
    lease_for interval default '5 minutes'
)
    returns setof pgjobs.heartbeat_element
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_bad text;
    v_bad_ordinal bigint;
    v_size integer := cardinality(job_ids);
    v_lease_for double precision := extract(epoch from heartbeat_many.lease_for);
    v_lease_expires_at timestamptz;
    v_leases tid[];
    v_tokens uuid[];
begin
    v_bad := case
        when not pgjobs._has_size(job_ids, v_size) then 'job_ids'
        when not pgjobs._has_size(lease_tokens, v_size) then 'lease_tokens'
        when not pgjobs._is_duration(heartbeat_many.lease_for, 1, 86400) then 'lease_for'
    end;
    if v_bad is null then
        v_bad_ordinal := coalesce(
            array_position(job_ids, null), array_position(lease_tokens, null)
        );
        v_bad := case when v_bad_ordinal is null then null
            when job_ids[v_bad_ordinal] is null then 'job_ids' else 'lease_tokens' end;
    end if;
    if v_bad is not null then
        perform pgjobs._refuse_argument('heartbeat_many', v_bad, jsonb_build_object(
            'job_ids', job_ids, 'lease_tokens', lease_tokens,
            'lease_for', heartbeat_many.lease_for
        ), v_bad_ordinal);
    end if;
    v_lease_expires_at := clock_timestamp() + make_interval(secs => v_lease_for);
    select array_agg(lease.ctid), array_agg(lease.lease_token) into v_leases, v_tokens
    from unnest((select job_ids), (select lease_tokens)) as element (job_id, lease_token)
    cross join lateral (
        select job.session_id
        from pgjobs.job as job
        where job.job_id = element.job_id
        offset 0
    ) as job
    cross join lateral (
        select lease.ctid, lease.lease_token
        from pgjobs.lease as lease
        where lease.session_id = job.session_id and lease.job_id = element.job_id
            and lease.lease_token = element.lease_token
        for no key update skip locked
    ) as lease;
    update pgjobs.lease as lease
    set lease_for = v_lease_for * 1000,
        lease_expires_at = v_lease_expires_at
    where lease.ctid = any ((select v_leases)::tid[]);
    return query
    select
        element.ordinal::integer, element.job_id,
        case when element.lease_token = any ((select v_tokens)::uuid[])
            then v_lease_expires_at end,
        case
            when element.lease_token = any ((select v_tokens)::uuid[]) then 'held'
            when exists (
                select from pgjobs.job as job
                join pgjobs.lease as lease
                    on lease.session_id = job.session_id and lease.job_id = job.job_id
                where job.job_id = element.job_id and lease.lease_token = element.lease_token
            ) then 'locked'
            else 'lease_lost'
        end
    from unnest((select job_ids), (select lease_tokens))
        with ordinality as element (job_id, lease_token, ordinal)
    order by element.ordinal;
end
$$;
comment on function pgjobs.heartbeat_many is
    'heartbeat for 0 to 10,000 leases; one row per element in input order, its outcome held, '
    'locked (by another transaction, and not waited for) or lease_lost, whatever else became of '
    'the job. Errors: 22023, 22004, 40001.';


create type pgjobs.released as (
    job_id bigint,
    status text,
    run_no integer,
    available_at timestamptz
);
comment on type pgjobs.released is
    'Answer of release and revoke_lease: QUEUED again, or ERROR when the runs are used up.';


create function pgjobs.release(
    job_id bigint,
    lease_token uuid,
    reason text,
    retry_after interval default null,
    count_run boolean default true
)
    returns pgjobs.released
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    -- A job whose worker is stopped time and again shall end some day.
    c_most_interruptions constant integer := 20;
    v_bad text;
    v_job pgjobs.job;
    v_lease pgjobs.lease;
    v_is_counted boolean := count_run;
begin
    v_bad := case
        when release.job_id is null then 'job_id'
        when release.lease_token is null then 'lease_token'
        when pgjobs._is_text(release.reason) is not true then 'reason'
        when retry_after is not null and not pgjobs._is_duration(retry_after, 0, 86400)
            then 'retry_after'
        when count_run is null then 'count_run'
    end;
    if v_bad is not null then
        perform pgjobs._refuse_argument('release', v_bad, jsonb_build_object(
            'reason', release.reason, 'retry_after', retry_after
        ));
    end if;
    v_job := pgjobs._find_job(release.job_id);

    -- The last run ends the job, for which the lane's lock comes first; any other needs the
    -- lease's.
    perform from pgjobs.lane as lane
    where lane.session_id = v_job.session_id
        and exists (
            select from pgjobs.lease as lease
            where lease.session_id = v_job.session_id
                and lease.job_id = release.job_id
                and lease.lease_token = release.lease_token
                and lease.run_no >= lease.last_run_no
        )
    for update;
    select lease.* into v_lease
    from pgjobs.lease as lease
    where lease.session_id = v_job.session_id
        and lease.job_id = release.job_id
        and lease.lease_token = release.lease_token
    for update;
    if not found then
        perform pgjobs._refuse_lease(v_job.session_id, release.job_id);
    end if;
    if not v_is_counted then
        select count(*) >= c_most_interruptions into v_is_counted
        from pgjobs.aborted_run as run
        where run.job_id = release.job_id and run.outcome = 'INTERRUPTED';
    end if;
    return pgjobs._end_run(
        v_lease, case when v_is_counted then 'RELEASED' else 'INTERRUPTED' end, release.reason,
        coalesce(
            make_interval(secs => extract(epoch from retry_after)),
            case when not v_is_counted then interval '0' end,
            -- The default backoff, by how many runs of this job or review there were.
            least(
                interval '30 seconds'
                    * power(2, v_job.max_runs - (v_lease.last_run_no - v_lease.run_no) - 1),
                interval '15 minutes'
            )
        )
    );
end
$$;
comment on function pgjobs.release is
    'Gives the job back because the infrastructure failed: QUEUED again after retry_after (0 to '
    '1 day; default 30 s, doubled with every run, at most 15 min), or ERROR when its runs are '
    'used up. count_run false, for a worker that is being stopped: the run is not one of them, and '
    'the job is claimable at once, at most 20 times a job. Errors: 22023, 22004, P0002, 23V02, '
    '23V05, 40001.';


create type pgjobs.rescued as (
    job_id bigint,
    status text
);
comment on type pgjobs.rescued is
    'Answer of rescue: QUEUED again, or ERROR when the runs are used up.';


create function pgjobs.rescue(max_jobs integer default 100)
    returns setof pgjobs.rescued
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    if (max_jobs between 1 and 1000) is not true then
        perform pgjobs._refuse_argument(
            'rescue', 'max_jobs', jsonb_build_object('max_jobs', max_jobs)
        );
    end if;
    return query
    select rescued.* from pgjobs._take_leases(max_jobs, '-infinity', true) as rescued;
end
$$;
comment on function pgjobs.rescue is
    'Takes up to max_jobs (1 to 1000) leases that are over: QUEUED again, or ERROR when the runs'
    ' are used up. claim does this by itself; never waits. Errors: 22023, 22004.';


-- What a claim does before it looks for jobs, at most once a second.
create function pgjobs._sweep(since timestamptz, is_whole boolean)
    returns boolean
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
declare
    -- So many of each kind at most, so that no claim takes long; the next one goes on.
    c_most constant integer := 1000;
    v_now timestamptz := clock_timestamp();
    v_rescued integer;
    v_promoted integer := 0;
    v_expired integer;
    v_job_id bigint;
    v_ready_no bigint;
begin
    select count(*) into v_rescued from pgjobs._take_leases(c_most, since, is_whole);
    v_expired := pgjobs._expire_jobs(c_most, since);
    for v_job_id in
        select ready.job_id
        from pgjobs.ready as ready
        where ready.ready_no is null and ready.available_at between since and v_now
        order by ready.available_at
        limit c_most
        for update skip locked
    loop
        v_ready_no := nextval('pgjobs.job_job_id_seq');
        update pgjobs.ready as ready set ready_no = v_ready_no where ready.job_id = v_job_id;
        v_promoted := v_promoted + 1;
    end loop;
    return greatest(v_rescued, v_expired, v_promoted) < c_most;
end
$$;
comment on function pgjobs._sweep is
    'Takes leases that are over, ends jobs that were not begun in time and makes delayed heads '
    'claimable, up to 1,000 each, whose time has come since then; is_whole as for _take_leases. '
    'False if there may be more.';


-- A lease is over when its end has passed, or lies further ahead than it was ever granted for: then
-- the clock was set back. Never waits: a row that somebody else holds is left to the next caller.
create function pgjobs._take_leases(max_jobs integer, since timestamptz, is_whole boolean)
    returns setof pgjobs.rescued
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := clock_timestamp();
    v_until timestamptz := case when is_whole then 'infinity' else v_now end;
    v_lease pgjobs.lease;
    v_rescued pgjobs.rescued;
begin
    for v_lease in
        select lease.*
        from pgjobs.lease as lease
        where lease.lease_expires_at between since and v_until
            and (
                lease.lease_expires_at <= v_now
                -- The clock as it is now: a lease may be younger than v_now. The second forgives a
                -- clock that is being adjusted.
                or lease.lease_expires_at
                    > clock_timestamp() + make_interval(secs => lease.lease_for / 1000.0 + 1)
            )
        order by lease.lease_expires_at
        limit max_jobs
        for update skip locked
    loop
        -- The last run ends the job; it waits for the next caller while somebody has the lane.
        if v_lease.run_no >= v_lease.last_run_no then
            perform from pgjobs.lane as lane
            where lane.session_id = v_lease.session_id
            for update skip locked;
            continue when not found;
        end if;
        select ended.job_id, ended.status into v_rescued
        from pgjobs._end_run(v_lease, 'LEASE_LOST', null, interval '0') as ended;
        return next v_rescued;
    end loop;
end
$$;
comment on function pgjobs._take_leases is
    'Takes up to max_jobs leases whose end has passed since then, and answers what became of '
    'their jobs; is_whole: also those that a clock gave which was set back.';


create function pgjobs._end_run(
    lease pgjobs.lease,
    outcome text,
    reason text,
    retry_after interval,
    actor text default null
)
    returns pgjobs.released
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_ended_at timestamptz := greatest(lease.started_at, clock_timestamp());
    v_last_run_no smallint := lease.last_run_no
        + (outcome in ('INTERRUPTED', 'REVOKED'))::integer;
    v_detail text := coalesce(_end_run.reason, 'the lease of the last run was lost');
    v_status text := 'ERROR';
    v_available_at timestamptz;
    v_ready_no bigint;
begin
    insert into pgjobs.aborted_run (
        job_id, started_at, ended_at, run_no, outcome, worker, reason, actor, login
    )
    values (
        lease.job_id, lease.started_at, v_ended_at, lease.run_no, _end_run.outcome, lease.worker,
        _end_run.reason, _end_run.actor, case when _end_run.actor is not null then session_user end
    );
    delete from pgjobs.lease as ended where ended.session_id = lease.session_id;

    if lease.run_no < v_last_run_no then
        v_available_at := greatest(lease.available_at, clock_timestamp()) + retry_after;
        if retry_after = interval '0' then
            v_ready_no := nextval('pgjobs.job_job_id_seq');
        end if;
        insert into pgjobs.ready (
            job_id, session_id, attempt_id, available_at, ready_no, review_id, started_at, priority,
            run_no, last_run_no, worker, lease_lost
        )
        values (
            lease.job_id, lease.session_id, lease.attempt_id, v_available_at, v_ready_no,
            lease.review_id, lease.started_at, lease.priority, lease.run_no, v_last_run_no,
            lease.worker, _end_run.outcome = 'LEASE_LOST'
        );
        return (lease.job_id, 'QUEUED', lease.run_no, v_available_at)::pgjobs.released;
    end if;

    if lease.review_id is null then
        insert into pgjobs.verdict (
            job_id, completed_at, started_at, run_no, status, worker, error_reason, error_detail
        )
        values (
            lease.job_id, v_ended_at, lease.started_at, lease.run_no, v_status, lease.worker,
            'RUNS_EXHAUSTED', v_detail
        );
    else
        insert into pgjobs.review_result (
            review_id, job_id, ended_at, started_at, run_no, outcome, worker, detail
        )
        values (
            lease.review_id, lease.job_id, v_ended_at, lease.started_at, lease.run_no,
            'RUNS_EXHAUSTED', lease.worker, v_detail
        );
        v_status := pgjobs._status(lease.session_id, lease.job_id);
    end if;
    perform pgjobs._next_head(lease.session_id);
    return (lease.job_id, v_status, lease.run_no, null)::pgjobs.released;
end
$$;
comment on function pgjobs._end_run is
    'Ends a run without a verdict: it goes on record, and the job is queued again, or ERROR when '
    'that was its last run; a review then ends without an answer. The caller holds the lease''s '
    'lock and, for the last run, the lane''s.';


-- The race: complete, cancel, release, rescue and heartbeat hold the lease's row too, and one of
-- them is first. Who waited here for another and finds the lease gone looks again, since the job
-- may run anew by then; what comes later finds no lease with its token. A revoked run is never the
-- last one: the lane stays as it is, and its lock is not needed.
create function pgjobs.revoke_lease(
    job_id bigint,
    reason text,
    actor text
)
    returns pgjobs.released
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_bad text;
    v_job pgjobs.job;
    v_lease pgjobs.lease;
begin
    v_bad := case
        when revoke_lease.job_id is null then 'job_id'
        when pgjobs._is_text(revoke_lease.reason) is not true then 'reason'
        when pgjobs._is_text(revoke_lease.actor) is not true then 'actor'
    end;
    if v_bad is not null then
        perform pgjobs._refuse_argument('revoke_lease', v_bad, jsonb_build_object(
            'reason', revoke_lease.reason, 'actor', revoke_lease.actor
        ));
    end if;
    v_job := pgjobs._find_job(revoke_lease.job_id);
    loop
        select lease.* into v_lease
        from pgjobs.lease as lease
        where lease.session_id = v_job.session_id and lease.job_id = revoke_lease.job_id
        for update;
        exit when found;
        continue when exists (
            select from pgjobs.lease as lease
            where lease.session_id = v_job.session_id and lease.job_id = revoke_lease.job_id
        );
        if not pgjobs._is_open(revoke_lease.job_id) then
            perform pgjobs._refuse('verdict_final');
        end if;
        perform pgjobs._check_snapshot(v_job.session_id, revoke_lease.job_id);
        perform pgjobs._refuse('not_running');
    end loop;
    return pgjobs._end_run(
        v_lease, 'REVOKED', revoke_lease.reason, interval '0', revoke_lease.actor
    );
end
$$;
comment on function pgjobs.revoke_lease is
    'Takes the lease of a RUNNING job, or review, without a verdict: the run ends as REVOKED and '
    'is none of max_runs, the job is claimable at once, and its worker writes nothing any more. '
    'Errors: 22023, 22004, P0002, 23V02, 55V01 (not running), 40001.';


-- The race: a claim may take an expired head that was not yet expired a moment ago, and an enqueue,
-- complete or cancel may have the lane. This waits for none of them: what another holds is left to
-- the next sweep, and claim hands out nothing whose time is over, swept or not. What waits ends
-- before the heads, so that none of it becomes a head for nothing; where it did, it ends as one.
create function pgjobs._expire_jobs(max_jobs integer, since timestamptz)
    returns integer
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := clock_timestamp();
    v_jobs pgjobs.waiting[];
    v_job pgjobs.waiting;
    v_waits boolean;
begin
    v_jobs := array(
        select waiting
        from pgjobs.waiting as waiting
        cross join lateral (
            select from pgjobs.lane as lane
            where lane.session_id = waiting.session_id
            for update skip locked
        ) as lane
        where waiting.start_by between since and v_now
        order by waiting.start_by
        limit max_jobs
    ) || array(
        select (ready.session_id, ready.job_id, null, null)::pgjobs.waiting
        from pgjobs.ready as ready
        cross join lateral (
            select from pgjobs.lane as lane
            where lane.session_id = ready.session_id
            for update skip locked
        ) as lane
        where ready.start_by between since and v_now
        order by ready.start_by
        limit max_jobs
    );
    foreach v_job in array v_jobs loop
        delete from pgjobs.waiting as waiting
        where waiting.session_id = v_job.session_id and waiting.turn_no = v_job.turn_no;
        v_waits := found;
        if not v_waits then
            perform from pgjobs.ready as ready
            where ready.job_id = v_job.turn_no and ready.start_by <= v_now
            for update skip locked;
            continue when not found;
            delete from pgjobs.ready as ready where ready.job_id = v_job.turn_no;
        end if;
        insert into pgjobs.verdict (job_id, completed_at, run_no, status, error_reason)
        values (v_job.turn_no, v_now, 0, 'ERROR', 'EXPIRED');
        if v_waits then
            perform pgjobs._leave_lane(v_job.session_id);
        else
            perform pgjobs._next_head(v_job.session_id);
        end if;
    end loop;
    return cardinality(v_jobs);
end
$$;
comment on function pgjobs._expire_jobs is
    'Ends up to max_jobs jobs, heads and waiting ones, that were not begun by a time since then, '
    'as ERROR with the reason EXPIRED, and answers how many were due. Never waits.';


create type pgjobs.completed_element as (
    ordinal integer,
    job_id bigint,
    status text,
    completed_at timestamptz,
    outcome text
);
comment on type pgjobs.completed_element is
    'Answer of _complete, and of complete_many for one element: completed, replayed, lease_lost, '
    'verdict_final or not_found.';


create type pgjobs.completed as (
    job_id bigint,
    status text,
    completed_at timestamptz,
    replayed boolean
);
comment on type pgjobs.completed is
    'Answer of complete: replayed is true when this very call had already succeeded.';


create function pgjobs.complete(
    job_id bigint,
    lease_token uuid,
    status text,
    summary jsonb default null,
    reason text default null
)
    returns pgjobs.completed
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_bad text := pgjobs._bad_verdict(job_id, lease_token, status, summary, reason);
    v_answer pgjobs.completed_element;
begin
    if v_bad is not null then
        perform pgjobs._refuse_argument('complete', v_bad, jsonb_build_object(
            'status', status, 'summary', summary, 'reason', reason
        ));
    end if;
    v_answer := pgjobs._complete(job_id, lease_token, status, summary, reason);
    case v_answer.outcome
        when 'completed', 'replayed' then
            return (
                job_id, v_answer.status, v_answer.completed_at, v_answer.outcome = 'replayed'
            )::pgjobs.completed;
        when 'verdict_final' then
            perform pgjobs._refuse('verdict_final');
        when 'lease_lost' then
            perform pgjobs._refuse_lease((pgjobs._find_job(job_id)).session_id, job_id);
        when 'not_found' then
            perform pgjobs._refuse('job_not_found');
    end case;
end
$$;
comment on function pgjobs.complete is
    'Writes the verdict (PASSED, FAILED or ERROR) under the current lease, or the amendment of a '
    'review; repeating the same call answers replayed = true. reason: of an ERROR, becomes '
    'error_detail. Errors: 22023, 22004, P0002, 23V02, '
    '23V05, 40001.';


-- First complete, which may wait, then claim, which never does: so it waits only before it holds a
-- lock.
create function pgjobs.complete_and_claim(
    job_id bigint,
    lease_token uuid,
    status text,
    worker text,
    summary jsonb default null,
    max_jobs integer default 1,
    lease_for interval default '5 minutes',
    reason text default null
)
    returns setof pgjobs.claimed
    language plpgsql volatile security definer rows 1
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_bad text := coalesce(
        pgjobs._bad_verdict(job_id, lease_token, status, summary, reason),
        pgjobs._bad_claim(worker, max_jobs, lease_for)
    );
begin
    if v_bad is not null then
        perform pgjobs._refuse_argument('complete_and_claim', v_bad, jsonb_build_object(
            'status', status, 'summary', summary, 'worker', worker, 'max_jobs', max_jobs,
            'lease_for', lease_for, 'reason', reason
        ));
    end if;
    perform pgjobs.complete(job_id, lease_token, status, summary, reason);
    return query select claimed.* from pgjobs.claim(worker, max_jobs, lease_for) as claimed;
end
$$;
comment on function pgjobs.complete_and_claim is
    'complete, then claim, in one call: all or nothing. A repeated call after a lost answer '
    'completes nothing twice, but the runs that the lost answer named stay leased until they end. '
    'Errors: those of complete and claim.';


-- complete and complete_many, once the arguments are known to be good. The lane's lock decides
-- between complete, cancel and the last release or rescue; the lease's lock between complete and
-- the taking of the lease. Who comes second finds the token gone.
create function pgjobs._complete(
    job_id bigint,
    lease_token uuid,
    status text,
    summary jsonb,
    reason text,
    ordinal integer default null
)
    returns pgjobs.completed_element
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_session_id uuid;
    v_lease pgjobs.lease;
    v_verdict pgjobs.verdict;
    v_result record;
    v_completed_at timestamptz;
    v_summary_sha256 bytea := sha256(convert_to(summary::text, 'UTF8'));
begin
    select job.session_id into v_session_id
    from pgjobs.job as job
    where job.job_id = _complete.job_id;
    if not found then
        return (ordinal, job_id, null, null, 'not_found')::pgjobs.completed_element;
    end if;

    v_lease := pgjobs._take_lease(v_session_id, job_id, lease_token);
    if v_lease.job_id is not null then
        v_completed_at := greatest(v_lease.started_at, clock_timestamp());
        if v_lease.review_id is not null then
            perform pgjobs._answer_review(
                v_lease, v_completed_at, status, summary, reason
            );
        else
            insert into pgjobs.verdict (
                job_id, completed_at, started_at, lease_token, run_no, status, worker,
                error_reason, error_detail, summary_sha256
            )
            values (
                _complete.job_id, v_completed_at, v_lease.started_at, v_lease.lease_token,
                v_lease.run_no, _complete.status, v_lease.worker,
                case when _complete.status = 'ERROR' then 'REPORTED' end, _complete.reason,
                v_summary_sha256
            );
            if summary is not null then
                insert into pgjobs.verdict_summary (job_id, summary)
                values (_complete.job_id, _complete.summary);
            end if;
        end if;
        perform pgjobs._next_head(v_session_id);
        return (ordinal, job_id, status, v_completed_at, 'completed')::pgjobs.completed_element;
    end if;

    select verdict.* into v_verdict
    from pgjobs.verdict as verdict
    where verdict.job_id = _complete.job_id;
    if not found then
        return (ordinal, job_id, null, null, 'lease_lost')::pgjobs.completed_element;
    elsif v_verdict.lease_token = lease_token
        and v_verdict.status = status
        and v_verdict.summary_sha256 is not distinct from v_summary_sha256
        and v_verdict.error_detail is not distinct from reason
        -- A cancel keeps the token of the run that it ends.
        and v_verdict.actor is null
    then
        return (
            ordinal, job_id, status, v_verdict.completed_at, 'replayed'
        )::pgjobs.completed_element;
    end if;

    select result.* into v_result
    from pgjobs.review_result as result
    where result.review_id = (
        select review.review_id
        from pgjobs.review as review
        where review.job_id = _complete.job_id
        order by review.review_no desc
        limit 1
    );
    if v_result.lease_token = lease_token
        and v_result.outcome = status
        and v_result.summary_sha256 is not distinct from v_summary_sha256
        and v_result.detail is not distinct from reason
    then
        return (
            ordinal, job_id, status, v_result.ended_at, 'replayed'
        )::pgjobs.completed_element;
    end if;
    return (
        ordinal, job_id, v_verdict.status, v_verdict.completed_at,
        case
            when exists (
                select from pgjobs.lane as lane
                where lane.session_id = v_session_id and lane.head_job_id = _complete.job_id
            ) then 'lease_lost'
            else 'verdict_final'
        end
    )::pgjobs.completed_element;
end
$$;
comment on function pgjobs._complete is
    'Writes a verdict, or the answer of a review, under a lease, or says why not. replayed: the '
    'very call that wrote it, once more.';


create function pgjobs.complete_many(
    job_ids bigint[],
    lease_tokens uuid[],
    statuses text[],
    summaries jsonb[] default null,
    reasons text[] default null
)
    returns setof pgjobs.completed_element
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_bad text;
    v_bad_ordinal bigint;
    v_size integer := cardinality(job_ids);
    v_now timestamptz;
    v_sessions uuid[];
    v_ordinals bigint[];
    v_lanes tid[];
    v_leases tid[];
    v_ended pgjobs.lease[];
    v_session_id uuid;
    v_left integer;
    v_element record;
    v_answers pgjobs.completed_element[] := '{}';
begin
    v_bad := case
        when not pgjobs._has_size(job_ids, v_size) then 'job_ids'
        when not pgjobs._has_size(lease_tokens, v_size) then 'lease_tokens'
        when not pgjobs._has_size(statuses, v_size) then 'statuses'
        when summaries is not null and not pgjobs._has_size(summaries, v_size) then 'summaries'
        when reasons is not null and not pgjobs._has_size(reasons, v_size) then 'reasons'
    end;
    if v_bad is null then
        select bad.argument, bad.ordinal into v_bad, v_bad_ordinal
        from (
            select
                element.ordinal,
                case
                    when element.job_id is null then 'job_ids'
                    when element.lease_token is null then 'lease_tokens'
                    when element.status in ('PASSED', 'FAILED', 'ERROR') is not true
                        then 'statuses'
                    when not pgjobs._is_document(element.summary) then 'summaries'
                    when element.reason is not null
                        and not (pgjobs._is_text(element.reason) and element.status = 'ERROR')
                        then 'reasons'
                end as argument
            from unnest(job_ids, lease_tokens, statuses, summaries, reasons)
                with ordinality as element (job_id, lease_token, status, summary, reason, ordinal)
        ) as bad
        where bad.argument is not null
        order by bad.ordinal
        limit 1;
    end if;
    if v_bad is not null then
        perform pgjobs._refuse_argument('complete_many', v_bad, jsonb_build_object(
            'job_ids', job_ids, 'lease_tokens', lease_tokens, 'statuses', statuses,
            'summaries', summaries, 'reasons', reasons
        ), v_bad_ordinal);
    end if;

    -- The lanes in the order of their sessions, as enqueue_many locks them: two batches never wait
    -- for one another. Each statement then sees what the holders of those locks have left behind.
    select array_agg(place.session_id), array_agg(place.ordinal), array_agg(lane.ctid)
    into v_sessions, v_ordinals, v_lanes
    from (
        select job.session_id, element.ordinal
        from unnest((select job_ids)) with ordinality as element (job_id, ordinal)
        cross join lateral (
            select job.session_id
            from pgjobs.job as job
            where job.job_id = element.job_id
            offset 0
        ) as job
        order by job.session_id
    ) as place
    cross join lateral (
        select lane.ctid
        from pgjobs.lane as lane
        where lane.session_id = place.session_id
        for update
    ) as lane;

    -- What is held under its token for its verdict, and named once, ends here.
    select
        array_agg(place.lane), array_agg(lease.ctid), array_agg(lease.lease),
        array_agg(place.ordinal)
    into v_lanes, v_leases, v_ended, v_ordinals
    from unnest((select v_sessions), (select v_ordinals), (select v_lanes))
        as place (session_id, ordinal, lane)
    cross join lateral (
        select lease, lease.ctid
        from pgjobs.lease as lease
        where lease.session_id = place.session_id
            and lease.job_id = job_ids[place.ordinal]
            and lease.review_id is null
            and lease.lease_token = lease_tokens[place.ordinal]
        for update
    ) as lease
    where v_size = (select count(distinct named.job_id) from unnest(job_ids) as named (job_id));

    if v_ended is not null then
        v_now := clock_timestamp();
        insert into pgjobs.verdict (
            job_id, completed_at, started_at, lease_token, run_no, status, worker,
            error_reason, error_detail, summary_sha256
        )
        select
            ended.job_id, greatest(ended.started_at, v_now), ended.started_at, ended.lease_token,
            ended.run_no, element.status, ended.worker,
            case when element.status = 'ERROR' then 'REPORTED' end, element.reason,
            sha256(convert_to(element.summary::text, 'UTF8'))
        from unnest((select v_ended)) with ordinality as ended
        cross join lateral (
            select
                statuses[v_ordinals[ended.ordinality]] as status,
                summaries[v_ordinals[ended.ordinality]] as summary,
                reasons[v_ordinals[ended.ordinality]] as reason
        ) as element
        order by ended.job_id;
        insert into pgjobs.verdict_summary (job_id, summary)
        select ended.job_id, summaries[v_ordinals[ended.ordinality]]
        from unnest((select v_ended)) with ordinality as ended
        where summaries[v_ordinals[ended.ordinality]] is not null;

        delete from pgjobs.lease as lease where lease.ctid = any ((select v_leases)::tid[]);
        delete from pgjobs.lane as lane
        where lane.ctid = any ((select v_lanes)::tid[]) and lane.open_jobs = 1;
        get diagnostics v_left = row_count;
        if v_left < cardinality(v_ended) then
            for v_session_id in
                select lane.session_id
                from pgjobs.lane as lane
                where lane.ctid = any ((select v_lanes)::tid[])
            loop
                perform pgjobs._promote(v_session_id);
            end loop;
        end if;
    end if;

    -- The others get their answers one by one, in order.
    if v_size > coalesce(cardinality(v_ended), 0) then
        for v_element in
            select element.*
            from unnest(job_ids, lease_tokens, statuses, summaries, reasons)
                with ordinality as element (job_id, lease_token, status, summary, reason, ordinal)
            where element.ordinal in (
                select generate_series(1, v_size)
                except
                select unnest(v_ordinals)
            )
            order by element.ordinal
        loop
            v_answers := v_answers || pgjobs._complete(
                v_element.job_id, v_element.lease_token, v_element.status, v_element.summary,
                v_element.reason, v_element.ordinal::integer
            );
        end loop;
    end if;

    return query
    select
        v_ordinals[ended.ordinality]::integer, ended.job_id, statuses[v_ordinals[ended.ordinality]],
        greatest(ended.started_at, v_now), 'completed'
    from unnest((select v_ended)) with ordinality as ended
    union all
    select answer.* from unnest(v_answers) as answer
    order by 1;
end
$$;
comment on function pgjobs.complete_many is
    'complete for 0 to 10,000 jobs; one row per element in input order, its outcome completed, '
    'replayed, lease_lost, verdict_final or not_found. A null or a bad status fails the whole '
    'call. Errors: 22023, 22004, 40001.';


create type pgjobs.cancelled as (
    job_id bigint,
    status text,
    completed_at timestamptz
);
comment on type pgjobs.cancelled is
    'Answer of cancel: the status is ERROR; of a cancelled review the verdict''s, which stands.';


create function pgjobs.cancel(
    job_id bigint,
    reason text,
    actor text
)
    returns pgjobs.cancelled
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_bad text;
    v_job pgjobs.job;
    v_ended_at timestamptz;
    v_status text;
    v_lease pgjobs.lease;
    v_ready pgjobs.ready;
    v_started_at timestamptz;
    v_run_no smallint;
    v_worker text;
    v_review_id bigint;
    v_is_head boolean := true;
begin
    v_bad := case
        when cancel.job_id is null then 'job_id'
        when pgjobs._is_text(cancel.reason) is not true then 'reason'
        when pgjobs._is_text(cancel.actor) is not true then 'actor'
    end;
    if v_bad is not null then
        perform pgjobs._refuse_argument('cancel', v_bad, jsonb_build_object(
            'reason', cancel.reason, 'actor', cancel.actor
        ));
    end if;
    v_job := pgjobs._find_job(cancel.job_id);
    -- The lane's lock keeps the head its head; claim and release still move it between lease and
    -- ready. Who finds it gone from both has met such a move, and looks again.
    perform from pgjobs.lane as lane where lane.session_id = v_job.session_id for update;
    loop
        delete from pgjobs.lease as lease
        where lease.session_id = v_job.session_id and lease.job_id = cancel.job_id
        returning lease.* into v_lease;
        exit when found;
        delete from pgjobs.ready as ready
        where ready.job_id = cancel.job_id
        returning ready.* into v_ready;
        exit when found;
        v_is_head := exists (
            select from pgjobs.ready as ready where ready.job_id = cancel.job_id
            union all
            select from pgjobs.lease as lease
            where lease.session_id = v_job.session_id and lease.job_id = cancel.job_id
        );
        exit when not v_is_head;
    end loop;
    v_started_at := coalesce(v_lease.started_at, v_ready.started_at);
    v_run_no := coalesce(v_lease.run_no, v_ready.run_no);
    v_worker := coalesce(v_lease.worker, v_ready.worker);
    v_review_id := coalesce(v_lease.review_id, v_ready.review_id);
    if not v_is_head then
        delete from pgjobs.waiting as waiting
        where waiting.session_id = v_job.session_id
            and (waiting.turn_no = cancel.job_id or waiting.reviewed_job_id = cancel.job_id)
        returning case when waiting.reviewed_job_id is not null then waiting.turn_no end
        into v_review_id;
        if not found then
            perform pgjobs._refuse('verdict_final');
        end if;
    end if;

    v_ended_at := greatest(v_job.created_at, v_started_at, clock_timestamp());
    if v_review_id is null then
        v_status := 'ERROR';
        insert into pgjobs.verdict (
            job_id, completed_at, started_at, lease_token, run_no, status, worker,
            error_reason, error_detail, actor, login
        )
        values (
            cancel.job_id, v_ended_at, v_started_at, v_lease.lease_token,
            coalesce(v_run_no, 0), v_status, v_worker, 'CANCELLED',
            cancel.reason, cancel.actor, session_user
        );
    else
        v_status := pgjobs._status(v_job.session_id, cancel.job_id);
        insert into pgjobs.review_result (
            review_id, job_id, ended_at, started_at, lease_token, run_no, outcome, worker,
            detail, actor, login
        )
        select
            review.review_id, cancel.job_id, v_ended_at, v_started_at, v_lease.lease_token,
            coalesce(v_run_no, review.runs_before), 'CANCELLED', v_worker,
            cancel.reason, cancel.actor, session_user
        from pgjobs.review as review
        where review.review_id = v_review_id;
    end if;
    if v_is_head then
        perform pgjobs._next_head(v_job.session_id);
    else
        perform pgjobs._leave_lane(v_job.session_id);
    end if;
    return (cancel.job_id, v_status, v_ended_at)::pgjobs.cancelled;
end
$$;
comment on function pgjobs.cancel is
    'Ends a QUEUED or RUNNING job with ERROR, reason CANCELLED, or the review of a finished one, '
    'whose status stays; a worker that still runs it writes nothing any more. Errors: 22023, '
    '22004, P0002, 23V02, 40001.';

-- The evidence of a run.


-- artifact: the evidence of a run: a log, a report, a diff. Guarantees: one per run and name
-- (artifact_job_id_run_no_name_key), at most 100 a run (artifact_artifact_no_check, counted by
-- artifact_job_id_run_no_artifact_no_key) and 16 MiB of content (artifact_inline_bytes_check), a
-- body or a location (artifact_location_check), no change ever (the guards). Its bytes lie in body,
-- and may go (expiry); hash, size and name stay.
create table pgjobs.artifact (
    artifact_id bigint generated always as identity,
    job_id bigint not null,
    created_at timestamptz not null,
    size_bytes bigint not null,
    body_id bigint,
    inline_bytes integer not null,
    run_no smallint not null,
    artifact_no smallint not null,
    truncated boolean not null,
    kind text collate "C" not null,
    name text collate "C" not null,
    media_type text collate "C" not null,
    location text collate "C",
    sha256 bytea not null,
    original_size_bytes bigint,
    original_sha256 bytea,
    constraint artifact_artifact_id_pkey primary key (artifact_id),
    constraint artifact_job_id_run_no_name_key unique (job_id, run_no, name),
    constraint artifact_job_id_run_no_artifact_no_key unique (job_id, run_no, artifact_no),
    constraint artifact_job_id_fkey foreign key (job_id) references pgjobs.job (job_id),
    constraint artifact_kind_check check (kind in ('LOG', 'REPORT', 'DIFF', 'OUTPUT', 'OTHER')),
    constraint artifact_artifact_no_check check (artifact_no between 1 and 100),
    constraint artifact_inline_bytes_check check (inline_bytes between 0 and 16777216),
    constraint artifact_size_bytes_check check (size_bytes >= 0),
    constraint artifact_location_check check ((location is null) = (body_id is not null)),
    constraint artifact_sha256_check check (octet_length(sha256) = 32),
    constraint artifact_original_size_bytes_check check (
        original_size_bytes is null or truncated and original_size_bytes >= size_bytes
    ),
    constraint artifact_original_sha256_check check (
        original_sha256 is null or truncated and octet_length(original_sha256) = 32
    )
);

-- Serves expire_artifacts: who shares a body.
create index artifact_body_id_idx on pgjobs.artifact (body_id) where body_id is not null;

comment on table pgjobs.artifact is
    'Ledger: the evidence of a run; its bytes lie in body or elsewhere.';
comment on column pgjobs.artifact.body_id is
    'Its bytes; null where they lie elsewhere. The body may have expired.';
comment on column pgjobs.artifact.inline_bytes is
    'Bytes of content that the run''s artifacts have up to this one.';
comment on column pgjobs.artifact.artifact_no is 'Order of the artifacts of a run, from 1.';
comment on column pgjobs.artifact.truncated is 'The producer cut it.';
comment on column pgjobs.artifact.original_size_bytes is
    'Size before it was cut, as the producer says; null where not said.';
comment on column pgjobs.artifact.original_sha256 is
    'SHA-256 before it was cut, as the producer says; null where not said.';
comment on column pgjobs.artifact.location is 'Object key or URI of content that lies elsewhere.';
comment on constraint artifact_job_id_run_no_artifact_no_key on pgjobs.artifact is
    'One order per run; serves "the artifacts of a job".';


-- body: the bytes of artifacts, equal bytes once (body_sha256_key). A body expires: then an equal
-- one that comes later is another body.
create table pgjobs.body (
    body_id bigint generated always as identity,
    created_at timestamptz not null,
    sha256 bytea not null,
    content bytea not null,
    constraint body_body_id_pkey primary key (body_id),
    constraint body_sha256_key unique (sha256),
    constraint body_sha256_check check (octet_length(sha256) = 32),
    constraint body_content_check check (octet_length(content) <= 1048576)
);

-- Serves expire_artifacts: the oldest bodies.
create index body_created_at_idx on pgjobs.body (created_at);

comment on table pgjobs.body is
    'Detail: the bytes of artifacts.';
comment on column pgjobs.body.created_at is 'When the bytes first came, on the database clock.';


create function pgjobs.read_artifact(artifact_id bigint)
    returns bytea
    language plpgsql stable security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_artifact pgjobs.artifact;
    v_content bytea;
begin
    if artifact_id is null then
        perform pgjobs._refuse_argument('read_artifact', 'artifact_id');
    end if;
    select artifact.* into v_artifact
    from pgjobs.artifact as artifact
    where artifact.artifact_id = read_artifact.artifact_id;
    if not found then
        perform pgjobs._refuse('artifact_not_found');
    end if;
    select body.content into v_content
    from pgjobs.body as body
    where body.body_id = v_artifact.body_id;
    if (not found and v_artifact.location is null)
        or pgjobs._has_expired('ARTIFACT', artifact_id)
    then
        perform pgjobs._refuse('artifact_expired');
    end if;
    return v_content;
end
$$;
comment on function pgjobs.read_artifact is
    'The bytes of an artifact; null when only its location is known. Errors: 22004, P0002 (no '
    'such artifact), 23V08.';


create type pgjobs.artifact_added as (
    artifact_id bigint,
    sha256 bytea,
    size_bytes bigint,
    created boolean
);
comment on type pgjobs.artifact_added is
    'Answer of add_artifact: created is true for the one call that recorded it.';


-- The race: an equal artifact, or another of the same run, comes at the same time; the lease
-- is locked first, so they come one after the other, and no verdict comes between. Equal bytes of
-- another run meet at body_sha256_key. An expiry that is dropping those bytes holds the body's row:
-- this waits, finds it gone and stores the bytes anew. Above READ COMMITTED the keys raise 40001.
create function pgjobs.add_artifact(
    job_id bigint,
    lease_token uuid,
    kind text,
    name text,
    content bytea default null,
    location text default null,
    sha256 bytea default null,
    size_bytes bigint default null,
    media_type text default 'application/octet-stream',
    truncated boolean default false,
    original_size_bytes bigint default null,
    original_sha256 bytea default null
)
    returns pgjobs.artifact_added
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    c_body_bytes constant integer := 1048576;
    -- Of one run, as the checks of the table say.
    c_artifacts constant integer := 100;
    c_run_bytes constant integer := 16777216;
    v_bad text;
    v_sha256 bytea;
    v_size_bytes bigint;
    v_job pgjobs.job;
    v_lease pgjobs.lease;
    v_known pgjobs.artifact;
    v_latest pgjobs.artifact;
    v_differing text;
    v_body_id bigint;
    v_artifact_id bigint;
begin
    v_bad := case
        when add_artifact.job_id is null then 'job_id'
        when add_artifact.lease_token is null then 'lease_token'
        when kind in ('LOG', 'REPORT', 'DIFF', 'OUTPUT', 'OTHER') is not true then 'kind'
        -- A relative path; chr(92) is a backslash, which a literal cannot show in every session.
        when pgjobs._is_text(name) is not true
            or name ~ '(^|/)[.]{0,2}(/|$)' or strpos(name, chr(92)) > 0
            then 'name'
        when pgjobs._is_text(media_type) is not true then 'media_type'
        when truncated is null then 'truncated'
        when num_nonnulls(content, location) <> 1 or octet_length(content) > c_body_bytes
            then 'content'
        when not (
            octet_length(location) <= 4096
            and char_length(location) between 1 and 1024
            and location collate "C" !~ '[\u0001-\u0020\u007f-\u00a0]'
        ) then 'location'
        when (octet_length(sha256) = 32 and sha256 = coalesce(sha256(content), sha256)) is not true
            and not (sha256 is null and content is not null)
            then 'sha256'
        when (size_bytes >= 0 and size_bytes = coalesce(octet_length(content), size_bytes))
                is not true
            and not (size_bytes is null and content is not null)
            then 'size_bytes'
        when original_size_bytes is not null and not (
            truncated and original_size_bytes >= coalesce(octet_length(content), size_bytes)
        ) then 'original_size_bytes'
        when original_sha256 is not null
            and not (truncated and octet_length(original_sha256) = 32)
            then 'original_sha256'
    end;
    if v_bad is not null then
        perform pgjobs._refuse_argument(
            'add_artifact', v_bad, jsonb_build_object(
                'kind', kind, 'name', name, 'media_type', media_type,
                'content', case num_nonnulls(content, location)
                    when 1 then octet_length(content) || ' bytes'
                    else num_nonnulls(content, location) || ' of the two'
                end,
                'location', location, 'sha256', encode(sha256, 'hex'), 'size_bytes', size_bytes,
                'original_size_bytes', original_size_bytes,
                'original_sha256', encode(original_sha256, 'hex')
            ),
            rule => case
                when v_bad = 'name' and pgjobs._is_text(name)
                    then 'a relative path without backslashes and without empty, . or .. parts'
                when v_bad = 'content' and num_nonnulls(content, location) = 1
                    then 'at most 1 MiB'
                when v_bad = 'content' then 'given, or else location'
            end
        );
    end if;
    v_sha256 := coalesce(sha256(add_artifact.content), add_artifact.sha256);
    v_size_bytes := coalesce(octet_length(add_artifact.content), add_artifact.size_bytes);
    v_job := pgjobs._find_job(add_artifact.job_id);
    select lease.* into v_lease
    from pgjobs.lease as lease
    where lease.session_id = v_job.session_id and lease.job_id = add_artifact.job_id
    for update;
    if v_lease.lease_token is distinct from add_artifact.lease_token then
        perform pgjobs._refuse_lease(v_job.session_id, add_artifact.job_id);
    end if;

    loop
        select artifact.* into v_known
        from pgjobs.artifact as artifact
        where artifact.job_id = add_artifact.job_id
            and artifact.run_no = v_lease.run_no
            and artifact.name = add_artifact.name;
        if found then
            v_differing := case
                when v_known.sha256 <> v_sha256 then 'sha256'
                when v_known.size_bytes <> v_size_bytes then 'size_bytes'
                when v_known.location is distinct from add_artifact.location then 'location'
                when v_known.kind <> add_artifact.kind then 'kind'
                when v_known.media_type <> add_artifact.media_type then 'media_type'
                when v_known.truncated <> add_artifact.truncated then 'truncated'
                when v_known.original_size_bytes
                    is distinct from add_artifact.original_size_bytes then 'original_size_bytes'
                when v_known.original_sha256
                    is distinct from add_artifact.original_sha256 then 'original_sha256'
            end;
            if v_differing is not null then
                perform pgjobs._refuse('artifact_conflict', v_differing);
            end if;
            return (
                v_known.artifact_id, v_sha256, v_size_bytes, false
            )::pgjobs.artifact_added;
        end if;

        select artifact.* into v_latest
        from pgjobs.artifact as artifact
        where artifact.job_id = add_artifact.job_id and artifact.run_no = v_lease.run_no
        order by artifact.artifact_no desc
        limit 1;
        v_bad := case
            when v_latest.artifact_no >= c_artifacts then 'name'
            when v_latest.inline_bytes + octet_length(content) > c_run_bytes then 'content'
        end;
        if v_bad is not null then
            perform pgjobs._refuse_argument(
                'add_artifact', v_bad, jsonb_build_object(
                    'name', name, 'content', octet_length(content) || ' bytes'
                ),
                rule => case v_bad
                    when 'name' then 'one of at most 100 artifacts of the run'
                    when 'content' then 'at most 16 MiB with the other artifacts of the run'
                end
            );
        end if;
        if content is not null then
            v_body_id := pgjobs._keep_body(content, v_sha256);
        end if;
        insert into pgjobs.artifact (
            job_id, created_at, size_bytes, body_id, inline_bytes, run_no, artifact_no,
            truncated, kind, name, media_type, location, sha256,
            original_size_bytes, original_sha256
        )
        values (
            add_artifact.job_id, clock_timestamp(), v_size_bytes, v_body_id,
            coalesce(v_latest.inline_bytes, 0)
                + case when v_body_id is null then 0 else v_size_bytes end,
            v_lease.run_no, coalesce(v_latest.artifact_no, 0) + 1, add_artifact.truncated,
            add_artifact.kind, add_artifact.name, add_artifact.media_type,
            add_artifact.location, v_sha256,
            add_artifact.original_size_bytes, add_artifact.original_sha256
        )
        on conflict do nothing
        returning artifact_id into v_artifact_id;
        exit when found;
    end loop;
    return (v_artifact_id, v_sha256, v_size_bytes, true)::pgjobs.artifact_added;
end
$$;
comment on function pgjobs.add_artifact is
    'Records evidence of the run under the lease: kind LOG, REPORT, DIFF, OUTPUT or OTHER; name '
    '1 to 200 characters, unique in the run; content up to 1 MiB, or location (1 to 1,024 '
    'characters) with sha256 and size_bytes; original_size_bytes and original_sha256: of what was '
    'truncated, before. At most 100 artifacts and 16 MiB of content a run. The same call once '
    'more: created = false. Errors: 22023, 22004, P0002, 23V02, 23V05, 23V06, 40001.';



create function pgjobs._keep_body(content bytea, sha256 bytea)
    returns bigint
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_body_id bigint;
begin
    loop
        -- Locked, so that no expiry drops it before the artifact that shares it is there.
        select body.body_id into v_body_id
        from pgjobs.body as body
        where body.sha256 = _keep_body.sha256
        for key share;
        exit when found;
        insert into pgjobs.body (created_at, sha256, content)
        values (clock_timestamp(), _keep_body.sha256, _keep_body.content)
        on conflict do nothing
        returning body_id into v_body_id;
        exit when found;
    end loop;
    return v_body_id;
end
$$;
comment on function pgjobs._keep_body is 'The body with those bytes, found and locked, or stored.';

-- Another word on a verdict.


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


-- amendment: another word on a verdict that stands. Guarantees: only of a job with a verdict
-- (amendment_job_id_fkey), by two people (amendment_approver_check), in one order per job
-- (amendment_job_id_amendment_no_key), at most one per review (amendment_review_id_key), no change
-- ever (the guards).
create table pgjobs.amendment (
    amendment_id bigint generated always as identity,
    job_id bigint not null,
    completed_at timestamptz not null,
    amended_at timestamptz not null,
    review_id bigint,
    amendment_no smallint not null,
    verdict_status text collate "C" not null,
    status text collate "C" not null,
    lab_version text collate "C",
    reason text not null,
    actor text not null,
    approver text not null,
    ticket text not null,
    login text collate "C" not null,
    constraint amendment_amendment_id_pkey primary key (amendment_id),
    constraint amendment_job_id_amendment_no_key unique (job_id, amendment_no),
    constraint amendment_review_id_key unique (review_id),
    constraint amendment_job_id_fkey foreign key (job_id) references pgjobs.verdict (job_id),
    constraint amendment_review_id_fkey foreign key (review_id)
        references pgjobs.review_result (review_id),
    constraint amendment_status_check check (status in ('PASSED', 'FAILED', 'ERROR')),
    constraint amendment_approver_check check (not pgjobs._is_same_person(actor, approver))
);

-- Serves "the newest 50 whose effective status is ...", beside the verdict's.
create index amendment_status_completed_at_idx on pgjobs.amendment (status, completed_at);
-- Serves "the newest 50 of a verdict", beside the verdict's.
create index amendment_verdict_status_completed_at_idx
    on pgjobs.amendment (verdict_status, completed_at);

comment on table pgjobs.amendment is
    'Ledger: another word on a verdict that stands.';
comment on column pgjobs.amendment.completed_at is
    'When the job ended, copied from its verdict for the order of both.';
comment on column pgjobs.amendment.review_id is
    'The review whose answer this is; null where a person said so.';
comment on column pgjobs.amendment.amendment_no is
    'Order of the amendments of a job, from 1; the last one counts.';
comment on column pgjobs.amendment.verdict_status is
    'The status of the verdict, copied from it for the order of both.';
comment on column pgjobs.amendment.lab_version is
    'The version of the lab it was judged by; null: the job''s.';
comment on column pgjobs.amendment.login is
    'The database login, session_user; for a review''s answer that of the worker.';
comment on constraint amendment_job_id_amendment_no_key on pgjobs.amendment is
    'One order per job; serves "the latest of a job".';


create type pgjobs.amended as (
    amendment_id bigint,
    job_id bigint,
    effective_status text,
    amended_at timestamptz
);
comment on type pgjobs.amended is 'Answer of amend.';


create function pgjobs.amend(
    job_id bigint,
    status text,
    reason text,
    actor text,
    approver text,
    ticket text,
    lab_version text default null
)
    returns pgjobs.amended
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_bad text;
begin
    v_bad := case
        when job_id is null then 'job_id'
        when status in ('PASSED', 'FAILED', 'ERROR') is not true then 'status'
        else pgjobs._bad_decision(reason, actor, approver, ticket, lab_version)
    end;
    if v_bad is not null then
        perform pgjobs._refuse_argument('amend', v_bad, jsonb_build_object(
            'status', status, 'reason', reason, 'actor', actor, 'approver', approver,
            'ticket', ticket, 'lab_version', lab_version
        ));
    end if;
    perform pgjobs._find_job(job_id);
    return pgjobs._add_amendment(
        job_id, status, reason, actor, approver, ticket, lab_version, null
    );
end
$$;
comment on function pgjobs.amend is
    'Says PASSED, FAILED or ERROR over a verdict, which itself stands: the audited override. '
    'reason, actor, approver, ticket, lab_version 1 to 200 characters; actor and approver are two '
    'people. The latest amendment of a job is its effective status. Errors: 22023, 22004, P0002, '
    '23V07, 40001.';


-- Another word on a verdict: from an operator, or the answer of a review.

create function pgjobs._add_amendment(
    job_id bigint,
    status text,
    reason text,
    actor text,
    approver text,
    ticket text,
    lab_version text,
    review_id bigint
)
    returns pgjobs.amended
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_verdict pgjobs.verdict;
    v_amendment_id bigint;
    v_amendment_no smallint;
    v_amended_at timestamptz;
begin
    select verdict.* into v_verdict
    from pgjobs.verdict as verdict
    where verdict.job_id = _add_amendment.job_id;
    if not found then
        perform pgjobs._refuse('not_final');
    end if;
    -- The race: two amendments take the same number. One waits for the other and, in its next
    -- look, finds it; above READ COMMITTED it gets 40001.
    loop
        select coalesce(max(amendment.amendment_no), 0) + 1 into v_amendment_no
        from pgjobs.amendment as amendment
        where amendment.job_id = _add_amendment.job_id;
        v_amended_at := greatest(v_verdict.completed_at, clock_timestamp());
        insert into pgjobs.amendment (
            job_id, completed_at, amended_at, review_id, amendment_no, verdict_status, status,
            lab_version, reason, actor, approver, ticket, login
        )
        values (
            v_verdict.job_id, v_verdict.completed_at, v_amended_at, _add_amendment.review_id,
            v_amendment_no, v_verdict.status, _add_amendment.status, _add_amendment.lab_version,
            _add_amendment.reason, _add_amendment.actor, _add_amendment.approver,
            _add_amendment.ticket, session_user
        )
        on conflict do nothing
        returning amendment_id into v_amendment_id;
        exit when found;
    end loop;
    return (v_amendment_id, job_id, status, v_amended_at)::pgjobs.amended;
end
$$;
comment on function pgjobs._add_amendment is
    'Appends an amendment; 23V07 when the job has no verdict.';


create function pgjobs._effective_status(job_id bigint)
    returns text
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce(
        (
            select amendment.status
            from pgjobs.amendment as amendment
            where amendment.job_id = _effective_status.job_id
            order by amendment.amendment_no desc
            limit 1
        ),
        (
            select verdict.status
            from pgjobs.verdict as verdict
            where verdict.job_id = _effective_status.job_id
        )
    );
end
$$;
comment on function pgjobs._effective_status is
    'The latest amendment of a job, else its verdict; null while it has none.';

-- What must stay, and what may go.


-- hold: what must stay, until it is lifted. Guarantees: one order per session and ticket
-- (hold_session_id_ticket_hold_no_pkey), in which odd numbers hold and even ones lift, no change
-- ever (the guards). While any ticket holds a session, retention leaves all of it alone: each
-- matter lifts its own hold and no other's.
create table pgjobs.hold (
    session_id uuid not null,
    decided_at timestamptz not null,
    hold_no smallint not null,
    ticket text collate "C" not null,
    reason text not null,
    actor text not null,
    login text collate "C" not null,
    constraint hold_session_id_ticket_hold_no_pkey primary key (session_id, ticket, hold_no)
);

comment on table pgjobs.hold is 'Ledger: what must stay, and until when.';
comment on column pgjobs.hold.hold_no is
    'Order of the decisions of a ticket, from 1: odd ones hold, even ones lift.';
comment on column pgjobs.hold.login is 'The database login, session_user.';


create type pgjobs.held as (
    session_id uuid,
    held boolean,
    created boolean
);
comment on type pgjobs.held is
    'Answer of hold and lift_hold: created is true for the one call that changed something; held: '
    'whether this or another ticket holds the session now.';


create function pgjobs.hold(session_id uuid, reason text, actor text, ticket text)
    returns pgjobs.held
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    return pgjobs._decide_hold('hold', session_id, reason, actor, ticket);
end
$$;
comment on function pgjobs.hold is
    'Keeps all of a session, pushes to come included, from retention and erasure until the same '
    'ticket lifts it. reason, actor, ticket 1 to 200 characters. Repeated: created = false. '
    'Errors: 22023, 22004, 25000.';


create function pgjobs.lift_hold(session_id uuid, reason text, actor text, ticket text)
    returns pgjobs.held
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    return pgjobs._decide_hold('lift_hold', session_id, reason, actor, ticket);
end
$$;
comment on function pgjobs.lift_hold is
    'Ends the hold of that ticket; where it has none, created = false. Another ticket may hold on '
    '(held). reason, actor, ticket 1 to 200 characters. Errors: 22023, 22004, 25000.';


-- The race: two decide about one ticket. The second waits at the key, and looks again. An old
-- snapshot could take a hold for standing that has been lifted since.
create function pgjobs._decide_hold(
    routine text, session_id uuid, reason text, actor text, ticket text
)
    returns pgjobs.held
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_bad text := pgjobs._bad_order(session_id, reason, actor, ticket);
    v_hold_no smallint;
    v_created boolean := false;
begin
    if v_bad is not null then
        perform pgjobs._refuse_argument(routine, v_bad, jsonb_build_object(
            'reason', reason, 'actor', actor, 'ticket', ticket
        ));
    end if;
    perform pgjobs._begin_retention(routine, true);
    loop
        select coalesce(max(hold.hold_no), 0) + 1 into v_hold_no
        from pgjobs.hold as hold
        where hold.session_id = _decide_hold.session_id and hold.ticket = _decide_hold.ticket;
        exit when v_created or (v_hold_no % 2 = 1) <> (routine = 'hold');
        insert into pgjobs.hold (session_id, decided_at, hold_no, ticket, reason, actor, login)
        values (
            _decide_hold.session_id, clock_timestamp(), v_hold_no, _decide_hold.ticket,
            _decide_hold.reason, _decide_hold.actor, session_user
        )
        on conflict do nothing;
        v_created := found;
    end loop;
    return (session_id, pgjobs._is_held(session_id), v_created)::pgjobs.held;
end
$$;
comment on function pgjobs._decide_hold is
    'Appends a decision of a ticket, unless the one before it says the same.';


create function pgjobs._is_held(session_id uuid)
    returns boolean
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return exists (
        select from pgjobs.verification_hold as hold
        where hold.session_id = _is_held.session_id and hold.lifted_at is null
    );
end
$$;
comment on function pgjobs._is_held is 'Whether a hold of the session stands.';


-- expiry: which body or detail row was dropped, or which artifact lost its content, when, by whom
-- and why. Guarantees: one per row (expiry_kind_id_pkey), no change ever (the guards). A row beside
-- the ledger may be deleted only when it stands here (_guard_detail).
create table pgjobs.expiry (
    id bigint not null,
    expired_at timestamptz not null,
    kind text collate "C" not null,
    login text collate "C" not null,
    actor text,
    reason text,
    ticket text,
    constraint expiry_kind_id_pkey primary key (kind, id),
    constraint expiry_kind_check check (
        kind in ('BODY', 'ARTIFACT', 'ATTEMPT', 'PAYLOAD', 'SUMMARY', 'REVIEW')
    )
);

comment on table pgjobs.expiry is 'Ledger: which body or detail row was dropped.';
comment on column pgjobs.expiry.id is
    'body_id, artifact_id, attempt_id, job_id, job_id or review_id, by kind.';
comment on column pgjobs.expiry.kind is
    'ARTIFACT: the object at its location, or its part in bytes that others share; REVIEW: a '
    'review''s summary.';
comment on column pgjobs.expiry.actor is 'Who erased the session; null otherwise.';


create type pgjobs.artifacts_expired as (
    artifacts bigint,
    bodies bigint,
    bytes bigint,
    held bigint
);
comment on type pgjobs.artifacts_expired is
    'Answer of expire_artifacts: bodies dropped, the artifacts that were theirs, and their bytes; '
    'held: artifacts of that age and kind that a hold keeps.';


create type pgjobs.details_expired as (
    kind text,
    details bigint,
    held bigint
);
comment on type pgjobs.details_expired is
    'Answer of expire_details: how many rows of a kind were dropped; held: how many of that age a '
    'hold keeps.';


-- The race: an artifact that shares an old body comes while it is being dropped. add_artifact locks
-- the body it shares; who holds such a lock keeps the body, and one that came before our lock is
-- seen by the second look.
create function pgjobs.expire_artifacts(
    older_than interval,
    max_rows integer default 1000,
    dry_run boolean default true,
    kinds text[] default null,
    reason text default null,
    ticket text default null
)
    returns pgjobs.artifacts_expired
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    c_kinds constant text[] := '{LOG,REPORT,DIFF,OUTPUT,OTHER}';
    v_kinds text[] := coalesce(kinds, c_kinds);
    v_before timestamptz;
    v_ids bigint[];
    v_artifacts bigint;
    v_bodies bigint;
    v_bytes bigint;
    v_held_ids bigint[];
    v_held bigint;
begin
    if not (v_kinds <@ c_kinds and cardinality(v_kinds) between 1 and 5) then
        perform pgjobs._refuse_argument(
            'expire_artifacts', 'kinds', jsonb_build_object('kinds', kinds)
        );
    end if;
    v_before := pgjobs._expire_before(
        'expire_artifacts', older_than, max_rows, dry_run, reason, ticket
    );
    v_ids := pgjobs._old_bodies(v_before, v_kinds, max_rows);
    if not dry_run then
        v_ids := array(
            select body.body_id
            from pgjobs.body as body
            where body.body_id = any ((select v_ids)::bigint[])
            order by body.body_id
            for update skip locked
        );
        v_ids := array(
            select id
            from unnest((select v_ids)) as id
            where not pgjobs._is_needed(id, v_before, v_kinds)
        );
    end if;
    select count(*), coalesce(sum(octet_length(body.content)), 0)
    into v_bodies, v_bytes
    from pgjobs.body as body
    where body.body_id = any ((select v_ids)::bigint[]);
    select count(*) into v_artifacts
    from pgjobs.artifact as artifact
    where artifact.body_id = any ((select v_ids)::bigint[]);
    v_held_ids := pgjobs._held_details('ARTIFACT', v_before);
    select count(*) into v_held
    from pgjobs.artifact as artifact
    where artifact.artifact_id = any ((select v_held_ids)::bigint[])
        and artifact.kind = any (v_kinds);
    if not dry_run then
        perform pgjobs._expire('BODY', v_ids, null, reason, ticket);
    end if;
    return (v_artifacts, v_bodies, v_bytes, v_held)::pgjobs.artifacts_expired;
end
$$;
comment on function pgjobs.expire_artifacts is
    'Drops up to max_rows (1 to 10,000) bodies, the oldest first, all of whose artifacts are older '
    'than older_than (0 s to 50 years), of these kinds (null: of any), and of finished jobs that '
    'no hold keeps; hash, size and name stay. reason and ticket, 1 to 200 characters, go on '
    'record. A dry run counts the same. Errors: 22023, 22004, 25000.';


create function pgjobs.expire_details(
    older_than interval,
    kinds text[] default '{ATTEMPT,SUMMARY,PAYLOAD}',
    max_rows integer default 1000,
    dry_run boolean default true,
    reason text default null,
    ticket text default null
)
    returns setof pgjobs.details_expired
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_before timestamptz;
    v_kind text;
    v_table text;
    v_ids bigint[];
    v_details integer;
    v_held integer;
begin
    if (kinds <@ '{ATTEMPT,SUMMARY,PAYLOAD}' and cardinality(kinds) between 1 and 3) is not true
    then
        perform pgjobs._refuse_argument(
            'expire_details', 'kinds', jsonb_build_object('kinds', kinds)
        );
    end if;
    v_before := pgjobs._expire_before(
        'expire_details', older_than, max_rows, dry_run, reason, ticket
    );
    for v_kind in select distinct kind from unnest(kinds) as kind order by kind loop
        v_details := 0;
        v_held := 0;
        -- Summaries lie beside the verdict and beside the answer of a review.
        for v_table in
            select part
            from unnest(case v_kind when 'SUMMARY' then '{SUMMARY,REVIEW}' else array[v_kind] end)
                as part
        loop
            v_ids := pgjobs._details(v_table, v_before, max_rows - v_details);
            v_details := v_details + case when dry_run then cardinality(v_ids)
                else pgjobs._expire(v_table, v_ids, null, reason, ticket) end;
            v_held := v_held + cardinality(pgjobs._held_details(v_table, v_before));
        end loop;
        return query select v_kind, v_details::bigint, v_held::bigint;
    end loop;
end
$$;
comment on function pgjobs.expire_details is
    'Drops up to max_rows (1 to 10,000) rows of each kind that are older than older_than (0 s to '
    '50 years) and of finished jobs that no hold keeps: ATTEMPT (author, branch, changed files), '
    'SUMMARY, PAYLOAD. The ledger keeps their hash. reason and ticket, 1 to 200 characters, go on '
    'record. A dry run counts the same. Errors: 22023, 22004, 25000.';


create type pgjobs.location_expired as (
    ordinal integer,
    artifact_id bigint,
    outcome text
);
comment on type pgjobs.location_expired is
    'Answer of expire_locations for one element, counted from 1: expired, held or not_found.';


create function pgjobs.expire_locations(artifact_ids bigint[], reason text, ticket text)
    returns setof pgjobs.location_expired
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_bad text := case
        when not pgjobs._has_size(artifact_ids, cardinality(artifact_ids)) then 'artifact_ids'
        when pgjobs._is_text(reason) is not true then 'reason'
        when pgjobs._is_text(ticket) is not true then 'ticket'
    end;
    v_bad_ordinal integer;
    v_ids bigint[];
begin
    if v_bad is null then
        v_bad_ordinal := array_position(artifact_ids, null);
    end if;
    if v_bad is not null or v_bad_ordinal is not null then
        perform pgjobs._refuse_argument(
            'expire_locations', coalesce(v_bad, 'artifact_ids'), jsonb_build_object(
                'artifact_ids', artifact_ids, 'reason', reason, 'ticket', ticket
            ), v_bad_ordinal
        );
    end if;
    perform pgjobs._begin_retention('expire_locations', false);
    v_ids := array(
        select artifact.artifact_id
        from pgjobs.artifact as artifact
        join pgjobs.job as job on job.job_id = artifact.job_id
        where artifact.artifact_id = any ((select artifact_ids)::bigint[])
            and artifact.location is not null
            and not pgjobs._is_held(job.session_id)
    );
    perform pgjobs._expire('ARTIFACT', v_ids, null, reason, ticket);
    return query
    select
        element.ordinal::integer, element.artifact_id,
        case
            when artifact.location is null then 'not_found'
            when expiry.id is null then 'held'
            else 'expired'
        end
    from unnest(artifact_ids) with ordinality as element (artifact_id, ordinal)
    left join pgjobs.artifact as artifact on artifact.artifact_id = element.artifact_id
    left join pgjobs.expiry as expiry
        on expiry.kind = 'ARTIFACT' and expiry.id = artifact.artifact_id
    order by element.ordinal;
end
$$;
comment on function pgjobs.expire_locations is
    'Puts on record that the host deletes the objects of 0 to 10,000 artifacts at a location; one '
    'row per element, in order, its outcome expired (now or before), held (a hold keeps it) or '
    'not_found. reason, ticket 1 to 200 characters. Errors: 22023, 22004, 25000.';


create type pgjobs.details_erased as (
    kind text,
    details bigint
);
comment on type pgjobs.details_erased is
    'Answer of erase_session: how many rows of a kind of expiry went.';


-- The races. A hold: see _begin_retention. A body comes to be shared, or loses who shared it: who
-- does that has its lock, so this waits, and looks for other artifacts behind the lock. A job that
-- is enqueued, or judged again, meanwhile is open, and what is open is left alone.
create function pgjobs.erase_session(
    session_id uuid,
    reason text,
    actor text,
    ticket text,
    dry_run boolean default true
)
    returns setof pgjobs.details_erased
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_bad text := case when dry_run is null then 'dry_run'
        else pgjobs._bad_order(session_id, reason, actor, ticket) end;
    v_artifacts bigint[];
    v_bodies bigint[];
    v_kind text;
    v_ids bigint[];
begin
    if v_bad is not null then
        perform pgjobs._refuse_argument('erase_session', v_bad, jsonb_build_object(
            'reason', reason, 'actor', actor, 'ticket', ticket
        ));
    end if;
    perform pgjobs._begin_retention('erase_session', dry_run);
    if pgjobs._is_held(session_id) then
        perform pgjobs._refuse('on_hold');
    elsif exists (
        select from pgjobs.lane as lane where lane.session_id = erase_session.session_id
    ) then
        perform pgjobs._refuse('session_busy');
    end if;
    v_artifacts := pgjobs._details('ARTIFACT', 'infinity', null, array[session_id]);
    v_bodies := array(
        select distinct artifact.body_id
        from pgjobs.artifact as artifact
        where artifact.artifact_id = any ((select v_artifacts)::bigint[])
    );
    if not dry_run then
        v_bodies := array(
            select body.body_id
            from pgjobs.body as body
            where body.body_id = any ((select v_bodies)::bigint[])
            order by body.body_id
            for update
        );
    end if;
    v_bodies := array(
        select id
        from unnest((select v_bodies)) as id
        where not exists (
            select from pgjobs.artifact as other
            where other.body_id = id
                and other.artifact_id <> all (v_artifacts)
                and not pgjobs._has_expired('ARTIFACT', other.artifact_id)
        )
    );
    foreach v_kind in array array['ARTIFACT', 'ATTEMPT', 'BODY', 'PAYLOAD', 'REVIEW', 'SUMMARY']
    loop
        v_ids := case v_kind
            when 'ARTIFACT' then v_artifacts
            when 'BODY' then v_bodies
            else pgjobs._details(v_kind, 'infinity', null, array[session_id])
        end;
        return query
        select v_kind, case when dry_run then cardinality(v_ids)
            else pgjobs._expire(v_kind, v_ids, actor, reason, ticket) end;
    end loop;
end
$$;
comment on function pgjobs.erase_session is
    'Drops what is personal or bulky of a session, whatever its age: ATTEMPT (author, branch, '
    'changed files), PAYLOAD, SUMMARY, REVIEW (a review''s summary), ARTIFACT (its content cannot '
    'be read any more), BODY (bytes that no other session shares). The ledger keeps their hash, '
    'and who and why: reason, actor, ticket 1 to 200 characters. A dry run counts the same. '
    'Errors: 22023, 22004, 23V09, 25000, 55V02.';


-- Retention: which bodies and detail rows are old enough to go. A dry run and a real one ask here.

create function pgjobs._old_bodies(before timestamptz, kinds text[], max_rows integer)
    returns bigint[]
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return array(
        select body.body_id
        from pgjobs.body as body
        where body.created_at < _old_bodies.before
            and not pgjobs._is_needed(body.body_id, _old_bodies.before, kinds)
        order by body.created_at, body.body_id
        limit max_rows
    );
end
$$;
comment on function pgjobs._old_bodies is
    'Up to max_rows bodies, the oldest first, that are older than before and not needed.';


create function pgjobs._is_needed(body_id bigint, before timestamptz, kinds text[])
    returns boolean
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return exists (
        select from pgjobs.artifact as artifact
        where artifact.body_id = _is_needed.body_id
            and (
                artifact.created_at >= _is_needed.before
                or artifact.kind <> all (_is_needed.kinds)
                or pgjobs._is_open(artifact.job_id)
                or pgjobs._is_held((pgjobs._find_job(artifact.job_id)).session_id)
            )
            and not pgjobs._has_expired('ARTIFACT', artifact.artifact_id)
    );
end
$$;
comment on function pgjobs._is_needed is
    'Whether an artifact has a right to the body that is not older than before, of another kind, '
    'or of a job that is open or on hold.';


create function pgjobs._has_expired(kind text, id bigint)
    returns boolean
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return exists (
        select from pgjobs.expiry as expiry
        where expiry.kind = _has_expired.kind and expiry.id = _has_expired.id
    );
end
$$;
comment on function pgjobs._has_expired is 'Whether the expiry of that row is on record.';


create function pgjobs._details(
    kind text, before timestamptz, max_rows integer, sessions uuid[] default null
)
    returns bigint[]
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    case kind
    when 'ARTIFACT' then
        return array(
            select artifact.artifact_id
            from pgjobs.artifact as artifact
            join pgjobs.body as body on body.body_id = artifact.body_id
            join pgjobs.job as job on job.job_id = artifact.job_id
            join pgjobs.lab_attempt as attempt
                on attempt.session_id = job.session_id and attempt.commit_sha = job.commit_sha
            where attempt.session_id = any (sessions)
                and artifact.created_at < _details.before
                and not pgjobs._is_open(job.job_id)
                and not pgjobs._has_expired('ARTIFACT', artifact.artifact_id)
        );
    when 'ATTEMPT' then
        return array(
            select detail.attempt_id
            from pgjobs.attempt_detail as detail
            join pgjobs.lab_attempt as attempt on attempt.attempt_id = detail.attempt_id
            left join pgjobs.job as job
                on job.session_id = attempt.session_id and job.commit_sha = attempt.commit_sha
            where attempt.recorded_at < _details.before
                and case when sessions is null then not pgjobs._is_held(attempt.session_id)
                    else attempt.session_id = any (sessions) end
                and (job.job_id is null or not pgjobs._is_open(job.job_id))
            order by detail.attempt_id
            limit max_rows
        );
    when 'PAYLOAD', 'SUMMARY' then
        return array(
            select detail.job_id
            from (
                select payload.job_id from pgjobs.job_payload as payload
                where _details.kind = 'PAYLOAD'
                union all
                select summary.job_id from pgjobs.verdict_summary as summary
                where _details.kind = 'SUMMARY'
            ) as detail
            join pgjobs.job as job on job.job_id = detail.job_id
            join pgjobs.lab_attempt as attempt
                on attempt.session_id = job.session_id and attempt.commit_sha = job.commit_sha
            join pgjobs.verdict as verdict on verdict.job_id = job.job_id
            where verdict.completed_at < _details.before
                and case when sessions is null then not pgjobs._is_held(attempt.session_id)
                    else attempt.session_id = any (sessions) end
                and not pgjobs._is_open(job.job_id)
            order by detail.job_id
            limit max_rows
        );
    when 'REVIEW' then
        return array(
            select summary.review_id
            from pgjobs.review_summary as summary
            join pgjobs.review_result as result on result.review_id = summary.review_id
            join pgjobs.job as job on job.job_id = result.job_id
            join pgjobs.lab_attempt as attempt
                on attempt.session_id = job.session_id and attempt.commit_sha = job.commit_sha
            where result.ended_at < _details.before
                and case when sessions is null then not pgjobs._is_held(attempt.session_id)
                    else attempt.session_id = any (sessions) end
                and not pgjobs._is_open(job.job_id)
            order by summary.review_id
            limit max_rows
        );
    end case;
end
$$;
comment on function pgjobs._details is
    'Up to max_rows rows of a kind of expiry, the oldest first, that are older than before and of '
    'jobs that are not open: of these sessions, or of all that are not on hold.';


create function pgjobs._held_details(kind text, before timestamptz)
    returns bigint[]
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return pgjobs._details(kind, before, null, array(
        select distinct hold.session_id
        from pgjobs.verification_hold as hold
        where hold.lifted_at is null
    ));
end
$$;
comment on function pgjobs._held_details is
    'The rows of a kind of expiry that are older than before and stay because of a hold.';


-- Two at once: one waits for the other at expiry_kind_id_pkey, and then finds the rows gone.
create function pgjobs._expire(kind text, ids bigint[], actor text, reason text, ticket text)
    returns bigint
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_dropped bigint;
begin
    insert into pgjobs.expiry (id, expired_at, kind, login, actor, reason, ticket)
    select
        id, clock_timestamp(), _expire.kind, session_user, _expire.actor, _expire.reason,
        _expire.ticket
    from unnest((select ids)) as id
    order by id
    on conflict do nothing;
    case kind
    when 'ARTIFACT' then
        -- What is dropped lies with the host, or is a share in a body.
    when 'BODY' then
        delete from pgjobs.body as body where body.body_id = any ((select ids)::bigint[]);
    when 'ATTEMPT' then
        delete from pgjobs.attempt_detail as detail
        where detail.attempt_id = any ((select ids)::bigint[]);
    when 'PAYLOAD' then
        delete from pgjobs.job_payload as payload
        where payload.job_id = any ((select ids)::bigint[]);
    when 'SUMMARY' then
        delete from pgjobs.verdict_summary as summary
        where summary.job_id = any ((select ids)::bigint[]);
    when 'REVIEW' then
        delete from pgjobs.review_summary as summary
        where summary.review_id = any ((select ids)::bigint[]);
    end case;
    get diagnostics v_dropped = row_count;
    return v_dropped;
end
$$;
comment on function pgjobs._expire is
    'Puts the expiry of rows on record and drops them; answers how many it dropped.';


-- The race: a hold comes while a session is looked at. The lock waits for every hold that is not
-- committed yet and lets none in until the end of the transaction, so the next look sees them all.
create function pgjobs._begin_retention(routine text, dry_run boolean)
    returns void
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
begin
    -- An old snapshot sees neither a hold nor who shares a body since, and no lock would tell.
    if current_setting('transaction_isolation') <> 'read committed' then
        perform pgjobs._refuse('isolation_too_high', routine);
    end if;
    if not dry_run then
        lock table pgjobs.hold in share mode;
    end if;
end
$$;
comment on function pgjobs._begin_retention is
    'Refuses an old snapshot and, unless in a dry run, keeps holds out.';


create function pgjobs._expire_before(
    routine text,
    older_than interval,
    max_rows integer,
    dry_run boolean,
    reason text,
    ticket text
)
    returns timestamptz
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_bad text := case
        when (max_rows between 1 and 10000) is not true then 'max_rows'
        when dry_run is null then 'dry_run'
        -- At most 50 years.
        when not pgjobs._is_duration(older_than, 0, 1577880000) then 'older_than'
        when not pgjobs._is_text(reason) then 'reason'
        when not pgjobs._is_text(ticket) then 'ticket'
    end;
begin
    if v_bad is not null then
        perform pgjobs._refuse_argument(routine, v_bad, jsonb_build_object(
            'max_rows', max_rows, 'older_than', older_than, 'reason', reason, 'ticket', ticket
        ));
    end if;
    perform pgjobs._begin_retention(routine, dry_run);
    return clock_timestamp() - make_interval(secs => extract(epoch from older_than));
end
$$;
comment on function pgjobs._expire_before is
    'Begins an expiry, or refuses what it cannot take; answers before when it is older_than.';

-- What callers read.


-- verification_verdict: the finished jobs. What stands is the verdict, or the last amendment. Both
-- have completed_at behind the status in an index, and the union below has one plain table a
-- branch: so "the newest 50 FAILED", or whose effective status is FAILED, walks two indexes
-- backwards. Over verification_job, whose branches are joins, it could not.
create view pgjobs.verification_verdict as
select
    standing.job_id,
    attempt.attempt_id,
    attempt.session_id,
    job.commit_sha,
    job.lab_version,
    standing.status,
    job.priority::integer as priority,
    payload.payload,
    job.created_at,
    coalesce(job.available_at, job.created_at) as available_at,
    coalesce(standing.started_at, amended.started_at) as started_at,
    standing.completed_at,
    coalesce(standing.run_no, amended.run_no)::integer as run_no,
    job.max_runs::integer as max_runs,
    coalesce(standing.worker, amended.worker) as worker,
    coalesce(standing.error_reason, amended.error_reason) as error_reason,
    coalesce(standing.error_detail, amended.error_detail)
        || coalesce(' (cancelled by ' || coalesce(standing.actor, amended.actor) || ')', '')
        as error_detail,
    summary.summary,
    standing.effective_status,
    standing.amended_at,
    coalesce(standing.origin, amended.origin, 'QUEUE' collate "C") as origin
from (
    select
        verdict.job_id, verdict.status, verdict.status as effective_status, verdict.completed_at,
        null::timestamptz as amended_at, 0::smallint as amendment_no, verdict.started_at,
        verdict.run_no, verdict.worker, verdict.error_reason, verdict.error_detail, verdict.actor,
        verdict.origin
    from pgjobs.verdict as verdict
    union all
    select
        amendment.job_id, amendment.verdict_status, amendment.status, amendment.completed_at,
        amendment.amended_at, amendment.amendment_no,
        -- Without names of their own these read otherwise after a restore than before.
        null as started_at, null as run_no, null as worker, null as error_reason,
        null as error_detail, null as actor, null as origin
    from pgjobs.amendment as amendment
) as standing
-- Foreign keys make these two inner joins; as outer ones a count leaves them out.
left join pgjobs.job as job on job.job_id = standing.job_id
left join pgjobs.lab_attempt as attempt
    on attempt.session_id = job.session_id and attempt.commit_sha = job.commit_sha
left join pgjobs.verdict as amended
    on amended.job_id = standing.job_id and standing.amendment_no > 0
left join pgjobs.job_payload as payload on payload.job_id = standing.job_id
left join pgjobs.verdict_summary as summary on summary.job_id = standing.job_id
where not exists (
    select from pgjobs.amendment as later
    where later.job_id = standing.job_id and later.amendment_no > standing.amendment_no
);

comment on view pgjobs.verification_verdict is
    'The finished jobs, one row each: status is the verdict, effective_status the last amendment '
    'where there is one. Read-only.';


-- verification_job: every job once, where it stands. Each branch has its status as a constant, so
-- that a filter on QUEUED or RUNNING never reads the verdicts: with one branch for all verdicts it
-- would read them all.
create view pgjobs.verification_job as
with open_job as not materialized (
    select
        job.job_id,
        attempt.attempt_id,
        attempt.session_id,
        job.commit_sha,
        job.lab_version,
        job.priority::integer as priority,
        payload.payload,
        job.created_at,
        coalesce(job.available_at, job.created_at) as available_at,
        job.max_runs::integer as max_runs
    from pgjobs.job as job
    join pgjobs.lab_attempt as attempt
        on attempt.session_id = job.session_id and attempt.commit_sha = job.commit_sha
    left join pgjobs.job_payload as payload on payload.job_id = job.job_id
)
select
    open_job.job_id,
    open_job.attempt_id,
    open_job.session_id,
    open_job.commit_sha,
    open_job.lab_version,
    'QUEUED'::text collate "C" as status,
    open_job.priority,
    open_job.payload,
    open_job.created_at,
    open_job.available_at,
    null::timestamptz as started_at,
    null::timestamptz as completed_at,
    0 as run_no,
    open_job.max_runs,
    null::text collate "C" as worker,
    null::text collate "C" as error_reason,
    null::text as error_detail,
    null::jsonb as summary,
    'QUEUED'::text collate "C" as effective_status,
    null::timestamptz as amended_at,
    'QUEUE'::text collate "C" as origin
from pgjobs.waiting as waiting
join open_job on open_job.session_id = waiting.session_id and open_job.job_id = waiting.turn_no
where waiting.reviewed_job_id is null
union all
select
    open_job.job_id,
    open_job.attempt_id,
    open_job.session_id,
    open_job.commit_sha,
    open_job.lab_version,
    'QUEUED'::text collate "C",
    open_job.priority,
    open_job.payload,
    open_job.created_at,
    ready.available_at,
    ready.started_at,
    null,
    coalesce(ready.run_no, 0)::integer,
    open_job.max_runs,
    ready.worker,
    null,
    null,
    null,
    'QUEUED'::text collate "C",
    null,
    'QUEUE'::text collate "C"
from pgjobs.lane as lane
join pgjobs.ready as ready on ready.job_id = lane.head_job_id
join open_job on open_job.session_id = lane.session_id and open_job.job_id = lane.head_job_id
where ready.review_id is null
union all
select
    open_job.job_id,
    open_job.attempt_id,
    open_job.session_id,
    open_job.commit_sha,
    open_job.lab_version,
    'RUNNING'::text collate "C",
    open_job.priority,
    open_job.payload,
    open_job.created_at,
    lease.available_at,
    lease.started_at,
    null,
    lease.run_no::integer,
    open_job.max_runs,
    lease.worker,
    null,
    null,
    null,
    'RUNNING'::text collate "C",
    null,
    'QUEUE'::text collate "C"
from pgjobs.lease as lease
join open_job on open_job.session_id = lease.session_id and open_job.job_id = lease.job_id
where lease.review_id is null
union all
select
    job_id, attempt_id, session_id, commit_sha, lab_version, 'PASSED'::text collate "C", priority,
    payload, created_at, available_at, started_at, completed_at, run_no, max_runs, worker,
    error_reason, error_detail, summary, effective_status, amended_at, origin
from pgjobs.verification_verdict
where status = 'PASSED'
union all
select
    job_id, attempt_id, session_id, commit_sha, lab_version, 'FAILED'::text collate "C", priority,
    payload, created_at, available_at, started_at, completed_at, run_no, max_runs, worker,
    error_reason, error_detail, summary, effective_status, amended_at, origin
from pgjobs.verification_verdict
where status = 'FAILED'
union all
select
    job_id, attempt_id, session_id, commit_sha, lab_version, 'ERROR'::text collate "C", priority,
    payload, created_at, available_at, started_at, completed_at, run_no, max_runs, worker,
    error_reason, error_detail, summary, effective_status, amended_at, origin
from pgjobs.verification_verdict
where status = 'ERROR';

comment on view pgjobs.verification_job is
    'Every job once: QUEUED, RUNNING, PASSED, FAILED or ERROR. started_at and worker are those of'
    ' the latest run; origin is BACKFILL where a host''s history says so. It is for one job, for '
    'those of one session, and for what is QUEUED or RUNNING; a join reads all of it: '
    'verification_attempt has the status of many sessions'' attempts. Read-only.';


-- verification_attempt: the learner's page: the attempt ledger, its detail where still kept, and
-- how the verification of each stands. All of it hangs on the attempt by unique keys, so a query
-- reads no table whose columns it does not name.
create view pgjobs.verification_attempt as
select
    attempt.attempt_id,
    attempt.session_id,
    attempt.commit_sha,
    attempt.delivery_id,
    attempt.recorded_at,
    attempt.pushed_at,
    detail.author,
    detail.branch,
    detail.changed_files,
    job.job_id,
    standing.status,
    coalesce(
        (
            select amendment.status
            from pgjobs.amendment as amendment
            where amendment.job_id = verdict.job_id
            order by amendment.amendment_no desc
            limit 1
        ),
        standing.status
    ) as effective_status,
    verdict.completed_at,
    verdict.error_reason
from pgjobs.lab_attempt as attempt
left join pgjobs.attempt_detail as detail on detail.attempt_id = attempt.attempt_id
left join pgjobs.job as job
    on job.commit_sha = attempt.commit_sha and job.session_id = attempt.session_id
left join pgjobs.verdict as verdict on verdict.job_id = job.job_id
left join pgjobs.lease as lease
    on lease.session_id = attempt.session_id and lease.attempt_id = attempt.attempt_id
cross join lateral (
    select coalesce(
        verdict.status,
        case when lease.job_id is not null then 'RUNNING' when job.job_id is not null then 'QUEUED'
            end collate "C"
    ) as status
) as standing;

comment on view pgjobs.verification_attempt is
    'Every pushed commit of every session, and how its verification stands: status as in '
    'verification_job, null where it has no job. For pages of attempts by session; a commit alone, '
    'without its session, reads the attempts of all. Read-only.';


-- verification_run: every run of every job, from the one place that recorded it: its aborted_run,
-- the verdict or the review's result that ended it (its lease_token says so), or its lease.
create view pgjobs.verification_run as
select
    lease.job_id,
    lease.run_no::integer as run_no,
    lease.worker,
    lease.started_at,
    null::timestamptz as ended_at,
    'RUNNING'::text collate "C" as outcome,
    null::text as reason,
    lease.lease_expires_at
from pgjobs.lease as lease
-- The lease of a job is found by its session.
join pgjobs.job as job on job.job_id = lease.job_id and job.session_id = lease.session_id
union all
select
    aborted.job_id,
    aborted.run_no::integer,
    aborted.worker,
    aborted.started_at,
    aborted.ended_at,
    aborted.outcome,
    aborted.reason || coalesce(' (revoked by ' || aborted.actor || ')', ''),
    null
from pgjobs.aborted_run as aborted
union all
select
    verdict.job_id,
    verdict.run_no::integer,
    verdict.worker,
    verdict.started_at,
    verdict.completed_at,
    case verdict.error_reason when 'CANCELLED' then 'CANCELLED' else verdict.status end collate "C",
    verdict.error_detail,
    null
from pgjobs.verdict as verdict
where verdict.lease_token is not null
union all
select
    result.job_id,
    result.run_no::integer,
    result.worker,
    result.started_at,
    result.ended_at,
    result.outcome,
    result.detail,
    null
from pgjobs.review_result as result
where result.lease_token is not null;

comment on view pgjobs.verification_run is
    'Every run of every job: RUNNING, PASSED, FAILED, ERROR, LEASE_LOST, RELEASED, '
    'INTERRUPTED, REVOKED or CANCELLED. lease_expires_at: of the one that is RUNNING. Read-only.';


-- verification_artifact: all of an artifact but its bytes, which read_artifact answers.
create view pgjobs.verification_artifact as
select
    artifact.artifact_id,
    artifact.job_id,
    artifact.run_no::integer as run_no,
    artifact.kind,
    artifact.name,
    artifact.sha256,
    artifact.size_bytes,
    artifact.media_type,
    artifact.location,
    artifact.truncated,
    artifact.created_at,
    coalesce(own.expired_at, expiry.expired_at) as expired_at,
    artifact.original_size_bytes,
    artifact.original_sha256
from pgjobs.artifact as artifact
left join pgjobs.expiry as own on own.kind = 'ARTIFACT' and own.id = artifact.artifact_id
left join pgjobs.expiry as expiry on expiry.kind = 'BODY' and expiry.id = artifact.body_id;

comment on view pgjobs.verification_artifact is
    'Every artifact of every run; expired_at: when its bytes were dropped, or the host''s object '
    'deleted. Read-only.';


-- verification_hold: every hold of a ticket, each with its lift.
create view pgjobs.verification_hold as
select
    hold.session_id,
    hold.ticket,
    hold.reason,
    hold.actor,
    hold.login,
    hold.decided_at as held_at,
    lift.decided_at as lifted_at,
    lift.reason as lift_reason,
    lift.actor as lift_actor,
    lift.login as lift_login
from pgjobs.hold as hold
left join pgjobs.hold as lift
    on lift.session_id = hold.session_id and lift.ticket = hold.ticket
    and lift.hold_no = hold.hold_no + 1
where hold.hold_no % 2 = 1;

comment on view pgjobs.verification_hold is
    'Every hold of a session; it stands while lifted_at is null. Read-only.';


-- verification_amendment: every word on a verdict that stands.
create view pgjobs.verification_amendment as
select
    amendment.amendment_id,
    amendment.job_id,
    amendment.amendment_no::integer as amendment_no,
    amendment.status,
    amendment.lab_version,
    amendment.reason,
    amendment.actor,
    amendment.approver,
    amendment.ticket,
    amendment.login,
    amendment.review_id,
    amendment.amended_at
from pgjobs.amendment as amendment;

comment on view pgjobs.verification_amendment is
    'Every amendment; the highest amendment_no of a job is its effective status. Read-only.';


-- verification_review: every review, where it stands: it has its result, or its job runs, or it
-- waits.
create view pgjobs.verification_review as
select
    review.review_id,
    review.job_id,
    job.session_id,
    job.commit_sha,
    coalesce(
        result.outcome,
        case when lease.job_id is null then 'QUEUED' else 'RUNNING' end collate "C"
    ) as status,
    review.priority::integer as priority,
    review.lab_version,
    review.reason,
    review.actor,
    review.approver,
    review.ticket,
    review.login,
    review.requested_at,
    coalesce(result.started_at, ready.started_at, lease.started_at) as started_at,
    result.ended_at,
    coalesce(result.run_no, ready.run_no, lease.run_no, review.runs_before)::integer as run_no,
    coalesce(result.worker, ready.worker, lease.worker) as worker,
    result.detail || coalesce(' (cancelled by ' || result.actor || ')', '') as detail,
    summary.summary
from pgjobs.review as review
join pgjobs.job as job on job.job_id = review.job_id
left join pgjobs.review_result as result on result.review_id = review.review_id
left join pgjobs.ready as ready
    on ready.job_id = review.job_id and ready.review_id = review.review_id
left join pgjobs.lease as lease
    on lease.session_id = job.session_id and lease.review_id = review.review_id
left join pgjobs.review_summary as summary on summary.review_id = review.review_id;

comment on view pgjobs.verification_review is
    'Every review: QUEUED, RUNNING, PASSED, FAILED or ERROR (as amended), RUNS_EXHAUSTED or '
    'CANCELLED (no answer). Read-only.';


-- The row of verification_job, read by its keys in a fixed order. Through the view the planner
-- chooses the order by what it believes of the hot tables, which are full or empty within a minute.
create function pgjobs.get_job(commit_sha text)
    returns setof pgjobs.verification_job
    language plpgsql stable security definer rows 1
    set search_path = pg_catalog, pg_temp
as $$
begin
    if pgjobs._is_commit_sha(commit_sha) is not true then
        perform pgjobs._refuse_argument(
            'get_job', 'commit_sha', jsonb_build_object('commit_sha', commit_sha)
        );
    end if;
    return query
    select
        job.job_id,
        attempt.attempt_id,
        job.session_id,
        job.commit_sha,
        job.lab_version,
        coalesce(
            verdict.status,
            case when lease.job_id is null then 'QUEUED' else 'RUNNING' end collate "C"
        ),
        job.priority::integer,
        payload.payload,
        job.created_at,
        coalesce(
            ready.available_at, lease.available_at, job.available_at, job.created_at
        ),
        coalesce(verdict.started_at, ready.started_at, lease.started_at),
        verdict.completed_at,
        coalesce(verdict.run_no, ready.run_no, lease.run_no, 0)::integer,
        job.max_runs::integer,
        coalesce(verdict.worker, ready.worker, lease.worker),
        verdict.error_reason,
        verdict.error_detail || coalesce(' (cancelled by ' || verdict.actor || ')', ''),
        summary.summary,
        coalesce(
            amendment.status,
            verdict.status,
            case when lease.job_id is null then 'QUEUED' else 'RUNNING' end collate "C"
        ),
        amendment.amended_at,
        coalesce(verdict.origin, 'QUEUE')
    from pgjobs.job as job
    cross join lateral (
        select attempt.attempt_id
        from pgjobs.lab_attempt as attempt
        where attempt.session_id = job.session_id and attempt.commit_sha = job.commit_sha
        offset 0
    ) as attempt
    left join lateral (
        select verdict.*
        from pgjobs.verdict as verdict
        where verdict.job_id = job.job_id
        offset 0
    ) as verdict on true
    left join lateral (
        select ready.*
        from pgjobs.ready as ready
        where ready.job_id = job.job_id and verdict.job_id is null
        offset 0
    ) as ready on true
    left join lateral (
        select lease.*
        from pgjobs.lease as lease
        where lease.session_id = job.session_id
            and lease.job_id = job.job_id
            and verdict.job_id is null
        offset 0
    ) as lease on true
    left join lateral (
        select payload.payload
        from pgjobs.job_payload as payload
        where payload.job_id = job.job_id
        offset 0
    ) as payload on true
    left join lateral (
        select summary.summary
        from pgjobs.verdict_summary as summary
        where summary.job_id = job.job_id
        offset 0
    ) as summary on true
    left join lateral (
        select amendment.status, amendment.amended_at
        from pgjobs.amendment as amendment
        where amendment.job_id = job.job_id
        order by amendment.amendment_no desc
        limit 1
    ) as amendment on true
    where job.commit_sha = get_job.commit_sha;
end
$$;
comment on function pgjobs.get_job is
    'The job of a commit as verification_job shows it: one row or none. Errors: 22023, 22004.';


create function pgjobs.is_passed(commit_sha text)
    returns boolean
    language plpgsql stable security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_job_id bigint;
begin
    if pgjobs._is_commit_sha(commit_sha) is not true then
        perform pgjobs._refuse_argument(
            'is_passed', 'commit_sha', jsonb_build_object('commit_sha', commit_sha)
        );
    end if;
    select job.job_id into v_job_id
    from pgjobs.job as job
    where job.commit_sha = is_passed.commit_sha;
    return coalesce(pgjobs._effective_status(v_job_id) = 'PASSED', false);
end
$$;
comment on function pgjobs.is_passed is
    'Whether the effective status of a commit''s job is PASSED; false for an unknown commit. '
    'Errors: 22023, 22004.';


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


create type pgjobs.event as (
    at timestamptz,
    event text,
    run_no integer,
    actor text,
    detail jsonb
);
comment on type pgjobs.event is 'Answer of timeline: what happened to a commit.';


create function pgjobs.timeline(commit_sha text)
    returns setof pgjobs.event
    language plpgsql stable security definer
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_job pgjobs.job;
    v_attempt pgjobs.lab_attempt;
begin
    if pgjobs._is_commit_sha(timeline.commit_sha) is not true then
        perform pgjobs._refuse_argument(
            'timeline', 'commit_sha', jsonb_build_object('commit_sha', timeline.commit_sha)
        );
    end if;
    select job.* into v_job from pgjobs.job as job where job.commit_sha = timeline.commit_sha;
    select attempt.* into v_attempt
    from pgjobs.lab_attempt as attempt
    where attempt.session_id = v_job.session_id and attempt.commit_sha = v_job.commit_sha;
    -- By time, then in the order in which things follow from one another.
    return query
    select event.at, event.event, event.run_no, event.actor, jsonb_strip_nulls(event.detail)
    from (
        select
            1 as step, v_attempt.attempt_id as id, v_attempt.recorded_at as at,
            'recorded' as event, null::integer as run_no, null::text as actor,
            jsonb_build_object(
                'attempt_id', v_attempt.attempt_id, 'pushed_at', v_attempt.pushed_at,
                'delivery_id', v_attempt.delivery_id
            ) as detail
        where v_attempt.attempt_id is not null
        union all
        select
            2, v_job.job_id, v_job.created_at, 'enqueued', null, null,
            jsonb_build_object(
                'job_id', v_job.job_id, 'lab_version', v_job.lab_version,
                'priority', v_job.priority, 'max_runs', v_job.max_runs,
                'available_at', v_job.available_at, 'start_by', v_job.start_by
            )
        where v_job.job_id is not null
        union all
        select
            3, review.review_id, review.requested_at, 'review_queued', null, review.actor,
            jsonb_build_object(
                'review_id', review.review_id, 'lab_version', review.lab_version,
                'reason', review.reason, 'approver', review.approver, 'ticket', review.ticket,
                'login', review.login
            )
        from pgjobs.review as review
        where review.job_id = v_job.job_id
        union all
        select
            4, run.run_no, run.started_at, 'claimed', run.run_no, run.worker, '{}'
        from pgjobs.verification_run as run
        where run.job_id = v_job.job_id
        union all
        select
            5, artifact.artifact_no, artifact.created_at, 'artifact_added', artifact.run_no, null,
            jsonb_build_object(
                'artifact_id', artifact.artifact_id, 'kind', artifact.kind,
                'name', artifact.name, 'size_bytes', artifact.size_bytes,
                'truncated', nullif(artifact.truncated, false)
            )
        from pgjobs.artifact as artifact
        where artifact.job_id = v_job.job_id
        union all
        select
            6, run.run_no, run.ended_at, lower(run.outcome), run.run_no,
            coalesce(run.actor, run.worker),
            jsonb_build_object('reason', run.reason, 'login', run.login)
        from pgjobs.aborted_run as run
        where run.job_id = v_job.job_id
        union all
        select
            7, 0, verdict.completed_at,
            case
                when verdict.origin is not null then 'backfilled'
                when verdict.error_reason <> 'REPORTED' then lower(verdict.error_reason)
                else 'completed'
            end,
            nullif(verdict.run_no, 0),
            case
                when verdict.error_reason = 'CANCELLED' then verdict.actor
                when verdict.error_reason = 'RUNS_EXHAUSTED' then null
                else verdict.worker
            end,
            jsonb_build_object(
                'status', verdict.status, 'reason', verdict.error_detail, 'login', verdict.login,
                'log_id', backfill.log_id, 'backfilled_at', backfill.backfilled_at
            )
        from pgjobs.verdict as verdict
        left join pgjobs.backfill as backfill on backfill.job_id = verdict.job_id
        where verdict.job_id = v_job.job_id
        union all
        select
            8, result.review_id, result.ended_at,
            'review_' || case
                when result.outcome in ('PASSED', 'FAILED', 'ERROR') then 'completed'
                else lower(result.outcome)
            end,
            result.run_no,
            case when result.lease_token is null or result.actor is not null
                then result.actor else result.worker
            end,
            jsonb_build_object(
                'review_id', result.review_id,
                'status', case
                    when result.outcome in ('PASSED', 'FAILED', 'ERROR') then result.outcome
                end,
                'reason', result.detail, 'login', result.login
            )
        from pgjobs.review_result as result
        where result.review_id in (
            select review.review_id from pgjobs.review as review where review.job_id = v_job.job_id
        )
        union all
        select
            9, amendment.amendment_no, amendment.amended_at, 'amended', null, amendment.actor,
            jsonb_build_object(
                'status', amendment.status, 'review_id', amendment.review_id,
                'lab_version', amendment.lab_version, 'reason', amendment.reason,
                'approver', amendment.approver, 'ticket', amendment.ticket,
                'login', amendment.login
            )
        from pgjobs.amendment as amendment
        where amendment.job_id = v_job.job_id
        union all
        select
            10, artifact.artifact_no, expiry.expired_at, 'artifact_expired', artifact.run_no,
            coalesce(expiry.actor, expiry.login),
            jsonb_build_object(
                'name', artifact.name, 'reason', expiry.reason, 'ticket', expiry.ticket
            )
        from pgjobs.artifact as artifact
        -- Its own expiry, else that of the bytes.
        cross join lateral (
            select expiry.*
            from pgjobs.expiry as expiry
            where (expiry.kind = 'ARTIFACT' and expiry.id = artifact.artifact_id)
                or (expiry.kind = 'BODY' and expiry.id = artifact.body_id)
            order by expiry.kind
            limit 1
        ) as expiry
        where artifact.job_id = v_job.job_id
        union all
        select
            11, expiry.id, expiry.expired_at, 'detail_expired', null,
            coalesce(expiry.actor, expiry.login),
            jsonb_build_object(
                'kind', case expiry.kind when 'REVIEW' then 'SUMMARY' else expiry.kind end,
                'review_id', case expiry.kind when 'REVIEW' then expiry.id end,
                'reason', expiry.reason, 'ticket', expiry.ticket
            )
        from pgjobs.expiry as expiry
        where (expiry.kind = 'ATTEMPT' and expiry.id = v_attempt.attempt_id)
            or (expiry.kind in ('PAYLOAD', 'SUMMARY') and expiry.id = v_job.job_id)
            or (
                expiry.kind = 'REVIEW'
                and expiry.id in (
                    select review.review_id
                    from pgjobs.review as review
                    where review.job_id = v_job.job_id
                )
            )
    ) as event
    order by event.at, event.step, event.id;
end
$$;
comment on function pgjobs.timeline is
    'What happened to a commit that has a job, in order: recorded, enqueued, claimed, '
    'artifact_added, lease_lost, released, interrupted, revoked, completed, cancelled, '
    'runs_exhausted, expired, backfilled, review_queued, review_completed, review_cancelled, '
    'review_runs_exhausted, amended, artifact_expired, detail_expired. actor: the worker of a run, '
    'who decided or erased, or the login of an expiry. No rows for a commit without a job. '
    'Errors: 22023, 22004.';


create type pgjobs.waiting_reason as (
    reason text,
    detail jsonb
);
comment on type pgjobs.waiting_reason is 'Answer of why_waiting.';


create function pgjobs.why_waiting(job_id bigint)
    returns pgjobs.waiting_reason
    language plpgsql stable security definer
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    c_most constant integer := 1000;
    v_now timestamptz := clock_timestamp();
    v_job pgjobs.job;
    v_verdict pgjobs.verdict;
    v_head_job_id bigint;
    v_ready pgjobs.ready;
    v_lease pgjobs.lease;
    v_review_id bigint;
    v_ahead integer;
    v_reason text;
    v_detail jsonb;
begin
    if why_waiting.job_id is null then
        perform pgjobs._refuse_argument('why_waiting', 'job_id');
    end if;
    v_job := pgjobs._find_job(why_waiting.job_id);
    select verdict.* into v_verdict
    from pgjobs.verdict as verdict
    where verdict.job_id = why_waiting.job_id;

    if v_verdict.job_id is not null and not pgjobs._is_open(why_waiting.job_id) then
        v_reason := 'final';
        v_detail := jsonb_build_object(
            'status', v_verdict.status, 'completed_at', v_verdict.completed_at,
            'effective_status', pgjobs._effective_status(why_waiting.job_id)
        );
        return (v_reason, jsonb_strip_nulls(v_detail))::pgjobs.waiting_reason;
    end if;

    select lane.head_job_id into v_head_job_id
    from pgjobs.lane as lane
    where lane.session_id = v_job.session_id;
    select lease.* into v_lease
    from pgjobs.lease as lease
    where lease.session_id = v_job.session_id;
    select ready.* into v_ready
    from pgjobs.ready as ready
    where ready.job_id = why_waiting.job_id;
    if v_head_job_id is distinct from why_waiting.job_id then
        select waiting.turn_no into v_review_id
        from pgjobs.waiting as waiting
        where waiting.session_id = v_job.session_id
            and waiting.reviewed_job_id = why_waiting.job_id;
        select count(*) into v_ahead
        from pgjobs.waiting as waiting
        where waiting.session_id = v_job.session_id
            and waiting.turn_no < coalesce(v_review_id, why_waiting.job_id);
        v_reason := 'session_busy';
        v_detail := jsonb_build_object(
            'job_id', v_head_job_id, 'ahead', v_ahead + 1, 'review_id', v_review_id,
            'running', v_lease.job_id is not null
        );
    elsif v_lease.job_id is not null then
        v_reason := case when v_lease.lease_expires_at > v_now then 'running' else 'lease_over' end;
        v_detail := jsonb_build_object(
            'worker', v_lease.worker, 'run_no', v_lease.run_no, 'started_at', v_lease.started_at,
            'lease_expires_at', v_lease.lease_expires_at, 'review_id', v_lease.review_id
        );
    elsif v_ready.ready_no is null and v_ready.available_at > v_now then
        v_reason := 'delayed';
        v_detail := jsonb_build_object(
            'available_at', v_ready.available_at, 'run_no', coalesce(v_ready.run_no, 0),
            'review_id', v_ready.review_id
        );
    else
        -- Counted up to a bound: a long queue is not read through.
        select count(*) into v_ahead
        from (
            select from pgjobs.ready as ready
            where ready.ready_no is not null
                and (
                    ready.priority < v_ready.priority
                    or (ready.priority = v_ready.priority and ready.ready_no < v_ready.ready_no)
                )
            order by ready.priority, ready.ready_no
            limit c_most
        ) as place;
        v_reason := case v_ahead when 0 then 'next' else 'behind' end;
        v_detail := jsonb_build_object(
            'ahead', nullif(v_ahead, 0), 'at_least', nullif(v_ahead = c_most, false),
            'priority', v_ready.priority, 'review_id', v_ready.review_id
        );
    end if;
    return (v_reason, jsonb_strip_nulls(v_detail))::pgjobs.waiting_reason;
end
$$;
comment on function pgjobs.why_waiting is
    'Why a job, or its review, is not done yet, in one word with its detail: final; session_busy '
    '(job_id: the session''s head; ahead: how many of the session); running; lease_over (any claim '
    'will take it); delayed; behind (ahead: claimable ones before it, counted up to 1,000); next. '
    'Errors: 22004, P0002.';


create type pgjobs.metric as (
    name text,
    labels jsonb,
    value double precision
);
comment on type pgjobs.metric is 'Answer of metrics: one sample of one gauge.';


-- Counts what is open and what is young, never the ledger. A lane counts its session's open jobs:
-- so neither waiting nor ready is read, whose heads run, or are delayed, which few are, or are
-- claimable. The time stands in a variable: by a clock that moves every verdict would be read.
create function pgjobs.metrics(recent interval default '5 minutes')
    returns setof pgjobs.metric
    language plpgsql stable security definer rows 30
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := clock_timestamp();
    v_due pgjobs.ready;
    v_oldest timestamptz;
begin
    if not pgjobs._is_duration(recent, 1, 86400) then
        perform pgjobs._refuse_argument(
            'metrics', 'recent', jsonb_build_object('recent', recent)
        );
    end if;
    return query
    select 'verification.' || gauge.name, gauge.labels::jsonb, gauge.value::double precision
    from (
        select count(*) as heads, coalesce(sum(lane.open_jobs), 0) as jobs
        from pgjobs.lane as lane
    ) as open
    cross join (
        select
            count(*) as held,
            count(*) filter (where lease.lease_expires_at <= v_now) as overdue
        from pgjobs.lease as lease
    ) as lease
    cross join (
        select count(*) as heads
        from pgjobs.ready as ready
        where ready.ready_no is null and ready.available_at > v_now
    ) as delayed
    cross join (
        select count(*) as jobs
        from pgjobs.verdict as verdict
        where verdict.error_reason = 'RUNS_EXHAUSTED' and not exists (
            select from pgjobs.amendment as amendment where amendment.job_id = verdict.job_id
        )
    ) as dead
    cross join lateral (
        values
            ('queue.depth', '{"state": "ready"}', open.heads - lease.held - delayed.heads),
            ('queue.depth', '{"state": "delayed"}', delayed.heads),
            ('queue.depth', '{"state": "behind"}', open.jobs - open.heads),
            ('leases.held', '{}', lease.held),
            ('leases.overdue', '{}', lease.overdue),
            ('dlq.count', '{}', dead.jobs)
    ) as gauge (name, labels, value);

    -- The one whose time came first while nobody claimed: it has no place yet.
    select ready.* into v_due
    from pgjobs.ready as ready
    where ready.ready_no is null and ready.available_at <= v_now
    order by ready.available_at
    limit 1;
    for v_priority in 1 .. 4 loop
        select ready.available_at into v_oldest
        from pgjobs.ready as ready
        where ready.priority = v_priority and ready.ready_no is not null
        order by ready.ready_no
        limit 1;
        if v_due.priority = v_priority then
            v_oldest := least(v_oldest, v_due.available_at);
        end if;
        return query
        select
            'verification.queue.oldest_seconds', jsonb_build_object('priority', v_priority::text),
            coalesce(extract(epoch from v_now - v_oldest), 0)::double precision;
    end loop;

    return query
    with young as materialized (
        select
            verdict.status,
            -- Known where the verdict ended a run.
            case when verdict.lease_token is not null
                then extract(epoch from verdict.completed_at - verdict.started_at) * 1000 end as ms
        from pgjobs.verdict as verdict
        where verdict.status in ('PASSED', 'FAILED', 'ERROR')
            and verdict.completed_at > v_now - make_interval(secs => extract(epoch from recent))
    )
    select
        'verification.recent', jsonb_build_object('outcome', outcome),
        count(young.status)::double precision
    from unnest(array['PASSED', 'FAILED', 'ERROR']) as outcome
    left join young on young.status = outcome
    group by outcome
    union all
    select
        'verification.recent.duration_ms', jsonb_build_object('quantile', quantile::text),
        percentile_cont(quantile) within group (order by young.ms::double precision)
    from unnest(array[0.5, 0.95, 0.99]::double precision[]) as quantile
    cross join young
    where young.ms is not null
    group by quantile;
end
$$;
comment on function pgjobs.metrics is
    'Gauges of the queue now, and of the verdicts of the last recent (1 s to 1 day): '
    'verification.queue.depth {state}, .queue.oldest_seconds {priority}, .leases.held, '
    '.leases.overdue, .dlq.count (RUNS_EXHAUSTED that no amendment answers), .recent {outcome}, '
    '.recent.duration_ms {quantile} (no row without a run). Errors: 22023, 22004.';

-- What holds for all of these tables, and who may call what.


-- Immutability, on one page. The ledger's rows never change. The rows of the detail tables never
-- change either, but may go, when their expiry is on record. What would break this raises 23V01 for
-- every role, the owner included, and in every session_replication_role, since the triggers of the
-- tables are enabled ALWAYS. An UPDATE or DELETE meets a row trigger, since a logical replication
-- apply fires no others, and BEFORE, so that no foreign key action comes first and shows keys.
-- TRUNCATE meets a statement trigger. The views are read-only: a write to one raises 23V01, or does
-- nothing where session_replication_role is replica.
create function pgjobs._guard_ledger()
    returns trigger
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception '% of pgjobs.% refused: the ledger is append-only', lower(tg_op), tg_table_name
        using errcode = '23V01', schema = tg_table_schema, table = tg_table_name,
              constraint = tg_name,
              hint = 'Ledger rows are never changed. A new commit gets a job of its own.';
end
$$;
comment on function pgjobs._guard_ledger is
    'Trigger: refuses with 23V01 every UPDATE and DELETE of a ledger row, every TRUNCATE of a '
    'ledger or detail table, and every write to a view.';


-- The trigger names the kind of expiry, as its argument.
create function pgjobs._guard_detail()
    returns trigger
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_id bigint;
begin
    if tg_op = 'DELETE' then
        if tg_argv[0] = 'BODY' then
            v_id := old.body_id;
        elsif tg_argv[0] = 'ATTEMPT' then
            v_id := old.attempt_id;
        elsif tg_argv[0] = 'REVIEW' then
            v_id := old.review_id;
        else
            v_id := old.job_id;
        end if;
        if pgjobs._has_expired(tg_argv[0], v_id) then
            return old;
        end if;
    end if;
    raise exception '% of pgjobs.% refused: only what has expired goes, and nothing changes',
        lower(tg_op), tg_table_name
        using errcode = '23V01', schema = tg_table_schema, table = tg_table_name,
              constraint = tg_name,
              hint = 'Retention is expire_artifacts, expire_details and erase_session.';
end
$$;
comment on function pgjobs._guard_detail is
    'Trigger: refuses every UPDATE of a detail row, and every DELETE whose expiry is not on '
    'record, with 23V01.';


do $$
declare
    v_name text;
    v_kind text;
begin
    for v_name, v_kind in
        select guarded.name, guarded.kind
        from (
            values
                ('lab_attempt', null), ('job', null), ('verdict', null), ('aborted_run', null),
                ('review', null), ('review_result', null), ('amendment', null),
                ('artifact', null), ('expiry', null), ('hold', null), ('backfill', null),
                ('attempt_detail', 'ATTEMPT'), ('job_payload', 'PAYLOAD'),
                ('verdict_summary', 'SUMMARY'), ('review_summary', 'REVIEW'), ('body', 'BODY')
        ) as guarded (name, kind)
    loop
        execute format(
            'create trigger %1$s_append_only before update or delete on pgjobs.%1$s '
            'for each row execute function pgjobs.%2$s; '
            'create trigger %1$s_no_truncate before truncate on pgjobs.%1$s '
            'for each statement execute function pgjobs._guard_ledger(); '
            'alter table pgjobs.%1$s enable always trigger %1$s_append_only; '
            'alter table pgjobs.%1$s enable always trigger %1$s_no_truncate',
            v_name,
            case when v_kind is null then '_guard_ledger()'
                else format('_guard_detail(%L)', v_kind) end
        );
    end loop;
    foreach v_name in array array[
        'verification_attempt', 'verification_verdict', 'verification_job', 'verification_run',
        'verification_artifact', 'verification_amendment', 'verification_review',
        'verification_hold'
    ] loop
        execute format(
            'create trigger %1$s_read_only instead of insert or update or delete on pgjobs.%1$s '
            'for each row execute function pgjobs._guard_ledger()',
            v_name
        );
    end loop;
end
$$;


-- How the tables are stored. Ledger and detail tables only grow: autovacuum comes in small steps
-- and freezes at once, so that no wraparound vacuum ever meets much. Hot tables turn over: vacuum
-- comes early and does not pause.
do $$
declare
    v_table text;
begin
    foreach v_table in array array[
        'lab_attempt', 'attempt_detail', 'job', 'job_payload', 'verdict', 'verdict_summary',
        'aborted_run', 'backfill', 'review', 'review_result', 'review_summary', 'amendment',
        'artifact', 'body', 'expiry', 'hold'
    ] loop
        execute format(
            'alter table pgjobs.%I set ('
            'vacuum_truncate = off, autovacuum_vacuum_threshold = 5000, '
            'autovacuum_vacuum_insert_threshold = 5000, '
            'autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_freeze_min_age = 0)',
            v_table
        );
    end loop;
    -- enqueue and complete update a lane's count in place.
    alter table pgjobs.lane set (fillfactor = 70);
    foreach v_table in array array['lane', 'ready', 'lease', 'waiting'] loop
        execute format(
            'alter table pgjobs.%I set ('
            'vacuum_truncate = off, autovacuum_vacuum_scale_factor = 0.01, '
            'autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0)',
            v_table
        );
    end loop;
end
$$;

-- Tables that are asked row by row start with pages to spare, and vacuum does not take them back.
-- For a small table reading it whole is the cheapest plan, and a session keeps the plan that a
-- function made then; when 40,000 rows arrive it reads those on every call. Sixteen pages make the
-- index the cheaper way to one row from the first row on, sixty-four the places of ten. The rows
-- that claim the pages are undone at once, and no id is drawn. The thresholds above keep the dead
-- rows from being vacuumed while the tables are empty: a table that is known to have no rows makes
-- all its indexes look alike.
do $$
declare
    v_wide constant text := repeat('x', 1900);
begin
    insert into pgjobs.lab_attempt (attempt_id, session_id, commit_sha, recorded_at)
    overriding system value
    select -number, gen_random_uuid(), lpad(number::text, 40, '0'), now()
    from generate_series(1, 1600) as number;
    insert into pgjobs.job (
        job_id, session_id, commit_sha, lab_version, priority, max_runs, created_at
    )
    overriding system value
    select attempt.attempt_id, attempt.session_id, attempt.commit_sha, v_wide, 1, 1, now()
    from pgjobs.lab_attempt as attempt
    order by attempt.attempt_id
    limit 80;
    insert into pgjobs.attempt_detail (attempt_id, author)
    select job.job_id, v_wide from pgjobs.job as job;
    insert into pgjobs.job_payload (job_id, payload)
    select job.job_id, to_jsonb(v_wide) from pgjobs.job as job;
    insert into pgjobs.verdict (
        job_id, completed_at, run_no, status, error_reason, error_detail, actor, login
    )
    select job.job_id, now(), 0, 'ERROR', 'CANCELLED', v_wide, '-', '-' from pgjobs.job as job;
    insert into pgjobs.verdict_summary (job_id, summary)
    select job.job_id, to_jsonb(v_wide) from pgjobs.job as job;
    insert into pgjobs.expiry (id, expired_at, kind, login, reason)
    select job.job_id, now(), 'BODY', '-', v_wide from pgjobs.job as job;
    insert into pgjobs.hold (session_id, decided_at, hold_no, ticket, reason, actor, login)
    select job.session_id, now(), 1, '-', v_wide, '-', '-' from pgjobs.job as job;

    insert into pgjobs.lane (session_id, head_job_id, open_jobs)
    select gen_random_uuid(), 0, 1 from generate_series(1, 7000);
    insert into pgjobs.ready (
        job_id, session_id, attempt_id, available_at, priority, last_run_no, worker
    )
    select number, gen_random_uuid(), 0, now(), 1, 1, v_wide
    from generate_series(1, 200) as number;
    insert into pgjobs.lease (
        session_id, job_id, attempt_id, available_at, started_at, lease_expires_at, lease_token,
        lease_for, priority, run_no, last_run_no, worker
    )
    select
        gen_random_uuid(), 0, 0, now(), now(), now(), gen_random_uuid(), 1, 1, 1, 1, v_wide
    from generate_series(1, 200);
    insert into pgjobs.waiting (session_id, turn_no)
    select gen_random_uuid(), 1 from generate_series(1, 3000);

    raise exception 'undo' using errcode = 'P0001';
exception
    when raise_exception then
        return;
end
$$;

-- An index of many pages and few rows looks expensive to the planner: build them anew.
do $$
declare
    v_table text;
begin
    foreach v_table in array array[
        'lab_attempt', 'attempt_detail', 'job', 'job_payload', 'verdict', 'verdict_summary',
        'expiry', 'hold', 'lane', 'ready', 'lease', 'waiting'
    ] loop
        execute format('reindex table pgjobs.%I', v_table);
    end loop;
end
$$;

-- An index that has never had an entry is read twice to find none: each that a sweep asks gets one,
-- which is undone.
do $$
begin
    insert into pgjobs.ready (
        job_id, session_id, attempt_id, available_at, priority, last_run_no, start_by
    )
    values (0, gen_random_uuid(), 0, now(), 1, 1, now());
    insert into pgjobs.waiting (session_id, turn_no, start_by) values (gen_random_uuid(), 0, now());
    raise exception 'undo' using errcode = 'P0001';
exception
    when raise_exception then
        return;
end
$$;


-- Grants, on one page: callers may execute the functions of their role and read the views, nothing
-- else; PUBLIC has nothing. Functions run as their owner, so no caller needs a right on a table.
-- Each part ends with this page, which grants what is there by then; run again by hand it restores
-- all grants.
--
-- What default privileges, of the owner or of PUBLIC, have given away before, is taken back: from
-- PUBLIC everything, from others what this transaction has made, since they may have been granted
-- the rest knowingly.
do $$
declare
    c_now constant integer := age(pg_current_xact_id()::xid);
    c_app constant text[] := array[
        'enqueue', 'enqueue_many', 'record_attempt', 'get_job', 'wake',
        'is_passed', 'timeline', 'why_waiting', 'attempts'
    ];
    c_worker constant text[] := array[
        'claim', 'heartbeat', 'heartbeat_many', 'complete', 'complete_many', 'complete_and_claim',
        'release', 'add_artifact'
    ];
    c_reader constant text[] := array[
        'is_passed', 'timeline', 'why_waiting', 'attempts', 'metrics', 'read_artifact',
        'verification_job', 'verification_verdict', 'verification_run', 'verification_attempt',
        'verification_artifact', 'verification_amendment', 'verification_review',
        'verification_hold', 'backfill_report'
    ];
    c_operator constant text[] := c_reader || array[
        'cancel', 'revoke_lease', 'rescue', 'wake', 'expire_artifacts', 'expire_details',
        'expire_locations', 'hold', 'lift_hold', 'erase_session',
        'backfill_verification_log', 'backfill_reconcile', 'link_lab_sessions',
        'unlink_lab_sessions', 'verify', 'verify_bodies'
    ];
    -- A word on a verdict is not the everyday operator's.
    c_approver constant text[] := c_reader || array['amend', 'reverify'];
    v_role text;
    v_names text[];
    v_object text;
begin
    for v_object in
        select format(
            'all on %s from %s', object.name,
            case acl.grantee when 0 then 'public' else acl.grantee::regrole::text end
        )
        from (
            select
                'schema pgjobs', namespace.nspowner, namespace.nspacl, 'n'::"char",
                age(namespace.xmin)
            from pg_namespace as namespace
            where namespace.nspname = 'pgjobs'
            union all
            select
                'function ' || routine.oid::regprocedure, routine.proowner, routine.proacl, 'f',
                age(routine.xmin)
            from pg_proc as routine
            where routine.pronamespace = 'pgjobs'::regnamespace
            union all
            select
                case relation.relkind when 'S' then 'sequence ' else 'table ' end
                    || relation.oid::regclass,
                relation.relowner, relation.relacl,
                case relation.relkind when 'S' then 's' else 'r' end::"char", age(relation.xmin)
            from pg_class as relation
            where relation.relnamespace = 'pgjobs'::regnamespace
                and relation.relkind in ('r', 'v', 'S')
            union all
            select
                'type ' || type.oid::regtype, type.typowner, type.typacl, 'T', age(type.xmin)
            from pg_type as type
            left join pg_class as relation on relation.oid = type.typrelid
            where type.typnamespace = 'pgjobs'::regnamespace
                and (type.typtype = 'd' or relation.relkind = 'c')
        ) as object (name, owner, acl, kind, age)
        cross join lateral aclexplode(
            coalesce(object.acl, acldefault(object.kind, object.owner))
        ) as acl
        where acl.grantee = 0 or acl.grantee <> object.owner and object.age <= c_now
        group by object.name, acl.grantee
    loop
        execute 'revoke ' || v_object;
    end loop;

    if to_regrole('pgjobs_app') is null
        or to_regrole('pgjobs_worker') is null
        or to_regrole('pgjobs_reader') is null
        or to_regrole('pgjobs_operator') is null
        or to_regrole('pgjobs_approver') is null
    then
        raise notice 'installed without the group roles; % owns everything', current_user
            using hint = 'Create pgjobs_app, pgjobs_worker, pgjobs_reader, pgjobs_operator and '
                         'pgjobs_approver and run sql/grants.sql, or grant the same to others.';
        return;
    end if;
    foreach v_role in array array['app', 'worker', 'reader', 'operator', 'approver'] loop
        v_names := case v_role
            when 'app' then c_app when 'worker' then c_worker
            when 'reader' then c_reader when 'operator' then c_operator
            when 'approver' then c_approver
        end;
        for v_object in
            select 'usage on schema pgjobs'
            union all
            select format('execute on function %s', routine.oid::regprocedure)
            from pg_proc as routine
            where routine.pronamespace = 'pgjobs'::regnamespace
                and routine.proname = any (v_names)
            union all
            select format('select on %s', relation.oid::regclass)
            from pg_class as relation
            where relation.relnamespace = 'pgjobs'::regnamespace
                and relation.relkind = 'v' and relation.relname = any (v_names)
        loop
            execute format('grant %s to pgjobs_%s', v_object, v_role);
        end loop;
    end loop;
end
$$;


insert into pgjobs.migration (migration_id, checksum)
values ('0001.ledger', '5410b920007f42b59bf19875f7e37a6d80bbeffaf2502562a91c61e08cb29377');


-- How every part ends: with the role and the settings that begin.sql has found.
do $$
begin
    perform
        set_config('role', current_setting('pgjobs.former_role'), true),
        set_config('lock_timeout', current_setting('pgjobs.former_lock_timeout'), true),
        set_config('search_path', current_setting('pgjobs.former_search_path'), true);
end
$$;

end
$migration$;
