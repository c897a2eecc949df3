"""This package: each job of a lab session of its own, as its documentation calls it."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version as of_package
from typing import Any
from uuid import UUID

import psycopg

import forgea_pgjobs as pgjobs
from bench.card import Card
from forgea_pgjobs import schema
from forgea_pgjobs.worker import Worker

CARD = Card(
    name="forgea_pgjobs",
    key="the commit, for ever",
    settings="enqueue_many of 5,000; Worker with 2 threads and batches of 500, or 1 and 1",
    remaining="select coalesce(sum(open_jobs), 0) from pgjobs.lane",
    total="select count(*) from pgjobs.job",
    modes={"poll, at most 1 s": {}, "wake-up": {"listen": True}},
)
AT_ONCE = 5000


def version() -> str:
    return f"forgea-pgjobs {of_package('forgea-pgjobs')}, psycopg {psycopg.__version__}"


def session_of(key: str) -> UUID:
    return UUID(key[:32])


def install(url: str) -> None:
    with psycopg.connect(url) as conn:
        conn.execute(schema.recorded_install_sql().encode())


def producer(url: str, options: dict[str, Any]) -> Callable[[str, bool], str]:
    wake = options.get("listen", False)
    conn = psycopg.connect(url, autocommit=True)

    def enqueue(key: str, _keyed: bool) -> str:
        answer = pgjobs.enqueue(conn, session_id=session_of(key), commit_sha=key, lab_version="1")
        if wake:
            pgjobs.wake(conn)
        return "new" if answer.created else "duplicate"

    return enqueue


def enqueue_many(url: str, keys: list[str], _keyed: bool) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        for begin in range(0, len(keys), AT_ONCE):
            part = keys[begin : begin + AT_ONCE]
            pgjobs.enqueue_many(
                conn,
                session_ids=[session_of(key) for key in part],
                commit_shas=part,
                lab_versions=["1"] * len(part),
            )


def worker(
    url: str,
    on_job: Callable[[str], None],
    wait_go: Callable[[], None],
    options: dict[str, Any],
) -> None:
    ready = [psycopg.connect(url, autocommit=True)]

    def connect() -> psycopg.Connection[Any]:
        return ready.pop() if ready else psycopg.connect(url, autocommit=True)

    def handler(job: pgjobs.Claimed) -> str:
        on_job(job.commit_sha)
        return "PASSED"

    working = Worker(
        connect,
        handler,
        batch=options.get("batch", 500),
        concurrency=1 if "batch" in options else 2,
        listen=options.get("listen", False),
    )
    wait_go()
    working.run()
