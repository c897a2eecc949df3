"""The calls over an ``AsyncConnection``; the source from which forgea_pgjobs/_sync is generated."""

from __future__ import annotations

from forgea_pgjobs._async.audit import verify, verify_bodies
from forgea_pgjobs._async.host import (
    backfill_reconcile,
    backfill_verification_log,
    link_lab_sessions,
    unlink_lab_sessions,
)
from forgea_pgjobs._async.operator import (
    amend,
    cancel,
    expire_artifacts,
    expire_details,
    rescue,
    reverify,
)
from forgea_pgjobs._async.producer import enqueue, enqueue_many, get_job, record_attempt, wake
from forgea_pgjobs._async.reader import is_passed, read_artifact, timeline, why_waiting
from forgea_pgjobs._async.retry import retry
from forgea_pgjobs._async.worker import (
    add_artifact,
    claim,
    complete,
    complete_and_claim,
    complete_many,
    heartbeat,
    release,
)

__all__ = [
    "add_artifact",
    "amend",
    "backfill_reconcile",
    "backfill_verification_log",
    "cancel",
    "claim",
    "complete",
    "complete_and_claim",
    "complete_many",
    "enqueue",
    "enqueue_many",
    "expire_artifacts",
    "expire_details",
    "get_job",
    "heartbeat",
    "is_passed",
    "link_lab_sessions",
    "read_artifact",
    "record_attempt",
    "release",
    "rescue",
    "retry",
    "reverify",
    "timeline",
    "unlink_lab_sessions",
    "verify",
    "verify_bodies",
    "wake",
    "why_waiting",
]
