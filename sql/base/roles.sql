-- Roles: six group roles without login. They belong to the whole cluster: created if absent, never
-- dropped. pgjobs_owner owns every object, so that no login does; the rest of the installation runs
-- as that role. Where the installing role may not create roles, it becomes the owner itself;
-- grants.sql says what is then left to do by hand.
do $$
declare
    v_role text;
begin
    if coalesce(current_setting('pgjobs.former_role', true), '') = '' then
        raise exception 'what follows must be one transaction, and is not'
            using errcode = '25P01', hint = 'psql -1 -v ON_ERROR_STOP=1 -f ...';
    end if;
    if getdatabaseencoding() <> 'UTF8' then
        raise exception 'the database must be encoded in UTF8, not in %', getdatabaseencoding()
            using errcode = '0A000',
                  hint = 'create database lab encoding ''UTF8'' template template0';
    end if;
    if exists (
        select from pg_depend as part
        where part.refclassid = 'pg_namespace'::regclass
            and part.refobjid = to_regnamespace('pgjobs')
            and part.classid <> 'pg_default_acl'::regclass
    ) then
        raise exception 'there is a schema pgjobs, and it is not empty'
            using errcode = '42P06', hint = 'select * from pgjobs.migration says what it has.';
    end if;
    if exists (
        select from pg_shdepend as use
        join pg_database as other on other.oid = use.dbid and other.datname <> current_database()
        where use.refclassid = 'pg_authid'::regclass
            and use.refobjid in (to_regrole('pgjobs_app'), to_regrole('pgjobs_worker'))
    ) then
        raise notice 'another database of this cluster has an installation with the same roles'
            using hint = 'Whoever is granted one of them may call both, where he may connect: '
                         'grant CONNECT to logins, not to the group roles (docs/security.md).';
    end if;

    -- An empty schema that was made beforehand is taken as it is, but not from a superuser.
    perform set_config('role', current_setting('pgjobs.former_role'), true);
    if (select rolsuper or rolcreaterole from pg_roles where rolname = current_user) then
        begin
            foreach v_role in array array[
                'owner', 'app', 'worker', 'reader', 'operator', 'approver'
            ] loop
                if to_regrole('pgjobs_' || v_role) is null then
                    execute format('create role pgjobs_%s nologin', v_role);
                end if;
            end loop;
            if not pg_has_role(
                'pgjobs_owner',
                case when current_setting('server_version_num')::integer < 160000
                    then 'MEMBER' else 'SET' end
            ) then
                grant pgjobs_owner to current_user;
            end if;
            if to_regnamespace('pgjobs') is null then
                create schema pgjobs authorization pgjobs_owner;
            end if;
            alter schema pgjobs owner to pgjobs_owner;
            perform set_config('role', 'pgjobs_owner', true);
            return;
        exception
            when insufficient_privilege then
                raise notice 'role % may not act for the existing role pgjobs_owner', current_user
                    using hint = 'It becomes the owner of everything itself. If it should not: '
                                 'grant pgjobs_owner to it first.';
        end;
    end if;

    if to_regnamespace('pgjobs') is null then
        create schema pgjobs;
    end if;
    perform set_config('role', pg_get_userbyid(namespace.nspowner), true)
    from pg_namespace as namespace
    where namespace.nspname = 'pgjobs';
end
$$;

comment on schema pgjobs is
    'Verification jobs: one per commit for ever, one verdict per job, never changed. See '
    'docs/reference.md.';
