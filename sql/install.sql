-- forgea_pgjobs: the present definition, in reading order. `psql -1 -v ON_ERROR_STOP=1 -f
-- sql/install.sql`
--
-- The life of a row. A pushed commit becomes a lab_attempt, and its one verification a job: two
-- ledger rows that are inserted once and never change. Where the job stands is not a column but a
-- place. Its session has a lane (how many jobs are open); the first of them is the lane's head, the
-- later ones are waiting. The head is ready, until a worker's claim makes it a lease: a random
-- token and an end. Whoever shows that token may write the verdict, which is again a ledger row,
-- and the session's next waiting job becomes the head. A lease that ends without a verdict leaves a
-- setback, and the same job is ready again until its runs are used up. A job with a verdict is in
-- no hot table any more, unless it is to be judged again: then it goes the same way once more, as a
-- review, and the answer is an amendment beside the verdict. What a run leaves is its artifacts.
--
--   lab_attempt --< job ---- verdict --< amendment       the ledger: insert only, guarded, for ever
--        |           | |\         \--< review ---- review_result
--        |           | | \--< setback
--        |           |  \---< artifact
--     detail      payload, body, summaries               beside it: bulky or personal, may expire
--
--   lane ---- ready (claimable, delayed) or lease        hot: one row per session with open jobs
--      \----< waiting                                    hot: the session's later jobs, reviews
--
-- Locks are taken in one order: the lane, then the ledger's unique keys or the head, in lease or in
-- ready, then the rest. The lane is locked by whoever changes how many jobs a session has open
-- (enqueue, complete, cancel, the last release), never by claim, heartbeat or rescue, which do not
-- wait for an open enqueue.
\ir roles.sql
\ir schema.sql
\ir functions/_guard_ledger.sql
\ir functions/_guard_detail.sql
\ir tables/lab_attempt.sql
\ir tables/job.sql
\ir tables/verdict.sql
\ir tables/setback.sql
\ir tables/review.sql
\ir tables/amendment.sql
\ir tables/artifact.sql
\ir tables/expiry.sql
\ir tables/backfill.sql
\ir tables/lane.sql
\ir tables/ready.sql
\ir tables/lease.sql
\ir tables/waiting.sql
\ir tables/migration.sql
\ir tables/fingerprint.sql
\ir tables/reserve.sql
\ir views/verification_attempt.sql
\ir views/verification_verdict.sql
\ir views/verification_job.sql
\ir views/verification_run.sql
\ir views/verification_artifact.sql
\ir views/verification_amendment.sql
\ir views/verification_review.sql
\ir views/_installed.sql
\ir functions/_refuse.sql
\ir functions/_check.sql
\ir functions/_attempt.sql
\ir functions/_lane.sql
\ir functions/_run.sql
\ir functions/_enqueue.sql
\ir functions/_enqueue_new.sql
\ir functions/enqueue.sql
\ir functions/enqueue_many.sql
\ir functions/record_attempt.sql
\ir functions/get_job.sql
\ir functions/claim.sql
\ir functions/heartbeat.sql
\ir functions/_amend.sql
\ir functions/_complete.sql
\ir functions/complete.sql
\ir functions/complete_many.sql
\ir functions/complete_and_claim.sql
\ir functions/release.sql
\ir functions/rescue.sql
\ir functions/cancel.sql
\ir functions/wake.sql
\ir functions/amend.sql
\ir functions/reverify.sql
\ir functions/_artifact.sql
\ir functions/add_artifact.sql
\ir functions/read_artifact.sql
\ir functions/_expire.sql
\ir functions/expire_artifacts.sql
\ir functions/expire_details.sql
\ir functions/link_lab_sessions.sql
\ir functions/unlink_lab_sessions.sql
\ir functions/is_passed.sql
\ir functions/timeline.sql
\ir functions/why_waiting.sql
\ir functions/_verify_objects.sql
\ir functions/_verify_rows.sql
\ir functions/_verify_server.sql
\ir functions/verify_bodies.sql
\ir functions/verify.sql
\ir grants.sql
\ir fingerprints/ledger.sql
\ir backfill.sql
