"""The command ``forgea-pgjobs``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper

from forgea_pgjobs.cli import (
    backfill,
    demo,
    expire,
    migrate,
    models,
    rollback,
    show,
    sql,
    status,
    verify,
    work,
)
from forgea_pgjobs.cli.output import describe
from forgea_pgjobs.cli.parser import new_parser

COMMANDS = (migrate, rollback, status, verify, show, work, expire, backfill, sql, models, demo)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    if sys.stderr is None:
        # Closed. Errors would be printed to stdout, and the connection's number be 2.
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    if sys.stdout is None:
        print("error 58030: standard output is closed (hint: try >/dev/null)", file=sys.stderr)
        return 1
    if isinstance(sys.stdout, TextIOWrapper):
        # Python does so for stderr: what an encoding cannot say ends no command.
        sys.stdout.reconfigure(errors="replace")
    parser = new_parser()
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add(commands)
    options = argparse.Namespace()
    try:
        parser.parse_args(argv, options)
        code = int(options.run(options))
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("error 57014: interrupted", file=sys.stderr)
    except BrokenPipeError:
        pass  # whoever read us has gone
    except Exception as error:  # the one place where an error becomes a line
        print(describe(error, getattr(options, "dsn", None)), file=sys.stderr)
    try:
        sys.stdout.flush()
    except OSError:
        # Nobody reads, or the disk is full; the interpreter's last flush must not fail as well.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1
