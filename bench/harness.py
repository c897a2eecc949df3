"""The child process: one adapter in one role. bench/child.py is the other end.

    python -m bench.harness ADAPTER ROLE ARGUMENTS

The child prints READY when it is connected, is answered GO, and prints one line ``R {json}``. A
worker prints ``C`` and its count of jobs every 20 ms; where ``stamp`` is set also ``H``, the key
and the monotonic time in nanoseconds at the start of every handler. It ends when stdin does.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import os
import sys
import threading
import time
from collections import Counter
from types import ModuleType
from typing import Any

import uvloop

from bench.keys import key, keys

# Multiples of it leave remainders that are spread evenly and in no order.
GOLDEN = 0.6180339887


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def wait_go() -> None:
    """Tell the parent that this child is connected, and wait for it."""
    say("READY")
    sys.stdin.readline()
    threading.Thread(target=_end_with_stdin, daemon=True).start()


def _end_with_stdin() -> None:
    sys.stdin.read()
    os._exit(1)


def finished(answer: Any) -> Any:
    """Run what an adapter answers where the adapter is async; a sync one sees no event loop."""
    return uvloop.run(answer) if inspect.iscoroutine(answer) else answer


async def settled(answer: Any) -> Any:
    """Await what an adapter answers where the adapter is async."""
    return await answer if inspect.isawaitable(answer) else answer


async def produce(adapter: ModuleType, given: dict[str, Any]) -> dict[str, Any]:
    """Enqueue one at a time, each in its own transaction, for ``seconds`` or ``count`` keys."""
    enqueue = await settled(adapter.producer(given["url"], given["options"]))
    chosen = keys(given["prefix"], given.get("count", 0))
    if "shuffle" in given:
        chosen.sort(key=lambda job: key(given["shuffle"], job))
    gap, keyed = given.get("gap", 0), given["keyed"]
    told: Counter[str] = Counter()
    stamps, calls = [], 0
    wait_go()
    begun = time.monotonic()
    end = begun + given.get("seconds", 1e9)
    while time.monotonic() < end and (not chosen or calls < len(chosen)):
        job = chosen[calls] if chosen else key(given["prefix"], calls)
        calls += 1
        if gap:
            stamps.append((job, time.monotonic_ns()))
        try:
            told[await settled(enqueue(job, keyed))] += 1
        except Exception as error:  # what a losing client is told is part of the result
            told[type(error).__name__] += 1
        if gap:
            time.sleep(gap * (0.6 + 0.8 * (calls * GOLDEN % 1)))
    return {"rate": calls / (time.monotonic() - begun), "told": told, "stamps": stamps}


def bulk(adapter: ModuleType, given: dict[str, Any]) -> dict[str, Any]:
    """Enqueue ``count`` keys by the contender's own bulk call; the time includes connecting."""
    fill = adapter.enqueue_many
    if given["untimed"]:
        fill = getattr(adapter, "fill", fill)
    chosen = keys(given["prefix"], given["count"])
    wait_go()
    begun = time.monotonic()
    finished(fill(given["url"], chosen, given["keyed"]))
    return {"rate": len(chosen) / (time.monotonic() - begun)}


def work(adapter: ModuleType, given: dict[str, Any]) -> None:
    """Handle jobs until the parent ends this process."""
    handled = 0

    def on_job(job: str) -> None:
        nonlocal handled
        handled += 1
        if given["stamp"]:
            say(f"H {job} {time.monotonic_ns()}")

    def report() -> None:
        last = 0
        while True:
            time.sleep(0.02)
            if handled != last:
                last = handled
                say(f"C {last}")

    if not given["quiet"]:
        threading.Thread(target=report, daemon=True).start()
    finished(adapter.worker(given["url"], on_job, wait_go, given["options"]))


def main(name: str, role: str, given: dict[str, Any]) -> dict[str, Any] | None:
    """Play one role."""
    adapter = importlib.import_module(f"bench.adapters.{name}")
    match role:
        case "card":
            return dataclasses.asdict(adapter.CARD) | {"version": adapter.version()}
        case "install":
            finished(adapter.install(given["url"]))
            return {}
        case "produce":
            produced: dict[str, Any] = finished(produce(adapter, given))
            return produced
        case "bulk":
            return bulk(adapter, given)
        case _:
            work(adapter, given)
            return None


if __name__ == "__main__":
    say("R " + json.dumps(main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))))
    os._exit(0)  # some contenders leave threads behind that never end
