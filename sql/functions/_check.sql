-- Argument checks, before any table is touched. Lengths come first: no pattern sees a long value.

create function pgjobs._check_given(routine text, argument text, is_given boolean, element bigint default null)
    returns void
    language plpgsql
    immutable
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    if is_given is not true then
        perform pgjobs._refuse_argument(routine, argument, null, 'given', element);
    end if;
end
$$;
comment on function pgjobs._check_given(text, text, boolean, bigint) is 'Refuses a null argument.';


create function pgjobs._check_number(routine text, argument text, value bigint, low integer, high integer)
    returns void
    language plpgsql
    immutable
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    if value between low and high then
        return;
    end if;
    perform pgjobs._refuse_argument(routine, argument, value::text, format('%s … %s', low, high));
end
$$;
comment on function pgjobs._check_number(text, text, bigint, integer, integer) is 'Refuses a number out of its range.';


create function pgjobs._check_interval(routine text, argument text, value interval, low interval, high interval)
    returns void
    language plpgsql
    immutable
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    if value between low and high then
        return;
    end if;
    perform pgjobs._refuse_argument(routine, argument, value::text, format('an interval of %s … %s', low, high));
end
$$;
comment on function pgjobs._check_interval(text, text, interval, interval, interval) is 'Refuses an interval out of its range.';


create function pgjobs._check_commit_sha(routine text, argument text, commit_sha text, element bigint default null)
    returns void
    language plpgsql
    immutable
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    if octet_length(commit_sha) in (40, 64)
        and commit_sha collate "C" !~ '[^0-9a-f]'
        and commit_sha collate "C" ~ '[^0]'
    then
        return;
    end if;
    perform pgjobs._refuse_argument(
        routine, argument, commit_sha, '40 or 64 lower-case hex digits, not all zeros', element
    );
end
$$;
comment on function pgjobs._check_commit_sha(text, text, text, bigint) is
    'Refuses what is not a full commit SHA. A negated class is the cheapest exact test: 0.3 µs against 5 µs for a counted one.';


create function pgjobs._check_text(routine text, argument text, value text, element bigint default null)
    returns void
    language plpgsql
    immutable
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    if octet_length(value) <= 800
        and char_length(value) between 1 and 200
        and value collate "C" !~ '[\u0001-\u001f\u007f-\u009f]'
        and value collate "C" ~ '[^ \u00a0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000\ufeff]'
    then
        return;
    end if;
    perform pgjobs._refuse_argument(
        routine, argument, value, '1 … 200 characters, not blank, without control characters', element
    );
end
$$;
comment on function pgjobs._check_text(text, text, text, bigint) is
    'Refuses a text that is empty, blank, longer than 200 characters or holds U+0000-001F or U+007F-009F.';


create function pgjobs._check_status(routine text, argument text, status text, element bigint default null)
    returns void
    language plpgsql
    immutable
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    if status in ('PASSED', 'FAILED', 'ERROR') then
        return;
    end if;
    perform pgjobs._refuse_argument(routine, argument, status, 'PASSED, FAILED or ERROR', element);
end
$$;
comment on function pgjobs._check_status(text, text, text, bigint) is 'Refuses what is not a verdict.';


create function pgjobs._check_document(routine text, argument text, document jsonb, element bigint default null)
    returns void
    language plpgsql
    immutable
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    if octet_length(document::text) > 65536 then
        perform pgjobs._refuse_argument(routine, argument, document::text, 'at most 64 KiB of JSON', element);
    end if;
end
$$;
comment on function pgjobs._check_document(text, text, jsonb, bigint) is 'Refuses a JSON document of more than 65,536 bytes of text.';


create function pgjobs._check_push(
    routine text,
    author text,
    branch text,
    changed_files text[],
    pushed_at timestamptz
)
    returns void
    language plpgsql
    immutable
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    if author is not null then
        perform pgjobs._check_text(routine, 'author', author);
    end if;
    if branch is not null then
        perform pgjobs._check_text(routine, 'branch', branch);
    end if;
    if changed_files is not null
        and not (
            cardinality(changed_files) <= 3000
            and coalesce(array_ndims(changed_files), 1) = 1
            and array_position(changed_files, null) is null
            and octet_length(array_to_string(changed_files, '')) <= 262144
            and (
                select coalesce(bool_and(char_length(file) between 1 and 1024), true)
                from unnest(changed_files) as file
            )
        )
    then
        perform pgjobs._refuse_argument(
            routine, 'changed_files', left(changed_files::text, 64),
            'at most 3000 paths of 1 … 1024 characters, 256 KiB in all'
        );
    end if;
    if not isfinite(pushed_at) then
        perform pgjobs._refuse_argument(routine, 'pushed_at', pushed_at::text, 'finite');
    end if;
end
$$;
comment on function pgjobs._check_push(text, text, text, text[], timestamptz) is
    'Refuses push detail out of its range; null is not refused.';


-- A batch: one-dimensional arrays of one length, 0 … 10,000. Nulls are left to the element checks.
create function pgjobs._check_batch(routine text, argument text, dimensions integer, size integer, expected_size integer)
    returns void
    language plpgsql
    immutable
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    perform pgjobs._check_given(routine, argument, size is not null);
    if coalesce(dimensions, 1) <> 1 or size > 10000 or size <> expected_size then
        perform pgjobs._refuse_argument(
            routine, argument, format('%s elements in %s dimensions', size, coalesce(dimensions, 1)),
            format('a one-dimensional array of %s elements (at most 10000)', expected_size)
        );
    end if;
end
$$;
comment on function pgjobs._check_batch(text, text, integer, integer, integer) is
    'Refuses a batch array that is null, nested, longer than 10,000 elements or of another length than the first.';
