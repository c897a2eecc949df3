-- Retention: which bodies and detail rows are old enough to go. A dry run and a real one ask here.

create function pgjobs._old_bodies(before timestamptz, max_rows integer)
    returns bigint[]
    language plpgsql
    stable
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    return array(
        select body.body_id
        from pgjobs.body as body
        where body.created_at < _old_bodies.before
            and not pgjobs._is_shared(body.body_id, _old_bodies.before)
        order by body.created_at, body.body_id
        limit max_rows
    );
end
$$;
comment on function pgjobs._old_bodies is
    'Up to max_rows bodies, the oldest first, all of whose artifacts are older than before and of '
    'jobs that are not open.';


create function pgjobs._is_shared(body_id bigint, before timestamptz)
    returns boolean
    language plpgsql
    stable
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    return exists (
        select from pgjobs.artifact as artifact
        where artifact.body_id = _is_shared.body_id
            and (
                artifact.created_at >= _is_shared.before
                or pgjobs._is_open(artifact.job_id)
            )
    );
end
$$;
comment on function pgjobs._is_shared is
    'Whether an artifact that is not older than before, or of an open job, needs the body.';


create function pgjobs._old_details(kind text, before timestamptz, max_rows integer)
    returns bigint[]
    language plpgsql
    stable
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
begin
    case kind
    when 'ATTEMPT' then
        return array(
            select detail.attempt_id
            from pgjobs.attempt_detail as detail
            join pgjobs.lab_attempt as attempt on attempt.attempt_id = detail.attempt_id
            left join pgjobs.job as job
                on job.session_id = attempt.session_id and job.commit_sha = attempt.commit_sha
            where attempt.recorded_at < _old_details.before
                and (job.job_id is null or not pgjobs._is_open(job.job_id))
            order by detail.attempt_id
            limit max_rows
        );
    when 'PAYLOAD' then
        return array(
            select payload.job_id
            from pgjobs.job_payload as payload
            join pgjobs.verdict as verdict on verdict.job_id = payload.job_id
            where verdict.completed_at < _old_details.before
                and not pgjobs._is_open(payload.job_id)
            order by payload.job_id
            limit max_rows
        );
    when 'SUMMARY' then
        return array(
            select summary.job_id
            from pgjobs.verdict_summary as summary
            join pgjobs.verdict as verdict on verdict.job_id = summary.job_id
            where verdict.completed_at < _old_details.before
                and not pgjobs._is_open(summary.job_id)
            order by summary.job_id
            limit max_rows
        );
    when 'REVIEW' then
        return array(
            select summary.review_id
            from pgjobs.review_summary as summary
            join pgjobs.review_result as result on result.review_id = summary.review_id
            where result.ended_at < _old_details.before
                and not pgjobs._is_open(result.job_id)
            order by summary.review_id
            limit max_rows
        );
    end case;
end
$$;
comment on function pgjobs._old_details is
    'Up to max_rows detail rows of a kind of expiry, the oldest first, that are older than before '
    'and of jobs that are not open.';


-- Two at once: one waits for the other at expiry_kind_id_pkey, and then finds the rows gone.
create function pgjobs._expire(kind text, ids bigint[])
    returns bigint
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_dropped bigint;
begin
    insert into pgjobs.expiry (id, expired_at, kind, login)
    select id, clock_timestamp(), _expire.kind, session_user
    from unnest((select ids)) as id
    order by id
    on conflict do nothing;
    case kind
    when 'BODY' then
        delete from pgjobs.body as body where body.body_id = any ((select ids)::bigint[]);
    when 'ATTEMPT' then
        delete from pgjobs.attempt_detail as detail
        where detail.attempt_id = any ((select ids)::bigint[]);
    when 'PAYLOAD' then
        delete from pgjobs.job_payload as payload
        where payload.job_id = any ((select ids)::bigint[]);
    when 'SUMMARY' then
        delete from pgjobs.verdict_summary as summary
        where summary.job_id = any ((select ids)::bigint[]);
    when 'REVIEW' then
        delete from pgjobs.review_summary as summary
        where summary.review_id = any ((select ids)::bigint[]);
    end case;
    get diagnostics v_dropped = row_count;
    return v_dropped;
end
$$;
comment on function pgjobs._expire is
    'Puts the expiry of rows on record and drops them; answers how many it dropped.';


create function pgjobs._check_expiry(
    routine text,
    older_than interval,
    max_rows integer,
    dry_run boolean
)
    returns timestamptz
    language plpgsql
    volatile
    security invoker
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_checked boolean;
begin
    v_checked := (
        (max_rows between 1 and 10000) is true
        or pgjobs._refuse_argument(routine, 'max_rows', max_rows::text, '1 … 10000')
    )
        and (dry_run is not null or pgjobs._refuse_null(routine, 'dry_run'));
    -- An old snapshot does not see who shares a body since, and no lock would tell.
    if current_setting('transaction_isolation') <> 'read committed' then
        perform pgjobs._refuse('25000', routine);
    end if;
    return clock_timestamp()
        - pgjobs._check_duration(routine, 'older_than', older_than, 0, 1577880000);
end
$$;
comment on function pgjobs._check_expiry is
    'Refuses what retention cannot take; answers before when it is older_than.';
