"""The life cycle of an embedded server: initdb, start, and always stop and remove.

A live run holds a lock on the owner file of its private folder; the kernel drops it when the
process dies, however it dies. So a folder whose lock is free is a leftover.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from psycopg.conninfo import make_conninfo

from forgea_pgjobs.embedded.binaries import (
    Account,
    choose_account,
    find_binaries,
    reachable_binaries,
)
from forgea_pgjobs.embedded.signals import held, unwinding

PREFIX = "forgea-pgjobs-"
SOCKET = ".s.PGSQL.5432"
# Of the path of a socket, in bytes, on the system that allows the fewest (macOS; Linux: 107).
MOST_BYTES = 103
SHORT = "/tmp"  # noqa: S108  # for a folder that mkdtemp makes
INITDB = (
    "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync",
)  # fmt: skip


class ServerFailed(Exception):
    """PostgreSQL would not start or stop; the message ends with its own words."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server, reached only through a socket in a folder of mode 0700."""

    folder: Path
    binaries: Path

    def dsn(self, dbname: str = "postgres") -> str:
        """Return the superuser's connection string for a database."""
        return make_conninfo("", host=str(self.folder), port=5432, user="postgres", dbname=dbname)


@contextmanager
def run_server(
    *, fsync: bool = True, settings: Mapping[str, str | int] | None = None
) -> Iterator[Server]:
    """Start a server for the length of the block.

    However the block ends (also by SIGINT, SIGTERM or SIGHUP), the server is stopped and its folder
    removed; after kill -9 the next call does so. ``settings`` are lines of postgresql.conf.
    Meanwhile the environment has no variable of libpq's, for us and for those that we start.

    Raises: BinariesNotFound, ServerFailed.
    """
    found = find_binaries()
    account = choose_account()
    with unwinding(), _without_variables(), private_folder() as folder:
        account.own(folder)
        binaries = reachable_binaries(found, account, folder)
        pg_ctl = str(binaries / "pg_ctl")

        def stop(of: Path) -> None:
            _run(account, of, [pg_ctl, "-w", "-m", "immediate", "-D", str(of / "data"), "stop"])

        sweep(stop)
        data = folder / "data"
        with held():
            # Else a signal would end initdb but not the server processes it has begun.
            _run(account, folder, [str(binaries / "initdb"), *INITDB, "-D", str(data)])
        _configure(data, {"fsync": "on" if fsync else "off", **(settings or {})}, folder)
        try:
            with held():
                _run(
                    account, folder, [pg_ctl, "-w", "-D", str(data), "-l", f"{folder}/log", "start"]
                )
            yield Server(folder, binaries)
        finally:
            with held():
                if (data / "postmaster.pid").exists():
                    stop(folder)


@contextmanager
def _without_variables() -> Iterator[None]:
    # PGSERVICE, PGOPTIONS, PGSSLMODE …: not all of them can be overridden by a connection string.
    names = [each for each in os.environ if each.startswith("PG") and not each.startswith("PGJOBS")]
    taken = {name: os.environ.pop(name) for name in names}
    try:
        yield
    finally:
        os.environ.update(taken)


def _configure(data: Path, settings: Mapping[str, str | int], folder: Path) -> None:
    # A file instead of the command line: no shell reads it, and PGPORT cannot override it.
    lines = {**settings, "listen_addresses": "", "port": 5432, "unix_socket_directories": folder}
    with (data / "postgresql.conf").open("a") as conf:
        for name, value in lines.items():
            quoted = str(value).replace("'", "''")
            conf.write(f"{name} = '{quoted}'\n")


def _run(account: Account, folder: Path, argv: list[str]) -> None:
    done = account.run(argv, folder)
    if done.returncode != 0:
        log = folder / "log"
        words = log.read_text(errors="replace") if log.exists() else done.stdout
        raise ServerFailed(f"{Path(argv[0]).name} failed: {' | '.join(words.splitlines()[-3:])}")


@contextmanager
def private_folder() -> Iterator[Path]:
    """Make a folder of mode 0700, hold it for this process, and remove it at the end."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=temp_folder()))
    # Locked before it gets its name, and until it is gone: no other run sees it without a lock.
    with (folder / "owner.new").open("w") as owner:
        try:
            fcntl.flock(owner, fcntl.LOCK_EX)
            (folder / "owner.new").rename(folder / "owner")
            yield folder
        finally:
            with held():
                shutil.rmtree(folder)


def temp_folder() -> str:
    """Return the temp folder, or ``SHORT`` where the path of a socket below that is too long.

    Raises: ServerFailed: nor can ``SHORT`` be written.
    """
    usual = tempfile.gettempdir()
    if len(os.fsencode(f"{usual}/{PREFIX}{8 * 'x'}/{SOCKET}")) <= MOST_BYTES:
        return usual
    if not os.access(SHORT, os.W_OK):
        raise ServerFailed(f"TMPDIR is too long for the path of a socket, {SHORT} not writable")
    return SHORT


def sweep(stop: Callable[[Path], None]) -> None:
    """Stop the servers and remove the folders of this user's killed runs."""
    for folder in Path(temp_folder()).glob(f"{PREFIX}*"):
        with suppress(FileNotFoundError, PermissionError):
            if folder.is_symlink() or (folder / "owner").stat().st_uid != os.geteuid():
                continue
            with (folder / "owner").open() as owner, suppress(BlockingIOError):
                fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_answering(folder):
                    stop(folder)
                shutil.rmtree(folder)


def _is_answering(folder: Path) -> bool:
    """Say whether a server listens on the folder's socket (a pid file may name a stranger)."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(folder / SOCKET))
        except OSError:
            return False
    return True
