"""The answers of the functions, one frozen dataclass each; ``Claimed`` is a named tuple.

A worker gets hundreds of those at once, and a tuple is made several times as fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID


class JobStatus(StrEnum):
    """Where a job stands. FAILED is the learner's; ERROR is never the learner's."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    PASSED = "PASSED"
    FAILED = "FAILED"
    ERROR = "ERROR"


class Outcome(StrEnum):
    """What became of one element of ``complete_many``."""

    COMPLETED = "completed"
    REPLAYED = "replayed"
    LEASE_LOST = "lease_lost"
    VERDICT_FINAL = "verdict_final"
    NOT_FOUND = "not_found"


class ReviewOutcome(StrEnum):
    """What became of one element of ``reverify``."""

    QUEUED = "queued"
    NOT_FINAL = "not_final"
    ALREADY_QUEUED = "already_queued"
    NOT_FOUND = "not_found"


# A look-up here is several times as fast as asking the enum.
_STATUS = {status.value: status for status in JobStatus}
_OUTCOME = {outcome.value: outcome for outcome in Outcome}


def _status(text: str) -> JobStatus:
    return _STATUS.get(text) or JobStatus(text)


class _WithStatus:
    """Makes the text that the database answered a ``JobStatus``."""

    __slots__ = ()
    status: JobStatus | None

    def __post_init__(self) -> None:
        if self.status is not None:
            object.__setattr__(self, "status", _status(self.status))


class _WithEffectiveStatus:
    """Makes the effective status that the database answered a ``JobStatus``."""

    __slots__ = ()
    effective_status: JobStatus

    def __post_init__(self) -> None:
        object.__setattr__(self, "effective_status", _status(self.effective_status))


@dataclass(frozen=True, slots=True)
class Recorded:
    """Answer of ``record_attempt``."""

    attempt_id: int
    created: bool


@dataclass(frozen=True, slots=True)
class Enqueued(_WithStatus):
    """Answer of ``enqueue``: ``created`` is true for the one call that made the job."""

    job_id: int
    attempt_id: int
    status: JobStatus
    created: bool


@dataclass(frozen=True, slots=True)
class EnqueuedElement(_WithStatus):
    """Answer of ``enqueue_many`` for one element, counted from 1."""

    ordinal: int
    job_id: int
    attempt_id: int
    status: JobStatus
    created: bool


class Claimed(NamedTuple):
    """Answer of ``claim``: a run of a job under a lease.

    ``review_id`` is None unless the finished job is judged again, for ``reverify``.
    """

    job_id: int
    attempt_id: int
    session_id: UUID
    commit_sha: str
    lab_version: str
    priority: int
    run_no: int
    lease_token: UUID
    lease_expires_at: datetime
    created_at: datetime
    payload: Any
    review_id: int | None


@dataclass(frozen=True, slots=True)
class Completed(_WithStatus):
    """Answer of ``complete``: ``replayed`` is true when this very call had already succeeded."""

    job_id: int
    status: JobStatus
    completed_at: datetime
    replayed: bool


@dataclass(frozen=True, slots=True)
class CompletedElement(_WithStatus):
    """Answer of ``complete_many`` for one element, counted from 1.

    ``status`` and ``completed_at`` are those of the job's verdict, None where it has none.
    """

    ordinal: int
    job_id: int
    status: JobStatus | None
    completed_at: datetime | None
    outcome: Outcome

    def __post_init__(self) -> None:
        _WithStatus.__post_init__(self)
        object.__setattr__(self, "outcome", _OUTCOME.get(self.outcome) or Outcome(self.outcome))


@dataclass(frozen=True, slots=True)
class Released(_WithStatus):
    """Answer of ``release``: QUEUED again, or ERROR when the runs are used up."""

    job_id: int
    status: JobStatus
    run_no: int
    available_at: datetime | None


@dataclass(frozen=True, slots=True)
class Rescued(_WithStatus):
    """Answer of ``rescue``: QUEUED again, or ERROR when the runs are used up."""

    job_id: int
    status: JobStatus


@dataclass(frozen=True, slots=True)
class Cancelled(_WithStatus):
    """Answer of ``cancel``: ERROR, or the status that stands when a review was cancelled."""

    job_id: int
    status: JobStatus
    completed_at: datetime


@dataclass(frozen=True, slots=True)
class ArtifactAdded:
    """Answer of ``add_artifact``: ``created`` is true for the one call that recorded it."""

    artifact_id: int
    sha256: bytes
    size_bytes: int
    created: bool


@dataclass(frozen=True, slots=True)
class Amended(_WithEffectiveStatus):
    """Answer of ``amend``."""

    amendment_id: int
    job_id: int
    effective_status: JobStatus
    amended_at: datetime


@dataclass(frozen=True, slots=True)
class ReviewedElement:
    """Answer of ``reverify`` for one element, counted from 1."""

    ordinal: int
    job_id: int
    review_id: int | None
    outcome: ReviewOutcome

    def __post_init__(self) -> None:
        object.__setattr__(self, "outcome", ReviewOutcome(self.outcome))


@dataclass(frozen=True, slots=True)
class Event:
    """A row of ``timeline``: what happened to a commit, and when."""

    at: datetime
    event: str
    run_no: int | None
    actor: str | None
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class WaitingReason:
    """Answer of ``why_waiting``: why a job is not done yet, in one word with its detail."""

    reason: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class VerificationJob(_WithStatus, _WithEffectiveStatus):
    """A row of the view ``pgjobs.verification_job``."""

    job_id: int
    attempt_id: int
    session_id: UUID
    commit_sha: str
    lab_version: str
    status: JobStatus
    priority: int
    payload: Any
    created_at: datetime
    available_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    run_no: int
    max_runs: int
    worker: str | None
    error_reason: str | None
    error_detail: str | None
    summary: Any
    effective_status: JobStatus
    amended_at: datetime | None
    origin: str

    def __post_init__(self) -> None:
        _WithStatus.__post_init__(self)
        _WithEffectiveStatus.__post_init__(self)
