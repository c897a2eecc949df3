-- expiry: which body or detail row was dropped, when and by which login. Guarantees: one per row
-- (expiry_kind_id_pkey), no change ever (the guards). A row beside the ledger may be deleted only
-- when it stands here (_guard_detail).
create table pgjobs.expiry (
    id bigint not null,
    expired_at timestamptz not null,
    kind text collate "C" not null,
    login text collate "C" not null,
    constraint expiry_kind_id_pkey primary key (kind, id),
    constraint expiry_kind_check check (
        kind in ('BODY', 'ATTEMPT', 'PAYLOAD', 'SUMMARY', 'REVIEW')
    )
) with (
    vacuum_truncate = off,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_freeze_min_age = 0
);

comment on table pgjobs.expiry is
    'Ledger: which body or detail row was dropped.';
comment on column pgjobs.expiry.id is 'body_id, attempt_id, job_id, job_id or review_id, by kind.';
comment on column pgjobs.expiry.expired_at is 'When, on the database clock.';
comment on column pgjobs.expiry.kind is
    'BODY, ATTEMPT, PAYLOAD, SUMMARY or REVIEW (a review''s summary).';
comment on column pgjobs.expiry.login is 'The database login, session_user.';
comment on constraint expiry_kind_id_pkey on pgjobs.expiry is 'A row expires once.';
comment on constraint expiry_kind_check on pgjobs.expiry is 'The five tables beside the ledger.';

create trigger expiry_append_only before update or delete on pgjobs.expiry
    for each row execute function pgjobs._guard_ledger();
create trigger expiry_no_truncate before truncate on pgjobs.expiry
    for each statement execute function pgjobs._guard_ledger();
alter table pgjobs.expiry enable always trigger expiry_append_only;
alter table pgjobs.expiry enable always trigger expiry_no_truncate;
comment on trigger expiry_append_only on pgjobs.expiry is 'Refuses UPDATE and DELETE with 23V01.';
comment on trigger expiry_no_truncate on pgjobs.expiry is 'Refuses TRUNCATE with 23V01.';
