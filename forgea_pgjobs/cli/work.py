"""``forgea-pgjobs work``: a worker whose handler is a command; see forgea_pgjobs.worker.check."""

from __future__ import annotations

import argparse
import logging
from contextlib import suppress
from datetime import timedelta

from forgea_pgjobs.cli.connection import misread
from forgea_pgjobs.cli.parser import Commands, add_command, add_dsn
from forgea_pgjobs.errors import Refused

ABOUT = """\
CMD is run by sh -c, in an empty folder and a session of its own. Exit code 0 is
PASSED, 1 FAILED, 2 ERROR; any other, a signal or the time limit is no verdict: the
run is given back, and the job runs again. CMD finds PGJOBS_COMMIT, _LAB_VERSION,
_SESSION, _JOB, _RUN, _PAYLOAD (a file of JSON) and _ARTIFACTS (a folder: its files
are kept, its summary.json is the summary); its output is kept as check.log.

"""
SET_DUMPABLE = 4


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "work",
        "claim jobs and have their commits judged by a command, until SIGTERM",
        "forgea-pgjobs work --check 'sh ~/check.sh' --concurrency 4 --time-limit 600",
        run,
    )
    parser.epilog = f"{ABOUT}{parser.epilog}"
    add_dsn(parser)
    parser.add_argument("--check", metavar="CMD", required=True, help="judges a commit; see below")
    parser.add_argument("--drain", action="store_true", help="end when nothing can be claimed")
    parser.add_argument("--name", help="who claims (default: host and process)")
    parser.add_argument("--alive", metavar="PATH", help="a file, touched every heartbeat")
    for name, metavar, default, words in (
        ("--concurrency", "N", 1, "checks at once"),
        ("--time-limit", "SECONDS", 3600.0, "how long a check may take"),
        ("--lease-for", "SECONDS", 300.0, "how long a dead worker keeps its job"),
        ("--poll-interval", "SECONDS", 1.0, "between two looks at an empty queue"),
    ):
        words = f"{words} (default: {default:g})"
        parser.add_argument(name, metavar=metavar, type=type(default), default=default, help=words)


def run(options: argparse.Namespace) -> int:
    """Work, with a line on stderr for each run."""
    from forgea_pgjobs.worker import Worker
    from forgea_pgjobs.worker.check import Check

    if hint := misread(options.dsn):  # which a worker would take for an outage, and print
        raise Refused("08001", "the connection string cannot be read", hint)
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    with suppress(ImportError, AttributeError, OSError):
        from ctypes import CDLL

        # Linux: what runs as our user, as the check does, cannot read our environment and memory.
        CDLL(None).prctl(SET_DUMPABLE, 0)
    try:
        worker = Worker(
            options.dsn,
            Check(options.check),
            name=options.name,
            concurrency=options.concurrency,
            lease_for=timedelta(seconds=options.lease_for),
            time_limit=timedelta(seconds=options.time_limit),
            poll_interval=options.poll_interval,
            alive=options.alive,
        )
    except (ValueError, OverflowError) as error:
        raise Refused("22023", str(error), "") from None
    logging.info("SIGTERM or Ctrl-C lets the checks finish, a second one ends them")
    counts = worker.drain() if options.drain else worker.run()
    print(f"verdicts {counts.written}, runs given back {counts.released}, lost {counts.lost}")
    return 0
