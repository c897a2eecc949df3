"""The answers: what a claim gives is a named tuple, and a status is the member of its enum."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

import forgea_pgjobs as pgjobs
from forgea_pgjobs import Claimed, CompletedElement, JobStatus, Outcome
from tests.helpers import Connection, sha

AT = datetime(2026, 1, 1, tzinfo=UTC)
RUN: dict[str, Any] = {
    "job_id": 7, "attempt_id": 8, "session_id": UUID(int=1), "commit_sha": "ab" * 20,
    "lab_version": "1", "priority": 2, "run_no": 1, "lease_token": UUID(int=2),
    "lease_expires_at": AT, "created_at": AT, "payload": {"steps": ["test"]}, "review_id": None,
}  # fmt: skip


def test_a_claim_gives_runs_that_equal_others_of_the_same_values(conn: Connection) -> None:
    session, commit = uuid4(), sha()
    made = pgjobs.enqueue(conn, session_id=session, commit_sha=commit, lab_version="1", payload=[1])
    [run] = pgjobs.claim(conn, worker="w")
    assert type(run) is Claimed
    assert run == Claimed(
        job_id=made.job_id, attempt_id=made.attempt_id, session_id=session, commit_sha=commit,
        lab_version="1", priority=2, run_no=1, lease_token=run.lease_token,
        lease_expires_at=run.lease_expires_at, created_at=run.created_at, payload=[1],
        review_id=None,
    )  # fmt: skip
    assert run != run._replace(run_no=2)


def test_a_run_cannot_be_changed() -> None:
    run: Any = Claimed(**RUN)
    for name in ("run_no", "note"):
        with pytest.raises(AttributeError):
            setattr(run, name, 2)
    assert run.run_no == 1
    assert not hasattr(run, "__dict__")


def test_a_run_shows_the_names_of_its_values() -> None:
    assert repr(Claimed(**RUN)) == (
        f"Claimed(job_id=7, attempt_id=8, session_id={UUID(int=1)!r}, commit_sha='{'ab' * 20}',"
        f" lab_version='1', priority=2, run_no=1, lease_token={UUID(int=2)!r},"
        f" lease_expires_at={AT!r}, created_at={AT!r}, payload={{'steps': ['test']}},"
        " review_id=None)"
    )


def test_a_run_survives_the_way_between_processes() -> None:
    run = Claimed(**RUN)
    there = pickle.loads(pickle.dumps(run))  # noqa: S301  # our own pickle
    assert (type(there), there) == (Claimed, run)


@pytest.mark.parametrize("status", list(JobStatus))
def test_a_status_is_the_member_of_its_enum(status: JobStatus) -> None:
    text: Any = str(status)
    assert pgjobs.Enqueued(1, 1, text, True).status is status
    assert pgjobs.Enqueued(1, 1, status, True).status is status
    assert pgjobs.Amended(1, 1, text, AT).effective_status is status


@pytest.mark.parametrize("outcome", list(Outcome))
def test_an_outcome_is_the_member_of_its_enum(outcome: Outcome) -> None:
    text: Any = str(outcome)
    element = CompletedElement(1, 1, None, None, text)
    assert (element.status, element.outcome) == (None, outcome)
    assert type(element.outcome) is Outcome


@pytest.mark.parametrize("text", ["DONE", "queued", "", b"QUEUED"])
def test_a_word_that_is_no_member_is_a_value_error(text: Any) -> None:
    with pytest.raises(ValueError) as status:
        pgjobs.Enqueued(1, 1, text, True)
    assert str(status.value) == f"{text!r} is not a valid JobStatus"
    with pytest.raises(ValueError) as effective:
        pgjobs.Amended(1, 1, text, AT)
    assert str(effective.value) == f"{text!r} is not a valid JobStatus"
    with pytest.raises(ValueError) as outcome:
        CompletedElement(1, 1, JobStatus.PASSED, AT, text)
    assert str(outcome.value) == f"{text!r} is not a valid Outcome"
