"""``forgea-pgjobs sql``."""

from __future__ import annotations

import argparse

from forgea_pgjobs import schema
from forgea_pgjobs.cli.parser import Commands, add_command
from forgea_pgjobs.schema.rename import renamed


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "sql",
        "print the complete install SQL, for psql",
        "forgea-pgjobs sql | psql -1 -v ON_ERROR_STOP=1 postgresql://localhost/lab",
        run,
    )
    parser.add_argument(
        "--schema",
        dest="sql",
        type=_under,
        metavar="NAME",
        default="pgjobs",
        help="a schema of another name, and roles named after it (default: pgjobs)",
    )


def run(options: argparse.Namespace) -> int:
    """Print the SQL."""
    print(options.sql, end="")
    return 0


def _under(name: str) -> str:
    try:
        return renamed(schema.recorded_install_sql(), name)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
