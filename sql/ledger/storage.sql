-- How the tables are stored. Ledger and detail tables only grow: autovacuum comes in small steps
-- and freezes at once, so that no wraparound vacuum ever meets much. Hot tables turn over: vacuum
-- comes early and does not pause.
do $$
declare
    v_table text;
begin
    foreach v_table in array array[
        'lab_attempt', 'attempt_detail', 'job', 'job_payload', 'verdict', 'verdict_summary',
        'aborted_run', 'backfill', 'review', 'review_result', 'review_summary', 'amendment',
        'artifact', 'body', 'expiry', 'hold'
    ] loop
        execute format(
            'alter table pgjobs.%I set ('
            'vacuum_truncate = off, autovacuum_vacuum_threshold = 5000, '
            'autovacuum_vacuum_insert_threshold = 5000, '
            'autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_freeze_min_age = 0)',
            v_table
        );
    end loop;
    -- enqueue and complete update a lane's count in place.
    alter table pgjobs.lane set (fillfactor = 70);
    foreach v_table in array array['lane', 'ready', 'lease', 'waiting'] loop
        execute format(
            'alter table pgjobs.%I set ('
            'vacuum_truncate = off, autovacuum_vacuum_scale_factor = 0.01, '
            'autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0)',
            v_table
        );
    end loop;
end
$$;

-- Tables that are asked row by row start with pages to spare, and vacuum does not take them back.
-- For a small table reading it whole is the cheapest plan, and a session keeps the plan that a
-- function made then; when 40,000 rows arrive it reads those on every call. Sixteen pages make the
-- index the cheaper way to one row from the first row on, sixty-four the places of ten. The rows
-- that claim the pages are undone at once, and no id is drawn. The thresholds above keep the dead
-- rows from being vacuumed while the tables are empty: a table that is known to have no rows makes
-- all its indexes look alike.
do $$
declare
    v_wide constant text := repeat('x', 1900);
begin
    insert into pgjobs.lab_attempt (attempt_id, session_id, commit_sha, recorded_at)
    overriding system value
    select -number, gen_random_uuid(), lpad(number::text, 40, '0'), now()
    from generate_series(1, 1600) as number;
    insert into pgjobs.job (
        job_id, session_id, commit_sha, lab_version, priority, max_runs, created_at
    )
    overriding system value
    select attempt.attempt_id, attempt.session_id, attempt.commit_sha, v_wide, 1, 1, now()
    from pgjobs.lab_attempt as attempt
    order by attempt.attempt_id
    limit 80;
    insert into pgjobs.attempt_detail (attempt_id, author)
    select job.job_id, v_wide from pgjobs.job as job;
    insert into pgjobs.job_payload (job_id, payload)
    select job.job_id, to_jsonb(v_wide) from pgjobs.job as job;
    insert into pgjobs.verdict (
        job_id, completed_at, run_no, status, error_reason, error_detail, actor, login
    )
    select job.job_id, now(), 0, 'ERROR', 'CANCELLED', v_wide, '-', '-' from pgjobs.job as job;
    insert into pgjobs.verdict_summary (job_id, summary)
    select job.job_id, to_jsonb(v_wide) from pgjobs.job as job;
    insert into pgjobs.expiry (id, expired_at, kind, login, reason)
    select job.job_id, now(), 'BODY', '-', v_wide from pgjobs.job as job;
    insert into pgjobs.hold (session_id, decided_at, hold_no, ticket, reason, actor, login)
    select job.session_id, now(), 1, '-', v_wide, '-', '-' from pgjobs.job as job;

    insert into pgjobs.lane (session_id, head_job_id, open_jobs)
    select gen_random_uuid(), 0, 1 from generate_series(1, 7000);
    insert into pgjobs.ready (
        job_id, session_id, attempt_id, available_at, priority, last_run_no, worker
    )
    select number, gen_random_uuid(), 0, now(), 1, 1, v_wide
    from generate_series(1, 200) as number;
    insert into pgjobs.lease (
        session_id, job_id, attempt_id, available_at, started_at, lease_expires_at, lease_token,
        lease_for, priority, run_no, last_run_no, worker
    )
    select
        gen_random_uuid(), 0, 0, now(), now(), now(), gen_random_uuid(), 1, 1, 1, 1, v_wide
    from generate_series(1, 200);
    insert into pgjobs.waiting (session_id, turn_no)
    select gen_random_uuid(), 1 from generate_series(1, 3000);

    raise exception 'undo' using errcode = 'P0001';
exception
    when raise_exception then
        return;
end
$$;

-- An index of many pages and few rows looks expensive to the planner: build them anew.
do $$
declare
    v_table text;
begin
    foreach v_table in array array[
        'lab_attempt', 'attempt_detail', 'job', 'job_payload', 'verdict', 'verdict_summary',
        'expiry', 'hold', 'lane', 'ready', 'lease', 'waiting'
    ] loop
        execute format('reindex table pgjobs.%I', v_table);
    end loop;
end
$$;

-- An index that has never had an entry is read twice to find none: each that a sweep asks gets one,
-- which is undone.
do $$
begin
    insert into pgjobs.ready (
        job_id, session_id, attempt_id, available_at, priority, last_run_no, start_by
    )
    values (0, gen_random_uuid(), 0, now(), 1, 1, now());
    insert into pgjobs.waiting (session_id, turn_no, start_by) values (gen_random_uuid(), 0, now());
    raise exception 'undo' using errcode = 'P0001';
exception
    when raise_exception then
        return;
end
$$;
