"""raw, with 500 jobs a statement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg

from bench.adapters import raw
from bench.adapters.raw import enqueue_many, install, version

__all__ = ["CARD", "enqueue_many", "install", "version", "worker"]

CARD = replace(
    raw.CARD,
    name="raw, batches",
    settings="as raw; 500 jobs a claim and a completion",
    loads=("drain", "backlog", "snapshot"),
    filler=None,
)


def worker(
    url: str,
    on_job: Callable[[str], None],
    wait_go: Callable[[], None],
    _options: dict[str, Any],
) -> None:
    raw.work(psycopg.connect(url, autocommit=True), on_job, wait_go, batch=500)
