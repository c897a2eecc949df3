"""dbos: its client to enqueue, a workflow on a registered queue as the job."""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib.metadata import version as of_package
from typing import Any

import psycopg
import sqlalchemy
from dbos import DBOS, DBOSClient
from psycopg import sql

from bench.card import Card

# Its queue starts jobs once a poll: one at a time is ten a second.
ALL_BUT_SINGLE = (
    "enqueue", "bulk", "drain", "latency", "backlog", "snapshot", "duplicates", "wal", "bytes",
)  # fmt: skip
CARD = Card(
    name="dbos",
    key="workflow_id, for ever",
    settings="async workflow, 1,000 at once, poll 0.1 s; bulk is 1,000 calls a transaction",
    remaining="select count(*) from dbos.workflow_status where status in ('ENQUEUED', 'PENDING')",
    total="select count(*) from dbos.workflow_status",
    loads=ALL_BUT_SINGLE,
    single={},
    modes={"poll 1 s": {"poll": 1.0}, "poll 20 ms": {"poll": 0.02}},
)
AT_ONCE = 1000


def version() -> str:
    return f"dbos {of_package('dbos')}"


def launch(
    url: str,
    on_job: Callable[[str], None] = print,
    wait_go: Callable[[], None] = lambda: None,
    poll: float = 0.1,
    concurrency: int = 1,
) -> None:
    DBOS(
        config={
            "name": "bench",
            "system_database_url": url,
            "run_admin_server": False,
            "log_level": "ERROR",
            "application_version": "1",
            "sys_db_pool_size": 20,
        }
    )

    @DBOS.workflow(name="bench")
    async def bench(sha: str) -> None:
        on_job(sha)

    wait_go()
    DBOS.launch()
    DBOS.register_queue(
        "bench",
        worker_concurrency=concurrency,
        polling_interval_sec=poll,
        on_conflict="always_update",
    )


def install(url: str) -> None:
    launch(url)
    DBOS.destroy()


def request(key: str, keyed: bool) -> Any:
    options = {
        "workflow_name": "bench",
        "queue_name": "bench",
        "app_version": "1",
        "application_name": "bench",
    }
    return options | ({"workflow_id": key} if keyed else {})


def producer(url: str, _options: dict[str, Any]) -> Callable[[str, bool], str]:
    client = DBOSClient(system_database_url=url)

    def enqueue(key: str, keyed: bool) -> str:
        client.enqueue(request(key, keyed), key)
        return "untold"

    return enqueue


def enqueue_many(url: str, keys: list[str], keyed: bool) -> None:
    client = DBOSClient(system_database_url=url)
    engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as conn:
        for count, key in enumerate(keys, 1):
            client.enqueue_in_transaction(conn, request(key, keyed), key)
            if count % AT_ONCE == 0:
                conn.commit()
        conn.commit()


def fill(url: str, keys: list[str], _keyed: bool) -> None:
    """Enqueue one job by the client and copy its rows, which is never timed."""
    DBOSClient(system_database_url=url).enqueue(request(keys[0], keyed=True), keys[0])
    with psycopg.connect(url) as conn:
        for table in ("workflow_status", "workflow_input"):
            columns = conn.execute(
                "select column_name from information_schema.columns where table_schema = 'dbos'"
                " and table_name = %s and is_generated = 'NEVER'"
                " and column_name <> 'workflow_uuid'",
                [table],
            ).fetchall()
            if columns:
                conn.execute(
                    sql.SQL(
                        "insert into dbos.{table} (workflow_uuid, {columns}) select key, {columns}"
                        " from dbos.{table}, unnest(%s::text[]) as key where workflow_uuid = %s"
                    ).format(
                        table=sql.Identifier(table),
                        columns=sql.SQL(", ").join(sql.Identifier(name) for (name,) in columns),
                    ),
                    [keys[1:], keys[0]],
                )


def worker(
    url: str,
    on_job: Callable[[str], None],
    wait_go: Callable[[], None],
    options: dict[str, Any],
) -> None:
    poll, concurrency = options.get("poll", 0.1), options.get("concurrency", 1000)
    launch(url, on_job, wait_go, poll, concurrency)
    threading.Event().wait()
