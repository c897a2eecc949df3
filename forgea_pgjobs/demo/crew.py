"""The demo's worker processes: started, killed on purpose, and always ended."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO, TypeVar, cast

import forgea_pgjobs
from forgea_pgjobs.demo.errors import DemoFailed
from forgea_pgjobs.demo.process import TICK, kill_group
from forgea_pgjobs.demo.text import last_lines
from forgea_pgjobs.demo.worker import TIME_LIMIT, Plan, Run
from forgea_pgjobs.embedded.signals import held

T = TypeVar("T")

PATIENCE = TIME_LIMIT + 30.0
# The folder that workers import from; never the one that the caller stands in.
IMPORT_FROM = Path(forgea_pgjobs.__file__).parent.parent


class Worker:
    """A worker process; it stands ready until it is told its plan."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "forgea_pgjobs.demo.worker"],
                cwd=IMPORT_FROM,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._orders = cast(IO[bytes], self._process.stdin)

    @property
    def name(self) -> str:
        """Its name, which is that of its folder."""
        return self.folder.name

    def begin(self, dsn: str, repository: Path, check: list[str]) -> None:
        """Tell it what to do."""
        plan = Plan(self.name, dsn, str(repository), str(self.folder), check)
        with suppress(BrokenPipeError):  # It has died: has_ended tells.
            self._orders.write(f"{json.dumps(asdict(plan))}\n".encode())
            self._orders.flush()

    def run(self) -> Run | None:
        """Return the run whose check is going on, if there is one."""
        try:
            note = (self.folder / "run.json").read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        return Run(**json.loads(note))

    def has_ended(self) -> bool:
        """Say whether the process is gone."""
        return self._process.poll() is not None

    def dismiss(self) -> None:
        """Let it end by itself."""
        with suppress(BrokenPipeError):
            self._orders.close()

    def wait(self, seconds: float) -> None:
        """Wait for its end; then kill it, and whatever its check has left."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self.kill()

    def kill(self) -> None:
        """Kill it with -9. Its check, which nobody would end any more, is killed as well."""
        self._process.kill()
        self._process.wait()
        self.dismiss()
        run = self.run()
        if run is not None:
            kill_group(run.group)


class Crew:
    """All workers; leaving the block ends them."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._workers: list[Worker] = []
        self._count = 0

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with held():
            for worker in self._workers:
                worker.dismiss()
            for worker in self._workers:
                worker.wait(3)

    def add(self) -> Worker:
        """Start another worker."""
        self._count += 1
        with held():
            worker = Worker(self._folder / f"worker-{self._count}")
            self._workers.append(worker)
        return worker

    def kill(self, worker: Worker) -> None:
        """Kill a worker with -9."""
        with held():
            worker.kill()
            self._workers.remove(worker)

    def wait_for(self, find: Callable[[], T | None]) -> T:
        """Return what is found once a worker has brought it about.

        Raises: DemoFailed: nothing was found for long, or a worker has died.
        """
        end = time.monotonic() + PATIENCE
        while (found := find()) is None:
            self.check()
            if time.monotonic() > end:
                raise DemoFailed("the workers do nothing")
            time.sleep(TICK)
        return found

    def check(self) -> None:
        """Raises: DemoFailed: a worker has died."""
        for worker in self._workers:
            if worker.has_ended():
                words = " ".join(last_lines(worker.log.read_bytes(), 1))
                raise DemoFailed(f"{worker.name} has died: {words}")
