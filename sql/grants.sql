-- Grants: callers may execute the functions of their role and read the views, nothing else; PUBLIC
-- has nothing. Functions run as their owner, so no caller needs a right on a table.
revoke all on schema pgjobs from public;
revoke all on all tables in schema pgjobs from public;
revoke all on all sequences in schema pgjobs from public;
revoke all on all functions in schema pgjobs from public;
revoke all on type
    pgjobs.recorded, pgjobs.enqueued, pgjobs.enqueued_element, pgjobs.claimed, pgjobs.completed,
    pgjobs.completed_element, pgjobs.released, pgjobs.rescued, pgjobs.cancelled
from public;

do $$
begin
    if to_regrole('pgjobs_app') is null
        or to_regrole('pgjobs_worker') is null
        or to_regrole('pgjobs_reader') is null
        or to_regrole('pgjobs_operator') is null
    then
        raise notice 'installed without the group roles; % owns everything', current_user
            using hint = 'Create roles pgjobs_app, pgjobs_worker, pgjobs_reader and pgjobs_operator and run the grant statements at the end of sql/grants.sql, or grant to roles of your own the same way.';
        return;
    end if;

    grant usage on schema pgjobs to pgjobs_app, pgjobs_worker, pgjobs_reader, pgjobs_operator;

    grant execute on function
        pgjobs.enqueue(uuid, text, text, text, integer, timestamptz, integer, text, text, text[], timestamptz, jsonb),
        pgjobs.enqueue_many(uuid[], text[], text[], text[], integer, integer, jsonb[]),
        pgjobs.record_attempt(uuid, text, text, text, text, text[], timestamptz),
        pgjobs.get_job(text)
    to pgjobs_app;

    grant execute on function
        pgjobs.claim(text, integer, interval),
        pgjobs.heartbeat(bigint, uuid, interval),
        pgjobs.complete(bigint, uuid, text, jsonb),
        pgjobs.complete_many(bigint[], uuid[], text[], jsonb[]),
        pgjobs.release(bigint, uuid, text, interval)
    to pgjobs_worker;

    grant execute on function
        pgjobs.cancel(bigint, text, text),
        pgjobs.rescue(integer)
    to pgjobs_operator;

    grant select on
        pgjobs.verification_job, pgjobs.verification_verdict, pgjobs.verification_run,
        pgjobs.verification_attempt
    to pgjobs_reader, pgjobs_operator;
end
$$;
