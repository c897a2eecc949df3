"""``forgea-pgjobs status``: reads the public views, so that a reader may run it."""

from __future__ import annotations

import argparse

import psycopg

from forgea_pgjobs.cli.connection import connect
from forgea_pgjobs.cli.output import print_table
from forgea_pgjobs.cli.parser import Commands, add_command, add_dsn
from forgea_pgjobs.schema import checksum, migration_files
from forgea_pgjobs.schema.record import act_as_owner, recorded

VERDICTS = ("PASSED", "FAILED", "ERROR")
MAX_LEASES = 20

QUEUED = """
select count(*), date_trunc('second', now() - min(created_at))::text
from pgjobs.verification_job
where status = 'QUEUED'
"""
RUNNING = "select count(*) from pgjobs.verification_job where status = 'RUNNING'"
LEASES = """
select
    job_id::text, run.run_no::text, run.worker, date_trunc('second', now() - run.started_at)::text,
    date_trunc('second', run.lease_expires_at - now())::text, left(attempt.commit_sha, 12)
from pgjobs.verification_run as run
join pgjobs.verification_attempt as attempt using (job_id)
where run.lease_expires_at is not null
order by run.started_at
limit %s
"""
LATEST = """
select status, count(*)
from pgjobs.verification_verdict
where status in ('PASSED', 'FAILED', 'ERROR')
    and completed_at > now() - interval '24 hours'
group by status
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "status",
        "show the schema's version, what waits and runs, and the verdicts of the last day",
        "forgea-pgjobs status --dsn postgresql://localhost/lab",
        run,
    )
    add_dsn(parser)


def run(options: argparse.Namespace) -> int:
    """Print the tables."""
    with connect(options.dsn) as conn:
        act_as_owner(conn)
        installed = _exists(conn, "pgjobs.verification_job")
        print_table([*_schema(conn), *(_jobs(conn) if installed else [])])
        leases = conn.execute(LEASES, [MAX_LEASES]).fetchall() if installed else []
    if leases:
        print(f"\nrunning leases, oldest first, at most {MAX_LEASES}")
        print_table([("job", "run", "worker", "for", "ends in", "commit"), *leases])
    return 0


def _schema(conn: psycopg.Connection) -> list[tuple[str, str]]:
    files = migration_files()
    if not _exists(conn, "pgjobs.migration"):
        return [("schema version", "none"), ("pending migrations", ", ".join(files))]
    readable = conn.execute("select has_table_privilege('pgjobs.migration', 'select')").fetchone()
    if readable == (False,):
        return [("schema version", "not shown to this role"), ("pending migrations", "unknown")]
    has = recorded(conn)
    newest = max(has, default="")
    pending = [name for name in files if name > newest]
    left_out = [name for name in files if name < newest and name not in has]
    edited = [name for name in files if name in has and has[name] != checksum(files[name])]
    unknown = [name for name in has if name not in files]
    return [
        ("schema version", newest or "not recorded"),
        ("pending migrations", ", ".join(pending) or "none"),
        *([("left out", ", ".join(left_out))] if left_out else []),
        *([("edited migrations", ", ".join(edited))] if edited else []),
        *([("unknown migrations", ", ".join(unknown))] if unknown else []),
    ]


def _jobs(conn: psycopg.Connection) -> list[tuple[str, str]]:
    queued, oldest = conn.execute(QUEUED).fetchone() or (0, None)
    (running,) = conn.execute(RUNNING).fetchone() or (0,)
    verdicts: dict[str, int] = dict(conn.execute(LATEST).fetchall())
    return [
        ("queued jobs", str(queued)),
        ("oldest queued", oldest or "-"),
        ("running jobs", str(running)),
        *((f"{status}, last 24 h", str(verdicts.get(status, 0))) for status in VERDICTS),
    ]


def _exists(conn: psycopg.Connection, relation: str) -> bool:
    return conn.execute("select to_regclass(%s)", [relation]).fetchone() != (None,)
