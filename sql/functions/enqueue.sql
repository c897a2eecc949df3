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
    payload jsonb default null
)
    returns pgjobs.enqueued
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := clock_timestamp();
    v_checked boolean;
begin
    v_checked :=
        (session_id is not null or pgjobs._refuse_null('enqueue', 'session_id'))
        and (
            pgjobs._is_commit_sha(commit_sha) is true
            or pgjobs._check_commit_sha('enqueue', 'commit_sha', commit_sha)
        )
        and (
            pgjobs._is_text(lab_version) is true
            or pgjobs._check_text('enqueue', 'lab_version', lab_version)
        )
        and (delivery_id is null or pgjobs._check_text('enqueue', 'delivery_id', delivery_id))
        and (
            (priority between 1 and 4) is true
            or pgjobs._refuse_argument('enqueue', 'priority', priority::text, '1 … 4')
        )
        and (
            (max_runs between 1 and 25) is true
            or pgjobs._refuse_argument('enqueue', 'max_runs', max_runs::text, '1 … 25')
        )
        and (
            available_at is null
            or (isfinite(available_at) and available_at <= v_now + interval '30 days')
            or pgjobs._refuse_argument(
                'enqueue', 'available_at', available_at::text, 'finite and at most 30 days ahead'
            )
        )
        and (
            num_nonnulls(author, branch, changed_files, pushed_at) = 0
            or pgjobs._check_push('enqueue', author, branch, changed_files, pushed_at)
        )
        and (payload is null or pgjobs._check_document('enqueue', 'payload', payload));
    if available_at <= v_now then
        available_at := null;
    end if;
    return pgjobs._enqueue(
        session_id, commit_sha, lab_version, delivery_id, priority, available_at, max_runs,
        author, branch, changed_files, pushed_at, payload
    );
end
$$;
comment on function pgjobs.enqueue is
    'Queues the one verification of a commit, recording its attempt, or answers the existing '
    'job (created = false). Part of the caller''s transaction. priority 1 first … 4 last; '
    'max_runs 1 … 25; available_at at most 30 days ahead. Errors: 22023, 22004, 23V03, 23V04, '
    '54V01, 40001.';
