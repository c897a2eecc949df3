"""The worker and what stands beside a verdict: artifacts of its runs, and reviews."""

from __future__ import annotations

import psycopg

import forgea_pgjobs as pgjobs
from forgea_pgjobs import Claimed
from forgea_pgjobs.worker import Worker, WorkerCounts
from tests.conftest import Connect
from tests.helpers import call, enqueue, job, rows
from tests.python.workers import passing


def test_a_handler_learns_that_it_judges_again_and_its_answer_amends(
    fresh_dsn: str, connect: Connect
) -> None:
    observer = connect(autocommit=True)
    made = [enqueue(observer).job_id for _ in range(3)]
    assert Worker(fresh_dsn, passing, batch=3).drain() == WorkerCounts(written=3)
    asked = call(
        observer, "reverify", job_ids=made, lab_version="2",
        reason="grader", actor="ann", approver="bob", ticket="T-1",
    )  # fmt: skip
    seen: dict[int, int | None] = {}

    def handler(claimed: Claimed) -> str:
        assert claimed.lab_version == "2"
        seen[claimed.job_id] = claimed.review_id
        return "FAILED"

    assert Worker(fresh_dsn, handler, batch=2).drain() == WorkerCounts(written=3)
    assert seen == {one.job_id: one.review_id for one in asked}
    for job_id in made:
        shown = job(observer, job_id)
        assert (shown.status, shown.effective_status) == ("PASSED", "FAILED")


def test_a_handler_stores_artifacts_on_a_connection_of_its_own(
    fresh_dsn: str, connect: Connect
) -> None:
    observer = connect(autocommit=True)
    enqueue(observer)

    def handler(claimed: Claimed) -> str:
        with psycopg.connect(fresh_dsn) as conn:
            pgjobs.add_artifact(
                conn, job_id=claimed.job_id, lease_token=claimed.lease_token,
                kind="LOG", name="log", content=b"fine",
            )  # fmt: skip
        assert claimed.review_id is None
        return "PASSED"

    assert Worker(fresh_dsn, handler).drain() == WorkerCounts(written=1)
    [stored] = rows(observer, "select * from pgjobs.verification_artifact")
    assert pgjobs.read_artifact(observer, artifact_id=stored.artifact_id) == b"fine"
