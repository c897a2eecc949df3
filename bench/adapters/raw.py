"""The smallest honest job table, written by hand: what any ledger must be measured against."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psycopg

from bench.card import Card

CARD = Card(
    name="raw",
    key="unique (sha), for ever",
    settings="one table, insert … on conflict do nothing, skip locked; one job a call, poll 50 ms",
    remaining="select count(*) from job where status in ('queued', 'running')",
    total="select count(*) from job",
    filler="raw_batch",
)
TABLE = """
create table job (
    id bigint generated always as identity primary key,
    sha text not null,
    status text not null default 'queued',
    payload jsonb not null default '{}',
    created_at timestamptz not null default now(),
    started_at timestamptz,
    completed_at timestamptz
);
create unique index job_sha on job (sha);
create index job_queued on job (id) where status = 'queued';
"""
INSERT = """
insert into job (sha, payload) values (%s, jsonb_build_object('sha', %s::text))
on conflict (sha) do nothing
"""
INSERT_MANY = """
insert into job (sha, payload) select key, jsonb_build_object('sha', key)
from unnest(%s::text[]) as key on conflict do nothing
"""
CLAIM = """
update job set status = 'running', started_at = now() where id in (
    select id from job where status = 'queued' order by id limit %s for update skip locked
) returning id, sha
"""
COMPLETE = "update job set status = 'passed', completed_at = now() where id = any(%s)"
AT_ONCE = 5000


def version() -> str:
    return f"psycopg {psycopg.__version__}"


def install(url: str) -> None:
    with psycopg.connect(url) as conn:
        conn.execute(TABLE)


def producer(url: str, _options: dict[str, Any]) -> Callable[[str, bool], str]:
    conn = psycopg.connect(url, autocommit=True)

    def enqueue(key: str, _keyed: bool) -> str:
        return "new" if conn.execute(INSERT, (key, key)).rowcount else "duplicate"

    return enqueue


def enqueue_many(url: str, keys: list[str], _keyed: bool) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        for begin in range(0, len(keys), AT_ONCE):
            conn.execute(INSERT_MANY, (keys[begin : begin + AT_ONCE],))


def worker(
    url: str,
    on_job: Callable[[str], None],
    wait_go: Callable[[], None],
    _options: dict[str, Any],
) -> None:
    work(psycopg.connect(url, autocommit=True), on_job, wait_go)


def work(
    conn: psycopg.Connection,
    on_job: Callable[[str], None],
    wait_go: Callable[[], None],
    *,
    batch: int = 1,
    rest: Callable[[psycopg.Connection], None] = lambda _conn: time.sleep(0.05),
) -> None:
    """Claim, handle and complete for ever; rest when there is nothing to do."""
    wait_go()
    while True:
        claimed = conn.execute(CLAIM, (batch,)).fetchall()
        for _, sha in claimed:
            on_job(sha)
        if claimed:
            conn.execute(COMPLETE, ([job_id for job_id, _ in claimed],))
        else:
            rest(conn)
