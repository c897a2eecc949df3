-- expiry: which body or detail row was dropped, when and by which login. Guarantees: one per row
-- (expiry_kind_id_pkey), no change ever (the guards). A row beside the ledger may be deleted only
-- when it stands here (_guard_detail).
create table pgjobs.expiry (
    id bigint not null,
    expired_at timestamptz not null,
    kind text collate "C" not null,
    login text collate "C" not null,
    constraint expiry_kind_id_pkey primary key (kind, id),
    constraint expiry_kind_check check (kind in ('BODY', 'ATTEMPT', 'PAYLOAD', 'SUMMARY', 'REVIEW'))
);

comment on table pgjobs.expiry is 'Ledger: which body or detail row was dropped.';
comment on column pgjobs.expiry.id is 'body_id, attempt_id, job_id, job_id or review_id, by kind.';
comment on column pgjobs.expiry.kind is 'REVIEW: a review''s summary.';


create type pgjobs.artifacts_expired as (
    artifacts bigint,
    bodies bigint,
    bytes bigint
);
comment on type pgjobs.artifacts_expired is
    'Answer of expire_artifacts: bodies dropped, the artifacts that were theirs, and their bytes.';


create type pgjobs.details_expired as (
    kind text,
    details bigint
);
comment on type pgjobs.details_expired is
    'Answer of expire_details: how many rows of a kind were dropped.';


-- The race: an artifact that shares an old body comes while it is being dropped. add_artifact locks
-- the body it shares; who holds such a lock keeps the body, and one that came before our lock is
-- seen by the second look.
create function pgjobs.expire_artifacts(
    older_than interval,
    max_rows integer default 1000,
    dry_run boolean default true
)
    returns pgjobs.artifacts_expired
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_before timestamptz;
    v_ids bigint[];
    v_artifacts bigint;
    v_bodies bigint;
    v_bytes bigint;
begin
    v_before := pgjobs._expire_before('expire_artifacts', older_than, max_rows, dry_run);
    v_ids := pgjobs._old_bodies(v_before, max_rows);
    if not dry_run then
        v_ids := array(
            select body.body_id
            from pgjobs.body as body
            where body.body_id = any ((select v_ids)::bigint[])
            order by body.body_id
            for update skip locked
        );
        v_ids := array(
            select id from unnest((select v_ids)) as id where not pgjobs._is_shared(id, v_before)
        );
    end if;
    select count(*), coalesce(sum(octet_length(body.content)), 0)
    into v_bodies, v_bytes
    from pgjobs.body as body
    where body.body_id = any ((select v_ids)::bigint[]);
    select count(*) into v_artifacts
    from pgjobs.artifact as artifact
    where artifact.body_id = any ((select v_ids)::bigint[]);
    if not dry_run then
        perform pgjobs._expire('BODY', v_ids);
    end if;
    return (v_artifacts, v_bodies, v_bytes)::pgjobs.artifacts_expired;
end
$$;
comment on function pgjobs.expire_artifacts is
    'Drops up to max_rows (1 to 10,000) bodies, the oldest first, all of whose artifacts are older '
    'than older_than (0 s to 50 years) and of finished jobs; hash, size and name stay. A dry run '
    'counts the same. Errors: 22023, 22004, 25000.';


create function pgjobs.expire_details(
    older_than interval,
    kinds text[] default '{ATTEMPT,SUMMARY,PAYLOAD}',
    max_rows integer default 1000,
    dry_run boolean default true
)
    returns setof pgjobs.details_expired
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_before timestamptz;
    v_kind text;
    v_table text;
    v_ids bigint[];
    v_details integer;
begin
    if (kinds <@ '{ATTEMPT,SUMMARY,PAYLOAD}' and cardinality(kinds) between 1 and 3) is not true
    then
        perform pgjobs._refuse_argument(
            'expire_details', 'kinds', jsonb_build_object('kinds', kinds)
        );
    end if;
    v_before := pgjobs._expire_before('expire_details', older_than, max_rows, dry_run);
    for v_kind in select distinct kind from unnest(kinds) as kind order by kind loop
        v_details := 0;
        -- Summaries lie beside the verdict and beside the answer of a review.
        for v_table in
            select part
            from unnest(case v_kind when 'SUMMARY' then '{SUMMARY,REVIEW}' else array[v_kind] end)
                as part
        loop
            v_ids := pgjobs._old_details(v_table, v_before, max_rows - v_details);
            v_details := v_details
                + case when dry_run then cardinality(v_ids) else pgjobs._expire(v_table, v_ids) end;
        end loop;
        return query select v_kind, v_details::bigint;
    end loop;
end
$$;
comment on function pgjobs.expire_details is
    'Drops up to max_rows (1 to 10,000) rows of each kind that are older than older_than (0 s to '
    '50 years) and of finished jobs: ATTEMPT (author, branch, changed files), SUMMARY, PAYLOAD. '
    'The ledger keeps their hash. A dry run counts the same. Errors: 22023, 22004, 25000.';


-- Retention: which bodies and detail rows are old enough to go. A dry run and a real one ask here.

create function pgjobs._old_bodies(before timestamptz, max_rows integer)
    returns bigint[]
    language plpgsql stable
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
    language plpgsql stable
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
    language plpgsql stable
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
    language plpgsql volatile
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


create function pgjobs._expire_before(
    routine text, older_than interval, max_rows integer, dry_run boolean
)
    returns timestamptz
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_bad text := case
        when (max_rows between 1 and 10000) is not true then 'max_rows'
        when dry_run is null then 'dry_run'
        -- At most 50 years.
        when not pgjobs._is_duration(older_than, 0, 1577880000) then 'older_than'
    end;
begin
    if v_bad is not null then
        perform pgjobs._refuse_argument(routine, v_bad, jsonb_build_object(
            'max_rows', max_rows, 'older_than', older_than
        ));
    end if;
    -- An old snapshot does not see who shares a body since, and no lock would tell.
    if current_setting('transaction_isolation') <> 'read committed' then
        perform pgjobs._refuse('isolation_too_high', routine);
    end if;
    return clock_timestamp() - make_interval(secs => extract(epoch from older_than));
end
$$;
comment on function pgjobs._expire_before is
    'Refuses what retention cannot take; answers before when it is older_than.';
