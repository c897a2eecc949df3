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
