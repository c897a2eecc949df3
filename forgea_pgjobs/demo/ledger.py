"""What the demo asks of the database: the pushes, the jobs, and what must be refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import LiteralString
from uuid import NAMESPACE_URL, UUID, uuid5

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from forgea_pgjobs import JobStatus, VerificationJob, complete, enqueue, record_attempt
from forgea_pgjobs.demo.errors import DemoFailed
from forgea_pgjobs.demo.worker import Run
from forgea_pgjobs.errors import translated

LAB_VERSION = "demo"
OPEN_PER_SESSION = 100
JOBS = """
select *
from pgjobs.verification_job
where commit_sha = any(%s)
order by job_id
"""
CHANGES: tuple[LiteralString, ...] = (
    "update pgjobs.verdict set status = {status} where job_id = {job_id}",
    "delete from pgjobs.job where job_id = {job_id}",
    "truncate pgjobs.job cascade",
)
RUNS = "select run_no, worker, outcome from pgjobs.verification_run where job_id = %s"
LOGS = """
select artifact.job_id, artifact.run_no
from pgjobs.verification_artifact as artifact
join pgjobs.verification_job as job using (job_id)
where job.commit_sha = any(%s) and artifact.kind = 'LOG'
"""
VERDICTS = "select commit_sha from pgjobs.verification_verdict where commit_sha = any(%s)"
OPEN = "select count(*) from pgjobs.verification_job where status in ('QUEUED', 'RUNNING')"


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit and the lab session that pushes it."""

    sha: str
    subject: str
    session_id: UUID


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A row of the view ``pgjobs.verification_run``, as far as the demo looks at it."""

    run_no: int
    worker: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """What was tried and what came of it; ``name`` is that of the exception."""

    tried: str
    expected: str
    sqlstate: str
    name: str


def spread(commits: Sequence[tuple[str, str]], workers: int) -> list[Commit]:
    """Deal the commits, in order, to at least twice as many lab sessions as workers."""
    count = max(2 * workers, -(-len(commits) // OPEN_PER_SESSION))
    sessions = [uuid5(NAMESPACE_URL, f"forgea-pgjobs:demo:{number}") for number in range(count)]
    return [
        Commit(sha, subject, sessions[number % count])
        for number, (sha, subject) in enumerate(commits)
    ]


def refuse_strangers(conn: psycopg.Connection, commits: Iterable[Commit]) -> None:
    """Raises: DemoFailed: the database has work of its own, or has seen these commits."""
    if conn.execute(OPEN).fetchone() != (0,):
        raise DemoFailed(
            "the database has open jobs, which the demo's workers would claim",
            "Give the demo an empty database.",
        )
    if jobs(conn, commits):
        raise DemoFailed(
            "the database has verified these commits already, and a commit is verified once",
            "Give the demo an empty database, or --repo another repository.",
        )


def push(conn: psycopg.Connection, commits: Iterable[Commit]) -> tuple[int, int]:
    """Record an attempt and enqueue a job for each commit; return how many of each are new."""
    attempts = new_jobs = 0
    for commit in commits:
        with conn.transaction():
            recorded = record_attempt(
                conn,
                session_id=commit.session_id,
                commit_sha=commit.sha,
                delivery_id=f"push-{commit.sha}",
            )
            job = enqueue(
                conn,
                session_id=commit.session_id,
                commit_sha=commit.sha,
                lab_version=LAB_VERSION,
                delivery_id=f"push-{commit.sha}",
            )
        attempts += recorded.created
        new_jobs += job.created
    return attempts, new_jobs


def jobs(conn: psycopg.Connection, commits: Iterable[Commit]) -> list[VerificationJob]:
    """Return the jobs of the commits, in the order of enqueuing."""
    with conn.cursor(row_factory=class_row(VerificationJob)) as cursor:
        return cursor.execute(JOBS, [[commit.sha for commit in commits]]).fetchall()


def runs(conn: psycopg.Connection, job_id: int) -> list[RunRecord]:
    """Return every run of a job."""
    with conn.cursor(row_factory=class_row(RunRecord)) as cursor:
        return cursor.execute(RUNS, [job_id]).fetchall()


def logs(conn: psycopg.Connection, commits: Iterable[Commit]) -> list[tuple[int, int]]:
    """Return job and run of every log that a check has left."""
    return conn.execute(LOGS, [[commit.sha for commit in commits]]).fetchall()


def verdicts(conn: psycopg.Connection, commits: Iterable[Commit]) -> list[str]:
    """Return the commits' SHAs, each as often as it has a verdict."""
    shas = [commit.sha for commit in commits]
    return [sha for (sha,) in conn.execute(VERDICTS, [shas]).fetchall()]


def try_to_change(conn: psycopg.Connection, job: VerificationJob, killed: Run) -> list[Refusal]:
    """Try what nobody may do: to a finished job, and with the killed worker's token.

    Should one succeed after all, it is rolled back.
    """
    other = JobStatus.FAILED if job.status is JobStatus.PASSED else JobStatus.PASSED
    words = {"job_id": sql.Literal(job.job_id), "status": sql.Literal(other.value)}
    refusals = []
    for change in CHANGES:
        query = sql.SQL(change).format(**words)
        refusals.append(
            _refusal(conn, query.as_string(conn), "23V01", partial(conn.execute, query))
        )
    late = partial(
        complete, job_id=killed.job_id, lease_token=UUID(killed.lease_token), status="PASSED"
    )
    tried = f"complete({killed.job_id}, the killed worker's token, 'PASSED')"
    return [*refusals, _refusal(conn, tried, "23V02", partial(late, conn))]


def _refusal(
    conn: psycopg.Connection, tried: str, expected: str, attempt: Callable[[], object]
) -> Refusal:
    try:
        with conn.transaction(force_rollback=True), translated():
            attempt()
    except psycopg.Error as error:
        return Refusal(tried, expected, error.sqlstate or "", type(error).__name__)
    return Refusal(tried, expected, "00000", "not refused")
