-- The life of two jobs, told by psql; lifecycle.sql.out is what it answers in a new installation.
-- All of it is undone at the end, so it can be run again; refusals are part of the story:
--   psql -X -q -a postgresql://localhost/lab < examples/lifecycle.sql
\pset format unaligned
\set VERBOSITY sqlstate
\set ON_ERROR_ROLLBACK on
begin;

-- The job of a commit is made once; nobody else gets the commit.
select job_id, attempt_id, status, created from pgjobs.enqueue(
    session_id => '5e55a0e1-0000-4000-8000-000000000001', lab_version => '1.4',
    commit_sha => '2fd4e1c67a2d28fced849ee1bb76e7391b93eb12');
select job_id, attempt_id, status, created from pgjobs.enqueue(
    session_id => '5e55a0e1-0000-4000-8000-000000000001', lab_version => '1.4',
    commit_sha => '2fd4e1c67a2d28fced849ee1bb76e7391b93eb12');
select job_id from pgjobs.enqueue(
    session_id => '5e55a0e1-0000-4000-8000-000000000002', lab_version => '1.4',
    commit_sha => '2fd4e1c67a2d28fced849ee1bb76e7391b93eb12');

-- A worker claims it, keeps its lease, and writes the verdict; again is no other verdict.
select job_id, commit_sha, run_no, payload, lease_token from pgjobs.claim(worker => 'w1') \gset
\echo :job_id :commit_sha :run_no
select expires_at > clock_timestamp() as extended
from pgjobs.heartbeat(:job_id, :'lease_token') as expires_at;
select job_id, status, replayed
from pgjobs.complete(:job_id, :'lease_token', 'PASSED', '{"tests": 12}');
select job_id, status, replayed
from pgjobs.complete(:job_id, :'lease_token', 'PASSED', '{"tests": 12}');
select job_id from pgjobs.complete(:job_id, :'lease_token', 'FAILED');

-- A run that infrastructure ended gives the job back, and its token is worth nothing.
select job_id, attempt_id, status, created from pgjobs.enqueue(
    session_id => '5e55a0e1-0000-4000-8000-000000000001', lab_version => '1.4',
    commit_sha => 'de9f2c7fd25e1b3afad3e85a0bd17d9b100db4b3', delivery_id => '72d3162e',
    changed_files => '{src/a.py}', payload => '{"steps": ["test"]}');
select job_id, run_no, payload, lease_token from pgjobs.claim(worker => 'w1') \gset
\echo :job_id :run_no :payload
select job_id, status, run_no from pgjobs.release(:job_id, :'lease_token', 'disk full');
select expires_at from pgjobs.heartbeat(:job_id, :'lease_token') as expires_at;

-- An operator ends what is not wanted any more; that is ERROR, never the learner's FAILED.
select job_id, status from pgjobs.cancel(:job_id, 'superseded', actor => 'ann');
select job_id, status, error_reason, worker
from pgjobs.get_job('de9f2c7fd25e1b3afad3e85a0bd17d9b100db4b3');
select job_id, status, run_no, worker, summary, error_reason
from pgjobs.verification_job where commit_sha = '2fd4e1c67a2d28fced849ee1bb76e7391b93eb12';
select delivery_id, changed_files, author
from pgjobs.verification_attempt where commit_sha = 'de9f2c7fd25e1b3afad3e85a0bd17d9b100db4b3';

-- A job stands or falls with the host's own row.
savepoint push;
create table push (commit_sha text primary key);
insert into push values ('cccccccccccccccccccccccccccccccccccccccc');
select created from pgjobs.enqueue(
    session_id => '5e55a0e1-0000-4000-8000-000000000002', lab_version => '1.4',
    commit_sha => 'cccccccccccccccccccccccccccccccccccccccc');
rollback to push;
select count(*) from pgjobs.get_job('cccccccccccccccccccccccccccccccccccccccc');
rollback;
