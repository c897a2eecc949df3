"""The SQL of every call: one constant each, in named notation, with the types of the contract."""

from __future__ import annotations

from typing import LiteralString


def _call(
    function: LiteralString, *parameters: LiteralString, arrays: LiteralString = "s"
) -> LiteralString:
    """Return the call of a function; each parameter is written as ``name type``.

    ``arrays`` is how arrays travel: s as psycopg chooses, which is as text, or b in binary.
    """
    arguments: list[LiteralString] = []
    for parameter in parameters:
        name, sql_type = parameter.split(" ", 1)
        form = arrays if sql_type.endswith("[]") else "s"
        arguments.append(name + " => %(" + name + ")" + form + "::" + sql_type)
    called = function + "(" + ", ".join(arguments) + ")"
    return "select * from pgjobs." + called  # noqa: S608  # made of the constants below


_PUSH: tuple[LiteralString, ...] = (
    "author text",
    "branch text",
    "changed_files text[]",
    "pushed_at timestamptz",
)
_LEASE: tuple[LiteralString, ...] = ("job_id bigint", "lease_token uuid")
_ENQUEUE_MANY: tuple[LiteralString, ...] = (
    "session_ids uuid[]",
    "commit_shas text[]",
    "lab_versions text[]",
    "delivery_ids text[]",
    "priority integer",
    "max_runs integer",
    "payloads jsonb[]",
)
_COMPLETE_MANY: tuple[LiteralString, ...] = (
    "job_ids bigint[]",
    "lease_tokens uuid[]",
    "statuses text[]",
    "summaries jsonb[]",
)
_DECISION: tuple[LiteralString, ...] = (
    "reason text",
    "actor text",
    "approver text",
    "ticket text",
    "lab_version text",
)

RECORD_ATTEMPT = _call(
    "record_attempt", "session_id uuid", "commit_sha text", "delivery_id text", *_PUSH
)
ENQUEUE = _call(
    "enqueue",
    "session_id uuid",
    "commit_sha text",
    "lab_version text",
    "delivery_id text",
    "priority integer",
    "available_at timestamptz",
    "max_runs integer",
    *_PUSH,
    "payload jsonb",
)
ENQUEUE_SHORT = _call(
    "enqueue",
    "session_id uuid",
    "commit_sha text",
    "lab_version text",
    "priority integer",
    "max_runs integer",
)
ENQUEUE_MANY = _call("enqueue_many", *_ENQUEUE_MANY)
ENQUEUE_MANY_BINARY = _call("enqueue_many", *_ENQUEUE_MANY, arrays="b")
GET_JOB = _call("get_job", "commit_sha text")
CLAIM = _call("claim", "worker text", "max_jobs integer", "lease_for interval")
HEARTBEAT = _call("heartbeat", *_LEASE, "lease_for interval")
COMPLETE = _call("complete", *_LEASE, "status text", "summary jsonb")
COMPLETE_MANY = _call("complete_many", *_COMPLETE_MANY)
COMPLETE_MANY_BINARY = _call("complete_many", *_COMPLETE_MANY, arrays="b")
COMPLETE_AND_CLAIM = _call(
    "complete_and_claim",
    *_LEASE,
    "status text",
    "worker text",
    "summary jsonb",
    "max_jobs integer",
    "lease_for interval",
)
RELEASE = _call("release", *_LEASE, "reason text", "retry_after interval")
RESCUE = _call("rescue", "max_jobs integer")
CANCEL = _call("cancel", "job_id bigint", "reason text", "actor text")
WAKE = _call("wake")
ADD_ARTIFACT = _call(
    "add_artifact",
    *_LEASE,
    "kind text",
    "name text",
    "content bytea",
    "location text",
    "sha256 bytea",
    "size_bytes bigint",
    "media_type text",
    "truncated boolean",
)
READ_ARTIFACT = _call("read_artifact", "artifact_id bigint")
AMEND = _call("amend", "job_id bigint", "status text", *_DECISION)
REVERIFY = _call("reverify", "job_ids bigint[]", *_DECISION, "priority integer")
LINK_LAB_SESSIONS = _call("link_lab_sessions", "target regclass")
UNLINK_LAB_SESSIONS = _call("unlink_lab_sessions")
IS_PASSED = _call("is_passed", "commit_sha text")
TIMELINE = _call("timeline", "commit_sha text")
WHY_WAITING = _call("why_waiting", "job_id bigint")
EXPIRE_ARTIFACTS = _call(
    "expire_artifacts", "older_than interval", "max_rows integer", "dry_run boolean"
)
EXPIRE_DETAILS = _call(
    "expire_details",
    "older_than interval",
    "kinds text[]",
    "max_rows integer",
    "dry_run boolean",
)
VERIFY = _call("verify")
VERIFY_BODIES = _call("verify_bodies", "after_body_id bigint", "max_bodies integer")
BACKFILL_VERIFICATION_LOG = _call(
    "backfill_verification_log", "batch_size integer", "dry_run boolean"
)
BACKFILL_RECONCILE = _call("backfill_reconcile")
