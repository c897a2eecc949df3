"""``forgea-pgjobs verify``: is this installation as released, and do its rows agree?"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict

import psycopg

from forgea_pgjobs import Finding, verify, verify_bodies
from forgea_pgjobs.cli.connection import connect
from forgea_pgjobs.cli.output import print_table
from forgea_pgjobs.cli.parser import Commands, add_command, add_dsn

BATCH = 1000
# Objects of these kinds may be the host's own; verify() says which are.
OPTIONAL = re.compile(
    r"index |constraint lab_attempt_session_id_fkey on pgjobs\.lab_attempt$"
    r"|grant (execute on function pgjobs\.(?!_)|select on view "
    r"|select on column pgjobs\.verification_|usage on (schema|type) "
    r"|references on (table|column) pgjobs\.(job|lab_attempt)\b)"
    r"(?!.* to (PUBLIC|pgjobs_(owner|app|worker|reader|operator|approver))$)"
)


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "verify",
        "compare the installation with the release and its rows with one another",
        "forgea-pgjobs verify --dsn postgresql://oncall@localhost/lab",
        run,
    )
    add_dsn(parser)
    parser.add_argument("--json", action="store_true", help="a list of objects instead of a table")


def run(options: argparse.Namespace) -> int:
    """Print the findings; an error among them is exit code 1."""
    with connect(options.dsn) as conn:
        conn.read_only = True
        findings = list(_findings(conn))
    errors = sum(finding.severity == "error" for finding in findings)
    if options.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    elif findings:
        rows = [(each.severity, each.object, each.finding, each.hint) for each in findings]
        print_table([("severity", "object", "finding", "hint"), *rows])
        print()
    if not options.json:
        print(f"{errors or 'no'} error{'s' * (errors != 1)} in {len(findings)} findings")
    return 1 if errors else 0


def _findings(conn: psycopg.Connection) -> Iterator[Finding]:
    """Yield what the database says of itself, what it keeps quiet about, and wrong bodies."""
    try:
        with conn.transaction():
            said = [finding for finding in verify(conn) if finding.severity != "info"]
    except psycopg.Error as problem:
        differences = _differences(conn)
        if not differences:
            raise
        for name in sorted(differences):
            yield Finding("error", name, "differs from this package", f"verify() fails: {problem}")
        return
    yield from said
    # A warning about an object does not hide that it differs.
    named = {finding.object for finding in said if finding.severity == "error"}
    for name in sorted(_differences(conn) - named):
        yield Finding(
            "error",
            name,
            "differs from this package, and verify() does not say so",
            "Believe neither pgjobs.verify() nor pgjobs.fingerprint: restore them from sql/.",
        )
    yield from (finding for finding in _wrong_bodies(conn) if finding.object not in named)


def _differences(conn: psycopg.Connection) -> set[str]:
    """Return the objects that this package and the database do not agree on."""
    from forgea_pgjobs.schema import fingerprints

    here = fingerprints.installed(conn)
    names = {row.object for row in here}
    published = fingerprints.published()
    # A migration of which nothing is there has not been applied.
    expected = set().union(
        *(rows for rows in published.values() if names & {row.object for row in rows})
    )
    known = {row.object for row in expected}
    missing = {name for name in known - names if not name.startswith("grant ")}
    return missing | {
        row.object
        for row in here - expected
        if row.object in known or not OPTIONAL.match(row.object)
    }


def _wrong_bodies(conn: psycopg.Connection) -> Iterator[Finding]:
    after: int | None = 0
    checked = 0
    while after is not None:
        part = verify_bodies(conn, after_body_id=after, max_bodies=BATCH)
        checked += part.bodies
        after = part.last_body_id
        if sys.stderr.isatty():
            print(f"\rbodies checked: {checked:,}", end="" if after else "\n", file=sys.stderr)
        for body_id in part.wrong:
            yield Finding(
                "error",
                f"body {body_id}",
                "its bytes are not those of its hash",
                "Restore the row of pgjobs.body from a backup.",
            )
