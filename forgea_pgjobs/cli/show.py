"""``forgea-pgjobs show``: what is known of one commit, from views and functions of a reader."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, LiteralString

import psycopg
from psycopg import IsolationLevel
from psycopg.rows import namedtuple_row

from forgea_pgjobs import WaitingReason, timeline, why_waiting
from forgea_pgjobs.cli.connection import connect
from forgea_pgjobs.cli.output import plain, print_table
from forgea_pgjobs.cli.parser import Commands, add_command, add_dsn
from forgea_pgjobs.errors import Refused

JOB = """
select job.*, attempt.author, attempt.branch
from pgjobs.verification_job as job
join pgjobs.verification_attempt as attempt using (attempt_id)
where job.commit_sha = %(commit)s
"""
# The columns of each table are those of its query.
TABLES: dict[str, LiteralString] = {
    "runs": """
select run_no as run, outcome, worker, started_at as "started, UTC",
    round(extract(epoch from ended_at - started_at), 1) as seconds, reason
from pgjobs.verification_run
where job_id = %(job_id)s
order by run_no
""",
    "artifacts": """
select artifact_id as id, run_no as run, kind, name,
    to_char(size_bytes, 'FM999,999,999,999,999') || case when truncated then ', cut' else '' end
        as bytes,
    case
        when expired_at is null then coalesce(location, 'here')
        else to_char(expired_at at time zone 'UTC', '"until "YYYY-MM-DD HH24:MI:SS" UTC"')
    end as kept
from pgjobs.verification_artifact
where job_id = %(job_id)s
order by artifact_id
""",
    "amendments": """
select amendment_no as no, status, amended_at as "at, UTC", actor, approver, ticket, reason
from pgjobs.verification_amendment
where job_id = %(job_id)s
order by amendment_no
""",
    "reviews": """
select review_id as id, status, requested_at as "requested, UTC", actor, approver, ticket, reason
from pgjobs.verification_review
where job_id = %(job_id)s
order by review_id
""",
    "timeline": """
select at as "at, UTC", event, run_no as run, actor, detail from pgjobs.timeline(%(commit)s)
""",
}


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "show",
        "show a commit's job, runs, artifacts, amendments, reviews and timeline",
        "forgea-pgjobs show 2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
        run,
    )
    add_dsn(parser)
    parser.add_argument("commit", metavar="COMMIT", help="the full SHA")


def run(options: argparse.Namespace) -> int:
    """Print the tables."""
    with connect(options.dsn) as conn:
        # All of it as of one moment.
        conn.isolation_level = IsolationLevel.REPEATABLE_READ
        conn.read_only = True
        # The one style of times that psycopg reads.
        conn.execute("set local datestyle = iso")
        if not timeline(conn, commit_sha=options.commit):
            raise Refused(
                "P0002",
                f"no job has commit {options.commit}",
                "Give the full SHA of a commit that was enqueued.",
            )
        with conn.cursor(row_factory=namedtuple_row) as cursor:
            job: Any = cursor.execute(JOB, {"commit": options.commit}).fetchone()
        facts = _facts(job, why_waiting(conn, job_id=job.job_id))
        of = {"commit": options.commit, "job_id": job.job_id}
        tables = {name: _table(conn, query, of) for name, query in TABLES.items()}
    print_table(facts)
    for name, (header, *rows) in tables.items():
        if rows:
            print(f"\n{name}")
            print_table([header, *rows])
    return 0


def _facts(job: Any, waiting: WaitingReason) -> list[tuple[str, str]]:
    pushed = [f"by {job.author}"] * bool(job.author) + [f"on {job.branch}"] * bool(job.branch)
    facts = {
        "commit": job.commit_sha,
        "status": job.status,
        "effective": job.amended_at and f"{job.effective_status} since {_cell(job.amended_at)} UTC",
        "error": job.error_reason and f"{job.error_reason}: {job.error_detail or '-'}",
        "job": f"{job.job_id}, lab version {job.lab_version}, priority {job.priority}",
        "session": str(job.session_id),
        "pushed": " ".join(pushed),
        "runs": f"{job.run_no} of at most {job.max_runs}",
        "origin": job.origin != "QUEUE" and f"{job.origin}, no run of ours",
        "not done": waiting.reason != "final" and f"{waiting.reason} ({_cell(waiting.detail)})",
    }
    return [(name, fact) for name, fact in facts.items() if fact]


def _table(
    conn: psycopg.Connection, query: LiteralString, of: dict[str, Any]
) -> list[Sequence[str]]:
    cursor = conn.execute(query, of)
    header = [column.name for column in cursor.description or []]
    return [header, *(list(map(_cell, row)) for row in cursor)]


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, dict):
        return ", ".join(f"{name} {_word(name, each)}" for name, each in value.items())
    return "-" if value is None else str(value)


def _word(name: str, value: Any) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    if name.endswith("_at"):
        with suppress(ValueError, OverflowError):  # a year that Python does not know
            return f"{_cell(datetime.fromisoformat(value))} UTC"
    return plain(value)
