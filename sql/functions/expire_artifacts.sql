-- The race: an artifact that shares an old body comes while it is being dropped. add_artifact locks
-- the body it shares; who holds such a lock keeps the body, and one that came before our lock is
-- seen by the second look.
create function pgjobs.expire_artifacts(
    older_than interval,
    max_rows integer default 1000,
    dry_run boolean default true
)
    returns pgjobs.artifacts_expired
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_before timestamptz;
    v_ids bigint[];
    v_artifacts bigint;
    v_bodies bigint;
    v_bytes bigint;
begin
    v_before := pgjobs._check_expiry('expire_artifacts', older_than, max_rows, dry_run);
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
    'Drops up to max_rows (1 … 10,000) bodies, the oldest first, all of whose artifacts are older '
    'than older_than (0 s … 50 years) and of finished jobs; hash, size and name stay. A dry run '
    'counts the same. Errors: 22023, 22004, 25000.';
