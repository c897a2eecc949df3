"""The text of a call, made of the names of its arguments, and the form in which these are sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache, partial
from types import NoneType
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from forgea_pgjobs.errors import InvalidArgument
from forgea_pgjobs.statuses import JobStatus

# A parameter has one type in every function, text unless it stands here. Without its type a number
# too large, a list of uuids as text, or a number as lab version is a function that does not exist.
TYPES = {
    name: sql_type
    for sql_type, names in {
        "bigint": "job_id artifact_id after_body_id before_attempt_id size_bytes"
        " original_size_bytes",
        "bigint[]": "job_ids artifact_ids",
        "boolean": "truncated dry_run count_run with_bodies",
        "bytea": "content sha256 original_sha256",
        "integer": "priority max_runs max_jobs max_open_jobs max_rows max_bodies batch_size",
        "interval": "lease_for retry_after start_within older_than recent settle",
        "jsonb": "payload summary",
        "jsonb[]": "payloads summaries",
        "regclass": "target",
        "text[]": "changed_files commit_shas delivery_ids kinds lab_versions reasons statuses",
        "timestamptz": "available_at pushed_at",
        "uuid": "session_id lease_token",
        "uuid[]": "session_ids lease_tokens",
    }.items()
    for name in names.split()
}
# Arrays of these are sure to mean the same in binary, which costs half of text or less.
PLAIN = [{type_, NoneType} for type_ in (int, UUID, Jsonb)]
WORDS = {str, JobStatus, NoneType}


def prepared(
    function: str, model: object, parameters: Mapping[str, Any]
) -> tuple[bytes, dict[str, Any]]:
    """Return the call of a function by named notation, and its arguments as psycopg takes them.

    The parameters are those of a call of ours, its connection among them.

    Raises: InvalidArgument: a time without its zone.
    """
    arguments = dict(parameters)
    del arguments["conn"]
    names = tuple(arguments)
    in_binary = []
    for name, form in forms(names):
        if arguments[name] is not None:
            value = arguments[name] = form(arguments[name])
            if is_plain(value):
                in_binary.append(name)
    return text(function, model, names, tuple(in_binary)), arguments


@cache
def text(
    function: str, model: object, names: tuple[str, ...], in_binary: tuple[str, ...] = ()
) -> bytes:
    """Return the call of a function by named notation, for the columns that the model has.

    A later version may answer more of them.
    """
    columns = ", ".join(getattr(model, "__match_args__", "*"))
    arguments = (
        f"{name} => %({name}){'b' if name in in_binary else 's'}::{TYPES.get(name, 'text')}"
        for name in names
    )
    return f"select {columns} from pgjobs.{function}({', '.join(arguments)})".encode()  # noqa: S608


@cache
def forms(names: tuple[str, ...]) -> list[tuple[str, Callable[[Any], Any]]]:
    """Return what makes a list or JSON of those arguments that are one, and looks at the times."""
    wanted: dict[str, Callable[[Any], Any]] = {"jsonb": Jsonb, "jsonb[]": _documents}
    types = {name: TYPES[name] for name in names if name in TYPES}
    return [
        (name, partial(_zoned, name) if sql_type == "timestamptz" else wanted.get(sql_type, list))
        for name, sql_type in types.items()
        if sql_type in wanted or sql_type.endswith("[]") or sql_type == "timestamptz"
    ]


def is_plain(value: Any) -> bool:
    """Tell whether a value is a list that may go in binary; whatever else goes as psycopg chooses.

    So does a NUL, which psycopg refuses itself, but not in binary.
    """
    if type(value) is not list:
        return False
    types = set(map(type, value))
    if types <= WORDS:
        return "\0" not in "".join(filter(None, value))
    return any(types <= plain for plain in PLAIN)


def _zoned(name: str, moment: Any) -> Any:
    # Without its zone the session would read it in its own.
    if isinstance(moment, datetime) and moment.tzinfo is None:
        raise InvalidArgument.unsent(f"{name} has no time zone: {moment}")
    return moment


def _documents(values: Sequence[Any]) -> list[Jsonb | None]:
    return [None if value is None else Jsonb(value) for value in values]
