"""pgmq: the SQL that its Python client brings along, and the client's own calls in a plain loop."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version as of_package
from typing import Any

from pgmq import PGMQueue
from pgmq.install import get_embedded_install_sql, get_embedded_sql_version, install_pgmq_sql
from psycopg.conninfo import conninfo_to_dict

from bench.card import Card

CARD = Card(
    name="pgmq",
    key="none",
    settings="read_with_poll of 500, invisible for 30 s, poll 100 ms (its default); archive_batch",
    remaining="select count(*) from pgmq.q_bench",
    total="select (select count(*) from pgmq.q_bench) + (select count(*) from pgmq.a_bench)",
    modes={"poll 100 ms": {}, "poll 10 ms": {"poll": 10}},
)
AT_ONCE = 5000


def version() -> str:
    return f"pgmq client {of_package('pgmq')}, SQL {get_embedded_sql_version()}"


def client(url: str) -> PGMQueue:
    # Its own reader of URLs knows no socket.
    dsn = " ".join(f"{name}={value}" for name, value in conninfo_to_dict(url).items())
    return PGMQueue(conn_string=dsn, init_extension=False, pool_size=1)


def install(url: str) -> None:
    install_pgmq_sql(get_embedded_install_sql(), dsn=url)
    client(url).create_queue("bench")


def producer(url: str, _options: dict[str, Any]) -> Callable[[str, bool], str]:
    queue = client(url)

    def enqueue(key: str, _keyed: bool) -> str:
        queue.send("bench", {"sha": key})
        return "new"

    return enqueue


def enqueue_many(url: str, keys: list[str], _keyed: bool) -> None:
    queue = client(url)
    for begin in range(0, len(keys), AT_ONCE):
        queue.send_batch("bench", [{"sha": key} for key in keys[begin : begin + AT_ONCE]])


def worker(
    url: str,
    on_job: Callable[[str], None],
    wait_go: Callable[[], None],
    options: dict[str, Any],
) -> None:
    queue = client(url)
    batch, poll = options.get("batch", 500), options.get("poll", 100)
    wait_go()
    while True:
        messages = queue.read_with_poll(
            "bench", vt=30, qty=batch, max_poll_seconds=5, poll_interval_ms=poll
        )
        for message in messages or ():
            on_job(message.message["sha"])
        if messages:
            queue.archive_batch("bench", [message.msg_id for message in messages])
