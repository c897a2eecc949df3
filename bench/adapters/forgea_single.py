"""This package, without its worker: claim and complete one job a call."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg

import forgea_pgjobs as pgjobs
from bench.adapters import forgea
from bench.adapters.forgea import enqueue_many, install, producer, version

__all__ = ["CARD", "enqueue_many", "install", "producer", "version", "worker"]

CARD = replace(
    forgea.CARD,
    name="forgea_pgjobs, plain calls",
    settings="claim and complete of one job a call, without the worker",
    loads=("single", "snapshot", "wal"),
    filler="forgea",
)


def worker(
    url: str,
    on_job: Callable[[str], None],
    wait_go: Callable[[], None],
    _options: dict[str, Any],
) -> None:
    conn = psycopg.connect(url, autocommit=True)
    wait_go()
    while True:
        claimed = pgjobs.claim(conn, worker="bench")
        for run in claimed:
            on_job(run.commit_sha)
            pgjobs.complete(conn, job_id=run.job_id, lease_token=run.lease_token, status="PASSED")
        if not claimed:
            time.sleep(0.05)
