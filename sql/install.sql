-- forgea_pgjobs: the present definition, in reading order. `psql -1 -v ON_ERROR_STOP=1 -f
-- sql/install.sql` builds everything; each part below is one migration, and there one statement.
--
-- The life of a row. A pushed commit becomes a lab_attempt, and its one verification a job: two
-- ledger rows that are inserted once and never change. Where the job stands is not a column but a
-- place. Its session has a lane, which counts the session's open jobs; the first of them is the
-- lane's head, the later ones are waiting. The head is ready, until a worker's claim makes it a
-- lease: a random token and an end. The holder of the token may write the verdict, which is again a
-- ledger row, and the session's next waiting job becomes the head. A run whose lease ends without a
-- verdict is recorded as an aborted_run, and the job is ready again until its runs are used up. A
-- job that is not begun in the time it was given expires. A job with a verdict is in no hot table
-- any more, unless it is to be judged again: then it goes the same way once more, as a review, and
-- the answer is an amendment beside the verdict. What a run leaves as evidence is its artifacts.
-- What is beside the ledger may go when it is old, unless its session is on hold; the ledger says
-- what went, when and why.
--
--   lab_attempt ---- job ---- verdict --< amendment      the ledger: insert only, guarded, for ever
--        |            | |\         \--< review ---- review_result
--        |            | | \--< aborted_run
--        |            |  \---< artifact
--     detail      payload, body, summaries              beside it: bulky or personal, may expire
--
--   lane ---- ready (claimable, delayed) or lease       hot: one row per session with open jobs
--      \----< waiting                                   hot: the session's later jobs, reviews
--
-- Locks are taken in one order: the lane, then the ledger's unique keys or the head, in lease or in
-- ready, then the rest. Every call that changes how many jobs a session has open locks its lane:
-- enqueue, reverify, complete, cancel, and whatever ends the last run of a job. claim, heartbeat
-- and rescue wait for no lane, and so for no open enqueue: they leave a locked one to a later call.
--
-- The files: base/guards.sql, the tables of ledger/ and queue/, then enqueue, claim and complete
-- are the core. A type stands above the function that answers it, a helper in the file of its
-- subject, behind the calls.

-- part 0001.ledger
\ir base/begin.sql

-- What everything stands on.
\ir base/roles.sql
\ir base/domains.sql
\ir base/errors.sql
\ir base/arguments.sql

-- The ledger: one row per push, per commit, per verdict.
\ir ledger/lab_attempt.sql
\ir ledger/job.sql
\ir ledger/verdict.sql
\ir ledger/aborted_run.sql
\ir ledger/backfill.sql
\ir ledger/migration.sql

-- The life of a job.
\ir queue/hot_tables.sql
\ir queue/record_attempt.sql
\ir queue/enqueue.sql
\ir queue/enqueue_many.sql
\ir queue/claim.sql
\ir queue/lane.sql
\ir queue/heartbeat.sql
\ir queue/release.sql
\ir queue/revoke_lease.sql
\ir queue/expire_jobs.sql
\ir queue/complete.sql
\ir queue/complete_many.sql
\ir queue/cancel.sql

-- The evidence of a run.
\ir evidence/artifact.sql
\ir evidence/add_artifact.sql

-- Another word on a verdict.
\ir decisions/review.sql
\ir decisions/amendment.sql

-- What must stay, and what may go.
\ir retention/hold.sql
\ir retention/expiry.sql
\ir retention/erase.sql
\ir retention/details.sql

-- What callers read.
\ir reads/verification_job.sql
\ir reads/views.sql
\ir reads/get_job.sql
\ir reads/attempts.sql
\ir reads/timeline.sql
\ir reads/why_waiting.sql
\ir reads/metrics.sql

-- What holds for all of these tables, and who may call what.
\ir base/guards.sql
\ir ledger/storage.sql
\ir grants.sql

\ir base/end.sql

-- part 0002.host
\ir base/begin.sql

-- The host that stood here before: its history, and a foreign key to its sessions.
\ir host/backfill.sql
\ir host/history.sql
\ir host/hashes.sql
\ir host/reconcile.sql
\ir host/link.sql
\ir grants.sql

\ir base/end.sql

-- part 0003.verify
\ir base/begin.sql

-- Whether an installation is as released, and its rows agree.
\ir verify/installed.sql
\ir verify/verify.sql
\ir verify/rows.sql
\ir verify/server.sql
\ir grants.sql

\ir base/end.sql
