"""A session in some state, the steps that a transaction may take on it, and what came of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg import IsolationLevel
from psycopg.errors import SerializationFailure
from psycopg.pq import TransactionStatus

from tests.calls import DECISION, ORDER, add, lease, reverify
from tests.helpers import (
    Connection,
    call,
    claim,
    complete,
    enqueue,
    let_time_pass,
    overdue_now,
    rows,
    sha,
)


@dataclass(slots=True)
class Scene:
    """A lab session, another one, and commits named by letters; ``run`` is the head's lease."""

    session_id: UUID = field(default_factory=uuid4)
    other_id: UUID = field(default_factory=uuid4)
    commits: dict[str, str] = field(default_factory=lambda: {name: sha() for name in "xyz"})
    jobs: dict[str, int] = field(default_factory=dict)
    run: Any = None

    def enqueue(self, conn: Connection, name: str, **arguments: Any) -> None:
        """Put a commit in the queue before the race begins."""
        commit = {"session_id": self.session_id, "commit_sha": self.commits[name]}
        self.jobs[name] = enqueue(conn, **commit, **arguments).job_id


def nothing(_conn: Connection) -> Scene:
    return Scene()


def queued(conn: Connection) -> Scene:
    scene = Scene()
    scene.enqueue(conn, "x")
    scene.enqueue(conn, "z")
    return scene


def running(conn: Connection, max_runs: int = 3) -> Scene:
    """Make x run under a lease that is over, so that rescue has something to take."""
    scene = Scene()
    scene.enqueue(conn, "x", max_runs=max_runs)
    scene.run = claim(conn)
    let_time_pass(conn, "1 hour")
    return scene


def running_for_the_last_time(conn: Connection) -> Scene:
    scene = running(conn, max_runs=1)
    scene.enqueue(conn, "z")
    return scene


def overdue(conn: Connection) -> Scene:
    """Let the time pass by which x was to be begun, and z behind it."""
    scene = Scene()
    for name in "xz":
        scene.enqueue(conn, name, start_within="1 s")
    overdue_now(conn)
    return scene


def finished(conn: Connection) -> Scene:
    """Give x its verdict; z is queued behind nothing."""
    scene = Scene()
    scene.enqueue(conn, "x", max_runs=1)
    complete(conn, claim(conn), "FAILED")
    scene.enqueue(conn, "z")
    return scene


def done(conn: Connection) -> Scene:
    """Give x its verdict, with all that may be erased beside it; nothing is queued."""
    scene = Scene()
    commit = {"session_id": scene.session_id, "commit_sha": scene.commits["x"]}
    scene.jobs["x"] = enqueue(conn, **commit, author="Ada", payload="1").job_id
    scene.run = claim(conn)
    add(conn, scene.run, content=scene.commits["x"].encode())
    complete(conn, scene.run, "FAILED", summary="1")
    return scene


def reviewed(conn: Connection) -> Scene:
    """Let x be judged again, in the only run of that, under a lease that is over; z waits."""
    scene = Scene()
    scene.enqueue(conn, "x", max_runs=1)
    complete(conn, claim(conn), "FAILED")
    reverify(conn, scene.jobs["x"])
    scene.run = claim(conn)
    scene.enqueue(conn, "z")
    let_time_pass(conn, "1 hour")
    return scene


Step = Callable[[Scene], tuple[str, dict[str, Any]]]


def _enqueue(name: str, session: str = "session_id") -> Step:
    return lambda scene: (
        "enqueue",
        {
            "session_id": getattr(scene, session),
            "commit_sha": scene.commits[name],
            "lab_version": "1",
        },
    )


def _lease(function: str, **arguments: Any) -> Step:
    return lambda scene: (
        function,
        {**lease(scene.run), **arguments},
    )


def _order(function: str, **arguments: Any) -> Step:
    return lambda scene: (function, {"session_id": scene.session_id, **ORDER, **arguments})


def _cancel(name: str) -> Step:
    return lambda scene: (
        "cancel",
        {"job_id": scene.jobs[name], "reason": "no longer wanted", "actor": "operator"},
    )


def _revoke(name: str) -> Step:
    return lambda scene: (
        "revoke_lease",
        {"job_id": scene.jobs[name], "reason": "it hangs", "actor": "operator"},
    )


STEPS: dict[str, Step] = {
    "enqueue x": _enqueue("x"),
    "enqueue x elsewhere": _enqueue("x", "other_id"),
    "enqueue y": _enqueue("y"),
    "claim": lambda _scene: ("claim", {}),
    "rescue": lambda _scene: ("rescue", {}),
    "complete": _lease("complete", status="PASSED"),
    "release": _lease("release", reason="network", retry_after="30 s"),
    "heartbeat": _lease("heartbeat"),
    "cancel x": _cancel("x"),
    "cancel z": _cancel("z"),
    "revoke x": _revoke("x"),
    "add artifact": _lease("add_artifact", kind="LOG", name="log", content=b"log"),
    "reverify x": lambda scene: ("reverify", {"job_ids": [scene.jobs["x"]], **DECISION}),
    "amend x": lambda scene: (
        "amend",
        {"job_id": scene.jobs["x"], "status": "ERROR", **DECISION},
    ),
    "hold": _order("hold"),
    "lift hold": _order("lift_hold"),
    "erase": _order("erase_session", dry_run=False),
}
ENQUEUES = ("enqueue x", "enqueue x elsewhere", "enqueue y")
RETENTION = ("hold", "lift hold", "erase")
QUEUED = ("enqueue x", "enqueue y", "claim", "cancel x", "cancel z", "revoke x")
RUNNING = tuple(
    name
    for name in STEPS
    if name not in ("enqueue x elsewhere", "cancel z", "reverify x", "amend x", *RETENTION)
)
FINISHED = (
    *("enqueue x", "enqueue y", "claim", "cancel z", "revoke x"),
    *("reverify x", "amend x", "erase"),
)
DONE = ("enqueue x", "enqueue y", "reverify x", *RETENTION)
REVIEWED = (*RUNNING, "reverify x", "amend x")
SCENES: dict[str, tuple[Callable[[Connection], Scene], tuple[str, ...]]] = {
    "nothing": (nothing, (*ENQUEUES, "claim", "rescue")),
    "queued": (queued, QUEUED),
    "overdue": (overdue, (*QUEUED, "rescue")),
    "running": (running, RUNNING),
    "last run": (running_for_the_last_time, RUNNING),
    "finished": (finished, FINISHED),
    "done": (done, DONE),
    "reviewed": (reviewed, REVIEWED),
}

# What an answer says, ids and times aside: they differ from one play to the next.
SAID = (
    *("status", "created", "replayed", "run_no", "commit_sha", "outcome", "effective_status"),
    *("kind", "details", "held"),
)
STATE = """
select
    job.commit_sha, job.session_id = %(session_id)s as here, job.status, job.run_no,
    job.error_reason, job.effective_status,
    coalesce(ready.review_id, lease.review_id) is not null as is_reviewed,
    lease.lease_expires_at > clock_timestamp() as lease_is_live,
    array(
        select (run.run_no, run.worker, run.outcome)::text
        from pgjobs.verification_run as run where run.job_id = job.job_id order by run.run_no
    ) as runs,
    array(
        select review.status
        from pgjobs.verification_review as review
        where review.job_id = job.job_id order by review.review_id
    ) as reviews,
    array(
        select (artifact.run_no, artifact.name, artifact.expired_at is null)::text
        from pgjobs.verification_artifact as artifact
        where artifact.job_id = job.job_id order by artifact.artifact_id
    ) as artifacts,
    job.payload, job.summary, attempt.author,
    exists (
        select from pgjobs.verification_hold as hold
        where hold.session_id = job.session_id and hold.lifted_at is null
    ) as is_held
from pgjobs.verification_job as job
join pgjobs.verification_attempt as attempt on attempt.attempt_id = job.attempt_id
left join pgjobs.ready on ready.job_id = job.job_id
left join pgjobs.lease on lease.session_id = job.session_id and lease.job_id = job.job_id
where job.commit_sha = any (%(commits)s)
order by job.job_id
"""


def named(scene: Scene, value: Any) -> Any:
    """Replace a commit by its letter."""
    return {commit: name for name, commit in scene.commits.items()}.get(value, value)


def state(conn: Connection, scene: Scene) -> list[tuple[Any, ...]]:
    """Return every job of the scene as the views show it, in the order of the queue."""
    values = {"session_id": scene.session_id, "commits": list(scene.commits.values())}
    return [
        tuple(tuple(v) if isinstance(v, list) else named(scene, v) for v in row)
        for row in rows(conn, STATE, **values)
    ]


@dataclass(slots=True)
class Actor:
    """One transaction with one step; ``answer`` is what the call said, or its SQLSTATE."""

    name: str
    conn: Connection
    answer: Any = None
    committed: bool = False

    @property
    def counts(self) -> bool:
        """Does the answer bind? Not when it was rolled back, or is to be asked otherwise."""
        is_refused = isinstance(self.answer, str) and self.answer not in ("40001", "25000")
        return self.committed or is_refused

    def begin(self, level: IsolationLevel) -> None:
        """Begin, and take the snapshot that a level above READ COMMITTED keeps."""
        self.answer, self.committed = None, False
        self.conn.isolation_level = level
        self.conn.execute("select")

    def act(self, scene: Scene, step: str) -> None:
        """Take the step."""
        function, arguments = STEPS[step](scene)
        if function == "claim":
            arguments = {"worker": self.name}
        try:
            answers = call(self.conn, function, **arguments)
        except psycopg.Error as error:
            self.answer = error.sqlstate
            return
        self.answer = [
            tuple(named(scene, getattr(answer, name)) for name in SAID if hasattr(answer, name))
            for answer in answers
        ]

    def end(self, *, commit: bool) -> None:
        """Commit or roll back, once; a refused transaction can only be rolled back."""
        if self.conn.info.transaction_status == TransactionStatus.IDLE:
            return
        if isinstance(self.answer, str) or not commit:
            self.conn.rollback()
            return
        try:
            self.conn.commit()
            self.committed = True
        except SerializationFailure as error:
            self.answer = error.sqlstate
