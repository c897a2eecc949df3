"""Verification jobs in PostgreSQL: one per commit for ever, one verdict per job, never changed.

Every call takes the caller's connection first and everything else by keyword, and runs in the
caller's transaction, which it neither begins nor ends.
"""

from __future__ import annotations

from forgea_pgjobs._sync import (
    cancel,
    claim,
    complete,
    complete_and_claim,
    complete_many,
    enqueue,
    enqueue_many,
    get_job,
    heartbeat,
    record_attempt,
    release,
    rescue,
    retry,
    wake,
)
from forgea_pgjobs.errors import (
    CommitTaken,
    DeliveryConflict,
    InvalidArgument,
    JobNotFound,
    LeaseLost,
    LedgerImmutable,
    PgjobsError,
    TooManyOpenJobs,
    UnknownOutcome,
    VerdictFinal,
)
from forgea_pgjobs.models import (
    Cancelled,
    Claimed,
    Completed,
    CompletedElement,
    Enqueued,
    EnqueuedElement,
    JobStatus,
    Outcome,
    Recorded,
    Released,
    Rescued,
    VerificationJob,
)

__all__ = [
    "Cancelled",
    "Claimed",
    "CommitTaken",
    "Completed",
    "CompletedElement",
    "DeliveryConflict",
    "Enqueued",
    "EnqueuedElement",
    "InvalidArgument",
    "JobNotFound",
    "JobStatus",
    "LeaseLost",
    "LedgerImmutable",
    "Outcome",
    "PgjobsError",
    "Recorded",
    "Released",
    "Rescued",
    "TooManyOpenJobs",
    "UnknownOutcome",
    "VerdictFinal",
    "VerificationJob",
    "cancel",
    "claim",
    "complete",
    "complete_and_claim",
    "complete_many",
    "enqueue",
    "enqueue_many",
    "get_job",
    "heartbeat",
    "record_attempt",
    "release",
    "rescue",
    "retry",
    "wake",
]
