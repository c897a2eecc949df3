-- Argument checks: each answers true or refuses, before any table is touched. Callers join them
-- with "and" in one expression; a rule of one place stands there as (rule) is true or
-- _refuse_argument(…). Lengths come first: no pattern sees a long value.

-- The form of a commit and of a text, planned into whatever asks. The names in such a body are
-- bound when it is created, so there is no path to pin; with a path it would be called instead. The
-- calls that many make ask these in place, and a check below only to refuse.
create function pgjobs._is_commit_sha(value text)
    returns boolean
    language sql
    immutable
    parallel safe
    security invoker
    -- A negated class is the cheapest exact test: 0.3 µs, against 5 µs for a counted one.
    return octet_length(value) in (40, 64)
        and value collate "C" !~ '[^0-9a-f]'
        and value collate "C" ~ '[^0]';
comment on function pgjobs._is_commit_sha is
    'Whether it is a full commit SHA: 40 or 64 lower-case hex digits, not all zeros.';


create function pgjobs._is_text(value text)
    returns boolean
    language sql
    immutable
    parallel safe
    security invoker
    return octet_length(value) <= 800
        and char_length(value) between 1 and 200
        and value collate "C" !~ '[\u0001-\u001f\u007f-\u009f]'
        and value collate "C" ~ '[^ \u00a0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000\ufeff]';
comment on function pgjobs._is_text is
    'Whether it is 1 … 200 characters, not blank, without U+0000-001F and U+007F-009F.';


create function pgjobs._check_commit_sha(
    routine text,
    argument text,
    value text,
    element bigint default null
)
    returns boolean
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    return pgjobs._is_commit_sha(value) is true
        or pgjobs._refuse_argument(
            routine, argument, value, '40 or 64 lower-case hex digits, not all zeros', element
        );
end
$$;
comment on function pgjobs._check_commit_sha is
    'Refuses what is not a full commit SHA.';


create function pgjobs._check_text(
    routine text,
    argument text,
    value text,
    element bigint default null
)
    returns boolean
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    return pgjobs._is_text(value) is true
        or pgjobs._refuse_argument(
            routine, argument, value,
            '1 … 200 characters, not blank, without control characters', element
        );
end
$$;
comment on function pgjobs._check_text is
    'Refuses a text that is empty, blank, longer than 200 characters or holds U+0000-001F or '
    'U+007F-009F.';


create function pgjobs._check_document(
    routine text,
    argument text,
    value jsonb,
    element bigint default null
)
    returns boolean
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    return octet_length(value::text) <= 65536
        or pgjobs._refuse_argument(
            routine, argument, value::text, 'at most 64 KiB of JSON', element
        );
end
$$;
comment on function pgjobs._check_document is
    'Refuses a JSON document of more than 65,536 bytes of text.';


create function pgjobs._check_status(
    routine text,
    argument text,
    value text,
    element bigint default null
)
    returns boolean
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    return value in ('PASSED', 'FAILED', 'ERROR') is true
        or pgjobs._refuse_argument(routine, argument, value, 'PASSED, FAILED or ERROR', element);
end
$$;
comment on function pgjobs._check_status is 'Refuses what is not a verdict.';


-- Counted in seconds, and so used: a year is 360 days to a comparison of intervals but 365.25 to
-- extract, and a day of the caller's time zone may have 23 hours.
create function pgjobs._check_duration(
    routine text,
    argument text,
    value interval,
    low integer,
    high integer
)
    returns interval
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_seconds double precision := extract(epoch from value);
begin
    if (v_seconds between low and high) is not true then
        perform pgjobs._refuse_argument(
            routine, argument, value::text, format('an interval of %s … %s seconds', low, high)
        );
    end if;
    return make_interval(secs => v_seconds);
end
$$;
comment on function pgjobs._check_duration is
    'The interval as seconds; refuses one out of its range (low and high in seconds) or null.';


create function pgjobs._check_push(
    routine text,
    author text,
    branch text,
    changed_files text[],
    pushed_at timestamptz
)
    returns boolean
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    return (author is null or pgjobs._check_text(routine, 'author', author))
        and (branch is null or pgjobs._check_text(routine, 'branch', branch))
        and (
            pushed_at is null
            or isfinite(pushed_at)
            or pgjobs._refuse_argument(routine, 'pushed_at', pushed_at::text, 'finite')
        )
        and (
            changed_files is null
            or (
                cardinality(changed_files) <= 3000
                and coalesce(array_ndims(changed_files), 1) = 1
                and array_position(changed_files, null) is null
                and octet_length(array_to_string(changed_files, '')) <= 262144
                and (
                    select coalesce(bool_and(char_length(file) between 1 and 1024), true)
                    from unnest(changed_files) as file
                )
            )
            or pgjobs._refuse_argument(
                routine, 'changed_files', changed_files::text,
                'at most 3000 paths of 1 … 1024 characters, 256 KiB in all'
            )
        );
end
$$;
comment on function pgjobs._check_push is
    'Refuses push detail out of its range; null is not refused.';


create function pgjobs._check_batch(
    routine text,
    argument text,
    value anyarray,
    size integer
)
    returns boolean
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    return (
        cardinality(value) = size
        and size <= 10000
        and coalesce(array_ndims(value), 1) = 1
    ) is true or pgjobs._refuse_argument(
            routine, argument,
            format('%s elements in %s dimensions', cardinality(value), array_ndims(value)),
            format('a one-dimensional array of %s elements, at most 10000', coalesce(size, 0))
        );
end
$$;
comment on function pgjobs._check_batch is
    'Refuses an array of a batch that is nested, longer than 10,000 elements or of another '
    'length than the first.';


create function pgjobs._check_no_null(routine text, argument text, value anyarray)
    returns boolean
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_ordinal integer := array_position(value, null);
begin
    return v_ordinal is null or pgjobs._refuse_null(routine, argument, v_ordinal);
end
$$;
comment on function pgjobs._check_no_null is 'Refuses an array with a null element.';


create function pgjobs._check_verdict(
    routine text,
    job_id bigint,
    lease_token uuid,
    status text,
    summary jsonb
)
    returns boolean
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    return (job_id is not null or pgjobs._refuse_null(routine, 'job_id'))
        and (lease_token is not null or pgjobs._refuse_null(routine, 'lease_token'))
        and pgjobs._check_status(routine, 'status', status)
        and (summary is null or pgjobs._check_document(routine, 'summary', summary));
end
$$;
comment on function pgjobs._check_verdict is 'Refuses what complete cannot take.';


create function pgjobs._check_decision(
    routine text,
    reason text,
    actor text,
    approver text,
    ticket text,
    lab_version text
)
    returns boolean
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    return pgjobs._check_text(routine, 'reason', reason)
        and pgjobs._check_text(routine, 'actor', actor)
        and pgjobs._check_text(routine, 'approver', approver)
        and pgjobs._check_text(routine, 'ticket', ticket)
        and (lab_version is null or pgjobs._check_text(routine, 'lab_version', lab_version))
        and (
            lower(actor) <> lower(approver)
            or pgjobs._refuse_argument(routine, 'approver', approver, 'another person than actor')
        );
end
$$;
comment on function pgjobs._check_decision is
    'Refuses a decision about a verdict that lacks a part, or its second person.';


create function pgjobs._check_claim(
    routine text,
    worker text,
    max_jobs integer,
    lease_for interval
)
    returns interval
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_checked boolean;
begin
    v_checked := pgjobs._check_text(routine, 'worker', worker)
        and (
            (max_jobs between 1 and 1000) is true
            or pgjobs._refuse_argument(routine, 'max_jobs', max_jobs::text, '1 … 1000')
        );
    return pgjobs._check_duration(routine, 'lease_for', lease_for, 1, 86400);
end
$$;
comment on function pgjobs._check_claim is
    'Refuses what claim cannot take; answers lease_for as seconds.';
