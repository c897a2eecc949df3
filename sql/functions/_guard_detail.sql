-- The guard of the tables beside the ledger, whose rows may go but never change: a DELETE passes
-- when the row's expiry is on record. The argument is the kind of expiry.
create function pgjobs._guard_detail()
    returns trigger
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_id bigint;
begin
    if tg_op = 'DELETE' then
        if tg_argv[0] = 'BODY' then
            v_id := old.body_id;
        elsif tg_argv[0] = 'ATTEMPT' then
            v_id := old.attempt_id;
        elsif tg_argv[0] = 'REVIEW' then
            v_id := old.review_id;
        else
            v_id := old.job_id;
        end if;
        if exists (
            select from pgjobs.expiry as expiry
            where expiry.kind = tg_argv[0] and expiry.id = v_id
        ) then
            return old;
        end if;
    end if;
    raise exception '% of pgjobs.% refused: only what has expired goes, and nothing changes',
        lower(tg_op), tg_table_name
        using errcode = '23V01',
              schema = tg_table_schema,
              table = tg_table_name,
              constraint = tg_name,
              hint = 'Retention is expire_artifacts and expire_details.';
end
$$;
comment on function pgjobs._guard_detail is
    'Trigger: refuses every UPDATE of a detail row, and every DELETE whose expiry is not on '
    'record, with 23V01.';
