create function pgjobs.unlink_lab_sessions()
    returns boolean
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
    -- Two locks are waited for at most, one behind the other: a second in all.
    set lock_timeout = '500ms'
as $$
begin
    if not exists (
        select from pg_constraint as link
        where link.conrelid = 'pgjobs.lab_attempt'::regclass
            and link.conname = 'lab_attempt_session_id_fkey'
    ) then
        return false;
    end if;
    alter table pgjobs.lab_attempt drop constraint lab_attempt_session_id_fkey;
    return true;
end
$$;
comment on function pgjobs.unlink_lab_sessions is
    'Drops the foreign key of link_lab_sessions and answers whether there was one. Errors: 55P03 '
    'after half a second of waiting for a lock.';
