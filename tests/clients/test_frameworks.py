"""The wrapper over the connections of SQLAlchemy, Django and psycopg_pool."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import asdict, is_dataclass
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

import forgea_pgjobs
from forgea_pgjobs import PgjobsError, aio
from tests.clients import frameworks
from tests.clients.scenario import TOLD, play, told
from tests.helpers import rows, sha

Begin = Callable[..., AbstractContextManager[frameworks.Connection]]
BeginAsync = Callable[..., AbstractAsyncContextManager[frameworks.AsyncConnection]]

# Binary, as the wrapper asks: Django has psycopg hand out the text of a jsonb.
VIEW = "select * from pgjobs.{view} where commit_sha = %(commit_sha)s"
SYNC = [frameworks.sqlalchemy_2, frameworks.django_5, frameworks.psycopg_pool]
ASYNC = [frameworks.sqlalchemy_2_async, frameworks.psycopg_pool_async]


class Undone(Exception):
    """What the host raises to undo its transaction."""


def columns(answer: Any) -> Any:
    if isinstance(answer, forgea_pgjobs.Claimed):
        return answer._asdict()
    return asdict(answer) if is_dataclass(answer) and not isinstance(answer, type) else answer


def one(answer: Any) -> Any:
    return columns(answer[0] if isinstance(answer, list) else answer)


def story(begin: Begin, dsn: str) -> list[Any]:
    """Run the scenario, each step in a transaction of its own, and return its answers."""
    answers: list[Any] = []
    for step, arguments in play(answers):
        try:
            with begin(dsn) as conn:
                if "view" in step:
                    cursor = psycopg.Cursor(conn, row_factory=dict_row)
                    cursor.execute(VIEW.format(view=step["view"]).encode(), arguments, binary=True)
                    answers.append(cursor.fetchone())
                else:
                    answers.append(one(getattr(forgea_pgjobs, step["call"])(conn, **arguments)))
        except PgjobsError as error:
            answers.append(error.sqlstate)
    return answers


async def story_async(begin: BeginAsync, dsn: str) -> list[Any]:
    """Run the scenario as ``story`` does, asynchronously."""
    answers: list[Any] = []
    for step, arguments in play(answers):
        try:
            async with begin(dsn) as conn:
                if "view" in step:
                    cursor = psycopg.AsyncCursor(conn, row_factory=dict_row)
                    await cursor.execute(
                        VIEW.format(view=step["view"]).encode(), arguments, binary=True
                    )
                    answers.append(await cursor.fetchone())
                else:
                    answers.append(one(await getattr(aio, step["call"])(conn, **arguments)))
        except PgjobsError as error:
            answers.append(error.sqlstate)
    return answers


def kept(dsn: str, commit: str) -> list[int]:
    """Count the host's rows, the attempts and the jobs of a commit."""
    count = "select count(*) from {} where commit_sha = %(commit)s"
    tables = ("push", "pgjobs.lab_attempt", "pgjobs.job")
    with psycopg.connect(dsn) as conn:
        return [rows(conn, count.format(table), commit=commit)[0].count for table in tables]


@pytest.mark.parametrize("begin", SYNC)
def test_the_life_of_a_job_over_connections_of_a_framework(begin: Begin, host_dsn: str) -> None:
    assert told(story(begin, host_dsn)) == TOLD


@pytest.mark.parametrize("begin", ASYNC)
def test_the_life_of_a_job_over_asynchronous_connections(begin: BeginAsync, host_dsn: str) -> None:
    assert told(asyncio.run(story_async(begin, host_dsn))) == TOLD


@pytest.mark.parametrize("begin", SYNC)
def test_a_job_commits_and_rolls_back_with_the_hosts_own_row(begin: Begin, host_dsn: str) -> None:
    commit, undone = sha(), sha()

    def push(commit: str) -> None:
        with begin(host_dsn, push=commit) as conn:
            forgea_pgjobs.enqueue(conn, session_id=uuid4(), commit_sha=commit, lab_version="1")
            if commit == undone:
                raise Undone

    push(commit)
    with pytest.raises(Undone):
        push(undone)
    assert (kept(host_dsn, commit), kept(host_dsn, undone)) == ([1, 1, 1], [0, 0, 0])


@pytest.mark.parametrize("begin", ASYNC)
def test_a_job_commits_and_rolls_back_with_an_asynchronous_host(
    begin: BeginAsync, host_dsn: str
) -> None:
    commit, undone = sha(), sha()

    async def push(commit: str) -> None:
        async with begin(host_dsn, push=commit) as conn:
            await aio.enqueue(conn, session_id=uuid4(), commit_sha=commit, lab_version="1")
            if commit == undone:
                raise Undone

    asyncio.run(push(commit))
    with pytest.raises(Undone):
        asyncio.run(push(undone))
    assert (kept(host_dsn, commit), kept(host_dsn, undone)) == ([1, 1, 1], [0, 0, 0])
