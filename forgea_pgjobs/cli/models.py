"""``forgea-pgjobs models``."""

from __future__ import annotations

import argparse
import json

from forgea_pgjobs.cli.parser import Commands, add_command
from forgea_pgjobs.schema import views


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "models",
        "print models of all views, for other languages",
        "forgea-pgjobs models --prisma > pgjobs.prisma",
        run,
    )
    kinds = parser.add_mutually_exclusive_group(required=True)
    kinds.add_argument("--prisma", action="store_true", help="a schema file for Prisma")
    kinds.add_argument("--json-schema", action="store_true", help="a JSON Schema of their rows")


def run(options: argparse.Namespace) -> int:
    """Print the models."""
    print(
        views.prisma() if options.prisma else json.dumps(views.json_schema(), indent=2) + "\n",
        end="",
    )
    return 0
