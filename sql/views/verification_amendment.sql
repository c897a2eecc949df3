-- verification_amendment: every word on a verdict that stands.
create view pgjobs.verification_amendment as
select
    amendment.amendment_id,
    amendment.job_id,
    amendment.amendment_no::integer as amendment_no,
    amendment.status,
    amendment.lab_version,
    amendment.reason,
    amendment.actor,
    amendment.approver,
    amendment.ticket,
    amendment.login,
    amendment.review_id,
    amendment.amended_at
from pgjobs.amendment as amendment;

comment on view pgjobs.verification_amendment is
    'Every amendment; the highest amendment_no of a job is its effective status. Read-only.';

create trigger verification_amendment_read_only instead of insert or update or delete
    on pgjobs.verification_amendment for each row execute function pgjobs._guard_ledger();
comment on trigger verification_amendment_read_only on pgjobs.verification_amendment is
    'Refuses INSERT, UPDATE and DELETE with 23V01.';
