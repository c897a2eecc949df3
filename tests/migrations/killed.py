"""A runner that is ended before its k-th step, in a process of its own: ``python -m`` this.

``killed`` is kill -9 of the process, ``cut off`` the loss of the connection that does the step. A
step is a statement or a commit on any connection of the runner, its bookkeeping included.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import psycopg

from forgea_pgjobs.schema import runner


def on_each_step(act: Callable[[str, psycopg.Connection[Any]], None]) -> None:
    """Call act with what is to be done, and the connection, before each step of this process."""
    execute, commit = psycopg.Cursor.execute, psycopg.Connection.commit

    def noted_execute(cursor: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        act(str(query), cursor.connection)
        return execute(cursor, query, *args, **kwargs)

    def noted_commit(connection: Any) -> None:
        act("commit", connection)
        commit(connection)

    psycopg.Cursor.execute = noted_execute  # type: ignore[method-assign, assignment]
    psycopg.Connection.commit = noted_commit  # type: ignore[method-assign, assignment]


def main(direction: str, dsn: str, end: str, last: int) -> None:
    """Run up or down to the end and print each step, or end before the last one."""
    steps: list[str] = []

    def note(step: str, connection: psycopg.Connection[Any]) -> None:
        if len(steps) == last:
            if end == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            steps.append("")  # the next connection works again
            with psycopg.connect(dsn, autocommit=True) as other:
                pid = connection.info.backend_pid
                psycopg.ClientCursor(other).execute("select pg_terminate_backend(%s)", [pid])
        steps.append(" ".join(step.split())[:80])

    on_each_step(note)
    if direction == "up":
        runner.migrate(dsn)
    else:
        while runner.rollback(dsn):
            pass
    print("\n".join(steps))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
