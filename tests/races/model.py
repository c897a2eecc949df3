"""One session with two jobs and two workers, as the contract tells it: states and actions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

MAX_RUNS = 2
WORKERS = ("ada", "bob")
UNCOUNTED = ("INTERRUPTED", "REVOKED")
OPEN = ("waiting", "claimable", "delayed", "running", "over")  # over: its lease's end has passed


@dataclass(frozen=True, slots=True)
class Job:
    """A job's place (one of OPEN, or the reason of its end) and its runs: worker and outcome."""

    place: str
    runs: tuple[tuple[str, str], ...] = ()

    @property
    def is_open(self) -> bool:
        return self.place in OPEN

    def started(self, worker: str) -> Job:
        """Return the job with another run."""
        return Job("running", (*self.runs, (worker, "RUNNING")))

    def ended(self, place: str, outcome: str) -> Job:
        """Return the job after its latest run."""
        return Job(place, (*self.runs[:-1], (self.runs[-1][0], outcome)))

    def set_back(self, place: str, outcome: str) -> Job:
        """Return the job after a run without a verdict: in this place, unless it was the last."""
        counted = sum(outcome not in UNCOUNTED for _, outcome in self.runs)
        return self.ended("RUNS_EXHAUSTED" if counted == MAX_RUNS else place, outcome)


@dataclass(frozen=True, slots=True)
class Action:
    """A call: by a worker (claim), on a job (cancel), on a job's run (the others), or on none."""

    name: str
    worker: str = ""
    job: int = 0
    run: int = 0


State = tuple[Job, Job]
START: State = (Job("claimable"), Job("waiting"))
# What a call says: the values that do not differ from play to play, or a SQLSTATE.
Answer = tuple[object, ...] | str


def actions(state: State) -> Iterator[Action]:
    """Yield every call there is in a state, each token of the past included."""
    yield from (Action("expire"), Action("rescue"))
    yield from (Action("claim", worker=worker) for worker in WORKERS)
    for number, job in enumerate(state):
        yield Action("cancel", job=number)
        # Once a job: more of them are more of the same.
        may_not_count = not any(outcome in UNCOUNTED for _, outcome in job.runs)
        if may_not_count:
            yield Action("revoke", job=number)
        for run in range(len(job.runs)):
            for name in ("complete", "complete_many", "release", "heartbeat"):
                yield Action(name, job=number, run=run)
            if may_not_count:
                yield Action("interrupt", job=number, run=run)


def put(state: State, number: int, job: Job) -> State:
    """Return the state with a job changed; the other becomes the head if this one has ended."""
    other = state[1 - number]
    if not job.is_open and other.place == "waiting":
        other = replace(other, place="claimable")
    return (job, other) if number == 0 else (other, job)


def head(state: State) -> int | None:
    """Return the number of the job that is the session's head."""
    return next((n for n, job in enumerate(state) if job.is_open and job.place != "waiting"), None)


def rescue(state: State) -> tuple[State, Answer]:
    number = head(state)
    if number is None or state[number].place != "over":
        return state, ()
    job = state[number].set_back("claimable", "LEASE_LOST")
    return put(state, number, job), ("QUEUED" if job.is_open else "ERROR",)


def claim(state: State, worker: str) -> tuple[State, Answer]:
    state, _ = rescue(state)
    number = head(state)
    if number is None or state[number].place != "claimable":
        return state, ()
    job = state[number].started(worker)
    return put(state, number, job), (number, len(job.runs))


def expire(state: State) -> State:
    """A day passes: leases are over and delays too."""
    passed = {"running": "over", "delayed": "claimable"}
    first, second = (replace(job, place=passed.get(job.place, job.place)) for job in state)
    return first, second


def on_lease(state: State, action: Action) -> tuple[State, Answer]:
    """Act with the token of a run; only the latest run of a running job still has a lease."""
    job, name = state[action.job], action.name
    completes = name.startswith("complete")
    if not job.is_open:
        wrote = job.place == "PASSED" and action.run == len(job.runs) - 1
        if name == "complete_many":
            return state, (("replayed" if wrote else "verdict_final"),)
        return state, ("PASSED", True) if wrote and completes else "23V02"
    if job.place not in ("running", "over") or action.run < len(job.runs) - 1:
        return state, ("lease_lost",) if name == "complete_many" else "23V05"
    if completes:
        answer: Answer = ("completed",) if name == "complete_many" else ("PASSED", False)
        return put(state, action.job, job.ended("PASSED", "PASSED")), answer
    if name == "release":
        job = job.set_back("delayed", "RELEASED")
        said = ("QUEUED" if job.is_open else "ERROR", len(job.runs))
        return put(state, action.job, job), said
    if name == "interrupt":
        job = job.ended("claimable", "INTERRUPTED")
        return put(state, action.job, job), ("QUEUED", len(job.runs))
    return put(state, action.job, replace(job, place="running")), ()


def cancel(state: State, number: int) -> tuple[State, Answer]:
    job = state[number]
    if not job.is_open:
        return state, "23V02"
    if job.place in ("running", "over"):
        return put(state, number, job.ended("CANCELLED", "CANCELLED")), ("ERROR",)
    return put(state, number, replace(job, place="CANCELLED")), ("ERROR",)


def revoke(state: State, number: int) -> tuple[State, Answer]:
    job = state[number]
    if job.place not in ("running", "over"):
        return state, "55V01" if job.is_open else "23V02"
    job = job.ended("claimable", "REVOKED")
    return put(state, number, job), ("QUEUED", len(job.runs))


def step(state: State, action: Action) -> tuple[State, Answer]:
    """Return the state after a call, and its answer."""
    if action.name == "expire":
        return expire(state), ()
    if action.name == "rescue":
        return rescue(state)
    if action.name == "claim":
        return claim(state, action.worker)
    if action.name == "cancel":
        return cancel(state, action.job)
    if action.name == "revoke":
        return revoke(state, action.job)
    return on_lease(state, action)


def key(state: State) -> object:
    """What tells states apart. Of an ended first job only its end is: how it ran is over."""
    first, second = state
    return (first if first.is_open else first.place, second)


Path = tuple[Action, ...]


def breadth_first() -> Iterator[tuple[State, Path]]:
    """Yield every state with a shortest way to it."""
    found = {key(START)}
    level: list[tuple[State, Path]] = [(START, ())]
    while level:
        yield from level
        next_level = []
        for state, path in level:
            for action in actions(state):
                after, _ = step(state, action)
                if action.worker == WORKERS[1] and not any(job.runs for job in state):
                    continue  # the mirror image of what follows the other worker's first claim
                if key(after) not in found:
                    found.add(key(after))
                    next_level.append((after, (*path, action)))
        level = next_level
