"""procrastinate: its sync connector to defer, its async worker."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version as of_package
from typing import Any

from procrastinate import App, PsycopgConnector, SyncPsycopgConnector
from procrastinate.connector import BaseConnector
from procrastinate.exceptions import AlreadyEnqueued
from procrastinate.tasks import Task

from bench.card import Card

CARD = Card(
    name="procrastinate",
    key="queueing_lock, until the job is begun",
    settings="30 jobs at once over 32 connections, LISTEN; no key in bulk, where it has none",
    remaining="select count(*) from procrastinate_jobs where status in ('todo', 'doing')",
    total="select count(*) from procrastinate_jobs",
    single={"concurrency": 1},
    modes={"notify": {}},
)
AT_ONCE = 5000


def version() -> str:
    return f"procrastinate {of_package('procrastinate')}"


def make(
    connector: BaseConnector, on_job: Callable[[str], None] = print
) -> tuple[App, Task[..., Any, Any]]:
    app = App(connector=connector)

    @app.task(name="bench", queue="bench")
    async def bench(sha: str) -> None:
        on_job(sha)

    return app, bench


def install(url: str) -> None:
    app, _ = make(SyncPsycopgConnector(conninfo=url))
    with app.open():
        app.schema_manager.apply_schema()


def producer(url: str, _options: dict[str, Any]) -> Callable[[str, bool], str]:
    app, task = make(SyncPsycopgConnector(conninfo=url, min_size=1, max_size=1))
    app.open()

    def enqueue(key: str, keyed: bool) -> str:
        try:
            (task.configure(queueing_lock=key) if keyed else task).defer(sha=key)
        except AlreadyEnqueued:
            return "duplicate"
        return "new"

    return enqueue


def enqueue_many(url: str, keys: list[str], _keyed: bool) -> None:
    app, task = make(SyncPsycopgConnector(conninfo=url))
    with app.open():
        for begin in range(0, len(keys), AT_ONCE):
            task.batch_defer(*({"sha": key} for key in keys[begin : begin + AT_ONCE]))


async def worker(
    url: str,
    on_job: Callable[[str], None],
    wait_go: Callable[[], None],
    options: dict[str, Any],
) -> None:
    at_once = options.get("concurrency", 30)
    app, _ = make(PsycopgConnector(conninfo=url, min_size=2, max_size=at_once + 2), on_job)
    async with app.open_async():
        wait_go()
        await app.run_worker_async(
            queues=["bench"], concurrency=at_once, install_signal_handlers=False
        )
