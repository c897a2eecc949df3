"""``forgea-pgjobs migrate``."""

from __future__ import annotations

import argparse
import sys

from forgea_pgjobs.cli.parser import Commands, add_command, add_dsn


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "migrate",
        "install the schema, or bring it up to this version",
        "forgea-pgjobs migrate --dsn postgresql://localhost/lab --dry-run",
        run,
    )
    add_dsn(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="only print the SQL that would run, with its locks"
    )
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        metavar="ID",
        help="leave out 0002.host: the history and the sessions of a host",
    )


def run(options: argparse.Namespace) -> int:
    """Apply the pending migrations, or print their SQL."""
    from forgea_pgjobs.schema import runner

    if options.dry_run:
        print(runner.dry_run(options.dsn, without=options.without), end="")
        return 0
    names = runner.migrate(options.dsn, without=options.without, notify=warn)
    for name in names:
        print(f"applied {name}")
    if not names:
        print("nothing to apply")
    return 0


def warn(message: str) -> None:
    """Show a notice of the database or a repair."""
    print(message, file=sys.stderr)
