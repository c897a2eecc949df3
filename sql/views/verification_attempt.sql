-- verification_attempt: the attempt ledger with its detail where still kept.
create view pgjobs.verification_attempt as
select
    attempt.attempt_id,
    attempt.session_id,
    attempt.commit_sha,
    attempt.delivery_id,
    attempt.recorded_at,
    attempt.pushed_at,
    detail.author,
    detail.branch,
    detail.changed_files
from pgjobs.lab_attempt as attempt
left join pgjobs.attempt_detail as detail using (attempt_id);

comment on view pgjobs.verification_attempt is 'Every pushed commit of every session. Read-only.';

create trigger verification_attempt_read_only instead of insert or update or delete
    on pgjobs.verification_attempt for each row execute function pgjobs._guard_ledger();
comment on trigger verification_attempt_read_only on pgjobs.verification_attempt is
    'Refuses INSERT, UPDATE and DELETE with 23V01.';
