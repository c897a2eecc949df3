"""pgbouncer in transaction mode, with the settings that docs/clients.md shows."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from psycopg.conninfo import make_conninfo

from forgea_pgjobs.embedded.binaries import choose_account
from forgea_pgjobs.embedded.server import temp_folder
from tests.clients.scenario import HERE, settings
from tests.python.workers import until

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
needs_pgbouncer = pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer is not on PATH")


@contextmanager
def pooled(dsn: str, **changed: int | str) -> Iterator[str]:
    """Run a pooler before a database and yield the connection string that leads through it."""
    assert PGBOUNCER
    account = choose_account()
    server = settings(dsn)
    lab = " ".join(f"{name}='{value}'" for name, value in server.items())
    with TemporaryDirectory(prefix="pgjobs-", dir=temp_folder()) as name, ExitStack() as stack:
        folder = Path(name)
        example = (HERE / "pgbouncer.ini").read_text(encoding="utf-8")
        lines = [
            example.replace("host=/var/run/postgresql dbname=lab", lab).replace(
                "/var/run/pgbouncer", name
            ),
            *(f"{name} = {value}\n" for name, value in changed.items()),
        ]
        (folder / "pgbouncer.ini").write_text("".join(lines))
        (folder / "users.txt").write_text(f'"{server["user"]}" ""\n')
        account.own(folder)
        pooler = subprocess.Popen(
            [*account.prefix, PGBOUNCER, "--quiet", "pgbouncer.ini"],
            cwd=folder,
            user=account.uid,
            group=account.gid,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        stack.callback(pooler.wait)
        stack.callback(pooler.kill)
        until(lambda: pooler.poll() is None and _answers(folder / ".s.PGSQL.6432"))
        yield make_conninfo("", host=name, port=6432, dbname="lab", user=server["user"])


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
        probe.connect(str(path))
        return True
    return False
