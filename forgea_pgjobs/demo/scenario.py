"""The course of the demo: push twice, verify, kill a worker on the way, try to change the end."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import psycopg

from forgea_pgjobs import JobStatus, VerificationJob, get_job
from forgea_pgjobs.demo import byte_compile, ledger
from forgea_pgjobs.demo.crew import Crew, Worker
from forgea_pgjobs.demo.expectations import Course, not_held
from forgea_pgjobs.demo.ledger import Commit
from forgea_pgjobs.demo.report import SHORT, Console, show_jobs, show_refusals
from forgea_pgjobs.demo.repository import Repository, obtain
from forgea_pgjobs.demo.worker import Run

INTERVAL = 0.1
BYTE_COMPILE = [sys.executable, "-I", byte_compile.__file__]
# Gives the check of the worker that is to be killed a middle to be killed in.
SLOWLY = ["sh", "-c", 'sleep 60; exec "$@"', "sh"]


def play(
    options: argparse.Namespace, console: Console, folder: Path, dsn: str, conn: psycopg.Connection
) -> list[str]:
    """Run the demo on a migrated database and return what did not hold."""
    has_default_check = options.check is None
    check = BYTE_COMPILE if has_default_check else ["sh", "-c", options.check]
    with Crew(folder / "crew") as crew:
        first_shift = [crew.add() for _ in range(options.workers)]
        repository, commits = _commits(options, console, folder, conn)

        pushed = ledger.push(conn, commits)
        console.fact("pushed", "created {} attempts and {} jobs".format(*pushed))
        again = ledger.push(conn, commits)
        console.fact("again", "created {} attempts and {} jobs".format(*again))

        killed = _kill_one(console, conn, crew, first_shift, dsn, repository, check)
        killed_worker = first_shift[0].name
        crew.add().begin(dsn, repository.folder, check)
        jobs = _watch(console, conn, crew, commits, killed)

    logs = ledger.logs(conn, commits)
    console.fact("stored", f"{len(logs)} logs of checks, equal bytes once")
    show_jobs(console, commits, jobs)
    finished = next((job for job in jobs if job.status is JobStatus.FAILED), jobs[-1])
    refusals = ledger.try_to_change(conn, finished, killed)
    show_refusals(console, conn, refusals)
    console.line()
    course = Course(
        commits=commits,
        broken=commits[-1] if has_default_check else None,
        pushed=pushed,
        again=again,
        jobs=jobs,
        killed=killed,
        killed_worker=killed_worker,
        runs=ledger.runs(conn, killed.job_id),
        logs=logs,
        verdicts=ledger.verdicts(conn, commits),
        refusals=refusals,
        jobs_afterwards=ledger.jobs(conn, commits),
    )
    return not_held(course)


def _commits(
    options: argparse.Namespace, console: Console, folder: Path, conn: psycopg.Connection
) -> tuple[Repository, list[Commit]]:
    """Read the commits, add the broken one, and deal them to lab sessions."""
    where = "embedded" if options.dsn is None else "given"
    version = conn.info.parameter_status("server_version")
    console.fact("database", f"PostgreSQL {version}, {where}")
    repository, name = obtain(options.repo, folder / "repository", options.commits)
    found = repository.newest(options.commits)
    commits = ledger.spread([*found, repository.add_broken()], options.workers)
    sessions = len({commit.session_id for commit in commits})
    console.fact("commits", f"{len(found)} of {name}, and one that is broken on purpose")
    console.fact("workers", f"{options.workers}, for {sessions} lab sessions")
    ledger.refuse_strangers(conn, commits)
    return repository, commits


def _kill_one(
    console: Console,
    conn: psycopg.Connection,
    crew: Crew,
    workers: list[Worker],
    dsn: str,
    repository: Repository,
    check: list[str],
) -> Run:
    """Set all workers to work and kill the first in the middle of its run, which is returned."""
    victim, *others = workers
    victim.begin(dsn, repository.folder, SLOWLY + check)
    run = crew.wait_for(victim.run)
    for worker in others:
        worker.begin(dsn, repository.folder, check)

    def running() -> VerificationJob | None:
        job = get_job(conn, commit_sha=run.commit_sha)
        return job if job and (job.status, job.worker) == ("RUNNING", victim.name) else None

    job = crew.wait_for(running)
    crew.kill(victim)
    words = f"{victim.name} with -9 while it checked {run.commit_sha[:SHORT]} (run {job.run_no})"
    console.fact("killed", words)
    return run


def _watch(
    console: Console, conn: psycopg.Connection, crew: Crew, commits: list[Commit], killed: Run
) -> list[VerificationJob]:
    """Show the progress until every job has its verdict, and return the jobs."""
    is_rescued = False
    while True:
        jobs = ledger.jobs(conn, commits)
        for job in jobs:
            if job.job_id == killed.job_id and job.run_no > 1 and not is_rescued:
                is_rescued = True
                words = f"{job.commit_sha[:SHORT]} (run {job.run_no}) by {job.worker}"
                console.fact("rescued", words)
        console.progress(jobs, commits)
        if all(job.completed_at for job in jobs):
            return jobs
        crew.check()
        time.sleep(INTERVAL)
