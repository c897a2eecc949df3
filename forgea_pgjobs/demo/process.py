"""Commands that run in a process group of their own and are ended as a whole."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from forgea_pgjobs.demo.text import last_lines
from forgea_pgjobs.embedded.server import private_folder
from forgea_pgjobs.embedded.signals import held

TICK = 0.01


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended; ``exit_code`` is None where the time limit ended it."""

    exit_code: int | None
    seconds: float
    last_lines: list[str]


def run(
    argv: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    output: Path,
    limit: float,
    started: Callable[[int], None],
    tick: Callable[[], None],
) -> Ended:
    """Run a command to its end or its time limit; whatever it has started ends with it.

    ``started`` gets the number of the process group; ``tick`` is called all the time.
    """
    begin = time.monotonic()
    with output.open("wb") as log, _group(argv, folder, environment, log.fileno()) as process:
        started(process.pid)
        while not (is_over := _has_ended(process)) and time.monotonic() < begin + limit:
            tick()
            time.sleep(TICK)
    with output.open("rb") as written:
        written.seek(max(0, written.seek(0, os.SEEK_END) - 8192))
        tail = last_lines(written.read())
    exit_code = process.returncode if is_over else None
    return Ended(exit_code, round(time.monotonic() - begin, 3), tail)


def kill_group(group: int) -> None:
    """Kill every process of the group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def remove(folder: Path) -> None:
    """Remove a folder, even if a command has made folders in it that nobody may write to."""
    for parent, names, _files in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if not path.is_symlink():
                path.chmod(0o700)
    shutil.rmtree(folder)


@contextmanager
def workspace() -> Iterator[Path]:
    """Make a private folder, and remove it with everything in it; after kill -9 the next demo does.

    It lies where the embedded server's folders lie, which look for each other's leftovers.
    """
    with private_folder() as outer:
        folder = outer / "work"
        folder.mkdir()
        try:
            yield folder
        finally:
            with held():
                remove(folder)


@contextmanager
def _group(
    argv: Sequence[str], folder: Path, environment: Mapping[str, str], output: int
) -> Iterator[subprocess.Popen[bytes]]:
    process = None
    try:
        with held():
            process = subprocess.Popen(
                argv,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        yield process
    finally:
        if process is not None:
            kill_group(process.pid)
            process.wait()


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    # Not reaped: until the group is killed, its number must not go to a stranger.
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
