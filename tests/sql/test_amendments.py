"""Amendments: another word on a verdict that stands, and the effective status."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from pytest_postgresql.executors import NoopExecutor

from tests.conftest import Postgres
from tests.helpers import Connection, buffers, call, claim, complete, enqueue, job, refused, rows

DECISION = {"reason": "r", "actor": "a", "approver": "b", "ticket": "t"}
# 200,000 verdicts, a thousand of them amended; of a hundred of those an amendment is replaced.
FILL = """
create temp table plan as
select
    number, gen_random_uuid() as session_id, lpad(to_hex(number), 40, '0') as sha,
    now() - (200000 - number) * interval '1 second' as at,
    case when number % 1000 = 0 then 'ERROR' when number % 3 = 0 then 'FAILED' else 'PASSED' end
        as status
from generate_series(1, 200000) as number;
insert into pgjobs.lab_attempt (attempt_id, session_id, commit_sha, recorded_at)
overriding system value select number, session_id, sha, at from plan;
insert into pgjobs.job (
    job_id, session_id, commit_sha, lab_version, priority, max_runs, created_at
) overriding system value select number, session_id, sha, '1', 2, 3, at from plan;
insert into pgjobs.verdict (
    job_id, completed_at, started_at, lease_token, run_no, status, worker, error_reason
) select number, at, at, gen_random_uuid(), 1, status, 'w',
    case status when 'ERROR' then 'REPORTED' end from plan;
insert into pgjobs.amendment (
    job_id, completed_at, amended_at, amendment_no, verdict_status, status, reason, actor,
    approver, ticket, login
)
select number, at, now(), amendment_no, status,
    (array['PASSED', 'FAILED', 'ERROR'])[1 + (number / 200 + amendment_no) % 3],
    'r', 'a', 'b', 't', 'l'
from plan, generate_series(1, 2) as amendment_no
where number % 200 in (0, 7, 11) and (amendment_no = 1 or number % 2000 = 7)
order by number limit 1000
"""
NEWEST = """
select job_id from pgjobs.verification_verdict
where {} = '{}' order by completed_at desc limit 50
"""
EXPECTED = """
select verdict.job_id from pgjobs.verdict
where coalesce(
    (
        select amendment.status from pgjobs.amendment where {}
            and amendment.job_id = verdict.job_id order by amendment_no desc limit 1
    ),
    verdict.status
) = '{}'
order by completed_at desc limit 50
"""


def finish(conn: Connection, status: str = "FAILED") -> Any:
    enqueue(conn)
    run = claim(conn)
    complete(conn, run, status)
    return run


def amend(conn: Connection, job_id: int, status: str, **arguments: Any) -> Any:
    [answer] = call(conn, "amend", **{"job_id": job_id, "status": status, **DECISION, **arguments})
    return answer


def is_passed(conn: Connection, commit_sha: str) -> Any:
    [[passed]] = call(conn, "is_passed", commit_sha=commit_sha)
    return passed


def test_an_amendment_stands_beside_the_verdict(conn: Connection) -> None:
    run = finish(conn)
    before = rows(conn, "select xmin::text, * from pgjobs.verdict")
    answer = amend(conn, run.job_id, "PASSED", lab_version="2")
    assert answer[1:3] == (run.job_id, "PASSED")
    assert rows(conn, "select xmin::text, * from pgjobs.verdict") == before
    [shown] = rows(conn, "select * from pgjobs.verification_amendment")
    assert shown == (
        *(answer.amendment_id, run.job_id, 1, "PASSED", "2", "r", "a", "b", "t"),
        *("postgres", None, answer.amended_at),
    )


def test_the_last_amendment_is_the_effective_status(conn: Connection) -> None:
    run = finish(conn)
    assert is_passed(conn, run.commit_sha) is False
    for number, status in enumerate(["PASSED", "ERROR", "PASSED", "FAILED"], start=1):
        answer = amend(conn, run.job_id, status)
        assert answer.effective_status == status
        assert is_passed(conn, run.commit_sha) is (status == "PASSED")
        for shown in (
            job(conn, run.job_id),
            *call(conn, "get_job", commit_sha=run.commit_sha),
            *rows(conn, "select * from pgjobs.verification_verdict"),
        ):
            assert (shown.status, shown.effective_status) == ("FAILED", status)
            assert shown.amended_at == answer.amended_at
        numbers = rows(conn, "select amendment_no from pgjobs.verification_amendment order by 1")
        assert numbers == [(each,) for each in range(1, number + 1)]


def test_without_an_amendment_the_status_is_effective(conn: Connection) -> None:
    queued = enqueue(conn)
    for effective in ("QUEUED", "RUNNING", "PASSED"):
        if effective == "RUNNING":
            run = claim(conn)
        elif effective == "PASSED":
            complete(conn, run)
        shown = job(conn, queued.job_id)
        assert (shown.status, shown.effective_status) == (effective, effective)
        assert shown.amended_at is None
        assert call(conn, "get_job", commit_sha=shown.commit_sha) == [shown]
        assert is_passed(conn, shown.commit_sha) is (effective == "PASSED")
    assert is_passed(conn, "ab" * 20) is False


def test_only_a_verdict_is_amended(conn: Connection) -> None:
    queued = enqueue(conn)
    with refused("23V07", "amendment_job_id_fkey"), conn.transaction():
        amend(conn, queued.job_id, "PASSED")
    with refused("P0002", "job_job_id_pkey"), conn.transaction():
        amend(conn, 0, "PASSED")
    assert rows(conn, "select from pgjobs.amendment") == []


@pytest.fixture(scope="module")
def large(pg: Postgres, installed: NoopExecutor) -> Iterator[Connection]:
    with (
        pg.database(installed.template_dbname) as dsn,
        psycopg.connect(dsn, autocommit=True) as conn,
    ):
        conn.execute(FILL.encode())
        conn.execute("vacuum analyze")
        yield conn


@pytest.mark.parametrize("status", ["PASSED", "FAILED", "ERROR"])
@pytest.mark.parametrize(("column", "counts"), [("effective_status", "true"), ("status", "false")])
def test_the_newest_50_of_a_status_are_read_from_two_indexes(
    large: Connection, column: str, counts: str, status: str
) -> None:
    query = NEWEST.format(column, status)
    assert rows(large, query) == rows(large, EXPECTED.format(counts, status))
    plan = "\n".join(line for (line,) in rows(large, f"explain {query}"))
    assert "verdict_status_completed_at_idx" in plan
    assert "Seq Scan" not in plan
    assert buffers(large, query)[1] <= 800
