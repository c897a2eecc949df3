-- What verify() finds wrong with rows. Each check is one statement that reads a table a fixed
-- number of times; of many rows with the same fault the first 100 are named.

create function pgjobs._verify_open_jobs()
    returns setof pgjobs.finding
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
declare
    c_most constant integer := 100;
    c_hint constant text := 'Stop the workers, and find out who wrote to the tables.';
begin
    return query
    -- Every place of a job or a review.
    with place (name, session_id, job_id, review_id) as materialized (
        select 'ready', ready.session_id, ready.job_id, ready.review_id
        from pgjobs.ready as ready
        union all
        select 'leased', lease.session_id, lease.job_id, lease.review_id
        from pgjobs.lease as lease
        union all
        select
            'waiting', waiting.session_id, coalesce(waiting.reviewed_job_id, waiting.turn_no),
            case when waiting.reviewed_job_id is not null then waiting.turn_no end
        from pgjobs.waiting as waiting
    ),
    finding (object, finding) as (
        (
            select
                'session ' || coalesce(lane.session_id, counted.session_id),
                case
                    when counted.heads > 1 then format('has %s heads', counted.heads)
                    when lane.open_jobs is distinct from coalesce(counted.jobs, 0)
                        then format(
                            'counts %s open jobs, has %s, %s of them head',
                            coalesce(lane.open_jobs, 0), coalesce(counted.jobs, 0),
                            coalesce(counted.heads, 0)
                        )
                    else format(
                        'has job %s as its head, which is %s', lane.head_job_id,
                        coalesce('job ' || counted.head_job_id, 'neither ready nor leased')
                    )
                end
            from pgjobs.lane as lane
            full join (
                select
                    place.session_id, count(*) as jobs,
                    count(*) filter (where place.name <> 'waiting') as heads,
                    min(place.job_id) filter (where place.name <> 'waiting') as head_job_id
                from place
                group by place.session_id
            ) as counted on counted.session_id = lane.session_id
            where (lane.open_jobs::bigint, 1::bigint, lane.head_job_id)
                is distinct from (counted.jobs, counted.heads, counted.head_job_id)
            limit c_most
        )
        union all
        (
            select
                'job ' || place.job_id,
                'is ' || place.name || case
                    when job.job_id is null then ', but there is no such job'
                    when job.session_id <> place.session_id then ' of another session'
                    when place.review_id is null then ', although it has its verdict'
                    else ' for a review that is not open'
                end
            from place
            left join pgjobs.job as job on job.job_id = place.job_id
            left join pgjobs.verdict as verdict on verdict.job_id = place.job_id
            left join pgjobs.review as review
                on review.review_id = place.review_id and review.job_id = place.job_id
            left join pgjobs.review_result as result on result.review_id = place.review_id
            where job.session_id is distinct from place.session_id
                or case
                    when place.review_id is null then verdict.job_id is not null
                    else review.review_id is null or result.review_id is not null
                end
            limit c_most
        )
        union all
        (
            select 'job ' || job.job_id, 'is open, but neither ready, leased nor waiting'
            from pgjobs.job as job
            where not exists (
                select from pgjobs.verdict as verdict where verdict.job_id = job.job_id
            )
                and not exists (
                    select from place
                    where place.job_id = job.job_id and place.session_id = job.session_id
                        and place.review_id is null
                )
            limit c_most
        )
        union all
        (
            select 'review ' || review.review_id, 'is open, but neither ready, leased nor waiting'
            from pgjobs.review as review
            where not exists (
                select from pgjobs.review_result as result
                where result.review_id = review.review_id
            )
                and not exists (
                    select from place
                    where place.job_id = review.job_id and place.review_id = review.review_id
                )
            limit c_most
        )
        union all
        (
            select 'job ' || head.job_id, 'is head, and waits behind itself'
            from place as head
            join place as waiting
                on waiting.session_id = head.session_id and waiting.job_id = head.job_id
                and waiting.review_id is not distinct from head.review_id
            where head.name <> 'waiting' and waiting.name = 'waiting'
            limit c_most
        )
    )
    select 'error', finding.object, finding.finding, c_hint from finding;
end
$$;
comment on function pgjobs._verify_open_jobs is
    'Open jobs and reviews that are not in exactly one place, finished ones that are in any, and '
    'lanes that count wrong.';


-- The one place that reads what a foreign key says instead of trusting it: rows can be written past
-- it, with its triggers switched off.
create function pgjobs._verify_ledger()
    returns setof pgjobs.finding
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
declare
    c_most constant integer := 100;
    v_key record;
    v_orphans bigint;
    v_next bigint[];
    v_highest bigint[];
begin
    for v_key in
        select
            key.conname, key.convalidated, key.conrelid::regclass as child,
            key.confrelid::regclass as parent,
            bool_and(has_column_privilege(key.confrelid, pair.theirs, 'select'))
                and not row_security_active(key.confrelid) as is_readable,
            string_agg(
                format('child.%I = parent.%I', own.attname, theirs.attname), ' and '
            ) as matches,
            string_agg(format('child.%I is not null', own.attname), ' and ') as is_given
        from pg_constraint as key
        cross join lateral unnest(key.conkey, key.confkey) as pair (own, theirs)
        join pg_attribute as own on own.attrelid = key.conrelid and own.attnum = pair.own
        join pg_attribute as theirs
            on theirs.attrelid = key.confrelid and theirs.attnum = pair.theirs
        where key.connamespace = 'pgjobs'::regnamespace and key.contype = 'f'
        group by key.oid
        order by key.conname
    loop
        if not v_key.is_readable then
            return query
            select
                'warning', 'constraint ' || v_key.conname,
                'cannot be checked: ' || v_key.parent || ' is not readable for the owner',
                format('grant select on %s to %s', v_key.parent, current_user);
            continue;
        end if;
        execute format(
            'select count(*) from %s as child where %s'
            ' and not exists (select from %s as parent where %s)',
            v_key.child, v_key.is_given, v_key.parent, v_key.matches
        ) into v_orphans;
        if v_orphans > 0 then
            return query
            select
                case when v_key.convalidated then 'error' else 'warning' end,
                'constraint ' || v_key.conname,
                format('%s rows of %s have no row in %s', v_orphans, v_key.child, v_key.parent),
                case when v_key.convalidated then 'Restore the missing rows from a backup.'
                    else 'The key is not validated: they were there before it.' end;
        end if;
    end loop;

    return query
    with finding (object, finding, hint) as (
        -- Said by keys; counted by sorting the rows, not by asking the index.
        (
            select
                'commit ' || job.commit_sha, 'has ' || count(*) || ' jobs',
                'Its key was not looked at: find out who wrote past it.'
            from pgjobs.job as job
            group by job.commit_sha
            having count(*) > 1
            limit c_most
        )
        union all
        (
            select
                'job ' || verdict.job_id, 'has ' || count(*) || ' verdicts',
                'Its key was not looked at: find out who wrote past it.'
            from pgjobs.verdict as verdict
            group by verdict.job_id
            having count(*) > 1
            limit c_most
        )
        union all
        (
            select
                'amendment ' || amendment.amendment_id, 'does not agree with its verdict',
                'One of the two was changed: compare them with a backup.'
            from pgjobs.amendment as amendment
            join pgjobs.verdict as verdict on verdict.job_id = amendment.job_id
            where (amendment.completed_at, amendment.verdict_status)
                is distinct from (verdict.completed_at, verdict.status)
            limit c_most
        )
        union all
        (
            select
                'job ' || verdict.job_id, 'has expired, but was begun or had time left',
                'Something wrote past the functions: find out who.'
            from pgjobs.verdict as verdict
            join pgjobs.job as job on job.job_id = verdict.job_id
            left join pgjobs.aborted_run as run on run.job_id = verdict.job_id
            left join pgjobs.review as review on review.job_id = verdict.job_id
            where verdict.error_reason = 'EXPIRED'
                and (
                    (verdict.completed_at >= job.start_by) is not true
                    -- The runs of a review come after the verdict.
                    or run.job_id is not null and review.job_id is null
                )
            limit c_most
        )
        union all
        (
            select
                'artifact ' || artifact.artifact_id,
                'its content is gone, and no expiry is on record',
                'Restore the row of pgjobs.body from a backup.'
            from pgjobs.artifact as artifact
            where artifact.body_id is not null
                and not exists (
                    select from pgjobs.body as body where body.body_id = artifact.body_id
                )
                and not exists (
                    select from pgjobs.expiry as expiry
                    where expiry.kind = 'BODY' and expiry.id = artifact.body_id
                )
            limit c_most
        )
    )
    select 'error', finding.object, finding.finding, finding.hint from finding;

    -- Sequences and tables in statements of their own: a cell draws ids on another node.
    v_next := array(
        select sequence.last_value + sequence.is_called::integer
        from pgjobs.lab_attempt_attempt_id_seq as sequence
        union all
        select sequence.last_value + sequence.is_called::integer
        from pgjobs.job_job_id_seq as sequence
        union all
        select sequence.last_value + sequence.is_called::integer
        from pgjobs.amendment_amendment_id_seq as sequence
        union all
        select sequence.last_value + sequence.is_called::integer
        from pgjobs.artifact_artifact_id_seq as sequence
        union all
        select sequence.last_value + sequence.is_called::integer
        from pgjobs.body_body_id_seq as sequence
    );
    v_highest := array[
        (select max(attempt.attempt_id) from pgjobs.lab_attempt as attempt),
        greatest(
            (select max(job.job_id) from pgjobs.job as job),
            (select max(review.review_id) from pgjobs.review as review),
            (select max(ready.ready_no) from pgjobs.ready as ready)
        ),
        (select max(amendment.amendment_id) from pgjobs.amendment as amendment),
        (select max(artifact.artifact_id) from pgjobs.artifact as artifact),
        (select max(artifact.body_id) from pgjobs.artifact as artifact)
    ];
    return query
    select
        'error', 'sequence pgjobs.' || used.name, 'gives ids that are taken',
        format('select setval(%L, %s)', 'pgjobs.' || used.name, used.highest)
    from unnest(
        array[
            'lab_attempt_attempt_id_seq', 'job_job_id_seq', 'amendment_amendment_id_seq',
            'artifact_artifact_id_seq', 'body_body_id_seq'
        ],
        v_next, v_highest
    ) as used (name, next, highest)
    where used.highest >= used.next;
end
$$;
comment on function pgjobs._verify_ledger is
    'Second jobs and verdicts, rows whose foreign key leads nowhere, amendments that do not agree '
    'with their verdict, jobs that expired though they were begun, content that is gone without an '
    'expiry, and sequences that are behind.';
