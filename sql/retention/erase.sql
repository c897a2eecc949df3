create type pgjobs.details_erased as (
    kind text,
    details bigint
);
comment on type pgjobs.details_erased is
    'Answer of erase_session: how many rows of a kind of expiry went.';


-- The races. A hold: see _begin_retention. A body comes to be shared, or loses who shared it: who
-- does that has its lock, so this waits, and looks for other artifacts behind the lock. A job that
-- is enqueued, or judged again, meanwhile is open, and what is open is left alone.
create function pgjobs.erase_session(
    session_id uuid,
    reason text,
    actor text,
    ticket text,
    dry_run boolean default true
)
    returns setof pgjobs.details_erased
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_bad text := case when dry_run is null then 'dry_run'
        else pgjobs._bad_order(session_id, reason, actor, ticket) end;
    v_artifacts bigint[];
    v_bodies bigint[];
    v_kind text;
    v_ids bigint[];
begin
    if v_bad is not null then
        perform pgjobs._refuse_argument('erase_session', v_bad, jsonb_build_object(
            'reason', reason, 'actor', actor, 'ticket', ticket
        ));
    end if;
    perform pgjobs._begin_retention('erase_session', dry_run);
    if pgjobs._is_held(session_id) then
        perform pgjobs._refuse('on_hold');
    elsif exists (
        select from pgjobs.lane as lane where lane.session_id = erase_session.session_id
    ) then
        perform pgjobs._refuse('session_busy');
    end if;
    v_artifacts := pgjobs._details('ARTIFACT', 'infinity', null, array[session_id]);
    v_bodies := array(
        select distinct artifact.body_id
        from pgjobs.artifact as artifact
        where artifact.artifact_id = any ((select v_artifacts)::bigint[])
    );
    if not dry_run then
        v_bodies := array(
            select body.body_id
            from pgjobs.body as body
            where body.body_id = any ((select v_bodies)::bigint[])
            order by body.body_id
            for update
        );
    end if;
    v_bodies := array(
        select id
        from unnest((select v_bodies)) as id
        where not exists (
            select from pgjobs.artifact as other
            where other.body_id = id
                and other.artifact_id <> all (v_artifacts)
                and not pgjobs._has_expired('ARTIFACT', other.artifact_id)
        )
    );
    foreach v_kind in array array['ARTIFACT', 'ATTEMPT', 'BODY', 'PAYLOAD', 'REVIEW', 'SUMMARY']
    loop
        v_ids := case v_kind
            when 'ARTIFACT' then v_artifacts
            when 'BODY' then v_bodies
            else pgjobs._details(v_kind, 'infinity', null, array[session_id])
        end;
        return query
        select v_kind, case when dry_run then cardinality(v_ids)
            else pgjobs._expire(v_kind, v_ids, actor, reason, ticket) end;
    end loop;
end
$$;
comment on function pgjobs.erase_session is
    'Drops what is personal or bulky of a session, whatever its age: ATTEMPT (author, branch, '
    'changed files), PAYLOAD, SUMMARY, REVIEW (a review''s summary), ARTIFACT (its content cannot '
    'be read any more), BODY (bytes that no other session shares). The ledger keeps their hash, '
    'and who and why: reason, actor, ticket 1 to 200 characters. A dry run counts the same. '
    'Errors: 22023, 22004, 23V09, 25000, 55V02.';
