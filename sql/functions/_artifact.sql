-- Artifacts: what add_artifact takes, and where equal bytes are kept once.

create function pgjobs._check_artifact(
    kind text,
    name text,
    content bytea,
    location text,
    sha256 bytea,
    size_bytes bigint,
    media_type text,
    truncated boolean
)
    returns boolean
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    c_routine constant text := 'add_artifact';
begin
    return (
        kind in ('LOG', 'REPORT', 'DIFF', 'OUTPUT', 'OTHER') is true
        or pgjobs._refuse_argument(c_routine, 'kind', kind, 'LOG, REPORT, DIFF, OUTPUT or OTHER')
    )
        and pgjobs._check_text(c_routine, 'name', name)
        and (
            -- chr(92) is a backslash, which a literal cannot show in every session.
            (name !~ '(^|/)[.]{0,2}(/|$)' and strpos(name, chr(92)) = 0)
            or pgjobs._refuse_argument(
                c_routine, 'name', name,
                'a relative path without backslashes and without empty, . or .. parts'
            )
        )
        and pgjobs._check_text(c_routine, 'media_type', media_type)
        and (truncated is not null or pgjobs._refuse_null(c_routine, 'truncated'))
        and (
            num_nonnulls(content, location) = 1
            or pgjobs._refuse_argument(
                c_routine, 'content', format('%s of the two', num_nonnulls(content, location)),
                'given, or else location'
            )
        )
        and (
            content is null
            or octet_length(content) <= 1048576
            or pgjobs._refuse_argument(
                c_routine, 'content', octet_length(content) || ' bytes', 'at most 1 MiB'
            )
        )
        and (
            location is null
            or (
                octet_length(location) <= 4096
                and char_length(location) between 1 and 1024
                and location collate "C" !~ '[\u0001-\u0020\u007f-\u00a0]'
            )
            or pgjobs._refuse_argument(
                c_routine, 'location', location,
                '1 … 1024 characters without blanks and control characters'
            )
        )
        and (
            (sha256 is null and content is not null)
            or (octet_length(sha256) = 32 and sha256 = coalesce(sha256(content), sha256)) is true
            or pgjobs._refuse_argument(
                c_routine, 'sha256', encode(sha256, 'hex'), 'the SHA-256 of the content'
            )
        )
        and (
            (size_bytes is null and content is not null)
            or (size_bytes >= 0 and size_bytes = coalesce(octet_length(content), size_bytes))
                is true
            or pgjobs._refuse_argument(
                c_routine, 'size_bytes', size_bytes::text, 'the size of the content in bytes'
            )
        );
end
$$;
comment on function pgjobs._check_artifact is 'Refuses what add_artifact cannot take.';


create function pgjobs._keep_body(content bytea, sha256 bytea)
    returns bigint
    language plpgsql
    volatile
    security invoker
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
