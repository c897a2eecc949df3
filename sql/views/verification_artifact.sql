-- verification_artifact: all of an artifact but its bytes, which read_artifact answers.
create view pgjobs.verification_artifact as
select
    artifact.artifact_id,
    artifact.job_id,
    artifact.run_no::integer as run_no,
    artifact.kind,
    artifact.name,
    artifact.sha256,
    artifact.size_bytes,
    artifact.media_type,
    artifact.location,
    artifact.truncated,
    artifact.created_at,
    expiry.expired_at
from pgjobs.artifact as artifact
left join pgjobs.expiry as expiry on expiry.kind = 'BODY' and expiry.id = artifact.body_id;

comment on view pgjobs.verification_artifact is
    'Every artifact of every run; expired_at: when its bytes were dropped. Read-only.';

create trigger verification_artifact_read_only instead of insert or update or delete
    on pgjobs.verification_artifact for each row execute function pgjobs._guard_ledger();
comment on trigger verification_artifact_read_only on pgjobs.verification_artifact is
    'Refuses INSERT, UPDATE and DELETE with 23V01.';
