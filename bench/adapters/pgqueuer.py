"""pgqueuer, with the driver and the event loop that its documentation recommends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.metadata import version as of_package
from typing import Any

import asyncpg
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from bench.card import Card

CARD = Card(
    name="pgqueuer",
    key="dedupe_key, until the job is done",
    settings="asyncpg, uvloop, batch_size 500, `pgq autovac`, durable tables, LISTEN",
    remaining="select count(*) from pgqueuer",
    total="select count(*) from pgqueuer",
    modes={"notify": {}},
)
AT_ONCE = 5000


def version() -> str:
    return f"pgqueuer {of_package('pgqueuer')}, asyncpg {of_package('asyncpg')}"


async def queries(url: str) -> Queries:
    return Queries(AsyncpgDriver(await asyncpg.connect(url)))


async def install(url: str) -> None:
    connected = await queries(url)
    await connected.install()
    await connected.optimize_autovacuum()


async def producer(url: str, _options: dict[str, Any]) -> Callable[[str, bool], Awaitable[str]]:
    connected = await queries(url)

    async def enqueue(key: str, keyed: bool) -> str:
        await connected.enqueue("bench", key.encode(), dedupe_key=key if keyed else None)
        return "new"

    return enqueue


async def enqueue_many(url: str, keys: list[str], keyed: bool) -> None:
    connected = await queries(url)
    for begin in range(0, len(keys), AT_ONCE):
        part = keys[begin : begin + AT_ONCE]
        await connected.enqueue(
            ["bench"] * len(part),
            [key.encode() for key in part],
            [0] * len(part),
            dedupe_key=list(part) if keyed else None,
        )


async def worker(
    url: str,
    on_job: Callable[[str], None],
    wait_go: Callable[[], None],
    options: dict[str, Any],
) -> None:
    queue = PgQueuer(AsyncpgDriver(await asyncpg.connect(url)))

    @queue.entrypoint("bench")
    async def bench(job: Job) -> None:
        on_job((job.payload or b"").decode())

    wait_go()
    await queue.qm.run(batch_size=options.get("batch", 500))
