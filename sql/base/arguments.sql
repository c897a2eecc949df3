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
