-- fingerprint: the objects of this version, each with its state and the digests that its definition
-- may have: one, or one per form in which majors of PostgreSQL write it. The migrations write the
-- rows, which .ci/write_fingerprints.py computes; verify() holds them against the view _installed.
create table pgjobs.fingerprint (
    migration_id text not null,
    object text collate "C" not null,
    state text collate "C" not null,
    digest text collate "C" not null,
    constraint fingerprint_object_digest_pkey primary key (object, digest)
);

comment on table pgjobs.fingerprint is 'The objects of this version, as published.';
comment on column pgjobs.fingerprint.migration_id is 'The migration that brings it.';
comment on column pgjobs.fingerprint.object is 'Kind and name, as the view _installed says them.';
comment on column pgjobs.fingerprint.state is 'Such as present, or always on.';
comment on column pgjobs.fingerprint.digest is
    'Half of the SHA-256, in hex, of the definition without the word pgjobs.';
comment on constraint fingerprint_object_digest_pkey on pgjobs.fingerprint is
    'A definition is published once.';
