-- migration: which migrations this database has, each written in the migration's own transaction.
create table pgjobs.migration (
    migration_id text not null,
    checksum text not null,
    applied_at timestamptz not null default now(),
    applied_by text not null default session_user,
    constraint migration_migration_id_pkey primary key (migration_id)
);

comment on table pgjobs.migration is
    'The migrations this database has; the runner trusts this table.';
comment on column pgjobs.migration.checksum is
    'SHA-256, in hex, of the file''s text above the line that inserts this row.';
