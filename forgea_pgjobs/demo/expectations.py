"""What has to hold at the end of the demo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from forgea_pgjobs import JobStatus, VerificationJob
from forgea_pgjobs.demo.ledger import Commit, Refusal, RunRecord
from forgea_pgjobs.demo.worker import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What happened; ``broken`` is the one commit that must fail, where the check is ours."""

    commits: Sequence[Commit]
    broken: Commit | None
    pushed: tuple[int, int]
    again: tuple[int, int]
    jobs: Sequence[VerificationJob]
    killed: Run
    killed_worker: str
    runs: Sequence[RunRecord]
    logs: Sequence[tuple[int, int]]
    verdicts: Sequence[str]
    refusals: Sequence[Refusal]
    jobs_afterwards: Sequence[VerificationJob]


def not_held(course: Course) -> list[str]:
    """Return the expectations that were disappointed."""
    count = len(course.commits)
    shas = sorted(commit.sha for commit in course.commits)
    expectations = {
        "the first push creates everything": course.pushed == (count, count),
        "the second push creates nothing": course.again == (0, 0),
        "every commit has exactly one verdict": sorted(course.verdicts) == shas,
        "every verdict is what its check said": all(map(_is_as_checked, course.jobs)),
        "every verdict has the log of its check": (
            {(job.job_id, job.run_no) for job in course.jobs} <= set(course.logs)
        ),
        "the killed worker's run is on record as a lost lease, and run 2 has the verdict": (
            [(run.run_no, run.outcome) for run in course.runs if run.worker == course.killed_worker]
            == [(1, "LEASE_LOST")]
            and [job.run_no for job in course.jobs if job.job_id == course.killed.job_id] == [2]
        ),
        "every change is refused with its code": all(
            refusal.sqlstate == refusal.expected for refusal in course.refusals
        ),
        "nothing has changed afterwards": course.jobs_afterwards == course.jobs,
    }
    if course.broken is not None:
        failed = {job.commit_sha for job in course.jobs if job.status is JobStatus.FAILED}
        words = "only the broken commit fails (if others do not compile here, choose a --check)"
        expectations[words] = failed == {course.broken.sha}
    return [expectation for expectation, has_held in expectations.items() if not has_held]


def _is_as_checked(job: VerificationJob) -> bool:
    # An ERROR has no summary: a commit that could not be checked out is a demo that did not work.
    exit_code = (job.summary or {}).get("exit_code", "none")
    passed = exit_code == 0
    return exit_code != "none" and job.status == (JobStatus.PASSED if passed else JobStatus.FAILED)
