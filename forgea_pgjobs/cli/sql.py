"""``forgea-pgjobs sql``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from forgea_pgjobs import schema
from forgea_pgjobs.cli.parser import add_command

if TYPE_CHECKING:
    from forgea_pgjobs.cli.parser import Commands


def add(commands: Commands) -> None:
    """Add the command."""
    add_command(
        commands,
        "sql",
        "print the complete install SQL, for psql",
        "forgea-pgjobs sql | psql -1 -v ON_ERROR_STOP=1 postgresql://localhost/lab",
        run,
    )


def run(_options: argparse.Namespace) -> int:
    """Print the SQL."""
    print(schema.recorded_install_sql(), end="")
    return 0
