"""P4, P5, P6: two workers, two jobs; every call, with every token ever given, in every state."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import psycopg

from tests.calls import cancel, revoke
from tests.helpers import Connection, call, enqueue, let_time_pass, rows
from tests.races import model
from tests.races.ledger import VIOLATIONS

SHOWN = """
select
    status,
    error_reason,
    run_no,
    worker,
    array(
        select (run.worker, run.outcome)::text from pgjobs.verification_run as run
        where run.job_id = job.job_id order by run.run_no
    ) as runs
from pgjobs.verification_job as job order by job_id
"""


class Ledger:
    """The session in the database; ``tokens`` are those of every run of each job."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        session_id = uuid4()
        self.jobs = [
            enqueue(conn, session_id=session_id, max_runs=model.MAX_RUNS).job_id for _ in range(2)
        ]
        self.tokens: list[list[Any]] = [[], []]

    def act(self, action: model.Action) -> model.Answer:
        """Make the call and return what it said."""
        act: Callable[[model.Action], model.Answer] = getattr(self, f"_{action.name}")
        try:
            return act(action)
        except psycopg.Error as error:
            return str(error.sqlstate)

    def _lease(self, action: model.Action) -> dict[str, Any]:
        return {
            "job_id": self.jobs[action.job],
            "lease_token": self.tokens[action.job][action.run],
        }

    def _expire(self, _action: model.Action) -> model.Answer:
        let_time_pass(self.conn, "2 days")
        return ()

    def _rescue(self, _action: model.Action) -> model.Answer:
        return tuple(rescued.status for rescued in call(self.conn, "rescue"))

    def _claim(self, action: model.Action) -> model.Answer:
        for run in call(self.conn, "claim", worker=action.worker):
            number = self.jobs.index(run.job_id)
            self.tokens[number].append(run.lease_token)
            return number, run.run_no
        return ()

    def _cancel(self, action: model.Action) -> model.Answer:
        return (cancel(self.conn, self.jobs[action.job]).status,)

    def _revoke(self, action: model.Action) -> model.Answer:
        answer = revoke(self.conn, self.jobs[action.job])
        return answer.status, answer.run_no

    def _complete(self, action: model.Action) -> model.Answer:
        [answer] = call(self.conn, "complete", **self._lease(action), status="PASSED")
        return answer.status, answer.replayed

    def _complete_many(self, action: model.Action) -> model.Answer:
        arrays = {f"{name}s": [value] for name, value in self._lease(action).items()}
        [answer] = call(self.conn, "complete_many", **arrays, statuses=["PASSED"])
        return (answer.outcome,)

    def _release(self, action: model.Action) -> model.Answer:
        [answer] = call(self.conn, "release", **self._lease(action), reason="why")
        return answer.status, answer.run_no

    def _interrupt(self, action: model.Action) -> model.Answer:
        said = {**self._lease(action), "reason": "why", "count_run": False}
        [answer] = call(self.conn, "release", **said)
        return answer.status, answer.run_no

    def _heartbeat(self, action: model.Action) -> model.Answer:
        call(self.conn, "heartbeat", **self._lease(action))
        return ()


def shown(state: model.State) -> list[tuple[Any, ...]]:
    """Return what the views must show of a state."""
    return [
        (
            {"running": "RUNNING", "over": "RUNNING", "PASSED": "PASSED"}.get(
                job.place, "QUEUED" if job.is_open else "ERROR"
            ),
            None if job.is_open or job.place == "PASSED" else job.place,
            len(job.runs),
            job.runs[-1][0] if job.runs else None,
            [f"({worker},{outcome})" for worker, outcome in job.runs],
        )
        for job in state
    ]


def walk(conn: Connection, state: model.State, path: model.Path) -> int:
    """Go to a state, take every edge that leaves it, and undo everything; return the edges."""
    ledger = Ledger(conn)
    for action in path:
        ledger.act(action)
    tokens = [list(given) for given in ledger.tokens]
    edges = 0
    for action in model.actions(state):
        after, answer = model.step(state, action)
        ledger.tokens = [list(given) for given in tokens]
        conn.execute("savepoint edge")
        said = ledger.act(action)
        assert said == answer, (path, action)
        if not isinstance(said, str):  # a refused call has undone itself
            assert [tuple(row) for row in rows(conn, "execute shown")] == shown(after), (
                path,
                action,
            )
            assert rows(conn, "execute broken") == []
        conn.execute("rollback to savepoint edge; release savepoint edge")
        edges += 1
    conn.rollback()
    return edges


def test_every_call_in_every_state_does_what_the_model_says(conn: Connection) -> None:
    # Asked thousands of times. psycopg's own prepared statements would go with every rollback.
    conn.prepare_threshold = None
    conn.execute(f"prepare shown as {SHOWN}".encode())
    conn.execute(f"prepare broken as {VIOLATIONS.replace('%(session_ids)s', 'null')}".encode())
    edges = [walk(conn, state, path) for state, path in model.breadth_first()]
    assert (len(edges), sum(edges)) > (100, 1500)
