create function pgjobs.expire_details(
    older_than interval,
    kinds text[] default '{ATTEMPT,SUMMARY,PAYLOAD}',
    max_rows integer default 1000,
    dry_run boolean default true
)
    returns setof pgjobs.details_expired
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_checked boolean;
    v_before timestamptz;
    v_kind text;
    v_table text;
    v_ids bigint[];
    v_details integer;
begin
    v_checked := (kinds is not null or pgjobs._refuse_null('expire_details', 'kinds'))
        and (
            (kinds <@ '{ATTEMPT,SUMMARY,PAYLOAD}' and cardinality(kinds) between 1 and 3) is true
            or pgjobs._refuse_argument(
                'expire_details', 'kinds', kinds::text, 'some of ATTEMPT, SUMMARY, PAYLOAD'
            )
        );
    v_before := pgjobs._check_expiry('expire_details', older_than, max_rows, dry_run);
    for v_kind in select distinct kind from unnest(kinds) as kind order by kind loop
        v_details := 0;
        -- Summaries lie beside the verdict and beside the answer of a review.
        for v_table in
            select part
            from unnest(case v_kind when 'SUMMARY' then '{SUMMARY,REVIEW}' else array[v_kind] end)
                as part
        loop
            v_ids := pgjobs._old_details(v_table, v_before, max_rows - v_details);
            v_details := v_details
                + case when dry_run then cardinality(v_ids) else pgjobs._expire(v_table, v_ids) end;
        end loop;
        return query select v_kind, v_details::bigint;
    end loop;
end
$$;
comment on function pgjobs.expire_details is
    'Drops up to max_rows (1 … 10,000) rows of each kind that are older than older_than (0 s … 50 '
    'years) and of finished jobs: ATTEMPT (author, branch, changed files), SUMMARY, PAYLOAD; the '
    'ledger keeps their hash. A dry run counts the same. Errors: 22023, 22004, 25000.';
