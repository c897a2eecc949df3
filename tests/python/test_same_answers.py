"""psql, the Python calls and their async twins give the same answers to the same scenario."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import asdict, is_dataclass
from typing import Any

import psycopg
import pytest
from psycopg import sql

import forgea_pgjobs
from forgea_pgjobs import _statements, aio
from tests.conftest import Postgres

Step = tuple[str, dict[str, Any]]
SESSION = "11111111-1111-1111-1111-111111111111"
OTHER = "22222222-2222-2222-2222-222222222222"
RANDOM = "99999999-9999-9999-9999-999999999999"
A, B, C = ("a" * 40, "b" * 40, "c" * 64)
JOB = {"session_id": SESSION, "commit_sha": A, "lab_version": "1"}

# TOKEN stands for the lease token of the latest claim.
SCENARIO: list[Step] = [
    ("record_attempt", {"session_id": SESSION, "commit_sha": A, "delivery_id": "d1"}),
    ("enqueue", {**JOB, "delivery_id": "d1", "payload": {"steps": ["test", None]}}),
    ("enqueue", {**JOB, "delivery_id": "d1"}),
    ("enqueue", {**JOB, "commit_sha": B, "delivery_id": "d1"}),
    ("enqueue", {**JOB, "session_id": OTHER}),
    ("enqueue", {**JOB, "commit_sha": "A" * 40}),
    ("enqueue", {**JOB, "commit_sha": None}),
    (
        "enqueue_many",
        {
            "session_ids": [SESSION, OTHER, SESSION],
            "commit_shas": [A, C, B],
            "lab_versions": ["1", "1", "1"],
            "payloads": [None, {"é": 1}, None],
        },
    ),
    ("enqueue_many", {"session_ids": [], "commit_shas": [], "lab_versions": []}),
    ("claim", {"worker": "w"}),
    ("get_job", {"commit_sha": A}),
    ("get_job", {"commit_sha": "d" * 40}),
    ("heartbeat", {"job_id": 1, "lease_token": "TOKEN"}),
    ("heartbeat", {"job_id": 1, "lease_token": RANDOM}),
    ("heartbeat", {"job_id": 99, "lease_token": RANDOM}),
    ("release", {"job_id": 1, "lease_token": "TOKEN", "reason": "disk full"}),
    ("cancel", {"job_id": 1, "reason": "superseded", "actor": "ann"}),
    ("claim", {"worker": "w", "max_jobs": 1}),
    ("complete", {"job_id": 2, "lease_token": "TOKEN", "status": "PASSED", "summary": {"s": 1}}),
    ("complete", {"job_id": 2, "lease_token": "TOKEN", "status": "PASSED", "summary": {"s": 1}}),
    ("complete", {"job_id": 2, "lease_token": "TOKEN", "status": "FAILED"}),
    ("claim", {"worker": "w", "max_jobs": 1}),
    (
        "complete_many",
        {
            "job_ids": [1, 3, 3, 99],
            "lease_tokens": [RANDOM, RANDOM, "TOKEN", RANDOM],
            "statuses": ["PASSED", "PASSED", "FAILED", "ERROR"],
        },
    ),
    ("rescue", {}),
    ("claim", {"worker": "w"}),
    ("get_job", {"commit_sha": B}),
]
# The driver runs a step and returns its rows, or raises a psycopg.Error.
Driver = Callable[[str, dict[str, Any]], list[dict[str, Any]]]


@pytest.fixture
def psql(pg: Postgres, fresh_dsn: str) -> Driver:
    beside = pg.binaries / "psql" if pg.binaries else None
    program = str(beside) if beside and beside.exists() else shutil.which("psql")
    assert program, "psql is on PATH or beside the server's binaries"

    def run(function: str, arguments: dict[str, Any]) -> list[dict[str, Any]]:
        types = dict(re.findall(r"(\w+) => %\(\w+\)s::([\w\[\]]+)", statement(function)))
        words = sql.SQL(", ").join(
            sql.SQL("{} => {}::{}").format(
                sql.Identifier(name), literal(value, types[name]), sql.SQL(types[name])
            )
            for name, value in arguments.items()
        )
        query = sql.SQL("select to_jsonb(answer) from pgjobs.{}({}) as answer").format(
            sql.Identifier(function), words
        )
        done = subprocess.run(
            [program, "-qAtX", "-v", "VERBOSITY=verbose", fresh_dsn],
            input=query.as_string(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.stderr:
            raise PsqlError(done.stderr)
        return [
            answer if isinstance(answer, dict) else {function: answer}
            for answer in map(json.loads, done.stdout.splitlines())
        ]

    return run


class PsqlError(Exception):
    """What psql printed; ``sqlstate`` is read from it."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        found = re.search(r"ERROR:  (\w{5}): ", text)
        assert found, text
        self.sqlstate = found[1]


@pytest.fixture
def sync(fresh_dsn: str) -> Iterator[Driver]:
    with psycopg.connect(fresh_dsn, autocommit=True) as conn:

        def run(function: str, arguments: dict[str, Any]) -> list[dict[str, Any]]:
            return as_rows(function, getattr(forgea_pgjobs, function)(conn, **arguments))

        yield run


@pytest.fixture
def twin(fresh_dsn: str) -> Driver:
    def run(function: str, arguments: dict[str, Any]) -> list[dict[str, Any]]:
        async def once() -> Any:
            async with await psycopg.AsyncConnection.connect(fresh_dsn, autocommit=True) as conn:
                return await getattr(aio, function)(conn, **arguments)

        return as_rows(function, asyncio.run(once()))

    return run


def statement(function: str) -> str:
    return str(getattr(_statements, function.upper()))


def literal(value: Any, sql_type: str) -> sql.Composable:
    if isinstance(value, dict):
        return sql.Literal(json.dumps(value))
    if isinstance(value, list):
        elements = sql.SQL(", ").join(literal(element, sql_type) for element in value)
        return sql.SQL("array[{}]").format(elements)
    return sql.Literal(value)


def as_rows(function: str, answer: Any) -> list[dict[str, Any]]:
    answers = answer if isinstance(answer, list) else [] if answer is None else [answer]
    return [
        asdict(each) if is_dataclass(each) and not isinstance(each, type) else {function: each}
        for each in answers
    ]


def story(driver: Driver) -> list[Any]:
    """Run the scenario; times and tokens differ from run to run and are masked."""
    told: list[Any] = []
    token = None
    for function, arguments in SCENARIO:
        filled = {
            name: [token if each == "TOKEN" else each for each in value]
            if isinstance(value, list)
            else (token if value == "TOKEN" else value)
            for name, value in arguments.items()
        }
        try:
            answers = driver(function, filled)
        except (psycopg.Error, PsqlError) as error:
            told.append((function, error.sqlstate))
            continue
        if function == "claim" and answers:
            token = str(answers[0]["lease_token"])
        told.append((function, [masked(answer) for answer in answers]))
    return told


def masked(answer: dict[str, Any]) -> dict[str, Any]:
    hidden = {"lease_token", "heartbeat"}
    return {
        name: "*"
        if (name in hidden or name.endswith("_at")) and value is not None
        else str(value)
        if name == "session_id"
        else value
        for name, value in answer.items()
    }


EXPECTED = [
    ("record_attempt", [{"attempt_id": 1, "created": True}]),
    ("enqueue", [{"job_id": 1, "attempt_id": 1, "status": "QUEUED", "created": True}]),
    ("enqueue", [{"job_id": 1, "attempt_id": 1, "status": "QUEUED", "created": False}]),
    ("enqueue", "23V04"),
    ("enqueue", "23V03"),
    ("enqueue", "22023"),
    ("enqueue", "22004"),
]


@pytest.mark.parametrize("name", ["psql", "sync", "twin"])
def test_each_client_tells_the_same_story(name: str, request: pytest.FixtureRequest) -> None:
    told = story(request.getfixturevalue(name))
    assert told[: len(EXPECTED)] == EXPECTED
    codes = [answer for _function, answer in told if isinstance(answer, str)]
    assert codes == ["23V04", "23V03", "22023", "22004", "23V05", "P0002", "23V02"]
    assert told == TOLD.setdefault("first", told)


TOLD: dict[str, list[Any]] = {}


def test_sync_and_async_have_the_same_names_and_signatures() -> None:
    assert aio.__all__ == forgea_pgjobs._sync.__all__
    assert set(aio.__all__) <= set(forgea_pgjobs.__all__)
    for name in aio.__all__:
        here, there = (inspect.signature(getattr(m, name)) for m in (forgea_pgjobs, aio))
        text = str(there).replace("AsyncConnection", "Connection").replace("asyncio", "time")
        text = re.sub(r"Awaitable\[(Connection\[Any\]|\w+)\]", r"\1", text)
        without_defaults = re.sub(r" = <[^>]*>", "", text)
        assert without_defaults == re.sub(r" = <[^>]*>", "", str(here)), name
