"""``forgea-pgjobs expire``: lets old bodies of artifacts go, batch by batch."""

from __future__ import annotations

import argparse
import re
from datetime import timedelta

from forgea_pgjobs import ArtifactsExpired, expire_artifacts
from forgea_pgjobs.cli.connection import connect
from forgea_pgjobs.cli.parser import Commands, add_command, add_dsn

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
BATCH = 1000
MOST = 10_000


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "expire",
        "count the bodies of old artifacts, and with --execute drop them",
        "forgea-pgjobs expire --older-than 90d --execute",
        run,
    )
    add_dsn(parser)
    parser.add_argument(
        "--older-than", metavar="AGE", type=age, required=True, help="such as 90d; s, m, h, d, w, y"
    )
    parser.add_argument(
        "--kinds", metavar="KINDS", type=lambda text: text.split(","), help="such as LOG,DIFF"
    )
    for name in ("reason", "ticket"):
        parser.add_argument(f"--{name}", metavar="TEXT", help="goes on record")
    parser.add_argument("--execute", action="store_true", help="drop them, do not only count")


def age(text: str) -> timedelta:
    """Return what ``90d`` and the like mean."""
    found = re.fullmatch(r"([0-9]{1,6})([smhdwy])", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number and one of s, m, h, d, w, y")
    return timedelta(seconds=int(found[1]) * UNITS[found[2]])


def run(options: argparse.Namespace) -> int:
    """Count or drop."""
    said = {name: getattr(options, name) for name in ("older_than", "kinds", "reason", "ticket")}
    with connect(options.dsn) as conn:
        if options.execute:
            done = ArtifactsExpired(0, 0, 0, 0)
            while True:
                with conn.transaction():
                    part = expire_artifacts(conn, max_rows=BATCH, dry_run=False, **said)
                done = ArtifactsExpired(
                    done.artifacts + part.artifacts,
                    done.bodies + part.bodies,
                    done.bytes + part.bytes,
                    part.held,
                )
                if part.bodies == 0:
                    break
            print(f"dropped {_words(done)}")
        else:
            found = expire_artifacts(conn, max_rows=MOST, **said)
            more = "at least " if found.bodies == MOST else ""
            print(f"would drop {more}{_words(found)} (a dry run: --execute drops them)")
    return 0


def _words(expired: ArtifactsExpired) -> str:
    bodies = "body" if expired.bodies == 1 else "bodies"
    artifacts = "artifact" if expired.artifacts == 1 else "artifacts"
    held = f"; on hold: {expired.held:,}" if expired.held else ""
    return (
        f"{expired.bodies:,} {bodies} of {expired.artifacts:,} {artifacts},"
        f" {expired.bytes:,} bytes{held}"
    )
