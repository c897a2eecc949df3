"""Repeating a unit of work until its outcome is known."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

import psycopg
from psycopg import AsyncConnection

from forgea_pgjobs.errors import PROOF, CommitWatch, UnknownOutcome, is_transient

T = TypeVar("T")


async def retry(
    connect: Callable[[], Awaitable[AbstractAsyncContextManager[AsyncConnection[Any]]]],
    unit: Callable[[AsyncConnection[Any]], Awaitable[T]],
    *,
    attempts: int = 8,
    delay: float = 0.05,
    max_delay: float = 2.0,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> T:
    """Run ``unit`` in a transaction of its own, on a connection of its own, until that committed.

    connect: opens a connection, whose ``with`` block a try is: one of psycopg is closed then, one
    of a pool's ``connection()`` goes back; ``getconn`` would empty the pool.

    It is run again after a serialization failure (40001), a deadlock (40P01), the loss of the
    connection, and a COMMIT of which the server says that the wait for its synchronous standby was
    cancelled; at most ``attempts`` times, after pauses of ``delay`` seconds, doubled up to
    ``max_delay`` and shortened at random. So the unit must be repeatable with the same outcome:
    enqueue by its arguments, complete by its token. A claim is not: its lost answer leaves jobs
    RUNNING until their leases end.

    Raises: the last error; UnknownOutcome where the last COMMIT may not last. Any other error of
    the unit at once.
    """
    pause = min(delay, max_delay)
    for attempt in range(1, attempts + 1):
        is_connected = False
        try:
            async with await connect() as conn:
                try:
                    return await _commit(conn, unit, is_first=attempt == 1)
                finally:
                    is_connected = not conn.closed
        except psycopg.Error as error:
            if attempt == attempts or not is_transient(error, is_connected=is_connected):
                raise
        await sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  # a pause, not a secret
        pause = min(2 * pause, max_delay)
    raise ValueError("attempts must be at least 1")


async def _commit(
    conn: AsyncConnection[Any],
    unit: Callable[[AsyncConnection[Any]], Awaitable[T]],
    *,
    is_first: bool,
) -> T:
    watch = CommitWatch()
    # Whatever connect left open would make this transaction a mere savepoint.
    await conn.commit()
    async with conn.transaction():
        answer = await unit(conn)
        if not is_first:
            await conn.execute(PROOF)
        conn.add_notice_handler(watch)
    if watch.is_unknown:
        raise UnknownOutcome("the wait for the synchronous standby was cancelled during COMMIT")
    return answer
