"""Amendments: another word on a verdict that stands, and the effective status."""

from typing import Any

from tests.calls import DECISION, amend, finish
from tests.helpers import Connection, call, claim, complete, enqueue, job, refused, rows


def is_passed(conn: Connection, commit_sha: str) -> Any:
    [[passed]] = call(conn, "is_passed", commit_sha=commit_sha)
    return passed


def test_an_amendment_stands_beside_the_verdict(conn: Connection) -> None:
    run = finish(conn, "FAILED")
    before = rows(conn, "select xmin::text, * from pgjobs.verdict")
    answer = amend(conn, run.job_id, "PASSED", lab_version="2")
    assert answer[1:3] == (run.job_id, "PASSED")
    assert rows(conn, "select xmin::text, * from pgjobs.verdict") == before
    [shown] = rows(conn, "select * from pgjobs.verification_amendment")
    assert shown == (
        *(answer.amendment_id, run.job_id, 1, "PASSED", "2", *DECISION.values()),
        *("postgres", None, answer.amended_at),
    )


def test_the_last_amendment_is_the_effective_status(conn: Connection) -> None:
    run = finish(conn, "FAILED")
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
