"""What the tests of the worker share."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from forgea_pgjobs.worker import Run

SECOND = timedelta(seconds=1)
PATIENCE = 60.0


def passing(_run: Run) -> str:
    """Let every job pass."""
    return "PASSED"


def until(condition: Callable[[], Any]) -> None:
    """Ask again until it holds; fail after a minute."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
