-- reserve: every table starts with pages to spare, and vacuum does not take them back. For a small
-- table reading it whole is the cheapest plan, and a session keeps the plan that a function made
-- then; when 40,000 rows arrive it reads those on every call. Sixteen pages make the index the
-- cheaper way to one row from the first row on, sixty-four the places of ten. The rows that claim
-- the pages are undone at once; ids are not drawn; the indexes are built anew, since an index of
-- many pages and few rows looks expensive. The autovacuum thresholds of the ledger keep the dead
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
    insert into pgjobs.setback (job_id, started_at, ended_at, run_no, outcome, worker)
    select job.job_id, now(), now(), 1, 'LEASE_LOST', v_wide from pgjobs.job as job;

    insert into pgjobs.review (
        review_id, job_id, requested_at, priority, review_no, runs_before, lab_version, reason,
        actor, approver, ticket, login
    )
    select job.job_id, job.job_id, now(), 1, 1, 0, '1', v_wide, 'a', 'b', '1', '-'
    from pgjobs.job as job;
    insert into pgjobs.review_result (
        review_id, job_id, ended_at, run_no, outcome, detail, actor, login
    )
    select job.job_id, job.job_id, now(), 0, 'CANCELLED', v_wide, '-', '-' from pgjobs.job as job;
    insert into pgjobs.review_summary (review_id, summary)
    select job.job_id, to_jsonb(v_wide) from pgjobs.job as job;
    insert into pgjobs.amendment (
        amendment_id, job_id, completed_at, amended_at, amendment_no, verdict_status, status,
        reason, actor, approver, ticket, login
    )
    overriding system value
    select
        job.job_id, job.job_id, now(), now(), 1, 'ERROR', 'ERROR', v_wide, 'a', 'b', '1', '-'
    from pgjobs.job as job;
    insert into pgjobs.artifact (
        artifact_id, job_id, created_at, size_bytes, inline_bytes, run_no, artifact_no, truncated,
        kind, name, media_type, location, sha256
    )
    overriding system value
    select
        job.job_id, job.job_id, now(), 0, 0, 1, 1, false, 'LOG', '1', '-', v_wide, sha256('1')
    from pgjobs.job as job;
    insert into pgjobs.body (body_id, created_at, sha256, content)
    overriding system value
    select job.job_id, now(), sha256(convert_to(job.commit_sha, 'UTF8')), convert_to(v_wide, 'UTF8')
    from pgjobs.job as job;
    insert into pgjobs.expiry (id, expired_at, kind, login)
    select job.job_id, now(), 'BODY', v_wide from pgjobs.job as job;

    insert into pgjobs.lane (session_id, head_job_id, open_jobs)
    select gen_random_uuid(), 0, 1 from generate_series(1, 7000);
    insert into pgjobs.ready (job_id, session_id, attempt_id, available_at, priority, worker)
    select number, gen_random_uuid(), 0, now(), 1, v_wide
    from generate_series(1, 200) as number;
    insert into pgjobs.lease (
        session_id, job_id, attempt_id, available_at, started_at, lease_expires_at, lease_token,
        lease_for, priority, run_no, worker
    )
    select
        gen_random_uuid(), 0, 0, now(), now(), now(), gen_random_uuid(), interval '1 second', 1, 1,
        v_wide
    from generate_series(1, 200);
    insert into pgjobs.waiting (session_id, turn_no)
    select gen_random_uuid(), 1 from generate_series(1, 3000);

    raise exception 'undo' using errcode = 'P0001';
exception
    when raise_exception then
        return;
end
$$;

-- Nobody reads these tables yet:
-- squawk-ignore-file require-concurrent-reindex
reindex table pgjobs.lab_attempt;
reindex table pgjobs.attempt_detail;
reindex table pgjobs.job;
reindex table pgjobs.job_payload;
reindex table pgjobs.verdict;
reindex table pgjobs.verdict_summary;
reindex table pgjobs.setback;
reindex table pgjobs.review;
reindex table pgjobs.review_result;
reindex table pgjobs.review_summary;
reindex table pgjobs.amendment;
reindex table pgjobs.artifact;
reindex table pgjobs.body;
reindex table pgjobs.expiry;
reindex table pgjobs.lane;
reindex table pgjobs.ready;
reindex table pgjobs.lease;
reindex table pgjobs.waiting;
