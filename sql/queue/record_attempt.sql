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
