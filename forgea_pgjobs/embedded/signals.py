"""Signals while a server runs: an ending signal unwinds, and waits while something is half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def unwinding() -> Iterator[None]:
    """Let a signal that would kill the process end the block like an exception.

    A handler that the caller has set stays.
    """

    def end(signum: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + signum)

    if not _is_main_thread():
        yield
        return
    taken = [signum for signum in ENDING if signal.getsignal(signum) is signal.SIG_DFL]
    for signum in taken:
        signal.signal(signum, end)
    try:
        yield
    finally:
        for signum in taken:
            signal.signal(signum, signal.SIG_DFL)


@contextmanager
def held() -> Iterator[None]:
    """Deliver the ending signals that arrive during the block only after it."""
    arrived: list[int] = []

    def note(signum: int, _frame: FrameType | None) -> None:
        arrived.append(signum)

    if not _is_main_thread():
        yield
        return
    former = {signum: signal.signal(signum, note) for signum in ENDING}
    try:
        yield
    finally:
        for signum, handler in former.items():
            signal.signal(signum, handler)
        for late in set(arrived):
            signal.raise_signal(late)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
