"""What a user of the wheel does first: migrate, enqueue, complete, roll back."""

from __future__ import annotations

import subprocess
import sys
import uuid
from pathlib import Path

import psycopg

import forgea_pgjobs
from forgea_pgjobs import embedded

COMMAND = Path(sys.executable).with_name("forgea-pgjobs")


def command(*argv: str, code: int = 0) -> None:
    """Run the installed script and expect an exit code."""
    done = subprocess.run([COMMAND, *argv], check=False)
    if done.returncode != code:
        sys.exit(f"forgea-pgjobs {argv[0]} ended with {done.returncode}, not {code}")


def main() -> None:
    """Run the scenario on an embedded server."""
    with embedded.run_server(fsync=False) as server:
        dsn = server.dsn()
        command("migrate", "--dsn", dsn)
        with psycopg.connect(dsn) as conn:
            job = forgea_pgjobs.enqueue(
                conn, session_id=uuid.uuid4(), commit_sha="c0ffee" * 6 + "beef", lab_version="1"
            )
            (claimed,) = forgea_pgjobs.claim(conn, worker="wheel")
            done = forgea_pgjobs.complete(
                conn, job_id=job.job_id, lease_token=claimed.lease_token, status="PASSED"
            )
        if not (job.created and done.status == "PASSED"):
            sys.exit(f"unexpected answers: {job}, {done}")
        command("models", "--prisma")
        command("status", "--dsn", dsn)
        command("verify", "--dsn", dsn)
        command("rollback", "--dsn", dsn, "--to", "0001.ledger")
        command("rollback", "--dsn", dsn, code=1)
        command("rollback", "--dsn", dsn, "--force")


if __name__ == "__main__":
    main()
