-- The race: a claim may take an expired head that was not yet expired a moment ago, and an enqueue,
-- complete or cancel may have the lane. This waits for none of them: what another holds is left to
-- the next sweep, and claim hands out nothing whose time is over, swept or not. What waits ends
-- before the heads, so that none of it becomes a head for nothing; where it did, it ends as one.
create function pgjobs._expire_jobs(max_jobs integer, since timestamptz)
    returns integer
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := clock_timestamp();
    v_jobs pgjobs.waiting[];
    v_job pgjobs.waiting;
    v_waits boolean;
begin
    v_jobs := array(
        select waiting
        from pgjobs.waiting as waiting
        cross join lateral (
            select from pgjobs.lane as lane
            where lane.session_id = waiting.session_id
            for update skip locked
        ) as lane
        where waiting.start_by between since and v_now
        order by waiting.start_by
        limit max_jobs
    ) || array(
        select (ready.session_id, ready.job_id, null, null)::pgjobs.waiting
        from pgjobs.ready as ready
        cross join lateral (
            select from pgjobs.lane as lane
            where lane.session_id = ready.session_id
            for update skip locked
        ) as lane
        where ready.start_by between since and v_now
        order by ready.start_by
        limit max_jobs
    );
    foreach v_job in array v_jobs loop
        delete from pgjobs.waiting as waiting
        where waiting.session_id = v_job.session_id and waiting.turn_no = v_job.turn_no;
        v_waits := found;
        if not v_waits then
            perform from pgjobs.ready as ready
            where ready.job_id = v_job.turn_no and ready.start_by <= v_now
            for update skip locked;
            continue when not found;
            delete from pgjobs.ready as ready where ready.job_id = v_job.turn_no;
        end if;
        insert into pgjobs.verdict (job_id, completed_at, run_no, status, error_reason)
        values (v_job.turn_no, v_now, 0, 'ERROR', 'EXPIRED');
        if v_waits then
            perform pgjobs._leave_lane(v_job.session_id);
        else
            perform pgjobs._next_head(v_job.session_id);
        end if;
    end loop;
    return cardinality(v_jobs);
end
$$;
comment on function pgjobs._expire_jobs is
    'Ends up to max_jobs jobs, heads and waiting ones, that were not begun by a time since then, '
    'as ERROR with the reason EXPIRED, and answers how many were due. Never waits.';
