"""The contract other people's code is written against: functions, answers, views, in full."""

from __future__ import annotations

import re

import pytest

from tests.helpers import Connection, rows

CLAIMED = """
    job_id bigint, attempt_id bigint, session_id uuid, commit_sha text, lab_version text,
    priority integer, run_no integer, lease_token uuid, lease_expires_at timestamptz,
    created_at timestamptz, payload jsonb, review_id bigint
"""
JOB = """
    job_id bigint, attempt_id bigint, session_id uuid, commit_sha text, lab_version text,
    status text, priority integer, payload jsonb, created_at timestamptz,
    available_at timestamptz, started_at timestamptz, completed_at timestamptz, run_no integer,
    max_runs integer, worker text, error_reason text, error_detail text, summary jsonb,
    effective_status text, amended_at timestamptz, origin text
"""
VIEWS = {
    "verification_job": JOB,
    "verification_verdict": JOB,
    "verification_run": """
        job_id bigint, run_no integer, worker text, started_at timestamptz, ended_at timestamptz,
        outcome text, reason text
    """,
    "verification_attempt": """
        attempt_id bigint, session_id uuid, commit_sha text, delivery_id text,
        recorded_at timestamptz, pushed_at timestamptz, author text, branch text,
        changed_files text[]
    """,
    "verification_artifact": """
        artifact_id bigint, job_id bigint, run_no integer, kind text, name text, sha256 bytea,
        size_bytes bigint, media_type text, location text, truncated boolean,
        created_at timestamptz, expired_at timestamptz
    """,
    "verification_amendment": """
        amendment_id bigint, job_id bigint, amendment_no integer, status text, lab_version text,
        reason text, actor text, approver text, ticket text, login text, review_id bigint,
        amended_at timestamptz
    """,
    "verification_review": """
        review_id bigint, job_id bigint, session_id uuid, commit_sha text, status text,
        priority integer, lab_version text, reason text, actor text, approver text, ticket text,
        login text, requested_at timestamptz, started_at timestamptz, ended_at timestamptz,
        run_no integer, worker text, detail text, summary jsonb
    """,
    "backfill_report": """
        log_id uuid, session_id uuid, outcome text, reason text, attempt_id bigint, job_id bigint,
        commit_sha text, backfilled_at timestamptz, login text
    """,
}
# Function: its parameters, whether it answers any number of rows, and the columns of a row.
FUNCTIONS = {
    "enqueue": (
        """
        session_id uuid, commit_sha text, lab_version text, delivery_id text = null,
        priority integer = 2, available_at timestamptz = null, max_runs integer = 3,
        author text = null, branch text = null, changed_files text[] = null,
        pushed_at timestamptz = null, payload jsonb = null
        """,
        False,
        "job_id bigint, attempt_id bigint, status text, created boolean",
    ),
    "enqueue_many": (
        """
        session_ids uuid[], commit_shas text[], lab_versions text[],
        delivery_ids text[] = null, priority integer = 2, max_runs integer = 3,
        payloads jsonb[] = null
        """,
        True,
        "ordinal integer, job_id bigint, attempt_id bigint, status text, created boolean",
    ),
    "record_attempt": (
        """
        session_id uuid, commit_sha text, delivery_id text = null, author text = null,
        branch text = null, changed_files text[] = null, pushed_at timestamptz = null
        """,
        False,
        "attempt_id bigint, created boolean",
    ),
    "claim": (
        "worker text, max_jobs integer = 1, lease_for interval = '00:05:00'",
        True,
        CLAIMED,
    ),
    "heartbeat": (
        "job_id bigint, lease_token uuid, lease_for interval = '00:05:00'",
        False,
        "timestamptz",
    ),
    "complete": (
        "job_id bigint, lease_token uuid, status text, summary jsonb = null",
        False,
        "job_id bigint, status text, completed_at timestamptz, replayed boolean",
    ),
    "complete_many": (
        "job_ids bigint[], lease_tokens uuid[], statuses text[], summaries jsonb[] = null",
        True,
        "ordinal integer, job_id bigint, status text, completed_at timestamptz, outcome text",
    ),
    "complete_and_claim": (
        "job_id bigint, lease_token uuid, status text, worker text, summary jsonb = null, "
        "max_jobs integer = 1, lease_for interval = '00:05:00'",
        True,
        CLAIMED,
    ),
    "release": (
        "job_id bigint, lease_token uuid, reason text, retry_after interval = null",
        False,
        "job_id bigint, status text, run_no integer, available_at timestamptz",
    ),
    "cancel": (
        "job_id bigint, reason text, actor text",
        False,
        "job_id bigint, status text, completed_at timestamptz",
    ),
    "rescue": ("max_jobs integer = 100", True, "job_id bigint, status text"),
    "get_job": ("commit_sha text", True, JOB),
    "wake": ("", False, "void"),
    "add_artifact": (
        """
        job_id bigint, lease_token uuid, kind text, name text, content bytea = null,
        location text = null, sha256 bytea = null, size_bytes bigint = null,
        media_type text = 'application/octet-stream', truncated boolean = false
        """,
        False,
        "artifact_id bigint, sha256 bytea, size_bytes bigint, created boolean",
    ),
    "read_artifact": ("artifact_id bigint", False, "bytea"),
    "amend": (
        """
        job_id bigint, status text, reason text, actor text, approver text, ticket text,
        lab_version text = null
        """,
        False,
        "amendment_id bigint, job_id bigint, effective_status text, amended_at timestamptz",
    ),
    "reverify": (
        """
        job_ids bigint[], reason text, actor text, approver text, ticket text,
        lab_version text = null, priority integer = 3
        """,
        True,
        "ordinal integer, job_id bigint, review_id bigint, outcome text",
    ),
    "expire_artifacts": (
        "older_than interval, max_rows integer = 1000, dry_run boolean = true",
        False,
        "artifacts bigint, bodies bigint, bytes bigint",
    ),
    "verify": ("", True, "severity text, object text, finding text, hint text"),
    "verify_bodies": (
        "after_body_id bigint = 0, max_bodies integer = 1000",
        False,
        "bodies bigint, last_body_id bigint, wrong bigint[]",
    ),
    "expire_details": (
        """
        older_than interval, kinds text[] = '{ATTEMPT,SUMMARY,PAYLOAD}', max_rows integer = 1000,
        dry_run boolean = true
        """,
        True,
        "kind text, details bigint",
    ),
    "backfill_verification_log": (
        "batch_size integer = 1000, dry_run boolean = true",
        False,
        "seen bigint, attempts bigint, jobs bigint, artifacts bigint, skipped bigint",
    ),
    "backfill_reconcile": ("", True, "check_name text, expected text, actual text, ok boolean"),
    "is_passed": ("commit_sha text", False, "boolean"),
    "timeline": (
        "commit_sha text",
        True,
        "at timestamptz, event text, run_no integer, actor text, detail jsonb",
    ),
    "link_lab_sessions": (
        """target regclass = to_regclass('public."LabSession"')""",
        False,
        "state text, orphans bigint, examples uuid[]",
    ),
    "unlink_lab_sessions": ("", False, "boolean"),
    "why_waiting": ("job_id bigint", False, "reason text, detail jsonb"),
}
COLUMNS = """
    (
        select string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' order by attnum)
        from pg_attribute where attrelid = {relation} and attnum > 0 and not attisdropped
    )
"""


def one_line(text: str) -> str:
    return " ".join(text.split())


def in_our_words(text: str) -> str:
    """Return what PostgreSQL says of parameters and columns in the notation of the contract."""
    text = text.replace("timestamp with time zone", "timestamptz")
    return (
        re.sub(r"::\w+(\[\])?", "", text).replace("DEFAULT NULL", "= null").replace("DEFAULT", "=")
    )


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_has_the_parameters_and_answer_of_the_contract(
    conn: Connection, function: str
) -> None:
    parameters, many, answer = FUNCTIONS[function]
    columns = COLUMNS.format(relation="typrelid")
    [found] = rows(
        conn,
        "select pg_get_function_arguments(pg_proc.oid) as parameters, proretset as many,"
        f" coalesce({columns}, format_type(prorettype, null)) as answer"
        " from pg_proc join pg_type on pg_type.oid = prorettype"
        f" where pronamespace = 'pgjobs'::regnamespace and proname = '{function}'",
    )
    assert in_our_words(found.parameters) == one_line(parameters)
    assert (found.many, in_our_words(found.answer)) == (many, one_line(answer))


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_has_the_columns_of_the_contract(conn: Connection, view: str) -> None:
    columns = COLUMNS.format(relation=f"'pgjobs.{view}'::regclass")
    [found] = rows(conn, f"select {columns} as columns")
    assert in_our_words(found.columns) == one_line(VIEWS[view])


def test_the_contract_is_the_whole_of_what_is_public(conn: Connection) -> None:
    functions = rows(
        conn,
        "select proname from pg_proc where pronamespace = 'pgjobs'::regnamespace"
        " and proname not like '\\_%'",
    )
    views = rows(
        conn,
        "select viewname from pg_views where schemaname = 'pgjobs' and viewname not like '\\_%'",
    )
    assert sorted(name for (name,) in functions) == sorted(FUNCTIONS)
    assert sorted(name for (name,) in views) == sorted(VIEWS)
