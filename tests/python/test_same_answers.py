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
from forgea_pgjobs import _statements, aio, embedded
from tests.conftest import Postgres

SESSION = "11111111-1111-1111-1111-111111111111"
OTHER = "22222222-2222-2222-2222-222222222222"
RANDOM = "99999999-9999-9999-9999-999999999999"
A, B, C = ("a" * 40, "b" * 40, "c" * 64)
JOB = {"session_id": SESSION, "commit_sha": A, "lab_version": "1"}
LEASE = {"job_id": 2, "lease_token": "TOKEN"}  # TOKEN is the lease token of the latest claim

# Each step is a call and the code it is refused with, if any.
SCENARIO: list[tuple[str, dict[str, Any], str | None]] = [
    ("record_attempt", {"session_id": SESSION, "commit_sha": A, "delivery_id": "d1"}, None),
    ("enqueue", {**JOB, "delivery_id": "d1", "payload": {"steps": ["test", None]}}, None),
    ("enqueue", {**JOB, "delivery_id": "d1"}, None),
    ("enqueue", {**JOB, "commit_sha": B, "delivery_id": "d1"}, "23V04"),
    ("enqueue", {**JOB, "session_id": OTHER}, "23V03"),
    ("enqueue", {**JOB, "commit_sha": "A" * 40}, "22023"),
    ("enqueue", {**JOB, "commit_sha": None}, "22004"),
    (
        "enqueue_many",
        {
            "session_ids": [SESSION, OTHER, SESSION],
            "commit_shas": [A, C, B],
            "lab_versions": ["1", "1", "1"],
            "payloads": [None, {"é": 1}, None],
        },
        None,
    ),
    ("enqueue_many", {"session_ids": [], "commit_shas": [], "lab_versions": []}, None),
    ("claim", {"worker": "w"}, None),
    ("get_job", {"commit_sha": A}, None),
    ("get_job", {"commit_sha": "d" * 40}, None),
    ("heartbeat", {**LEASE, "job_id": 1}, None),
    ("heartbeat", {"job_id": 1, "lease_token": RANDOM}, "23V05"),
    ("heartbeat", {"job_id": 99, "lease_token": RANDOM}, "P0002"),
    ("release", {**LEASE, "job_id": 1, "reason": "disk full", "retry_after": "PT1M"}, None),
    ("cancel", {"job_id": 1, "reason": "superseded", "actor": "ann"}, None),
    ("claim", {"worker": "w", "max_jobs": 1, "lease_for": "PT1H"}, None),
    ("complete", {**LEASE, "status": "PASSED", "summary": {"s": 1}}, None),
    ("complete", {**LEASE, "status": "PASSED", "summary": {"s": 1}}, None),
    ("complete", {**LEASE, "status": "FAILED"}, "23V02"),
    ("claim", {"worker": "w"}, None),
    (
        "complete_many",
        {
            "job_ids": [1, 3, 3, 99],
            "lease_tokens": [RANDOM, RANDOM, "TOKEN", RANDOM],
            "statuses": ["PASSED", "PASSED", "FAILED", "ERROR"],
        },
        None,
    ),
    ("rescue", {}, None),
    ("claim", {"worker": "w"}, None),
    ("get_job", {"commit_sha": B}, None),
]
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
    found = [
        asdict(each) if is_dataclass(each) and not isinstance(each, type) else each
        for each in answers
    ]
    reread: list[Any] = json.loads(json.dumps(found, default=str))
    return reread


def in_psql(pg: Postgres) -> Client:
    program = (pg.binaries or embedded.find_binaries()) / "psql"

    def client(dsn: str, function: str, arguments: dict[str, Any]) -> list[Any] | str:
        statement = str(getattr(_statements, function.upper()))
        types = dict(re.findall(r"(\w+) => %\(\w+\)s::([\w\[\]]+)", statement))
        words = [
            sql.SQL("{} => {}::{}").format(
                sql.Identifier(name), literal(value), sql.SQL(types[name])
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
        return [json.loads(line) for line in done.stdout.splitlines()]

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
        told.append(answers if isinstance(answers, str) else [masked(each) for each in answers])
    return told


def masked(answer: Any) -> Any:
    if not isinstance(answer, dict):
        return "*"
    return {
        name: "*" if value and (name == "lease_token" or name.endswith("_at")) else value
        for name, value in answer.items()
    }


@pytest.mark.parametrize("client", [in_sync, in_async])
def test_each_client_tells_the_same_story(
    client: Client, pg: Postgres, installed: NoopExecutor
) -> None:
    with (
        pg.database(installed.template_dbname) as one,
        pg.database(installed.template_dbname) as two,
    ):
        told = story(in_psql(pg), one)
        assert story(client, two) == told
    codes = [answer if isinstance(answer, str) else None for answer in told]
    assert codes == [code for _function, _arguments, code in SCENARIO]
