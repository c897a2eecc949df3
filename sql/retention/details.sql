-- Retention: which bodies and detail rows are old enough to go. A dry run and a real one ask here.

create function pgjobs._old_bodies(before timestamptz, kinds text[], max_rows integer)
    returns bigint[]
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return array(
        select body.body_id
        from pgjobs.body as body
        where body.created_at < _old_bodies.before
            and not pgjobs._is_needed(body.body_id, _old_bodies.before, kinds)
        order by body.created_at, body.body_id
        limit max_rows
    );
end
$$;
comment on function pgjobs._old_bodies is
    'Up to max_rows bodies, the oldest first, that are older than before and not needed.';


create function pgjobs._is_needed(body_id bigint, before timestamptz, kinds text[])
    returns boolean
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return exists (
        select from pgjobs.artifact as artifact
        where artifact.body_id = _is_needed.body_id
            and (
                artifact.created_at >= _is_needed.before
                or artifact.kind <> all (_is_needed.kinds)
                or pgjobs._is_open(artifact.job_id)
                or pgjobs._is_held((pgjobs._find_job(artifact.job_id)).session_id)
            )
            and not pgjobs._has_expired('ARTIFACT', artifact.artifact_id)
    );
end
$$;
comment on function pgjobs._is_needed is
    'Whether an artifact has a right to the body that is not older than before, of another kind, '
    'or of a job that is open or on hold.';


create function pgjobs._has_expired(kind text, id bigint)
    returns boolean
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return exists (
        select from pgjobs.expiry as expiry
        where expiry.kind = _has_expired.kind and expiry.id = _has_expired.id
    );
end
$$;
comment on function pgjobs._has_expired is 'Whether the expiry of that row is on record.';


create function pgjobs._details(
    kind text, before timestamptz, max_rows integer, sessions uuid[] default null
)
    returns bigint[]
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    case kind
    when 'ARTIFACT' then
        return array(
            select artifact.artifact_id
            from pgjobs.artifact as artifact
            join pgjobs.body as body on body.body_id = artifact.body_id
            join pgjobs.job as job on job.job_id = artifact.job_id
            join pgjobs.lab_attempt as attempt
                on attempt.session_id = job.session_id and attempt.commit_sha = job.commit_sha
            where attempt.session_id = any (sessions)
                and artifact.created_at < _details.before
                and not pgjobs._is_open(job.job_id)
                and not pgjobs._has_expired('ARTIFACT', artifact.artifact_id)
        );
    when 'ATTEMPT' then
        return array(
            select detail.attempt_id
            from pgjobs.attempt_detail as detail
            join pgjobs.lab_attempt as attempt on attempt.attempt_id = detail.attempt_id
            left join pgjobs.job as job
                on job.session_id = attempt.session_id and job.commit_sha = attempt.commit_sha
            where attempt.recorded_at < _details.before
                and case when sessions is null then not pgjobs._is_held(attempt.session_id)
                    else attempt.session_id = any (sessions) end
                and (job.job_id is null or not pgjobs._is_open(job.job_id))
            order by detail.attempt_id
            limit max_rows
        );
    when 'PAYLOAD', 'SUMMARY' then
        return array(
            select detail.job_id
            from (
                select payload.job_id from pgjobs.job_payload as payload
                where _details.kind = 'PAYLOAD'
                union all
                select summary.job_id from pgjobs.verdict_summary as summary
                where _details.kind = 'SUMMARY'
            ) as detail
            join pgjobs.job as job on job.job_id = detail.job_id
            join pgjobs.lab_attempt as attempt
                on attempt.session_id = job.session_id and attempt.commit_sha = job.commit_sha
            join pgjobs.verdict as verdict on verdict.job_id = job.job_id
            where verdict.completed_at < _details.before
                and case when sessions is null then not pgjobs._is_held(attempt.session_id)
                    else attempt.session_id = any (sessions) end
                and not pgjobs._is_open(job.job_id)
            order by detail.job_id
            limit max_rows
        );
    when 'REVIEW' then
        return array(
            select summary.review_id
            from pgjobs.review_summary as summary
            join pgjobs.review_result as result on result.review_id = summary.review_id
            join pgjobs.job as job on job.job_id = result.job_id
            join pgjobs.lab_attempt as attempt
                on attempt.session_id = job.session_id and attempt.commit_sha = job.commit_sha
            where result.ended_at < _details.before
                and case when sessions is null then not pgjobs._is_held(attempt.session_id)
                    else attempt.session_id = any (sessions) end
                and not pgjobs._is_open(job.job_id)
            order by summary.review_id
            limit max_rows
        );
    end case;
end
$$;
comment on function pgjobs._details is
    'Up to max_rows rows of a kind of expiry, the oldest first, that are older than before and of '
    'jobs that are not open: of these sessions, or of all that are not on hold.';


create function pgjobs._held_details(kind text, before timestamptz)
    returns bigint[]
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return pgjobs._details(kind, before, null, array(
        select distinct hold.session_id
        from pgjobs.verification_hold as hold
        where hold.lifted_at is null
    ));
end
$$;
comment on function pgjobs._held_details is
    'The rows of a kind of expiry that are older than before and stay because of a hold.';


-- Two at once: one waits for the other at expiry_kind_id_pkey, and then finds the rows gone.
create function pgjobs._expire(kind text, ids bigint[], actor text, reason text, ticket text)
    returns bigint
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_dropped bigint;
begin
    insert into pgjobs.expiry (id, expired_at, kind, login, actor, reason, ticket)
    select
        id, clock_timestamp(), _expire.kind, session_user, _expire.actor, _expire.reason,
        _expire.ticket
    from unnest((select ids)) as id
    order by id
    on conflict do nothing;
    case kind
    when 'ARTIFACT' then
        -- What is dropped lies with the host, or is a share in a body.
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


-- The race: a hold comes while a session is looked at. The lock waits for every hold that is not
-- committed yet and lets none in until the end of the transaction, so the next look sees them all.
create function pgjobs._begin_retention(routine text, dry_run boolean)
    returns void
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
begin
    -- An old snapshot sees neither a hold nor who shares a body since, and no lock would tell.
    if current_setting('transaction_isolation') <> 'read committed' then
        perform pgjobs._refuse('isolation_too_high', routine);
    end if;
    if not dry_run then
        lock table pgjobs.hold in share mode;
    end if;
end
$$;
comment on function pgjobs._begin_retention is
    'Refuses an old snapshot and, unless in a dry run, keeps holds out.';


create function pgjobs._expire_before(
    routine text,
    older_than interval,
    max_rows integer,
    dry_run boolean,
    reason text,
    ticket text
)
    returns timestamptz
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_bad text := case
        when (max_rows between 1 and 10000) is not true then 'max_rows'
        when dry_run is null then 'dry_run'
        -- At most 50 years.
        when not pgjobs._is_duration(older_than, 0, 1577880000) then 'older_than'
        when not pgjobs._is_text(reason) then 'reason'
        when not pgjobs._is_text(ticket) then 'ticket'
    end;
begin
    if v_bad is not null then
        perform pgjobs._refuse_argument(routine, v_bad, jsonb_build_object(
            'max_rows', max_rows, 'older_than', older_than, 'reason', reason, 'ticket', ticket
        ));
    end if;
    perform pgjobs._begin_retention(routine, dry_run);
    return clock_timestamp() - make_interval(secs => extract(epoch from older_than));
end
$$;
comment on function pgjobs._expire_before is
    'Begins an expiry, or refuses what it cannot take; answers before when it is older_than.';
