"""The answers of the functions, one frozen dataclass each; ``Claimed`` is a named tuple.

A worker gets hundreds of those at once, and a tuple is made several times as fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from forgea_pgjobs.statuses import (
    OUTCOMES,
    BeatOutcome,
    JobStatus,
    Outcome,
    ReviewOutcome,
    WithStatus,
)

__all__ = [
    "Amended",
    "ArtifactAdded",
    "ArtifactsExpired",
    "BackfillCheck",
    "Backfilled",
    "BodiesVerified",
    "Cancelled",
    "Claimed",
    "Completed",
    "CompletedElement",
    "DetailsErased",
    "DetailsExpired",
    "Enqueued",
    "EnqueuedElement",
    "Event",
    "Finding",
    "HeartbeatElement",
    "Held",
    "LocationExpired",
    "Metric",
    "Recorded",
    "Released",
    "Rescued",
    "ReviewedElement",
    "SessionLink",
    "VerificationAttempt",
    "VerificationJob",
    "WaitingReason",
]


@dataclass(frozen=True, slots=True)
class Recorded:
    """Answer of ``record_attempt``."""

    attempt_id: int
    created: bool


@dataclass(frozen=True, slots=True)
class Enqueued(WithStatus):
    """Answer of ``enqueue``: ``created`` is true for the one call that made the job."""

    job_id: int
    attempt_id: int
    status: JobStatus
    created: bool


@dataclass(frozen=True, slots=True)
class EnqueuedElement(WithStatus):
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
class Completed(WithStatus):
    """Answer of ``complete``: ``replayed`` is true when this very call had already succeeded."""

    job_id: int
    status: JobStatus
    completed_at: datetime
    replayed: bool


@dataclass(frozen=True, slots=True)
class HeartbeatElement:
    """Answer of ``heartbeat_many`` for one element; no end of the lease where none was set."""

    ordinal: int
    job_id: int
    lease_expires_at: datetime | None
    outcome: BeatOutcome

    def __post_init__(self) -> None:
        object.__setattr__(self, "outcome", BeatOutcome(self.outcome))


@dataclass(frozen=True, slots=True)
class CompletedElement(WithStatus):
    """Answer of ``complete_many`` for one element, counted from 1.

    ``status`` and ``completed_at`` are those of the job's verdict, None where it has none.
    """

    ordinal: int
    job_id: int
    status: JobStatus | None
    completed_at: datetime | None
    outcome: Outcome

    def __post_init__(self) -> None:
        WithStatus.__post_init__(self)
        object.__setattr__(self, "outcome", OUTCOMES.get(self.outcome) or Outcome(self.outcome))


@dataclass(frozen=True, slots=True)
class Released(WithStatus):
    """Answer of ``release`` and ``revoke_lease``: QUEUED again, or ERROR: no run is left."""

    job_id: int
    status: JobStatus
    run_no: int
    available_at: datetime | None


@dataclass(frozen=True, slots=True)
class Rescued(WithStatus):
    """Answer of ``rescue``: QUEUED again, or ERROR when the runs are used up."""

    job_id: int
    status: JobStatus


@dataclass(frozen=True, slots=True)
class Cancelled(WithStatus):
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
class Amended:
    """Answer of ``amend``."""

    amendment_id: int
    job_id: int
    effective_status: JobStatus
    amended_at: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "effective_status", JobStatus(self.effective_status))


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
class Metric:
    """A row of ``metrics``: one sample of one gauge."""

    name: str
    labels: dict[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class VerificationAttempt(WithStatus):
    """A row of the view ``pgjobs.verification_attempt``; no status where it has no job."""

    attempt_id: int
    session_id: UUID
    commit_sha: str
    delivery_id: str | None
    recorded_at: datetime
    pushed_at: datetime | None
    author: str | None
    branch: str | None
    changed_files: list[str] | None
    job_id: int | None
    status: JobStatus | None
    effective_status: JobStatus | None
    completed_at: datetime | None
    error_reason: str | None

    def __post_init__(self) -> None:
        WithStatus.__post_init__(self)
        if self.effective_status is not None:
            object.__setattr__(self, "effective_status", JobStatus(self.effective_status))


@dataclass(frozen=True, slots=True)
class VerificationJob(WithStatus):
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
        WithStatus.__post_init__(self)
        object.__setattr__(self, "effective_status", JobStatus(self.effective_status))


@dataclass(frozen=True, slots=True)
class ArtifactsExpired:
    """Answer of ``expire_artifacts``: bodies dropped, their artifacts, and their bytes.

    ``held`` counts the artifacts of that age and kind that a hold keeps.
    """

    artifacts: int
    bodies: int
    bytes: int
    held: int


@dataclass(frozen=True, slots=True)
class DetailsExpired:
    """Answer of ``expire_details``: how many rows of a kind were dropped, and how many are held."""

    kind: str
    details: int
    held: int


@dataclass(frozen=True, slots=True)
class LocationExpired:
    """Answer of ``expire_locations`` for one element, counted from 1.

    ``outcome`` is ``expired``, ``held`` or ``not_found``.
    """

    ordinal: int
    artifact_id: int
    outcome: str


@dataclass(frozen=True, slots=True)
class Held:
    """Answer of ``hold`` and ``lift_hold``: ``created`` is true for the call that changed it.

    ``held``: whether this or another ticket holds the session now.
    """

    session_id: UUID
    held: bool
    created: bool


@dataclass(frozen=True, slots=True)
class DetailsErased:
    """Answer of ``erase_session``: how many rows of a kind went."""

    kind: str
    details: int


@dataclass(frozen=True, slots=True)
class Backfilled:
    """Answer of ``backfill_verification_log``: logs looked at, rows made, logs that gave no job.

    ``waiting`` logs are left for a later call.
    """

    seen: int
    attempts: int
    jobs: int
    artifacts: int
    skipped: int
    waiting: int


@dataclass(frozen=True, slots=True)
class BackfillCheck:
    """A row of ``backfill_reconcile``: what should be there, what is, and whether they agree.

    ``log_ids``: the first hundred that a check names one by one, else None.
    """

    check_name: str
    expected: str
    actual: str
    ok: bool
    log_ids: list[UUID] | None


@dataclass(frozen=True, slots=True)
class SessionLink:
    """Answer of ``link_lab_sessions``; examples are at most ten of the orphans."""

    state: str
    orphans: int | None
    examples: list[UUID]


@dataclass(frozen=True, slots=True)
class Finding:
    """Answer of ``verify``: what is not as released; severity is error, warning or info."""

    severity: str
    object: str
    finding: str
    hint: str


@dataclass(frozen=True, slots=True)
class BodiesVerified:
    """Answer of ``verify_bodies``; last_body_id is None when there are no more."""

    bodies: int
    last_body_id: int | None
    wrong: list[int]
