"""``forgea-pgjobs show``: what is known of one commit, from views and functions of a reader."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
from psycopg import IsolationLevel
from psycopg.rows import namedtuple_row

from forgea_pgjobs import Event, timeline, why_waiting
from forgea_pgjobs.cli.parser import add_command, add_dsn
from forgea_pgjobs.cli.table import plain, print_table

if TYPE_CHECKING:
    from forgea_pgjobs.cli.parser import Commands

Cells = Sequence[str]

JOB = """
select job.*, attempt.author, attempt.branch
from pgjobs.verification_job as job
join pgjobs.verification_attempt as attempt using (attempt_id)
where job.commit_sha = %s
"""
RUNS = "select * from pgjobs.verification_run where job_id = %s order by run_no"
ARTIFACTS = "select * from pgjobs.verification_artifact where job_id = %s order by artifact_id"
AMENDMENTS = "select * from pgjobs.verification_amendment where job_id = %s order by amendment_no"
REVIEWS = "select * from pgjobs.verification_review where job_id = %s order by review_id"


class UnknownCommit(Exception):
    """No job has that commit."""

    sqlstate = "P0002"
    hint = "Give the full SHA of a commit that was enqueued."


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
    with psycopg.connect(options.dsn, row_factory=namedtuple_row) as conn:
        # All of it as of one moment.
        conn.isolation_level = IsolationLevel.REPEATABLE_READ
        conn.read_only = True
        events = timeline(conn, commit_sha=options.commit)
        if not events:
            raise UnknownCommit(f"no job has commit {options.commit}")
        job = _rows(conn, JOB, options.commit)[0]
        facts = _facts(job)
        waiting = why_waiting(conn, job_id=job.job_id)
        if waiting.reason != "final":
            facts.append(("not done", f"{waiting.reason} ({_pairs(waiting.detail)})"))
        tables = [
            (name, header, [cells(row) for row in _rows(conn, query, job.job_id)])
            for name, query, header, cells in TABLES
        ]
    print_table(facts)
    for name, header, rows in [*tables, ("timeline", TIMELINE, [_event(each) for each in events])]:
        if rows:
            print(f"\n{name}")
            print_table([header, *rows])
    return 0


def _rows(conn: psycopg.Connection[Any], query: LiteralString, key: str | int) -> list[Any]:
    return conn.execute(query, [key]).fetchall()


def _facts(job: Any) -> list[Cells]:
    pushed = [f"by {job.author}"] * bool(job.author) + [f"on {job.branch}"] * bool(job.branch)
    return [
        ("commit", job.commit_sha),
        ("status", job.status),
        *(
            [("effective", f"{job.effective_status} since {_time(job.amended_at)} UTC")]
            if job.amended_at
            else []
        ),
        *([("error", f"{job.error_reason}: {job.error_detail or '-'}")] * bool(job.error_reason)),
        ("job", f"{job.job_id}, lab version {job.lab_version}, priority {job.priority}"),
        ("session", str(job.session_id)),
        *([("pushed", " ".join(pushed))] if pushed else []),
        ("runs", f"{job.run_no} of at most {job.max_runs}"),
        *([("origin", f"{job.origin}, no run of ours")] * (job.origin != "QUEUE")),
    ]


def _run(row: Any) -> Cells:
    took = f"{(row.ended_at - row.started_at).total_seconds():.1f}" if row.ended_at else "-"
    started = _time(row.started_at)
    return str(row.run_no), row.outcome, row.worker, started, took, row.reason or "-"


def _artifact(row: Any) -> Cells:
    kept = f"until {_time(row.expired_at)} UTC" if row.expired_at else row.location or "here"
    size = f"{row.size_bytes:,}" + (", cut" if row.truncated else "")
    return str(row.artifact_id), str(row.run_no), row.kind, row.name, size, kept


def _amendment(row: Any) -> Cells:
    decided = (row.actor, row.approver, row.ticket, row.reason)
    return str(row.amendment_no), row.status, _time(row.amended_at), *decided


def _review(row: Any) -> Cells:
    decided = (row.actor, row.approver, row.ticket, row.reason)
    return str(row.review_id), row.status, _time(row.requested_at), *decided


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _pairs(detail: dict[str, Any]) -> str:
    return ", ".join(f"{name} {_word(name, value)}" for name, value in detail.items())


def _word(name: str, value: Any) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    if name.endswith("_at"):
        with suppress(ValueError, OverflowError):  # a year that Python does not know
            return f"{_time(datetime.fromisoformat(value))} UTC"
    return plain(value)


def _event(event: Event) -> Cells:
    run_no = "-" if event.run_no is None else str(event.run_no)
    return _time(event.at), event.event, run_no, event.actor or "-", _pairs(event.detail)


DECIDED = ("actor", "approver", "ticket", "reason")
TIMELINE = ("at, UTC", "event", "run", "actor", "detail")
TABLES: list[tuple[str, LiteralString, Cells, Callable[[Any], Cells]]] = [
    ("runs", RUNS, ("run", "outcome", "worker", "started, UTC", "seconds", "reason"), _run),
    ("artifacts", ARTIFACTS, ("id", "run", "kind", "name", "bytes", "kept"), _artifact),
    ("amendments", AMENDMENTS, ("no", "status", "at, UTC", *DECIDED), _amendment),
    ("reviews", REVIEWS, ("id", "status", "requested, UTC", *DECIDED), _review),
]
