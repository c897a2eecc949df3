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
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_checked boolean;
    v_attempt_id bigint;
begin
    v_checked :=
        (session_id is not null or pgjobs._refuse_null('record_attempt', 'session_id'))
        and pgjobs._check_commit_sha('record_attempt', 'commit_sha', commit_sha)
        and (
            delivery_id is null
            or pgjobs._check_text('record_attempt', 'delivery_id', delivery_id)
        )
        and pgjobs._check_push('record_attempt', author, branch, changed_files, pushed_at);
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
