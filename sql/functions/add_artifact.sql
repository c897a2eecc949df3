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
    truncated boolean default false
)
    returns pgjobs.artifact_added
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_checked boolean;
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
    v_checked := (add_artifact.job_id is not null or pgjobs._refuse_null('add_artifact', 'job_id'))
        and (
            add_artifact.lease_token is not null
            or pgjobs._refuse_null('add_artifact', 'lease_token')
        )
        and pgjobs._check_artifact(
            kind, name, content, location, sha256, size_bytes, media_type, truncated
        );
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
            end;
            if v_differing is not null then
                perform pgjobs._refuse('23V06', v_differing);
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
        v_checked := (
            coalesce(v_latest.artifact_no, 0) < 100
            or pgjobs._refuse_argument(
                'add_artifact', 'name', name, 'one of at most 100 artifacts of the run'
            )
        )
            and (
                content is null
                or coalesce(v_latest.inline_bytes, 0) + v_size_bytes <= 16777216
                or pgjobs._refuse_argument(
                    'add_artifact', 'content', v_size_bytes || ' bytes',
                    'at most 16 MiB with the other artifacts of the run'
                )
            );
        if content is not null then
            v_body_id := pgjobs._keep_body(content, v_sha256);
        end if;
        insert into pgjobs.artifact (
            job_id, created_at, size_bytes, body_id, inline_bytes, run_no, artifact_no,
            truncated, kind, name, media_type, location, sha256
        )
        values (
            add_artifact.job_id, clock_timestamp(), v_size_bytes, v_body_id,
            coalesce(v_latest.inline_bytes, 0)
                + case when v_body_id is null then 0 else v_size_bytes end,
            v_lease.run_no, coalesce(v_latest.artifact_no, 0) + 1, add_artifact.truncated,
            add_artifact.kind, add_artifact.name, add_artifact.media_type,
            add_artifact.location, v_sha256
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
    '1 … 200 characters, unique in the run; content up to 1 MiB, or location (1 … 1,024 '
    'characters) with sha256 and size_bytes. At most 100 artifacts and 16 MiB of content a run. '
    'The same call once more: created = false. Errors: 22023, 22004, P0002, 23V02, 23V05, 23V06, '
    '40001.';
