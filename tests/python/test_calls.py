"""The calls work on whatever connection the caller has, and leave its transaction alone."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import dict_row, namedtuple_row, scalar_row

import forgea_pgjobs as pgjobs
from forgea_pgjobs import JobStatus, Outcome, ReviewOutcome
from tests.conftest import Connect
from tests.helpers import Connection, rows, sha

AnyConnection = psycopg.Connection[Any]

SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "autocommit": {"autocommit": True},
    "never prepared": {"prepare_threshold": None},
    "always prepared": {"prepare_threshold": 0},
    "rows as dicts": {"row_factory": dict_row},
    "rows as named tuples": {"row_factory": namedtuple_row},
    "rows as scalars": {"row_factory": scalar_row},
    "client cursors": {"cursor_factory": psycopg.ClientCursor},
    "raw cursors": {"cursor_factory": psycopg.RawCursor},
}


def every_call(conn: AnyConnection) -> None:
    """Make every call once, with every argument, and look at the answers."""
    session, other, commit = uuid4(), uuid4(), sha()
    push: dict[str, Any] = {
        "author": "Ann",
        "branch": "main",
        "changed_files": ("a.py", "b c.py"),
        "pushed_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    recorded = pgjobs.record_attempt(
        conn, session_id=session, commit_sha=commit, delivery_id="d", **push
    )
    made = pgjobs.enqueue(
        conn,
        session_id=session,
        commit_sha=commit,
        lab_version="1",
        delivery_id="d",
        priority=1,
        available_at=datetime.now(UTC),
        max_runs=1,
        payload=["lint", {"steps": None}],
        **push,
    )
    assert made == pgjobs.Enqueued(made.job_id, recorded.attempt_id, JobStatus.QUEUED, True)
    again, new = pgjobs.enqueue_many(
        conn,
        session_ids=(session, other),
        commit_shas=(commit, sha()),
        lab_versions=("1", "1"),
        delivery_ids=(None, "d"),
        payloads=(None, {"é": 1}),
    )
    assert (again.job_id, again.created, new.created) == (made.job_id, False, True)

    before = datetime.now(UTC)
    first, second = pgjobs.claim(conn, worker="w", max_jobs=2, lease_for=timedelta(hours=1))
    assert (first.job_id, first.payload, second.payload) == (
        made.job_id,
        ["lint", {"steps": None}],
        {"é": 1},
    )
    assert first.lease_expires_at - before > timedelta(minutes=59)
    lease: dict[str, Any] = {"job_id": first.job_id, "lease_token": first.lease_token}
    expires_at = pgjobs.heartbeat(conn, **lease, lease_for=timedelta(seconds=90))
    assert timedelta(seconds=80) < expires_at - before < timedelta(minutes=59)

    log = pgjobs.add_artifact(
        conn, **lease, kind="LOG", name="log", content=b"\0\xff", media_type="text/plain"
    )
    assert (log.sha256, log.size_bytes, log.created) == (sha256(b"\0\xff").digest(), 2, True)
    elsewhere = pgjobs.add_artifact(
        conn, **lease, kind="OUTPUT", name="a/b", location="s3://b/k", sha256=bytes(32),
        size_bytes=2**40, truncated=True,
    )  # fmt: skip
    assert pgjobs.read_artifact(conn, artifact_id=log.artifact_id) == b"\0\xff"
    assert pgjobs.read_artifact(conn, artifact_id=elsewhere.artifact_id) is None
    waiting = pgjobs.why_waiting(conn, job_id=first.job_id)
    assert (waiting.reason, waiting.detail["worker"]) == ("running", "w")

    done = pgjobs.complete(conn, **lease, status=JobStatus.FAILED, summary={"exit": 1})
    assert done.status is JobStatus.FAILED
    assert not done.replayed
    [element] = pgjobs.complete_many(
        conn,
        job_ids=(first.job_id,),
        lease_tokens=(first.lease_token,),
        statuses=(JobStatus.FAILED,),
        summaries=({"exit": 1},),
    )
    assert element.outcome is Outcome.REPLAYED
    assert (element.status, element.completed_at) == (done.status, done.completed_at)
    released = pgjobs.release(
        conn,
        job_id=second.job_id,
        lease_token=second.lease_token,
        reason="disk full",
        retry_after=timedelta(minutes=1),
    )
    assert (released.status, released.run_no) == (JobStatus.QUEUED, 1)
    cancelled = pgjobs.cancel(conn, job_id=second.job_id, reason="superseded", actor="Ann")
    assert cancelled.status is JobStatus.ERROR
    assert pgjobs.rescue(conn, max_jobs=1) == []
    job = pgjobs.get_job(conn, commit_sha=commit)
    assert job is not None
    assert (job.status, job.summary, job.worker) == (JobStatus.FAILED, {"exit": 1}, "w")
    judge_again(conn, job)


def judge_again(conn: AnyConnection, job: pgjobs.VerificationJob) -> None:
    """Amend a FAILED job, have it judged again, and let its evidence expire."""
    decision = {"reason": "grader", "actor": "Ann", "approver": "Bob", "ticket": "T-1"}
    assert not pgjobs.is_passed(conn, commit_sha=job.commit_sha)
    amended = pgjobs.amend(
        conn, job_id=job.job_id, status=JobStatus.PASSED, lab_version="2", **decision
    )
    assert amended.effective_status is JobStatus.PASSED
    assert pgjobs.is_passed(conn, commit_sha=job.commit_sha)
    [element] = pgjobs.reverify(
        conn, job_ids=(job.job_id,), lab_version="2", priority=1, **decision
    )
    assert element.outcome is ReviewOutcome.QUEUED
    [run] = pgjobs.claim(conn, worker="w")
    assert (run.review_id, run.lab_version) == (element.review_id, "2")
    pgjobs.complete(conn, job_id=run.job_id, lease_token=run.lease_token, status="ERROR")
    after = pgjobs.get_job(conn, commit_sha=job.commit_sha)
    assert after is not None
    assert (after.status, after.effective_status) == (JobStatus.FAILED, JobStatus.ERROR)
    assert type(after.effective_status) is JobStatus

    age = timedelta(0)
    expired = pgjobs.expire_artifacts(conn, older_than=age, max_rows=1, dry_run=False)
    assert expired == pgjobs.ArtifactsExpired(artifacts=1, bodies=1, bytes=2, held=0)
    [summaries] = pgjobs.expire_details(
        conn, older_than=age, kinds=("SUMMARY",), max_rows=1, dry_run=False
    )
    assert summaries == pgjobs.DetailsExpired("SUMMARY", 1, 0)
    events = pgjobs.timeline(conn, commit_sha=job.commit_sha)
    assert [event.event for event in events[-2:]] == ["artifact_expired", "detail_expired"]
    assert events[-1].detail == {"kind": "SUMMARY"}
    assert "error" not in {finding.severity for finding in pgjobs.verify(conn)}
    verified = pgjobs.verify_bodies(conn, after_body_id=0, max_bodies=1)
    assert verified == pgjobs.BodiesVerified(bodies=0, last_body_id=None, wrong=[])


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_every_call_works_with_any_setting_of_the_connection(
    settings: dict[str, Any], fresh_dsn: str
) -> None:
    with psycopg.connect(fresh_dsn, **settings) as conn:
        every_call(conn)


def test_every_call_works_in_a_pipeline(conn: Connection) -> None:
    with conn.pipeline():
        every_call(conn)


def test_a_refusal_in_a_pipeline_is_the_same_exception(conn: Connection) -> None:
    with pytest.raises(pgjobs.JobNotFound), conn.pipeline():
        pgjobs.cancel(conn, job_id=0, reason="r", actor="a")


def test_a_call_neither_commits_nor_rolls_back(connect: Connect) -> None:
    conn, onlooker = connect(), connect()
    commit = sha()
    pgjobs.enqueue(conn, session_id=uuid4(), commit_sha=commit, lab_version="1")
    assert pgjobs.get_job(onlooker, commit_sha=commit) is None
    with pytest.raises(pgjobs.InvalidArgument):
        pgjobs.get_job(conn, commit_sha="")
    assert conn.info.transaction_status is psycopg.pq.TransactionStatus.INERROR
    conn.rollback()
    assert pgjobs.get_job(conn, commit_sha=commit) is None


def test_an_answer_cannot_be_changed(conn: Connection) -> None:
    made: Any = pgjobs.enqueue(conn, session_id=uuid4(), commit_sha=sha(), lab_version="1")
    with pytest.raises(FrozenInstanceError):
        made.status = JobStatus.PASSED
    assert not hasattr(made, "__dict__")


@pytest.mark.parametrize("name", ["available_at", "pushed_at"])
def test_a_time_without_its_zone_is_refused(name: str, conn: Connection) -> None:
    moment: Any = {name: datetime(2026, 11, 29, 12)}
    with pytest.raises(pgjobs.InvalidArgument, match=name) as refusal:
        pgjobs.enqueue(conn, session_id=uuid4(), commit_sha=sha(), lab_version="1", **moment)
    assert refusal.value.sqlstate == "22023"


@pytest.mark.parametrize(
    "wrong",
    [
        {"author": "a\0b"},
        {"author": "\udcff"},
        {"changed_files": ["sound", b"\xff".decode(errors="surrogateescape")]},
        {"changed_files": ["a\0b"]},
        {"payload": {"a": "\0"}},
        {"payload": {"\ud800": 1}},
    ],
    ids=str,
)
def test_a_text_that_is_no_text_to_the_database_is_refused(
    wrong: dict[str, Any], conn: Connection
) -> None:
    with pytest.raises(pgjobs.InvalidArgument) as refusal, conn.transaction():
        pgjobs.enqueue(conn, session_id=uuid4(), commit_sha=sha(), lab_version="1", **wrong)
    assert refusal.value.sqlstate == "22023"
    assert rows(conn, "select from pgjobs.verification_attempt") == []
