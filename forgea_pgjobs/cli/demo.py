"""``forgea-pgjobs demo``; the demo itself is forgea_pgjobs.demo."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from forgea_pgjobs.cli.parser import add_command, add_dsn

if TYPE_CHECKING:
    from forgea_pgjobs.cli.parser import Commands


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "demo",
        "verify the commits of a git repository and try to change the verdicts",
        'forgea-pgjobs demo --repo . --commits 20 --check "python -m compileall -q ."',
        run,
    )
    add_dsn(parser, otherwise="an embedded server")
    parser.add_argument("--repo", type=Path, metavar="PATH", help="default: the one you stand in")
    parser.add_argument("--commits", type=_count, default=24, metavar="N", help="default: 24")
    parser.add_argument("--check", metavar="CMD", help="default: byte-compile the Python files")
    parser.add_argument("--workers", type=_count, default=3, metavar="W", help="default: 3")
    parser.add_argument("--keep", action="store_true", help="leave the database there to look at")


def run(options: argparse.Namespace) -> int:
    """Run the demo."""
    from forgea_pgjobs.demo import story

    return story.run(options)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number
