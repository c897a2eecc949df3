-- Roles: five group roles without login. They belong to the whole cluster: created if absent, never
-- dropped. pgjobs_owner owns every object, so that no login does; the rest of the installation runs
-- as that role until the transaction ends. Where the installing role may not create roles, it
-- becomes the owner itself; grants.sql says what is then left to do by hand.
set local lock_timeout = '500ms';
-- Names below mean PostgreSQL's own, whatever stands in the installing session's path.
set local search_path = pg_catalog, pg_temp;

do $$
begin
    if getdatabaseencoding() <> 'UTF8' then
        raise exception 'the database must be encoded in UTF8, not in %', getdatabaseencoding()
            using errcode = '0A000',
                  hint = 'Create it with: create database … encoding ''UTF8'' template template0.';
    end if;

    if (select rolsuper or rolcreaterole from pg_roles where rolname = current_user) then
        begin
            if to_regrole('pgjobs_owner') is null then
                create role pgjobs_owner nologin;
            end if;
            if to_regrole('pgjobs_app') is null then
                create role pgjobs_app nologin;
            end if;
            if to_regrole('pgjobs_worker') is null then
                create role pgjobs_worker nologin;
            end if;
            if to_regrole('pgjobs_reader') is null then
                create role pgjobs_reader nologin;
            end if;
            if to_regrole('pgjobs_operator') is null then
                create role pgjobs_operator nologin;
            end if;
            if not (select rolsuper from pg_roles where rolname = current_user) then
                grant pgjobs_owner to current_user;
            end if;
            create schema pgjobs authorization pgjobs_owner;
            perform set_config('role', 'pgjobs_owner', true);
            return;
        exception
            when insufficient_privilege then
                raise notice 'role % may not act for the existing role pgjobs_owner', current_user;
        end;
    end if;

    create schema pgjobs;
end
$$;

comment on schema pgjobs is
    'Verification jobs: one per commit for ever, one verdict per job, never changed. See '
    'docs/reference.md.';
