"""What no row can be, whoever writes it: each constraint and unique index of the tables."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from tests.helpers import Connection, refused, rows, sha

NOW = "2020-01-01 00:00+00"
CANCELLED = {"status": "ERROR", "error_reason": "CANCELLED"}
SIGNED = {"actor": "an operator", "login": "l"}
RUNS_EXHAUSTED = {"status": "ERROR", "error_reason": "RUNS_EXHAUSTED", "lease_token": None}
BACKFILLED = {
    "origin": "BACKFILL",
    "lease_token": None,
    "worker": None,
    "started_at": None,
    "run_no": 0,
    "login": "l",
}

# Table, rule: how row(2) must differ to be refused beside row(1).
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
    "job_payload": {
        "job_id_pkey": [{"job_id": 1}],
        "job_id_fkey": [{"job_id": 3}],
    },
    "verdict": {
        "job_id_pkey": [{"job_id": 1}],
        "job_id_fkey": [{"job_id": 3}],
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
    "verdict_summary": {
        "job_id_pkey": [{"job_id": 1}],
        "job_id_fkey": [{"job_id": 3}],
    },
    "aborted_run": {
        "job_id_run_no_pkey": [{"job_id": 1}],
        "job_id_fkey": [{"job_id": 3}],
        "run_no_check": [{"run_no": 0}],
        "outcome_check": [{"outcome": "FAILED"}],
        "reason_check": [{"reason": "no disk"}, {"outcome": "RELEASED"}],
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
    },
    "body": {
        "body_id_pkey": [{"body_id": 1}],
        "sha256_key": [{"sha256": bytes([1]) * 32}],
        "sha256_check": [{"sha256": b"1" * 31}],
        "content_check": [{"content": b"1" * 1_048_577}],
    },
    "expiry": {
        "kind_id_pkey": [{"id": 1}],
        "kind_check": [{"kind": "JOB"}],
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
    "ready": {
        "job_id_pkey": [{"job_id": 1}],
    },
    "lease": {
        "session_id_pkey": [{"session_id": UUID(int=1)}],
    },
    "waiting": {
        "session_id_turn_no_pkey": [{"session_id": UUID(int=1), "turn_no": 1}],
    },
    "migration": {
        "migration_id_pkey": [{"migration_id": "1"}],
    },
    "fingerprint": {
        "object_pkey": [{"object": "1"}],
    },
}
SQLSTATES = {"pkey": "23505", "key": "23505", "fkey": "23503", "check": "23514"}


def row(number: int) -> dict[str, dict[str, Any]]:
    """Return a good row of every table, parents first."""
    session_id = UUID(int=number)
    commit = {"session_id": session_id, "commit_sha": sha(number)}
    job = {"job_id": number}
    run = {**job, "started_at": NOW, "run_no": 1, "worker": "w"}
    decision = {"reason": "r", "actor": "a", "approver": "b", "ticket": "t", "login": "l"}
    fixed = {"lab_version": "1", "priority": 1, "max_runs": 1, "created_at": NOW}
    return {
        "lab_attempt": {
            "attempt_id": number,
            "recorded_at": NOW,
            "delivery_id": str(number),
            **commit,
        },
        "attempt_detail": {"attempt_id": number},
        "job": {**job, **commit, **fixed},
        "job_payload": {**job, "payload": Jsonb(1)},
        "verdict": {**run, "completed_at": NOW, "lease_token": UUID(int=9), "status": "PASSED"},
        "verdict_summary": {**job, "summary": Jsonb(1)},
        "aborted_run": {**run, "ended_at": NOW, "outcome": "LEASE_LOST"},
        "review": {
            "review_id": number,
            **job,
            "requested_at": NOW,
            "priority": 1,
            "review_no": 1,
            "runs_before": 1,
            "lab_version": "1",
            **decision,
        },
        "review_result": {
            "review_id": number,
            **run,
            "ended_at": NOW,
            "lease_token": UUID(int=9),
            "outcome": "PASSED",
        },
        "review_summary": {"review_id": number, "summary": Jsonb(1)},
        "amendment": {
            "amendment_id": number,
            **job,
            "completed_at": NOW,
            "amended_at": NOW,
            "review_id": number,
            "amendment_no": 1,
            "verdict_status": "PASSED",
            "status": "FAILED",
            **decision,
        },
        "artifact": {
            "artifact_id": number,
            **job,
            "created_at": NOW,
            "size_bytes": 1,
            "body_id": number,
            "inline_bytes": 1,
            "run_no": 1,
            "artifact_no": 1,
            "truncated": False,
            "kind": "LOG",
            "name": "log",
            "media_type": "text/plain",
            "sha256": b"1" * 32,
        },
        "body": {
            "body_id": number,
            "created_at": NOW,
            "sha256": bytes([number]) * 32,
            "content": b"1",
        },
        "expiry": {"id": number, "expired_at": NOW, "kind": "BODY", "login": "l"},
        "backfill": {
            "log_id": session_id,
            "session_id": session_id,
            "attempt_id": number,
            **job,
            "backfilled_at": NOW,
            "outcome": "JOB",
            "reason": "VERIFIED_PASS",
            "login": "l",
            "log_sha256": b"1" * 32,
            "ledger_sha256": b"1" * 32,
        },
        "lane": {"session_id": session_id, "head_job_id": number, "open_jobs": 1},
        "ready": {
            "session_id": session_id,
            **job,
            "attempt_id": number,
            "available_at": NOW,
            "priority": 1,
            "last_run_no": 1,
        },
        "lease": {
            "session_id": session_id,
            **run,
            "attempt_id": number,
            "available_at": NOW,
            "lease_expires_at": NOW,
            "lease_token": UUID(int=9),
            "lease_for": 1,
            "priority": 1,
            "last_run_no": 1,
        },
        "waiting": {"session_id": session_id, "turn_no": number},
        "migration": {"migration_id": str(number), "checksum": ""},
        "fingerprint": {
            "migration_id": "1",
            "object": str(number),
            "state": "present",
            "digest": "1",
        },
    }


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
    for other, values in row(1).items():
        insert(conn, other, values)
    for other, values in row(2).items():
        if other == table:
            break
        insert(conn, other, values)
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
