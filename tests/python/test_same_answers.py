"""psql, the Python calls and their async twins give the same answers to the same scenario."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from functools import partial
from typing import Any

import psycopg
import pytest
from psycopg import sql
from pytest_postgresql.executors import NoopExecutor

import forgea_pgjobs
from forgea_pgjobs import aio, embedded
from forgea_pgjobs._call_text import TYPES
from tests.conftest import Postgres
from tests.python.scenario import SCENARIO

# A client makes a call in the database and returns its rows as JSON, or the code of its refusal.
Client = Callable[[str, str, dict[str, Any]], list[Any] | str]


def in_sync(dsn: str, function: str, arguments: dict[str, Any]) -> list[Any] | str:
    with psycopg.connect(dsn) as conn:
        return rows(partial(getattr(forgea_pgjobs, function), conn, **arguments))


def in_async(dsn: str, function: str, arguments: dict[str, Any]) -> list[Any] | str:
    async def call() -> Any:
        async with await psycopg.AsyncConnection.connect(dsn) as conn:
            return await getattr(aio, function)(conn, **arguments)

    return rows(lambda: asyncio.run(call()))


def rows(call: Callable[[], Any]) -> list[Any] | str:
    try:
        answer = call()
    except psycopg.Error as error:
        return str(error.sqlstate)
    answers = answer if isinstance(answer, list) else [] if answer is None else [answer]
    reread: list[Any] = json.loads(json.dumps(list(map(columns, answers)), default=as_postgres))
    return reread


def columns(answer: Any) -> Any:
    if isinstance(answer, forgea_pgjobs.Claimed):
        return answer._asdict()
    return asdict(answer) if is_dataclass(answer) and not isinstance(answer, type) else answer


def as_postgres(value: Any) -> str:
    return f"\\x{value.hex()}" if isinstance(value, bytes) else str(value)


def in_psql(pg: Postgres) -> Client:
    program = (pg.binaries or embedded.find_binaries()) / "psql"

    def client(dsn: str, function: str, arguments: dict[str, Any]) -> list[Any] | str:
        words = [
            sql.SQL(f"{{}} => {{}}::{TYPES.get(name, 'text')}").format(
                sql.Identifier(name), literal(value)
            )
            for name, value in arguments.items()
        ]
        query = sql.SQL("select to_jsonb(answer) from pgjobs.{}({}) as answer").format(
            sql.Identifier(function), sql.SQL(", ").join(words)
        )
        done = subprocess.run(
            [program, "-qAtX", "-v", "VERBOSITY=sqlstate", dsn],
            input=query.as_string(),
            capture_output=True,
            text=True,
        )
        if done.stderr:
            return done.stderr.removeprefix("ERROR:  ").strip()
        return [json.loads(line) for line in done.stdout.splitlines() if line]

    return client


def literal(value: Any) -> sql.Composable:
    if isinstance(value, dict):
        return sql.Literal(json.dumps(value))
    if isinstance(value, list):
        return sql.SQL("array[{}]").format(sql.SQL(", ").join(map(literal, value)))
    return sql.Literal(value)


def story(client: Client, dsn: str) -> list[Any]:
    """Run the scenario and tell the answers, times and tokens masked."""
    told: list[Any] = []
    token = None

    def filled(value: Any) -> Any:
        if isinstance(value, list):
            return [filled(each) for each in value]
        return token if value == "TOKEN" else value

    for function, arguments, _code in SCENARIO:
        answers = client(dsn, function, {name: filled(value) for name, value in arguments.items()})
        if function == "claim" and answers and not isinstance(answers, str):
            token = answers[0]["lease_token"]
        if function == "heartbeat" and not isinstance(answers, str):
            answers = ["*"]  # a time without a name
        told.append(masked(answers))
    return told


def masked(answer: Any) -> Any:
    if isinstance(answer, list):
        return [masked(each) for each in answer]
    if not isinstance(answer, dict):
        return answer
    return {
        name: "*" if value and re.fullmatch("lease_token|(.+_)?at", name) else masked(value)
        for name, value in answer.items()
    }


def told_by(client: Client, pg: Postgres, template: str) -> tuple[list[Any], int]:
    """Return the story in a database of its own, and the last number that was drawn in it."""
    with pg.database(template) as dsn:
        told = story(client, dsn)
        with psycopg.connect(dsn) as conn:
            [last] = conn.execute("select last_value from pgjobs.job_job_id_seq").fetchone() or [0]
    return told, last


@pytest.mark.parametrize("client", [in_sync, in_async])
def test_each_client_tells_the_same_story(
    client: Client, pg: Postgres, installed: NoopExecutor
) -> None:
    for _ in range(5):
        told, last = told_by(in_psql(pg), pg, installed.template_dbname)
        same, other_last = told_by(client, pg, installed.template_dbname)
        # An enqueue that takes longer than 10 ms draws a number more: then the ids are others.
        if last == other_last:
            break
    assert same == told
    codes = [answer if isinstance(answer, str) else None for answer in told]
    assert codes == [code for _function, _arguments, code in SCENARIO]
