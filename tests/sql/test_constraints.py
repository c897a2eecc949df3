"""What no row can be, whoever writes it: each constraint and unique index of the tables."""

from itertools import takewhile
from typing import Any
from uuid import UUID

import pytest
from psycopg import sql

from tests.helpers import Connection, refused, rows, sha

NOW = "2020-01-01 00:00+00"
CANCELLED = {"status": "ERROR", "error_reason": "CANCELLED"}
SIGNED = {"actor": "an operator", "login": "l"}
REVOKED = {"outcome": "REVOKED", "reason": "it hangs"}
RUNS_EXHAUSTED = {"status": "ERROR", "error_reason": "RUNS_EXHAUSTED", "lease_token": None}
EXPIRED = {
    "status": "ERROR",
    "error_reason": "EXPIRED",
    "lease_token": None,
    "worker": None,
    "started_at": None,
    "run_no": 0,
}
BACKFILLED = {
    "origin": "BACKFILL",
    "lease_token": None,
    "worker": None,
    "started_at": None,
    "run_no": 0,
    "login": "l",
}

OF_A_JOB: dict[str, list[dict[str, Any]]] = {
    "job_id_pkey": [{"job_id": 1}],
    "job_id_fkey": [{"job_id": 3}],
}
# Table, rule: how row(table, 2) must differ to be refused beside row(table, 1).
CASES: dict[str, dict[str, list[dict[str, Any]]]] = {
    "lab_attempt": {
        "attempt_id_pkey": [{"attempt_id": 1}],
        "session_id_commit_sha_key": [{"session_id": UUID(int=1), "commit_sha": sha(1)}],
        "session_id_delivery_id_key": [{"session_id": UUID(int=1), "delivery_id": "1"}],
        "commit_sha_check": [
            {"commit_sha": value}
            for value in ("a" * 39, "a" * 63, "A" * 40, "0" * 40, "a" * 39 + "\n")
        ],
    },
    "attempt_detail": {
        "attempt_id_pkey": [{"attempt_id": 1}],
        "attempt_id_fkey": [{"attempt_id": 3}],
    },
    "job": {
        "job_id_pkey": [{"job_id": 1}],
        "commit_sha_key": [{"session_id": UUID(int=1), "commit_sha": sha(1)}],
        "session_id_commit_sha_fkey": [{"session_id": UUID(int=1)}, {"commit_sha": sha(3)}],
        "priority_check": [{"priority": 0}, {"priority": 5}],
        "max_runs_check": [{"max_runs": 0}, {"max_runs": 26}],
    },
    **dict.fromkeys(("job_payload", "verdict_summary"), OF_A_JOB),
    "verdict": {
        **OF_A_JOB,
        "status_check": [{"status": "RUNNING"}, {"status": "passed"}],
        "error_reason_check": [
            {"status": "ERROR"},
            {"status": "FAILED", "error_reason": "REPORTED"},
            {"status": "ERROR", "error_reason": "BORED"},
            {**BACKFILLED, "status": "ERROR"},
            {**BACKFILLED, "error_reason": "BACKFILL_UNKNOWN"},
        ],
        "lease_token_check": [
            {"lease_token": None},
            {"actor": "an operator"},
            {"worker": None},
            {"started_at": None},
            {"run_no": 0},
            CANCELLED,
            {**CANCELLED, "actor": "an operator"},
            {**CANCELLED, "login": "l"},
            {**RUNS_EXHAUSTED, "lease_token": UUID(int=9)},
            {**RUNS_EXHAUSTED, "actor": "an operator"},
            {**EXPIRED, "lease_token": UUID(int=9)},
            {**EXPIRED, "worker": "w"},
            {**EXPIRED, "started_at": NOW},
            {**EXPIRED, "run_no": 1},
            {**EXPIRED, "actor": "an operator"},
            {**BACKFILLED, "actor": "an operator"},
            {**BACKFILLED, "lease_token": UUID(int=9)},
        ],
        "origin_check": [
            {**BACKFILLED, "origin": "HEARSAY"},
            {**BACKFILLED, "status": "FAILED"},
            {**BACKFILLED, "run_no": 1},
            {**BACKFILLED, "started_at": NOW},
            {**BACKFILLED, "worker": "w"},
            {**BACKFILLED, "summary_sha256": b"1"},
            {**BACKFILLED, "login": None},
            {**BACKFILLED, "error_detail": "none"},
            {**BACKFILLED, "status": "ERROR", "error_reason": "REPORTED", "error_detail": "d"},
            {**BACKFILLED, "status": "ERROR", "error_reason": "BACKFILL_UNKNOWN"},
            {"status": "ERROR", "error_reason": "BACKFILL_UNKNOWN"},
        ],
    },
    "aborted_run": {
        "job_id_run_no_pkey": [{"job_id": 1}],
        "job_id_fkey": [{"job_id": 3}],
        "run_no_check": [{"run_no": 0}],
        "outcome_check": [{"outcome": "FAILED"}],
        "reason_check": [{"reason": "no disk"}, {"outcome": "RELEASED"}],
        "actor_check": [
            SIGNED,
            {"actor": "an operator"},
            {**REVOKED, "actor": "an operator"},
            {**REVOKED, "login": "l"},
            REVOKED,
        ],
    },
    "review": {
        "review_id_pkey": [{"review_id": 1}],
        "job_id_review_no_key": [{"job_id": 1}],
        "job_id_fkey": [{"job_id": 3}],
        "approver_check": [{"approver": "a"}, {"approver": "A"}],
    },
    "review_result": {
        "review_id_pkey": [{"review_id": 1}],
        "review_id_fkey": [{"review_id": 3}],
        "outcome_check": [{"outcome": "RUNNING"}],
        "lease_token_check": [
            {"lease_token": None},
            {"actor": "an operator"},
            {"login": "l"},
            SIGNED,
            {"worker": None},
            {"started_at": None},
            {"outcome": "CANCELLED"},
            {"outcome": "CANCELLED", "actor": "an operator"},
            {"outcome": "RUNS_EXHAUSTED"},
            {"outcome": "RUNS_EXHAUSTED", "lease_token": None, **SIGNED},
        ],
    },
    "review_summary": {
        "review_id_pkey": [{"review_id": 1}],
        "review_id_fkey": [{"review_id": 3}],
    },
    "amendment": {
        "amendment_id_pkey": [{"amendment_id": 1}],
        "job_id_amendment_no_key": [{"job_id": 1}],
        "review_id_key": [{"review_id": 1}],
        "job_id_fkey": [{"job_id": 3}],
        "review_id_fkey": [{"review_id": 3}],
        "status_check": [{"status": "RUNNING"}],
        "approver_check": [{"approver": "a"}, {"approver": "A"}],
    },
    "artifact": {
        "artifact_id_pkey": [{"artifact_id": 1}],
        "job_id_run_no_name_key": [{"job_id": 1, "artifact_no": 2}],
        "job_id_run_no_artifact_no_key": [{"job_id": 1, "name": "other"}],
        "job_id_fkey": [{"job_id": 3}],
        "kind_check": [{"kind": "log"}],
        "artifact_no_check": [{"artifact_no": 0}, {"artifact_no": 101}],
        "inline_bytes_check": [{"inline_bytes": -1}, {"inline_bytes": 16_777_217}],
        "size_bytes_check": [{"size_bytes": -1}],
        "location_check": [{"location": "s3://a/b"}, {"body_id": None}],
        "sha256_check": [{"sha256": b"1" * 31}],
        "original_size_bytes_check": [
            {"original_size_bytes": 1},
            {"original_size_bytes": 0, "truncated": True},
        ],
        "original_sha256_check": [
            {"original_sha256": b"1" * 32},
            {"original_sha256": b"1" * 31, "truncated": True},
        ],
    },
    "body": {
        "body_id_pkey": [{"body_id": 1}],
        "sha256_key": [{"sha256": b"1" * 32}],
        "sha256_check": [{"sha256": b"1" * 31}],
        "content_check": [{"content": b"1" * 1_048_577}],
    },
    "expiry": {
        "kind_id_pkey": [{"id": 1}],
        "kind_check": [{"kind": "JOB"}],
    },
    "hold": {
        "session_id_ticket_hold_no_pkey": [{"session_id": UUID(int=1)}],
    },
    "backfill": {
        "log_id_pkey": [{"log_id": UUID(int=1)}],
        "job_id_key": [{"job_id": 1}],
        "job_id_fkey": [{"job_id": 3}],
        "attempt_id_fkey": [{"attempt_id": 3}],
        "outcome_check": [
            {"outcome": "WRITTEN"},
            {"job_id": None},
            {"attempt_id": None},
            {"outcome": "ATTEMPT", "reason": "COMMIT_HAS_JOB"},
            {"outcome": "ATTEMPT", "reason": "COMMIT_HAS_JOB", "job_id": None, "attempt_id": None},
            {"outcome": "SKIPPED", "reason": "BAD_TIME", "job_id": None},
        ],
        "reason_check": [
            {"reason": "COMMIT_HAS_JOB"},
            {"reason": "BAD_TIME"},
            {"outcome": "ATTEMPT", "job_id": None},
            {"outcome": "SKIPPED", "job_id": None, "attempt_id": None},
        ],
        "log_sha256_check": [{"log_sha256": b"1"}],
        "ledger_sha256_check": [{"ledger_sha256": b"1"}],
    },
    "lane": {
        "session_id_pkey": [{"session_id": UUID(int=1)}],
        "open_jobs_check": [{"open_jobs": 0}, {"open_jobs": 101}],
    },
    "ready": {"job_id_pkey": [{"job_id": 1}]},
    "lease": {"session_id_pkey": [{"session_id": UUID(int=1)}]},
    "waiting": {"session_id_turn_no_pkey": [{"session_id": UUID(int=1), "turn_no": 1}]},
    "migration": {"migration_id_pkey": [{"migration_id": "1"}]},
    "fingerprint": {"object_pkey": [{"object": "1"}]},
}
SQLSTATES = {"pkey": "23505", "key": "23505", "fkey": "23503", "check": "23514"}


RUN = "job_id started_at run_no worker"
DECISION = "reason actor=a approver=b ticket login"
# Table, parents first: the columns of a good row, and a value where the usual one is not meant.
ROWS = {
    "lab_attempt": "attempt_id session_id commit_sha recorded_at delivery_id",
    "attempt_detail": "attempt_id",
    "job": "job_id session_id commit_sha lab_version priority max_runs created_at",
    "job_payload": "job_id payload",
    "verdict": f"{RUN} completed_at lease_token status=PASSED",
    "verdict_summary": "job_id summary",
    "aborted_run": f"{RUN} ended_at outcome=LEASE_LOST",
    "review": "review_id job_id requested_at priority review_no runs_before lab_version"
    f" {DECISION}",
    "review_result": f"review_id {RUN} ended_at lease_token outcome=PASSED",
    "review_summary": "review_id summary",
    "amendment": "amendment_id job_id completed_at amended_at review_id amendment_no"
    f" verdict_status=PASSED status=FAILED {DECISION}",
    "artifact": "artifact_id job_id created_at size_bytes body_id inline_bytes run_no artifact_no"
    " truncated=f kind=LOG name media_type sha256",
    "body": "body_id created_at sha256 content",
    "expiry": "id expired_at kind=BODY login",
    "hold": "session_id decided_at hold_no ticket reason actor login",
    "backfill": "log_id session_id attempt_id job_id backfilled_at outcome=JOB"
    " reason=VERIFIED_PASS login log_sha256 ledger_sha256",
    "lane": "session_id head_job_id open_jobs",
    "ready": "session_id job_id attempt_id available_at priority last_run_no",
    "lease": f"session_id {RUN} attempt_id available_at lease_expires_at lease_token lease_for"
    " priority last_run_no",
    "waiting": "session_id turn_no",
    "migration": "migration_id checksum",
    "fingerprint": "migration_id=1 object state=present digest",
}


def value(column: str, number: int) -> Any:
    """Return the usual value of a column: of its own in each row where it is a key, else 1."""
    usual: dict[str, Any] = {
        "session_id": UUID(int=number),
        "log_id": UUID(int=number),
        "commit_sha": sha(number),
        "lease_token": UUID(int=9),
    }
    if column.endswith("_at"):
        return NOW
    if column.endswith("sha256"):
        return str(number) * 32
    is_key = column.endswith("_id") or column in ("id", "turn_no", "object")
    return usual.get(column, number if is_key else "1")


def row(table: str, number: int) -> dict[str, Any]:
    """Return a good row of a table."""
    columns = (column.partition("=") for column in ROWS[table].split())
    return {name: given or value(name, number) for name, _, given in columns}


def insert(conn: Connection, table: str, values: dict[str, Any]) -> None:
    query = sql.SQL("insert into pgjobs.{} ({}) overriding system value values ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, values)),
        sql.SQL(", ").join(map(sql.Placeholder, values)),
    )
    conn.execute(query, values)


@pytest.mark.parametrize(
    ("table", "rule", "change"),
    [
        (table, rule, change)
        for table, rules in CASES.items()
        for rule, changes in rules.items()
        for change in changes
    ],
)
def test_a_row_is_refused(conn: Connection, table: str, rule: str, change: dict[str, Any]) -> None:
    for other in ROWS:
        insert(conn, other, row(other, 1))
    for parent in takewhile(lambda other: other != table, ROWS):
        insert(conn, parent, row(parent, 2))
    values = row(table, 2)
    with conn.transaction(force_rollback=True):
        insert(conn, table, values)
    with refused(SQLSTATES[rule.rpartition("_")[2]]) as error:
        insert(conn, table, {**values, **change})
    assert error.value.diag.constraint_name == f"{table}_{rule}"


def test_every_constraint_and_unique_index_has_its_case(conn: Connection) -> None:
    found = rows(
        conn,
        "select conname from pg_constraint"
        " where connamespace = 'pgjobs'::regnamespace and contype <> 'n'"
        " union select relname from pg_index join pg_class on pg_class.oid = indexrelid"
        " where relnamespace = 'pgjobs'::regnamespace and indisunique",
    )
    cases = {f"{table}_{rule}" for table, rules in CASES.items() for rule in rules}
    assert {name for (name,) in found} == cases
