"""``forgea-pgjobs rollback``."""

from __future__ import annotations

import argparse

from forgea_pgjobs.cli.migrate import warn
from forgea_pgjobs.cli.parser import Commands, add_command, add_dsn


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "rollback",
        "undo the newest migration, or every migration after ID",
        "forgea-pgjobs rollback --dsn postgresql://localhost/lab",
        run,
    )
    add_dsn(parser)
    parser.add_argument("--to", metavar="ID", help="undo every migration after this one")
    parser.add_argument(
        "--force", action="store_true", help="destroy the ledger's rows, if there are any"
    )


def run(options: argparse.Namespace) -> int:
    """Undo migrations."""
    from forgea_pgjobs.schema import runner

    names = runner.rollback(options.dsn, to=options.to, force=options.force, notify=warn)
    for name in names:
        print(f"rolled back {name}")
    if not names:
        print("nothing to roll back")
    return 0
