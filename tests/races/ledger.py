"""What must hold in every committed state, whoever raced before, and how a queue is emptied."""

from typing import Any
from uuid import UUID

from tests.helpers import Connection, rows

# One row per broken rule. Asked of some sessions only, it reads nothing of the others.
VIOLATIONS = """
with place as (
    select session_id, job_id, review_id, run_no, 'head' as name from pgjobs.ready
    where %(session_ids)s::uuid[] is null or session_id = any(%(session_ids)s)
    union all
    select session_id, job_id, review_id, run_no, 'head' from pgjobs.lease
    where %(session_ids)s::uuid[] is null or session_id = any(%(session_ids)s)
    union all
    select
        session_id, coalesce(reviewed_job_id, turn_no),
        case when reviewed_job_id is not null then turn_no end, 0, 'waiting'
    from pgjobs.waiting
    where %(session_ids)s::uuid[] is null or session_id = any(%(session_ids)s)
),
lane as (
    select session_id, head_job_id, open_jobs from pgjobs.lane
    where %(session_ids)s::uuid[] is null or session_id = any(%(session_ids)s)
),
taken as (
    select
        job_id,
        count(*) filter (where review_id is null) as places,
        array_agg(review_id) filter (where review_id is not null) as reviews,
        max(run_no) filter (where name = 'head') as run_no
    from place group by job_id
),
standing as (
    select
        job.job_id,
        coalesce(taken.places, 0) as places,
        coalesce(taken.reviews, '{}') as reviews,
        array(
            select review.review_id from pgjobs.review
            where review.job_id = job.job_id
                and not exists (
                    select from pgjobs.review_result as result
                    where result.review_id = review.review_id
                )
        ) as open_reviews,
        (select count(*) from pgjobs.verdict where verdict.job_id = job.job_id) as verdicts,
        (
            select array_agg(run.run_no order by run.run_no)
            from pgjobs.verification_run as run where run.job_id = job.job_id
        ) as runs,
        greatest(
            taken.run_no,
            (select run_no from pgjobs.verdict where verdict.job_id = job.job_id),
            (select max(run_no) from pgjobs.review_result as r where r.job_id = job.job_id),
            0
        ) as run_no
    from pgjobs.job left join taken using (job_id)
    where %(session_ids)s::uuid[] is null or job.session_id = any(%(session_ids)s)
),
occupied as (
    select
        session_id,
        count(*) as jobs,
        count(*) filter (where name = 'head') as heads,
        max(job_id) filter (where name = 'head') as head_job_id
    from place group by session_id
)
select 'a job has one verdict or one place' as rule, job_id::text as subject from standing
where places + verdicts <> 1
union all
select 'an open review has one place, behind a verdict', job_id::text from standing
where reviews <> open_reviews or cardinality(reviews) > verdicts
union all
select 'an answer is an amendment', review_id::text
from pgjobs.review_result as result
left join pgjobs.amendment as amendment using (review_id)
where case when result.outcome in ('PASSED', 'FAILED', 'ERROR')
    then amendment.status is distinct from result.outcome
    else amendment.status is not null
end
union all
select 'each run of a job is on record once', job_id::text from standing
where runs is distinct from (
    select array_agg(number) from generate_series(1, standing.run_no) as number
)
union all
select 'a place belongs to a job', job_id::text from place
where not exists (select from pgjobs.job where job.job_id = place.job_id
    and job.session_id = place.session_id)
union all
select 'a lane names its one head and counts its jobs', session_id::text
from lane full join occupied using (session_id)
where (occupied.heads, occupied.head_job_id, occupied.jobs)
    is distinct from (1, lane.head_job_id, lane.open_jobs::bigint)
"""

# Time passes whenever nothing is claimable, so that neither a delay nor somebody's lease holds a
# job back. It is a function so that a connection which drains again and again has its plans.
DRAIN = """
create function pg_temp.drain() returns void language plpgsql as $$
declare
    v_has_passed boolean := false;
begin
    loop
        perform pgjobs.complete(run.job_id, run.lease_token, 'PASSED')
        from pgjobs.claim('drain', 1000) as run;
        exit when not found and v_has_passed;
        v_has_passed := not found;
        continue when not v_has_passed;
        perform setval('pgjobs.swept_at', 0);
        update pgjobs.ready set available_at = available_at - interval '1 day';
        update pgjobs.lease set lease_expires_at = lease_expires_at - interval '1 day';
    end loop;
end
$$
"""


def violations(conn: Connection, session_ids: list[UUID] | None = None) -> list[Any]:
    """Return the rules that the committed state breaks, of these sessions or of all."""
    return rows(conn, VIOLATIONS, session_ids=session_ids)


def drain(conn: Connection) -> None:
    """Claim and complete until nothing is claimable; whatever is then still open is stuck."""
    if rows(conn, "select to_regproc('pg_temp.drain') is null as is_missing")[0].is_missing:
        conn.execute(DRAIN.encode())
    conn.execute("select pg_temp.drain()")


def open_places(conn: Connection) -> int:
    """Return how many rows the hot tables hold."""
    [row] = rows(
        conn,
        "select (select count(*) from pgjobs.lane) + (select count(*) from pgjobs.ready)"
        " + (select count(*) from pgjobs.lease) + (select count(*) from pgjobs.waiting) as places",
    )
    return int(row.places)
