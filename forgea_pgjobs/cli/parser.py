"""What the commands' parsers have in common."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import NoReturn, TypeAlias

from forgea_pgjobs import __version__
from forgea_pgjobs.cli.output import without_secrets

EXIT_CODES = "exit codes: 0 done, 1 failed or refused (one line on stderr says why), 2 wrong usage"


class Parser(argparse.ArgumentParser):
    """A parser whose complaint is one line without passwords, like every other error."""

    def error(self, message: str) -> NoReturn:
        """Exit with 2."""
        words = without_secrets(message, None)
        self.exit(2, f"error 22023: {words} (hint: {self.prog} --help)\n")


Commands: TypeAlias = "argparse._SubParsersAction[Parser]"


def new_parser() -> Parser:
    """Return the parser of the command itself."""
    parser = Parser(
        prog="forgea-pgjobs",
        description="Verification jobs in PostgreSQL: install, look, and see it work.",
        epilog=_epilog("DATABASE_URL=postgresql://localhost/lab forgea-pgjobs migrate"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def add_command(
    commands: Commands,
    name: str,
    help_text: str,
    example: str,
    run: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    """Add a command with an example and the exit codes in its help."""
    parser = commands.add_parser(
        name,
        help=help_text,
        description=f"{help_text[0].upper()}{help_text[1:]}.",
        epilog=_epilog(example),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def add_dsn(parser: argparse.ArgumentParser, *, otherwise: str | None = None) -> None:
    """Add --dsn, by default DATABASE_URL, which must be there; or None, for what stands in."""
    given = None if otherwise else os.environ.get("DATABASE_URL")
    parser.add_argument(
        "--dsn",
        default=given,
        required=not (otherwise or given),
        help=f"a URL or key=value words (default: {otherwise or 'DATABASE_URL'})",
    )


def _epilog(example: str) -> str:
    return f"example:\n  {example}\n\n{EXIT_CODES}\n"
