-- hold: what must stay, until it is lifted. Guarantees: one order per session and ticket
-- (hold_session_id_ticket_hold_no_pkey), in which odd numbers hold and even ones lift, no change
-- ever (the guards). While any ticket holds a session, retention leaves all of it alone: each
-- matter lifts its own hold and no other's.
create table pgjobs.hold (
    session_id uuid not null,
    decided_at timestamptz not null,
    hold_no smallint not null,
    ticket text collate "C" not null,
    reason text not null,
    actor text not null,
    login text collate "C" not null,
    constraint hold_session_id_ticket_hold_no_pkey primary key (session_id, ticket, hold_no)
);

comment on table pgjobs.hold is 'Ledger: what must stay, and until when.';
comment on column pgjobs.hold.hold_no is
    'Order of the decisions of a ticket, from 1: odd ones hold, even ones lift.';
comment on column pgjobs.hold.login is 'The database login, session_user.';


create type pgjobs.held as (
    session_id uuid,
    held boolean,
    created boolean
);
comment on type pgjobs.held is
    'Answer of hold and lift_hold: created is true for the one call that changed something; held: '
    'whether this or another ticket holds the session now.';


create function pgjobs.hold(session_id uuid, reason text, actor text, ticket text)
    returns pgjobs.held
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    return pgjobs._decide_hold('hold', session_id, reason, actor, ticket);
end
$$;
comment on function pgjobs.hold is
    'Keeps all of a session, pushes to come included, from retention and erasure until the same '
    'ticket lifts it. reason, actor, ticket 1 to 200 characters. Repeated: created = false. '
    'Errors: 22023, 22004, 25000.';


create function pgjobs.lift_hold(session_id uuid, reason text, actor text, ticket text)
    returns pgjobs.held
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    return pgjobs._decide_hold('lift_hold', session_id, reason, actor, ticket);
end
$$;
comment on function pgjobs.lift_hold is
    'Ends the hold of that ticket; where it has none, created = false. Another ticket may hold on '
    '(held). reason, actor, ticket 1 to 200 characters. Errors: 22023, 22004, 25000.';


-- The race: two decide about one ticket. The second waits at the key, and looks again. An old
-- snapshot could take a hold for standing that has been lifted since.
create function pgjobs._decide_hold(
    routine text, session_id uuid, reason text, actor text, ticket text
)
    returns pgjobs.held
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_bad text := pgjobs._bad_order(session_id, reason, actor, ticket);
    v_hold_no smallint;
    v_created boolean := false;
begin
    if v_bad is not null then
        perform pgjobs._refuse_argument(routine, v_bad, jsonb_build_object(
            'reason', reason, 'actor', actor, 'ticket', ticket
        ));
    end if;
    perform pgjobs._begin_retention(routine, true);
    loop
        select coalesce(max(hold.hold_no), 0) + 1 into v_hold_no
        from pgjobs.hold as hold
        where hold.session_id = _decide_hold.session_id and hold.ticket = _decide_hold.ticket;
        exit when v_created or (v_hold_no % 2 = 1) <> (routine = 'hold');
        insert into pgjobs.hold (session_id, decided_at, hold_no, ticket, reason, actor, login)
        values (
            _decide_hold.session_id, clock_timestamp(), v_hold_no, _decide_hold.ticket,
            _decide_hold.reason, _decide_hold.actor, session_user
        )
        on conflict do nothing;
        v_created := found;
    end loop;
    return (session_id, pgjobs._is_held(session_id), v_created)::pgjobs.held;
end
$$;
comment on function pgjobs._decide_hold is
    'Appends a decision of a ticket, unless the one before it says the same.';


create function pgjobs._is_held(session_id uuid)
    returns boolean
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return exists (
        select from pgjobs.verification_hold as hold
        where hold.session_id = _is_held.session_id and hold.lifted_at is null
    );
end
$$;
comment on function pgjobs._is_held is 'Whether a hold of the session stands.';
