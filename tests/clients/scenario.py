"""The life of two jobs, step by step, which every client has to tell in the same words.

The steps stand in scenario.json, which the clients that are not written in Python read as well.
``$lease_token`` is the token of the latest claim; of an answer only what a step names is compared.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from psycopg.conninfo import conninfo_to_dict

HERE = Path(__file__).parent
SCENARIO: list[dict[str, Any]] = json.loads((HERE / "scenario.json").read_text(encoding="utf-8"))
TOLD = [step["refused"] if "refused" in step else step.get("answer", {}) for step in SCENARIO]


def filled(step: dict[str, Any], lease_token: Any) -> dict[str, Any]:
    """Return the arguments of a step."""
    return {
        name: lease_token if value == "$lease_token" else value
        for name, value in step["with"].items()
    }


def play(answers: list[Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield each step with its arguments; the client puts what it is answered into the list."""
    token = None
    for step in SCENARIO:
        yield step, filled(step, token)
        if step.get("call") == "claim":
            token = answers[-1]["lease_token"]


def told(answers: list[Any]) -> list[Any]:
    """Return of each answer (a code, or the columns of its one row) what its step names."""
    return [
        answer
        if isinstance(answer, str)
        else {name: answer[name] for name in step.get("answer", {})}
        for step, answer in zip(SCENARIO, answers, strict=True)
    ]


def settings(dsn: str) -> dict[str, str]:
    """Return the parts of a connection string by their names in libpq."""
    return {name: str(value) for name, value in conninfo_to_dict(dsn).items()}


def url(dsn: str) -> str:
    """Return a connection string as a URL, which every client understands, sockets included."""
    parts = settings(dsn)
    return f"postgresql:///{parts.pop('dbname')}?{urlencode(parts)}"
