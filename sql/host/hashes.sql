-- The two hashes by which a backfill can be checked later: of what was read, and of what it wrote.

create function pgjobs._log_sha256(log_id uuid)
    returns bytea
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return sha256(
        convert_to(
            json_build_array(
                log.id, log."sessionId", log."commitSha", log."verifiedAt",
                encode(sha256(convert_to(log."prDiff", 'UTF8')), 'hex'),
                encode(sha256(convert_to(log."ciOutput", 'UTF8')), 'hex')
            )::text,
            'UTF8'
        )
    )
    from public."VerificationLog" as log
    where log.id = _log_sha256.log_id;
end
$$;
comment on function pgjobs._log_sha256 is 'SHA-256 of a log; null when it is not there.';


-- No value is written as the session would show it: times as seconds, bytes as hex.
create function pgjobs._ledger_sha256(attempt_id bigint, job_id bigint)
    returns bytea
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return sha256(
        convert_to(
            json_build_array(
                (
                    select json_build_array(
                        attempt.attempt_id, attempt.session_id, attempt.commit_sha,
                        extract(epoch from attempt.recorded_at), attempt.delivery_id,
                        extract(epoch from attempt.pushed_at), encode(attempt.detail_sha256, 'hex')
                    )
                    from pgjobs.lab_attempt as attempt
                    where attempt.attempt_id = _ledger_sha256.attempt_id
                ),
                (
                    select json_build_array(
                        job.job_id, job.session_id, job.commit_sha, job.lab_version, job.priority,
                        job.max_runs, extract(epoch from job.created_at),
                        extract(epoch from job.available_at), encode(job.payload_sha256, 'hex')
                    )
                    from pgjobs.job as job
                    where job.job_id = _ledger_sha256.job_id
                ),
                (
                    select json_build_array(
                        extract(epoch from verdict.completed_at),
                        extract(epoch from verdict.started_at), verdict.lease_token,
                        verdict.run_no, verdict.status, verdict.worker, verdict.error_reason,
                        verdict.error_detail, verdict.actor, encode(verdict.summary_sha256, 'hex'),
                        verdict.login, verdict.origin
                    )
                    from pgjobs.verdict as verdict
                    where verdict.job_id = _ledger_sha256.job_id
                ),
                (
                    select json_agg(
                        json_build_array(
                            artifact.artifact_id, extract(epoch from artifact.created_at),
                            artifact.size_bytes, artifact.body_id, artifact.inline_bytes,
                            artifact.artifact_no, artifact.truncated, artifact.kind, artifact.name,
                            artifact.media_type, artifact.location,
                            encode(artifact.sha256, 'hex'), artifact.original_size_bytes,
                            encode(artifact.original_sha256, 'hex')
                        )
                        order by artifact.artifact_no
                    )
                    from pgjobs.artifact as artifact
                    where artifact.job_id = _ledger_sha256.job_id and artifact.run_no = 0
                )
            )::text,
            'UTF8'
        )
    );
end
$$;
comment on function pgjobs._ledger_sha256 is
    'SHA-256 of an attempt, and of a job with its verdict and its artifacts without a run.';
