"""``forgea-pgjobs backfill``: moves a host's history in, batch by batch, and says what came of it.

A batch is a transaction: killed at any point, the command goes on where it was when run again.
"""

from __future__ import annotations

import argparse
import sys

from forgea_pgjobs import Backfilled, backfill_reconcile, backfill_verification_log, retry
from forgea_pgjobs.cli.connection import connect
from forgea_pgjobs.cli.expire import age
from forgea_pgjobs.cli.output import Progress, print_table
from forgea_pgjobs.cli.parser import Commands, add_command, add_dsn
from forgea_pgjobs.errors import Refused

REPORT = """
select outcome, reason, count(*)
from pgjobs.backfill_report
group by outcome, reason
order by outcome = 'JOB' desc, outcome, reason
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "backfill",
        "count the logs of a host's history, and with --execute move them into the ledger",
        "forgea-pgjobs backfill --dsn postgresql://oncall@localhost/lab --execute",
        run,
    )
    add_dsn(parser)
    parser.add_argument("--execute", action="store_true", help="move them, do not only count")
    parser.add_argument(
        "--batch-size", metavar="N", type=int, default=1000, help="logs a transaction (1000)"
    )
    parser.add_argument(
        "--settle", metavar="AGE", type=age, default="1d", help="younger logs wait (1d; 0s: none)"
    )
    parser.add_argument(
        "--without-bodies", action="store_true", help="leave the texts, record hash and size"
    )


def run(options: argparse.Namespace) -> int:
    """Count, or move and compare."""
    found = _call(options, dry_run=True)
    if not options.execute:
        counts = ("seen", "attempts", "jobs", "artifacts", "skipped", "waiting")
        print_table([(name, f"{getattr(found, name):,}") for name in counts])
        print("a dry run of what is left: --execute moves it in")
        return 0

    progress = Progress(sys.stdout, found.seen, "logs")
    try:
        # As many as there were at the start: a host that goes on writing is not chased.
        left, waiting = found.seen, found.waiting
        while left > 0 and (batch := _call(options, dry_run=False)).seen:
            left -= batch.seen
            waiting = batch.waiting
            progress.add(batch.seen)
    finally:
        progress.end()
    with connect(options.dsn) as conn:
        reasons = conn.execute(REPORT).fetchall()
        checks = backfill_reconcile(conn, settle=options.settle)
    if waiting:
        reasons.append(("WAITING", "to settle", waiting))
    logs = sum(count for _outcome, _reason, count in reasons)
    moved = [(outcome, reason, f"{count:,}") for outcome, reason, count in reasons]
    print_table([("outcome", "reason", "logs"), *moved, ("all", "", f"{logs:,}")])
    print()
    compared = [
        (check.check_name, check.expected, check.actual, "yes" if check.ok else "NO")
        for check in checks
    ]
    print_table([("check", "expected", "actual", "ok"), *compared])
    for check in checks:
        for log_id in check.log_ids or ():
            print(f"{check.check_name}: {log_id}")
    failed = [check.check_name for check in checks if not check.ok]
    if failed:
        raise Refused(
            "55000",
            f"not reconciled: {', '.join(failed)}",
            "A log written meanwhile needs another run; for the rest see docs/backfill.md.",
        )
    return 0


def _call(options: argparse.Namespace, *, dry_run: bool) -> Backfilled:
    # After a lost answer the next call may be the next batch: then the report has more than we saw.
    return retry(
        lambda: connect(options.dsn),
        lambda conn: backfill_verification_log(
            conn,
            batch_size=options.batch_size,
            dry_run=dry_run,
            settle=options.settle,
            with_bodies=not options.without_bodies,
        ),
    )
