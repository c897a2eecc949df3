"""The private folder of one server, and the folders that killed runs left behind.

A live run holds a lock on its folder's owner file; the kernel drops it when the process dies,
however it dies. So a folder whose lock is free is a leftover.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from forgea_pgjobs.embedded.signals import held

PREFIX = "forgea-pgjobs-"
SOCKET = ".s.PGSQL.5432"


@contextmanager
def private_folder() -> Iterator[Path]:
    """Make a folder of mode 0700, hold it for this process, and remove it at the end."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    # Locked before it gets its name, and until it is gone: no other run sees it without a lock.
    with (folder / "owner.new").open("w") as owner:
        try:
            fcntl.flock(owner, fcntl.LOCK_EX)
            (folder / "owner.new").rename(folder / "owner")
            yield folder
        finally:
            with held():
                shutil.rmtree(folder)


def sweep(stop: Callable[[Path], None]) -> None:
    """Stop the servers and remove the folders of this user's killed runs."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
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
