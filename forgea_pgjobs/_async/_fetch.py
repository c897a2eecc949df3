"""Running a call on the caller's connection: its transaction is neither begun nor ended here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any, LiteralString, TypeVar

from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import BaseRowFactory, scalar_row, tuple_row
from psycopg.types.json import Jsonb

from forgea_pgjobs.errors import translated

T = TypeVar("T")


async def rows(
    conn: AsyncConnection[Any],
    model: type[T],
    statement: LiteralString,
    arguments: Mapping[str, Any],
) -> list[T]:
    """Return every row of the answer; a model has the columns of its answer, in their order."""
    return [model(*values) for values in await _fetch(conn, tuple_row, statement, arguments)]


async def row(
    conn: AsyncConnection[Any],
    model: type[T],
    statement: LiteralString,
    arguments: Mapping[str, Any],
) -> T:
    """Return the one row of the answer."""
    (answer,) = await rows(conn, model, statement, arguments)
    return answer


async def scalar(
    conn: AsyncConnection[Any], statement: LiteralString, arguments: Mapping[str, Any]
) -> Any:
    """Return the one value of the answer."""
    (answer,) = await _fetch(conn, scalar_row, statement, arguments)
    return answer


async def _fetch(
    conn: AsyncConnection[Any],
    row_factory: BaseRowFactory[T],
    statement: LiteralString,
    arguments: Mapping[str, Any],
) -> list[T]:
    with translated():
        # Not conn.cursor(): a raw cursor, say, would not know our placeholders.
        async with AsyncCursor(conn, row_factory=row_factory) as cursor:
            await cursor.execute(statement, arguments, binary=True)
            return await cursor.fetchall()


def are_plain(arguments: Mapping[str, Any], **arrays: set[type]) -> bool:
    """Tell whether arrays are sure to mean the same in binary, which costs half of text or less.

    So they do when all that is in them has exactly these types, or is None; whatever else there is
    goes as psycopg chooses. So does a NUL, which psycopg refuses itself, but not in binary.
    """
    for name, types in arrays.items():
        values = arguments[name] or ()
        if not set(map(type, values)) <= {*types, NoneType}:
            return False
        if str in types and "\0" in "".join(filter(None, values)):
            return False
    return True


def document(value: Any) -> Jsonb | None:
    """Return a value as JSON; None stays null."""
    return None if value is None else Jsonb(value)


def documents(values: Sequence[Any] | None) -> list[Jsonb | None] | None:
    """Return values as JSON; None stays null."""
    return None if values is None else [document(value) for value in values]
