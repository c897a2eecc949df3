"""The demo: real commits become attempts, jobs, runs and verdicts that nobody can change."""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg

from forgea_pgjobs.cli.output import plain
from forgea_pgjobs.demo.errors import DemoFailed
from forgea_pgjobs.demo.process import workspace
from forgea_pgjobs.demo.report import BOLD, GREEN, RED, Console
from forgea_pgjobs.demo.scenario import play
from forgea_pgjobs.embedded import run_server
from forgea_pgjobs.embedded.signals import unwinding
from forgea_pgjobs.schema import runner

__all__ = ["DemoFailed", "run"]


def run(options: argparse.Namespace) -> int:
    """Run the demo; 0 only if everything held.

    Raises: DemoFailed, and whatever the server, the runner and psycopg raise.
    """
    begin = time.monotonic()
    with (
        unwinding(),
        Console(sys.stdout) as console,
        workspace() as folder,
        _database(options.dsn) as dsn,
    ):
        console.line(console.paint("forgea_pgjobs demo", BOLD))
        runner.migrate(dsn, notify=lambda message: console.fact("notice", plain(message)))
        with psycopg.connect(dsn, autocommit=True) as conn:
            broken_promises = play(options, console, folder, dsn, conn)
        for promise in broken_promises:
            console.line(console.paint(f"Not held: {promise}.", RED))
        seconds = f"({time.monotonic() - begin:.1f} s)"
        if broken_promises:
            console.line(console.paint(f"Not everything held {seconds}.", RED))
        else:
            console.line(console.paint(f"Everything held {seconds}.", GREEN))
        if options.keep:
            _keep(console, dsn, is_embedded=options.dsn is None)
    return 1 if broken_promises else 0


@contextmanager
def _database(dsn: str | None) -> Iterator[str]:
    if dsn is not None:
        yield dsn
        return
    with run_server() as server:
        yield server.dsn()


def _keep(console: Console, dsn: str, *, is_embedded: bool) -> None:
    """Leave the embedded server running until Ctrl-C; one that was given stays as it is."""
    console.line()
    if not is_embedded:
        console.line("The rows stay in your database: forgea-pgjobs status shows them.")
        return
    console.line("The server runs until you press Ctrl-C here, which removes it. Meanwhile:")
    console.line(f'  psql "{dsn}"')
    with suppress(KeyboardInterrupt):
        threading.Event().wait()
