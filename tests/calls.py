"""Shorthands of the calls around a run and a verdict; those every test needs are in helpers.py."""

from typing import Any
from uuid import UUID, uuid4

from tests.helpers import Connection, call, claim, complete, enqueue

DECISION = {"reason": "bug", "actor": "ada", "approver": "grace", "ticket": "T-1"}
# About what a session keeps: why, by whom, and the matter.
ORDER = {"reason": "complaint", "actor": "ada", "ticket": "T-1"}
# An artifact that lies with the host.
ELSEWHERE = {"location": "s3://lab/log", "sha256": b"h" * 32, "size_bytes": 7}


def lease(run: Any) -> dict[str, Any]:
    """Return the first two arguments of a worker's calls."""
    return {"job_id": run.job_id, "lease_token": run.lease_token}


def start(conn: Connection, **arguments: Any) -> Any:
    """Enqueue a job and claim it."""
    enqueue(conn, **arguments)
    return claim(conn)


def start_many(conn: Connection, size: int) -> list[Any]:
    """Enqueue so many jobs, each of a session of its own, and claim them."""
    enqueue_many(conn, *new(size))
    return call(conn, "claim", worker="w", max_jobs=size)


def finish(conn: Connection, status: str = "PASSED", **arguments: Any) -> Any:
    """Enqueue a job, claim it, complete it and return its run."""
    run = start(conn, **arguments)
    complete(conn, run, status)
    return run


def release(conn: Connection, run: Any, **arguments: Any) -> Any:
    """Release a claimed run for the want of a disk."""
    [answer] = call(conn, "release", **lease(run), **{"reason": "no disk", **arguments})
    return answer


def cancel(conn: Connection, job_id: int, **arguments: Any) -> Any:
    """Cancel a job, as "ops" and because "withdrawn" unless told otherwise."""
    said = {"reason": "withdrawn", "actor": "ops", **arguments}
    [answer] = call(conn, "cancel", job_id=job_id, **said)
    return answer


def revoke(conn: Connection, job_id: int, **arguments: Any) -> Any:
    """Revoke the lease of a job, as "ops" and because "it hangs" unless told otherwise."""
    said = {"reason": "it hangs", "actor": "ops", **arguments}
    [answer] = call(conn, "revoke_lease", job_id=job_id, **said)
    return answer


def amend(conn: Connection, job_id: int, status: str, **arguments: Any) -> Any:
    """Amend a verdict."""
    [answer] = call(conn, "amend", **{"job_id": job_id, "status": status, **DECISION, **arguments})
    return answer


def reverify(conn: Connection, *job_ids: int, **arguments: Any) -> list[Any]:
    """Have jobs judged again."""
    return call(conn, "reverify", **{"job_ids": list(job_ids), **DECISION, **arguments})


def add(conn: Connection, run: Any, **arguments: Any) -> Any:
    """Add a log with the content "log" to a claimed run, or what else is told."""
    artifact: dict[str, Any] = {"kind": "LOG", "name": "log", **arguments}
    if "location" not in artifact:
        artifact.setdefault("content", b"log")
    [answer] = call(conn, "add_artifact", **lease(run), **artifact)
    return answer


def read(conn: Connection, artifact_id: int) -> Any:
    """Read the content of an artifact."""
    [[content]] = call(conn, "read_artifact", artifact_id=artifact_id)
    return content


def hold(conn: Connection, session_id: UUID, **arguments: Any) -> Any:
    """Put a session on hold."""
    [answer] = call(conn, "hold", **{"session_id": session_id, **ORDER, **arguments})
    return answer


def erase(conn: Connection, session_id: UUID, **arguments: Any) -> dict[str, int]:
    """Erase a session for good, and return how many rows of each kind that was."""
    said = {"session_id": session_id, **ORDER, "dry_run": False, **arguments}
    return dict(call(conn, "erase_session", **said))


def new(size: int) -> list[tuple[UUID, str]]:
    """Return so many new commits of new sessions, neither in any order, as in real life."""
    return [(uuid4(), uuid4().hex + "00000000") for _ in range(size)]


def batch(*commits: tuple[UUID, str], **more: Any) -> dict[str, Any]:
    """Return the arguments of enqueue_many for commits of sessions, with lab version "1"."""
    return {
        "session_ids": [session for session, _ in commits],
        "commit_shas": [commit for _, commit in commits],
        "lab_versions": ["1"] * len(commits),
        **more,
    }


def enqueue_many(conn: Connection, *commits: tuple[UUID, str], **more: Any) -> list[Any]:
    """Enqueue commits of sessions in one call."""
    return call(conn, "enqueue_many", **batch(*commits, **more))


def complete_many(
    conn: Connection, runs: list[Any], status: str = "PASSED", **more: Any
) -> list[Any]:
    """Complete runs, or whatever has a job_id and a lease_token, in one call."""
    return call(
        conn,
        "complete_many",
        job_ids=[run.job_id for run in runs],
        lease_tokens=[run.lease_token for run in runs],
        **{"statuses": [status] * len(runs), **more},
    )
