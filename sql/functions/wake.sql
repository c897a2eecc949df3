-- Not part of enqueue: a notification makes commits wait for one another and fails when the queue
-- of notifications is full, and nothing that is promised depends on it.
create function pgjobs.wake()
    returns void
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    notify pgjobs;
end
$$;
comment on function pgjobs.wake is
    'Wakes the workers that listen on the channel pgjobs. Optional; call it after the commit of an '
    'enqueue, in a transaction of its own. Workers that poll need no wake.';
