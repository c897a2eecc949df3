-- The attempt of a request: found by its delivery id or its commit, or written.

create function pgjobs._find_attempt(
    session_id uuid,
    commit_sha text,
    delivery_id text,
    author text,
    branch text,
    changed_files text[],
    element bigint,
    out attempt_id bigint,
    out is_redelivery boolean
)
    language plpgsql
    stable
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_known record;
begin
    is_redelivery := false;
    if _find_attempt.delivery_id is not null then
        select attempt.attempt_id, attempt.commit_sha, detail.author, detail.branch, detail.changed_files
        into v_known
        from pgjobs.lab_attempt as attempt
        left join pgjobs.attempt_detail as detail on detail.attempt_id = attempt.attempt_id
        where attempt.session_id = _find_attempt.session_id
            and attempt.delivery_id = _find_attempt.delivery_id;
        if found then
            if v_known.commit_sha <> _find_attempt.commit_sha then
                perform pgjobs._refuse('23V04', 'commit_sha', element);
            elsif v_known.author is distinct from coalesce(_find_attempt.author, v_known.author) then
                perform pgjobs._refuse('23V04', 'author', element);
            elsif v_known.branch is distinct from coalesce(_find_attempt.branch, v_known.branch) then
                perform pgjobs._refuse('23V04', 'branch', element);
            elsif v_known.changed_files is distinct from coalesce(_find_attempt.changed_files, v_known.changed_files) then
                perform pgjobs._refuse('23V04', 'changed_files', element);
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
comment on function pgjobs._find_attempt(uuid, text, text, text, text, text[], bigint) is
    'The attempt of a request, null if there is none. is_redelivery: found by its delivery id, whose request is the same; else 23V04.';


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
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_recorded_at timestamptz := clock_timestamp();
    v_attempt_id bigint;
    v_detail_sha256 bytea;
begin
    if num_nonnulls(author, branch, changed_files) > 0 then
        v_detail_sha256 := sha256(convert_to(jsonb_build_array(author, branch, changed_files)::text, 'UTF8'));
    end if;
    insert into pgjobs.lab_attempt (session_id, commit_sha, recorded_at, delivery_id, pushed_at, detail_sha256)
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
comment on function pgjobs._add_attempt(uuid, text, text, text, text, text[], timestamptz) is
    'Writes an attempt and its detail; waits for a rival; null when the rival was there first.';
