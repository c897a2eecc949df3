"""absurd: its sync client and worker. ABSURD_SQL names the file of its schema."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from importlib.metadata import version as of_package
from pathlib import Path
from typing import Any

import psycopg
from absurd_sdk import Absurd

from bench.card import Card

CARD = Card(
    name="absurd",
    key="idempotency_key, until the task is cleaned up",
    settings="sync worker, batch_size 500, poll 0.25 s (its default); bulk is 1,000 calls a commit",
    remaining=(
        "select count(*) from absurd.t_bench"
        " where state not in ('completed', 'failed', 'cancelled')"
    ),
    total="select count(*) from absurd.t_bench",
    modes={"poll 250 ms": {}, "poll 20 ms": {"poll": 0.02}},
)
AT_ONCE = 1000
# What the client calls for each task, with the options that it sends.
SPAWN_MANY = """
select count(*) from unnest(%s::text[]) as key, lateral absurd.spawn_task(
    'bench', 'bench', jsonb_build_object('sha', key), '{"max_attempts": 5}'
)
"""


def schema() -> str:
    return Path(os.environ["ABSURD_SQL"]).read_text(encoding="utf-8")


def version() -> str:
    found = re.search(r"get_schema_version.*?'(.*?)'", schema(), re.DOTALL)
    return f"absurd-sdk {of_package('absurd-sdk')}, schema {found[1] if found else 'unknown'}"


def client(conn_or_url: psycopg.Connection[Any] | str) -> Any:
    return Absurd(conn_or_url, queue_name="bench")


def spawn(absurd: Any, key: str, keyed: bool) -> None:
    absurd.spawn("bench", {"sha": key}, queue="bench", idempotency_key=key if keyed else None)


def install(url: str) -> None:
    with psycopg.connect(url) as conn:
        conn.execute(schema().encode())
        client(conn).create_queue()


def producer(url: str, _options: dict[str, Any]) -> Callable[[str, bool], str]:
    absurd = client(url)

    def enqueue(key: str, keyed: bool) -> str:
        # Its function answers whether the task is new; the client leaves that out.
        spawn(absurd, key, keyed)
        return "untold"

    return enqueue


def enqueue_many(url: str, keys: list[str], keyed: bool) -> None:
    with psycopg.connect(url) as conn:
        absurd = client(conn)
        for count, key in enumerate(keys, 1):
            spawn(absurd, key, keyed)
            if count % AT_ONCE == 0:
                conn.commit()


def fill(url: str, keys: list[str], _keyed: bool) -> None:
    with psycopg.connect(url) as conn:
        conn.execute(SPAWN_MANY, [keys])


def worker(
    url: str,
    on_job: Callable[[str], None],
    wait_go: Callable[[], None],
    options: dict[str, Any],
) -> None:
    absurd = client(url)

    @absurd.register_task("bench")
    def bench(params: dict[str, str], _context: object) -> None:
        on_job(params["sha"])

    wait_go()
    absurd.start_worker(
        batch_size=options.get("batch", 500), poll_interval=options.get("poll", 0.25)
    )
