"""The scenario that every client has to tell in the same words."""

from __future__ import annotations

from typing import Any

SESSION = "11111111-1111-1111-1111-111111111111"
OTHER = "22222222-2222-2222-2222-222222222222"
RANDOM = "99999999-9999-9999-9999-999999999999"
A, B, C = ("a" * 40, "b" * 40, "c" * 64)
JOB = {"session_id": SESSION, "commit_sha": A, "lab_version": "1"}
LEASE = {"job_id": 2, "lease_token": "TOKEN"}  # TOKEN is the lease token of the latest claim
LOG = {**LEASE, "kind": "LOG", "name": "check.log", "content": b"one\xff"}
ORDER = {"reason": "account deleted", "actor": "ann", "ticket": "T-2"}
DECISION = {"reason": "grader", "actor": "ann", "approver": "bob", "ticket": "T-1"}

# Each step is a call and the code it is refused with, if any.
SCENARIO: list[tuple[str, dict[str, Any], str | None]] = [
    ("record_attempt", {"session_id": SESSION, "commit_sha": A, "delivery_id": "d1"}, None),
    ("enqueue", {**JOB, "delivery_id": "d1", "payload": {"steps": ["test", None]}}, None),
    ("enqueue", {**JOB, "delivery_id": "d1"}, None),
    ("enqueue", {**JOB, "commit_sha": B, "delivery_id": "d1"}, "23V04"),
    ("enqueue", {**JOB, "session_id": OTHER}, "23V03"),
    ("enqueue", {**JOB, "commit_sha": "A" * 40}, "22023"),
    ("enqueue", {**JOB, "commit_sha": None}, "22004"),
    (
        "enqueue_many",
        {
            "session_ids": [SESSION, OTHER, SESSION],
            "commit_shas": [A, C, B],
            "lab_versions": ["1", "1", "1"],
            "payloads": [None, {"é": 1}, None],
        },
        None,
    ),
    ("erase_session", {"session_id": SESSION, **ORDER}, "55V02"),
    ("enqueue_many", {"session_ids": [], "commit_shas": [], "lab_versions": []}, None),
    ("claim", {"worker": "w"}, None),
    ("get_job", {"commit_sha": A}, None),
    ("get_job", {"commit_sha": "d" * 40}, None),
    ("attempts", {"session_id": SESSION}, None),
    ("attempts", {"session_id": SESSION, "max_rows": 1, "before_attempt_id": 3}, None),
    ("attempts", {"session_id": SESSION, "max_rows": 10_001}, "22023"),
    ("metrics", {"recent": "PT0S"}, "22023"),
    ("heartbeat", {**LEASE, "job_id": 1}, None),
    ("heartbeat", {"job_id": 1, "lease_token": RANDOM}, "23V05"),
    ("heartbeat", {"job_id": 99, "lease_token": RANDOM}, "P0002"),
    ("release", {**LEASE, "job_id": 1, "reason": "disk full", "retry_after": "PT1M"}, None),
    ("cancel", {"job_id": 1, "reason": "superseded", "actor": "ann"}, None),
    ("claim", {"worker": "w", "max_jobs": 1, "lease_for": "PT1H"}, None),
    ("add_artifact", LOG, None),
    ("add_artifact", LOG, None),
    ("add_artifact", {**LOG, "truncated": True}, "23V06"),
    (
        "add_artifact",
        {**LEASE, "kind": "DIFF", "name": "d", "location": "s3://b/d", "sha256": bytes(32)}
        | {"size_bytes": 2**40, "media_type": "text/x-diff"},
        None,
    ),
    ("read_artifact", {"artifact_id": 1}, None),
    ("read_artifact", {"artifact_id": 2}, None),
    ("read_artifact", {"artifact_id": 99}, "P0002"),
    ("why_waiting", {"job_id": 2}, None),
    ("why_waiting", {"job_id": 99}, "P0002"),
    ("amend", {"job_id": 2, "status": "PASSED", **DECISION}, "23V07"),
    ("reverify", {"job_ids": [2, 99], **DECISION}, None),
    ("complete", {**LEASE, "status": "PASSED", "summary": {"s": 1}}, None),
    ("complete", {**LEASE, "status": "PASSED", "summary": {"s": 1}}, None),
    ("complete", {**LEASE, "status": "FAILED"}, "23V02"),
    ("claim", {"worker": "w"}, None),
    (
        "complete_many",
        {
            "job_ids": [1, 3, 3, 99],
            "lease_tokens": [RANDOM, RANDOM, "TOKEN", RANDOM],
            "statuses": ["PASSED", "PASSED", "FAILED", "ERROR"],
        },
        None,
    ),
    ("rescue", {}, None),
    ("claim", {"worker": "w"}, None),
    ("get_job", {"commit_sha": B}, None),
    ("is_passed", {"commit_sha": C}, None),
    ("amend", {"job_id": 2, "status": "FAILED", "lab_version": "2", **DECISION}, None),
    ("is_passed", {"commit_sha": C}, None),
    ("get_job", {"commit_sha": C}, None),
    ("reverify", {"job_ids": [2, 2], "lab_version": "2", **DECISION}, None),
    ("reverify", {"job_ids": [2], **DECISION, "approver": "ann"}, "22023"),
    ("claim", {"worker": "w"}, None),
    ("complete", {**LEASE, "status": "PASSED"}, None),
    ("hold", {"session_id": OTHER, **ORDER}, None),
    ("hold", {"session_id": OTHER, **ORDER}, None),
    ("erase_session", {"session_id": OTHER, **ORDER}, "23V09"),
    ("expire_artifacts", {"older_than": "PT0S", "kinds": ["LOG"]}, None),
    ("expire_locations", {"artifact_ids": [2, 99], "reason": "r", "ticket": "T-2"}, None),
    ("lift_hold", {"session_id": OTHER, **ORDER}, None),
    ("expire_artifacts", {"older_than": "PT0S", "dry_run": False}, None),
    ("read_artifact", {"artifact_id": 1}, "23V08"),
    ("expire_details", {"older_than": "PT0S"}, None),
    ("expire_locations", {"artifact_ids": [2, 99], "reason": "r", "ticket": "T-2"}, None),
    ("erase_session", {"session_id": OTHER, **ORDER, "dry_run": False}, None),
    ("backfill_verification_log", {}, "42P01"),
    ("backfill_reconcile", {}, "42P01"),
    ("timeline", {"commit_sha": C}, None),
    ("timeline", {"commit_sha": "d" * 40}, None),
    ("timeline", {"commit_sha": "C"}, "22023"),
    ("verify_bodies", {}, None),
    ("verify_bodies", {"max_bodies": 0}, "22023"),
]
