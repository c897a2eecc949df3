"""Running a call on the caller's connection: its transaction is neither begun nor ended here.

A call hands over ``locals()``, which are its parameters: its signature is its only description.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import tuple_row

from forgea_pgjobs._call_text import prepared
from forgea_pgjobs.errors import sendable, translated

T = TypeVar("T")


async def call(
    conn: AsyncConnection[Any], model: Callable[..., T], function: str, parameters: dict[str, Any]
) -> list[T]:
    """Return every row of the answer; a model has the columns of its answer, in their order."""
    query, arguments = prepared(function, model, parameters)
    with translated(), sendable():
        # Not conn.cursor(): a raw cursor, say, would not know our placeholders.
        async with AsyncCursor(conn, row_factory=tuple_row) as cursor:
            await cursor.execute(query, arguments, binary=True)
            rows = await cursor.fetchall()
    return [model(*values) for values in rows]


async def call_one(
    conn: AsyncConnection[Any], model: Callable[..., T], function: str, parameters: dict[str, Any]
) -> T:
    """Return the one row of the answer."""
    [answer] = await call(conn, model, function, parameters)
    return answer


def value(answer: T) -> T:
    """Take the place of a model where the answer is one value."""
    return answer
