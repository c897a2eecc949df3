"""The words for where a job stands and for what became of an element, each an enum."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["BeatOutcome", "JobStatus", "Outcome", "ReviewOutcome"]


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


class BeatOutcome(StrEnum):
    """What became of one element of ``heartbeat_many``."""

    HELD = "held"
    LOCKED = "locked"
    LEASE_LOST = "lease_lost"


class ReviewOutcome(StrEnum):
    """What became of one element of ``reverify``."""

    QUEUED = "queued"
    NOT_FINAL = "not_final"
    ALREADY_QUEUED = "already_queued"
    NOT_FOUND = "not_found"


# A look-up here is several times as fast as asking the enum.
STATUSES = {status.value: status for status in JobStatus}
OUTCOMES = {outcome.value: outcome for outcome in Outcome}


class WithStatus:
    """Makes the text that the database answered a ``JobStatus``."""

    __slots__ = ()
    status: JobStatus | None

    def __post_init__(self) -> None:
        if self.status is not None:
            object.__setattr__(self, "status", STATUSES.get(self.status) or JobStatus(self.status))
