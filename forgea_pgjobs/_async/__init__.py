"""The calls over an ``AsyncConnection``; the source from which forgea_pgjobs/_sync is generated."""

from __future__ import annotations

from forgea_pgjobs._async.operator import cancel, rescue
from forgea_pgjobs._async.producer import enqueue, enqueue_many, get_job, record_attempt, wake
from forgea_pgjobs._async.retry import retry
from forgea_pgjobs._async.worker import (
    claim,
    complete,
    complete_and_claim,
    complete_many,
    heartbeat,
    release,
)

__all__ = [
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
