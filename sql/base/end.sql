-- How every part ends: with the role and the settings that begin.sql has found.
do $$
begin
    perform
        set_config('role', current_setting('pgjobs.former_role'), true),
        set_config('lock_timeout', current_setting('pgjobs.former_lock_timeout'), true),
        set_config('search_path', current_setting('pgjobs.former_search_path'), true);
end
$$;
