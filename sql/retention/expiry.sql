-- expiry: which body or detail row was dropped, or which artifact lost its content, when, by whom
-- and why. Guarantees: one per row (expiry_kind_id_pkey), no change ever (the guards). A row beside
-- the ledger may be deleted only when it stands here (_guard_detail).
create table pgjobs.expiry (
    id bigint not null,
    expired_at timestamptz not null,
    kind text collate "C" not null,
    login text collate "C" not null,
    actor text,
    reason text,
    ticket text,
    constraint expiry_kind_id_pkey primary key (kind, id),
    constraint expiry_kind_check check (
        kind in ('BODY', 'ARTIFACT', 'ATTEMPT', 'PAYLOAD', 'SUMMARY', 'REVIEW')
    )
);

comment on table pgjobs.expiry is 'Ledger: which body or detail row was dropped.';
comment on column pgjobs.expiry.id is
    'body_id, artifact_id, attempt_id, job_id, job_id or review_id, by kind.';
comment on column pgjobs.expiry.kind is
    'ARTIFACT: the object at its location, or its part in bytes that others share; REVIEW: a '
    'review''s summary.';
comment on column pgjobs.expiry.actor is 'Who erased the session; null otherwise.';


create type pgjobs.artifacts_expired as (
    artifacts bigint,
    bodies bigint,
    bytes bigint,
    held bigint
);
comment on type pgjobs.artifacts_expired is
    'Answer of expire_artifacts: bodies dropped, the artifacts that were theirs, and their bytes; '
    'held: artifacts of that age and kind that a hold keeps.';


create type pgjobs.details_expired as (
    kind text,
    details bigint,
    held bigint
);
comment on type pgjobs.details_expired is
    'Answer of expire_details: how many rows of a kind were dropped; held: how many of that age a '
    'hold keeps.';


-- The race: an artifact that shares an old body comes while it is being dropped. add_artifact locks
-- the body it shares; who holds such a lock keeps the body, and one that came before our lock is
-- seen by the second look.
create function pgjobs.expire_artifacts(
    older_than interval,
    max_rows integer default 1000,
    dry_run boolean default true,
    kinds text[] default null,
    reason text default null,
    ticket text default null
)
    returns pgjobs.artifacts_expired
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    c_kinds constant text[] := '{LOG,REPORT,DIFF,OUTPUT,OTHER}';
    v_kinds text[] := coalesce(kinds, c_kinds);
    v_before timestamptz;
    v_ids bigint[];
    v_artifacts bigint;
    v_bodies bigint;
    v_bytes bigint;
    v_held_ids bigint[];
    v_held bigint;
begin
    if not (v_kinds <@ c_kinds and cardinality(v_kinds) between 1 and 5) then
        perform pgjobs._refuse_argument(
            'expire_artifacts', 'kinds', jsonb_build_object('kinds', kinds)
        );
    end if;
    v_before := pgjobs._expire_before(
        'expire_artifacts', older_than, max_rows, dry_run, reason, ticket
    );
    v_ids := pgjobs._old_bodies(v_before, v_kinds, max_rows);
    if not dry_run then
        v_ids := array(
            select body.body_id
            from pgjobs.body as body
            where body.body_id = any ((select v_ids)::bigint[])
            order by body.body_id
            for update skip locked
        );
        v_ids := array(
            select id
            from unnest((select v_ids)) as id
            where not pgjobs._is_needed(id, v_before, v_kinds)
        );
    end if;
    select count(*), coalesce(sum(octet_length(body.content)), 0)
    into v_bodies, v_bytes
    from pgjobs.body as body
    where body.body_id = any ((select v_ids)::bigint[]);
    select count(*) into v_artifacts
    from pgjobs.artifact as artifact
    where artifact.body_id = any ((select v_ids)::bigint[]);
    v_held_ids := pgjobs._held_details('ARTIFACT', v_before);
    select count(*) into v_held
    from pgjobs.artifact as artifact
    where artifact.artifact_id = any ((select v_held_ids)::bigint[])
        and artifact.kind = any (v_kinds);
    if not dry_run then
        perform pgjobs._expire('BODY', v_ids, null, reason, ticket);
    end if;
    return (v_artifacts, v_bodies, v_bytes, v_held)::pgjobs.artifacts_expired;
end
$$;
comment on function pgjobs.expire_artifacts is
    'Drops up to max_rows (1 to 10,000) bodies, the oldest first, all of whose artifacts are older '
    'than older_than (0 s to 50 years), of these kinds (null: of any), and of finished jobs that '
    'no hold keeps; hash, size and name stay. reason and ticket, 1 to 200 characters, go on '
    'record. A dry run counts the same. Errors: 22023, 22004, 25000.';


create function pgjobs.expire_details(
    older_than interval,
    kinds text[] default '{ATTEMPT,SUMMARY,PAYLOAD}',
    max_rows integer default 1000,
    dry_run boolean default true,
    reason text default null,
    ticket text default null
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
    v_held integer;
begin
    if (kinds <@ '{ATTEMPT,SUMMARY,PAYLOAD}' and cardinality(kinds) between 1 and 3) is not true
    then
        perform pgjobs._refuse_argument(
            'expire_details', 'kinds', jsonb_build_object('kinds', kinds)
        );
    end if;
    v_before := pgjobs._expire_before(
        'expire_details', older_than, max_rows, dry_run, reason, ticket
    );
    for v_kind in select distinct kind from unnest(kinds) as kind order by kind loop
        v_details := 0;
        v_held := 0;
        -- Summaries lie beside the verdict and beside the answer of a review.
        for v_table in
            select part
            from unnest(case v_kind when 'SUMMARY' then '{SUMMARY,REVIEW}' else array[v_kind] end)
                as part
        loop
            v_ids := pgjobs._details(v_table, v_before, max_rows - v_details);
            v_details := v_details + case when dry_run then cardinality(v_ids)
                else pgjobs._expire(v_table, v_ids, null, reason, ticket) end;
            v_held := v_held + cardinality(pgjobs._held_details(v_table, v_before));
        end loop;
        return query select v_kind, v_details::bigint, v_held::bigint;
    end loop;
end
$$;
comment on function pgjobs.expire_details is
    'Drops up to max_rows (1 to 10,000) rows of each kind that are older than older_than (0 s to '
    '50 years) and of finished jobs that no hold keeps: ATTEMPT (author, branch, changed files), '
    'SUMMARY, PAYLOAD. The ledger keeps their hash. reason and ticket, 1 to 200 characters, go on '
    'record. A dry run counts the same. Errors: 22023, 22004, 25000.';


create type pgjobs.location_expired as (
    ordinal integer,
    artifact_id bigint,
    outcome text
);
comment on type pgjobs.location_expired is
    'Answer of expire_locations for one element, counted from 1: expired, held or not_found.';


create function pgjobs.expire_locations(artifact_ids bigint[], reason text, ticket text)
    returns setof pgjobs.location_expired
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_bad text := case
        when not pgjobs._has_size(artifact_ids, cardinality(artifact_ids)) then 'artifact_ids'
        when pgjobs._is_text(reason) is not true then 'reason'
        when pgjobs._is_text(ticket) is not true then 'ticket'
    end;
    v_bad_ordinal integer;
    v_ids bigint[];
begin
    if v_bad is null then
        v_bad_ordinal := array_position(artifact_ids, null);
    end if;
    if v_bad is not null or v_bad_ordinal is not null then
        perform pgjobs._refuse_argument(
            'expire_locations', coalesce(v_bad, 'artifact_ids'), jsonb_build_object(
                'artifact_ids', artifact_ids, 'reason', reason, 'ticket', ticket
            ), v_bad_ordinal
        );
    end if;
    perform pgjobs._begin_retention('expire_locations', false);
    v_ids := array(
        select artifact.artifact_id
        from pgjobs.artifact as artifact
        join pgjobs.job as job on job.job_id = artifact.job_id
        where artifact.artifact_id = any ((select artifact_ids)::bigint[])
            and artifact.location is not null
            and not pgjobs._is_held(job.session_id)
    );
    perform pgjobs._expire('ARTIFACT', v_ids, null, reason, ticket);
    return query
    select
        element.ordinal::integer, element.artifact_id,
        case
            when artifact.location is null then 'not_found'
            when expiry.id is null then 'held'
            else 'expired'
        end
    from unnest(artifact_ids) with ordinality as element (artifact_id, ordinal)
    left join pgjobs.artifact as artifact on artifact.artifact_id = element.artifact_id
    left join pgjobs.expiry as expiry
        on expiry.kind = 'ARTIFACT' and expiry.id = artifact.artifact_id
    order by element.ordinal;
end
$$;
comment on function pgjobs.expire_locations is
    'Puts on record that the host deletes the objects of 0 to 10,000 artifacts at a location; one '
    'row per element, in order, its outcome expired (now or before), held (a hold keeps it) or '
    'not_found. reason, ticket 1 to 200 characters. Errors: 22023, 22004, 25000.';
