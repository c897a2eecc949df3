"""The demo: push twice, verify, kill a worker on the way, try to change the verdicts."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import psycopg
from psycopg.rows import class_row

import forgea_pgjobs
from forgea_pgjobs import JobStatus, VerificationJob, enqueue, record_attempt
from forgea_pgjobs.cli.connection import connect
from forgea_pgjobs.cli.output import plain
from forgea_pgjobs.demo.repository import Repository, last_lines
from forgea_pgjobs.demo.screen import BOLD, GREEN, RED, SHORT, Console, Refusal
from forgea_pgjobs.embedded.server import private_folder, run_server
from forgea_pgjobs.embedded.signals import held, unwinding
from forgea_pgjobs.errors import Refused, translated
from forgea_pgjobs.schema import runner
from forgea_pgjobs.worker.check import Group

OPEN_PER_SESSION = 100
INTERVAL = 0.1
# Longer than the time limit of a check, during which nothing need happen.
PATIENCE = 90.0
VICTIM = "worker-1"
# Compiles in memory: nothing of the commit is run or imported, and nothing is written.
COMPILE = """
from pathlib import Path
paths = [path for path in sorted(Path().rglob("*.py")) if path.is_file() and not path.is_symlink()]
for path in paths:
    compile(path.read_bytes(), path, "exec")
print(len(paths), "files compile")
"""
BYTE_COMPILE = shlex.join([sys.executable, "-I", "-W", "ignore", "-c", COMPILE])
# Gives the check of the worker that is to be killed a middle to be killed in.
SLOWLY = "touch ../begun; sleep 60"
# What a worker runs: a checkout, SLOWLY or nothing, and the check, of which no code but 0 is good.
CHECK = """
{} || exit 3
{}
sh -c {}
code=$?
echo '{{"exit_code": '$code'}}' >"$PGJOBS_ARTIFACTS/summary.json"
exit $((code > 128 ? code : code > 0))
"""
# Imports from the folder, or the archive, that we are from; never from where the caller stands.
START = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from forgea_pgjobs.cli import main; main()"
)
IMPORT_FROM = str(Path(forgea_pgjobs.__file__).parent.parent)
# The lease is short, so that the job of a worker that was killed is soon another's.
SETTINGS = ("--lease-for=2", "--poll-interval=0.05", "--time-limit=60")
WORKER = (sys.executable, "-P", "-c", START, IMPORT_FROM, "work", *SETTINGS)
LOG = "log"
OPEN = "select count(*) from pgjobs.verification_job where status in ('QUEUED', 'RUNNING')"
JOBS = "select * from pgjobs.verification_job where commit_sha = any(%s) order by job_id"
LEASE = "select lease_token from pgjobs.lease where job_id = %s"
RUNS = "select run_no, outcome from pgjobs.verification_run where job_id = %s and worker = %s"
LOGS = "select job_id, run_no from pgjobs.verification_artifact where job_id = any(%s)"
VERDICTS = "select commit_sha from pgjobs.verification_verdict where commit_sha = any(%s)"
CHANGES = {
    "update pgjobs.verdict set status = '{status}' where job_id = {job_id}": "23V01",
    "delete from pgjobs.job where job_id = {job_id}": "23V01",
    "truncate pgjobs.job cascade": "23V01",
    "select pgjobs.complete({killed}, '{token}', 'PASSED')": "23V02",
}


def run(options: argparse.Namespace) -> int:
    """Run the demo; 0 only if everything held.

    Raises: Refused, and whatever the server, the runner and psycopg raise.
    """
    begin = time.monotonic()
    with unwinding(), ExitStack() as stack:
        console = Console(sys.stdout)
        stack.callback(console.clear)
        private = stack.enter_context(private_folder())
        # What a check that is being killed still writes is removed with the outer folder.
        folder = stack.enter_context(TemporaryDirectory(dir=private, ignore_cleanup_errors=True))
        dsn = options.dsn if options.dsn is not None else stack.enter_context(run_server()).dsn()
        console.line("forgea_pgjobs demo", BOLD)
        runner.migrate(dsn, notify=lambda message: console.fact("notice", plain(message)))
        conn = stack.enter_context(connect(dsn, autocommit=True))
        demo = Demo(console, conn, Path(folder))
        demo.play(options, dsn)
        not_held = demo.not_held()
        console.line()
        for expectation in not_held:
            console.line(f"Not held: {expectation}.", RED)
        words, colour = ("Not everything held", RED) if not_held else ("Everything held", GREEN)
        console.line(f"{words} ({time.monotonic() - begin:.1f} s).", colour)
        if options.keep and options.dsn is not None:
            console.line("\nThe rows stay in your database: forgea-pgjobs status shows them.")
        elif options.keep:
            ending = f"press Ctrl-C here (or kill {os.getpid()})"
            console.line(f"\nThe server runs until you {ending}, which removes it. Meanwhile:")
            console.line(f'  psql "{dsn}"')
            with suppress(KeyboardInterrupt):
                Event().wait()
    return 1 if not_held else 0


class Demo:
    """One run of the demo on a migrated database, and what it has seen."""

    def __init__(self, console: Console, conn: psycopg.Connection, folder: Path) -> None:
        self.console = console
        self.conn = conn
        self.folder = folder
        self.workers: dict[str, Group] = {}

    def play(self, options: argparse.Namespace, dsn: str) -> None:
        """Run the demo from the first push to the last refusal."""
        console, conn = self.console, self.conn
        check = shlex.quote(BYTE_COMPILE if options.check is None else options.check)
        version = f"PostgreSQL {conn.info.parameter_status('server_version')}"
        console.fact("database", f"{version}, {'embedded' if options.dsn is None else 'given'}")
        repository = Repository(self.folder / "repository")
        origin = repository.fill(options.repo, options.commits)
        repository.add_broken()
        check_out = repository.check_out()
        self.commits = repository.newest(options.commits + 1)
        self.broken = [*self.commits][-1] if options.check is None else None
        sessions = deal(len(self.commits), options.workers)
        words = f"{len(self.commits) - 1} of {origin}, and one that is broken on purpose"
        console.fact("commits", words)
        console.fact("workers", f"{options.workers}, for {len(set(sessions))} lab sessions")
        self.refuse_strangers()

        with ExitStack() as stack:

            def start(first: str = "") -> None:
                folder = self.folder / f"worker-{len(self.workers) + 1}"
                folder.mkdir()
                script = CHECK.format(check_out, first, check)
                argv = [*WORKER, f"--name={folder.name}", f"--check={script}"]
                # An argument would show everybody the password that may be in it.
                environment = os.environ | {"DATABASE_URL": dsn, "TMPDIR": str(folder)}
                with held(), (folder / LOG).open("wb") as log:
                    process = Group(argv, stdout=log, cwd=folder, env=environment)
                    self.workers[folder.name] = stack.enter_context(process)
                    stack.callback(process.kill)

            start(SLOWLY)
            self.pushed = self.push(sessions)
            console.fact("pushed", "created {} attempts and {} jobs".format(*self.pushed))
            self.again = self.push(sessions)
            console.fact("again", "created {} attempts and {} jobs".format(*self.again))
            # Until the victim is in the middle of its check.
            self.watch(lambda _: any((self.folder / VICTIM).glob("*/begun")))
            self.killed = next(job for job in self.current_jobs() if job.worker == VICTIM)
            [(token,)] = conn.execute(LEASE, [self.killed.job_id]).fetchall()
            for _ in range(options.workers):
                start()
            self.workers.pop(VICTIM).kill()
            sha = self.killed.commit_sha[:SHORT]
            words = f"{VICTIM} with -9 while it checked {sha} (run {self.killed.run_no})"
            console.fact("killed", words)
            jobs = self.watch(lambda job: job.job_id != self.killed.job_id or job.run_no > 1)
            rescued = next(job for job in jobs if job.job_id == self.killed.job_id)
            console.fact("rescued", f"{sha} (run {rescued.run_no}) by {rescued.worker}")
            self.jobs = self.watch(lambda job: job.completed_at)

        self.logs = conn.execute(LOGS, [[job.job_id for job in self.jobs]]).fetchall()
        console.fact("stored", f"{len(self.logs)} logs of checks, equal bytes once")
        console.jobs(self.jobs, self.commits)
        self.refusals = self.try_to_change(token)
        role = "superuser" if conn.info.parameter_status("is_superuser") == "on" else "owner"
        console.refusals(self.refusals, f"the {role} {plain(conn.info.user)}")
        self.runs = conn.execute(RUNS, [self.killed.job_id, VICTIM]).fetchall()
        self.verdicts = [sha for (sha,) in conn.execute(VERDICTS, [[*self.commits]])]
        self.jobs_afterwards = self.current_jobs()

    def refuse_strangers(self) -> None:
        """Raises: Refused: the database has work of its own, or has seen these commits."""
        if self.conn.execute(OPEN).fetchone() != (0,):
            message = "the database has open jobs, which the demo's workers would claim"
            raise Refused("58000", message, "Give the demo an empty database.")
        if self.current_jobs():
            message = "the database has verified these commits already, and each is verified once"
            hint = "Give the demo an empty database, or --repo another repository."
            raise Refused("58000", message, hint)

    def push(self, sessions: list[UUID]) -> tuple[int, int]:
        """Record an attempt and enqueue a job for each commit; return how many of each are new."""
        attempts = jobs = 0
        for sha, session_id in zip(self.commits, sessions, strict=True):
            pushed: dict[str, Any] = {"session_id": session_id, "commit_sha": sha}
            pushed["delivery_id"] = f"push-{sha}"
            with self.conn.transaction():
                attempts += record_attempt(self.conn, **pushed).created
                jobs += enqueue(self.conn, **pushed, lab_version="demo").created
        return attempts, jobs

    def current_jobs(self) -> list[VerificationJob]:
        """Return the jobs of the commits, in the order of enqueuing."""
        with self.conn.cursor(row_factory=class_row(VerificationJob)) as cursor:
            return cursor.execute(JOBS, [[*self.commits]]).fetchall()

    def watch(self, is_so: Callable[[VerificationJob], Any]) -> list[VerificationJob]:
        """Show the progress until it is so for every job, and return the jobs.

        Raises: Refused: a worker has died, or nothing happens for long.
        """
        jobs, end = None, 0.0
        while True:
            before, jobs = jobs, self.current_jobs()
            self.console.progress(jobs, self.commits)
            if all(map(is_so, jobs)):
                return jobs
            for name, process in self.workers.items():
                if process.poll() is not None:
                    words = " ".join(last_lines((self.folder / name / LOG).read_bytes(), 1))
                    raise Refused("58000", f"{name} has died: {words}", "")
            if jobs != before:
                end = time.monotonic() + PATIENCE
            elif time.monotonic() > end:
                raise Refused("58000", "the workers do nothing", "")
            time.sleep(INTERVAL)

    def try_to_change(self, token: UUID) -> list[Refusal]:
        """Try what nobody may do: to a finished job, and with the killed worker's token.

        Should one succeed after all, it is rolled back.
        """
        job = next((job for job in self.jobs if job.status == "FAILED"), self.jobs[-1])
        other = JobStatus.FAILED if job.status is JobStatus.PASSED else JobStatus.PASSED
        words = {"job_id": job.job_id, "killed": self.killed.job_id, "token": token}
        refusals = []
        for change, expected in CHANGES.items():
            query = change.format(status=other, **words)
            answer = "00000", "not refused"
            try:
                with self.conn.transaction(force_rollback=True), translated():
                    self.conn.execute(query.encode())
            except psycopg.Error as error:
                answer = error.sqlstate or "", type(error).__name__
            tried = query.replace(f"'{token}'", "the killed worker's token")
            refusals.append(Refusal(tried.removeprefix("select pgjobs."), expected, *answer))
        return refusals

    def not_held(self) -> list[str]:
        """Return the expectations that were disappointed."""
        commits = sorted(self.commits)
        failed = {job.commit_sha for job in self.jobs if job.status is JobStatus.FAILED}
        expectations = {
            "the first push creates everything": self.pushed == (len(commits), len(commits)),
            "the second push creates nothing": self.again == (0, 0),
            "every commit has exactly one verdict": sorted(self.verdicts) == commits,
            "every verdict is what its check said": all(map(is_as_checked, self.jobs)),
            "every verdict has the log of its check": (
                {(job.job_id, job.run_no) for job in self.jobs} <= set(self.logs)
            ),
            "the killed worker's run is on record as a lost lease, and run 2 has the verdict": (
                self.runs == [(1, "LEASE_LOST")]
                and [job.run_no for job in self.jobs if job.job_id == self.killed.job_id] == [2]
            ),
            "every change is refused with its code": all(
                refusal.sqlstate == refusal.expected for refusal in self.refusals
            ),
            "nothing has changed afterwards": self.jobs_afterwards == self.jobs,
            # A check of the caller's may fail any commit.
            "only the broken commit fails (if others do not compile here, choose a --check)": (
                self.broken is None or failed == {self.broken}
            ),
        }
        return [expectation for expectation, has_held in expectations.items() if not has_held]


def deal(commits: int, workers: int) -> list[UUID]:
    """Return each commit's lab session, in turn one of at least twice as many as workers."""
    sessions = max(2 * workers, -(-commits // OPEN_PER_SESSION))
    return [uuid5(NAMESPACE_URL, f"forgea-pgjobs:demo:{n % sessions}") for n in range(commits)]


def is_as_checked(job: VerificationJob) -> bool:
    """Tell whether the status is that of the check; an ERROR has had none, and is no success."""
    summary = job.summary or {}
    said = JobStatus.PASSED if summary.get("exit_code") == 0 else JobStatus.FAILED
    return "exit_code" in summary and job.status is said
