"""asyncpg, without the wrapper, tells the same story as every other client."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import psycopg
import pytest

from tests.clients.scenario import TOLD, play, told, url
from tests.helpers import rows, sha

SESSION = "5e55a0e1-0000-4000-8000-000000000003"


@asynccontextmanager
async def connected(dsn: str, **options: Any) -> AsyncIterator[Any]:
    """Open a connection that reads and writes jsonb as Python's own values."""
    conn = await asyncpg.connect(url(dsn), **options)
    try:
        await conn.set_type_codec(
            "jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads
        )
        yield conn
    finally:
        await conn.close()


async def call(conn: Any, function: str, /, **arguments: Any) -> Any:
    """Call a function by named notation and return the first row of its answer."""
    names = ", ".join(f"{name} => ${number}" for number, name in enumerate(arguments, 1))
    return await conn.fetchrow(f"select * from pgjobs.{function}({names})", *arguments.values())


async def story(dsn: str, **options: Any) -> list[Any]:
    """Run the scenario and return its answers."""
    answers: list[Any] = []
    async with connected(dsn, **options) as conn:
        for step, arguments in play(answers):
            try:
                if "view" in step:
                    query = f"select * from pgjobs.{step['view']} where commit_sha = $1"
                    answers.append(await conn.fetchrow(query, arguments["commit_sha"]))
                else:
                    answers.append(await call(conn, step["call"], **arguments))
            except asyncpg.PostgresError as error:
                answers.append(error.sqlstate)
    return answers


def test_the_life_of_a_job_told_by_asyncpg(host_dsn: str) -> None:
    assert told(asyncio.run(story(host_dsn))) == TOLD


def test_a_job_commits_and_rolls_back_with_the_row_beside_it(host_dsn: str) -> None:
    commit, undone = sha(), sha()

    async def push(commit: str) -> None:
        async with connected(host_dsn) as conn, conn.transaction():
            await conn.execute("insert into push values ($1)", commit)
            await call(conn, "enqueue", session_id=SESSION, commit_sha=commit, lab_version="1")
            if commit == undone:
                raise ZeroDivisionError

    asyncio.run(push(commit))
    with pytest.raises(ZeroDivisionError):
        asyncio.run(push(undone))
    with psycopg.connect(host_dsn) as conn:
        pushed = rows(conn, "select commit_sha from push join pgjobs.job using (commit_sha)")
        jobs = rows(conn, "select commit_sha from pgjobs.job")
    assert pushed == jobs == [(commit,)]
