"""raw, with a statement trigger that notifies and a worker that listens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg

from bench.adapters import raw
from bench.adapters.raw import enqueue_many, producer, version

__all__ = ["CARD", "enqueue_many", "install", "producer", "version", "worker"]

CARD = replace(
    raw.CARD,
    name="raw, notify",
    settings="as raw, with a statement trigger that notifies and a worker that listens",
    loads=("enqueue", "latency"),
    modes={"notify": {}},
    filler=None,
)
TRIGGER = """
create function wake() returns trigger language plpgsql as $$
begin
    notify job_wake;
    return null;
end $$;
create trigger wake after insert on job for each statement execute function wake();
"""


def install(url: str) -> None:
    raw.install(url)
    with psycopg.connect(url) as conn:
        conn.execute(TRIGGER)


def worker(
    url: str,
    on_job: Callable[[str], None],
    wait_go: Callable[[], None],
    _options: dict[str, Any],
) -> None:
    conn = psycopg.connect(url, autocommit=True)
    conn.execute("listen job_wake")
    raw.work(conn, on_job, wait_go, rest=sleep)


def sleep(conn: psycopg.Connection) -> None:
    """Sleep until a notification, at most five seconds."""
    for _ in conn.notifies(timeout=5, stop_after=1):
        pass
