"""The columns of every view, and what is made of them: models for Prisma, a JSON Schema of rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from forgea_pgjobs import __version__
from forgea_pgjobs.statuses import JobStatus


class View(NamedTuple):
    """A view as a model: what is unique in it, and its columns; ``?`` marks what may be null."""

    model: str
    keys: tuple[str, ...]
    columns: str

    def parsed(self) -> Iterator[tuple[str, str, bool]]:
        """Yield each column's name, its type, and whether it may be null."""
        for column in self.columns.split(","):
            name, kind = column.split()
            yield name, kind.removesuffix("?"), kind.endswith("?")


_JOB = """
    job_id bigint, attempt_id bigint, session_id uuid, commit_sha text, lab_version text,
    status job_status, priority integer, payload jsonb?, created_at timestamptz,
    available_at timestamptz, started_at timestamptz?, completed_at timestamptz?, run_no integer,
    max_runs integer, worker text?, error_reason text?, error_detail text?, summary jsonb?,
    effective_status job_status, amended_at timestamptz?, origin text
"""
_JOB_KEYS = ("job_id", "attempt_id", "commit_sha")
VIEWS = {
    "verification_job": View("VerificationJob", _JOB_KEYS, _JOB),
    "verification_verdict": View(
        "VerificationVerdict",
        _JOB_KEYS,
        _JOB.replace("completed_at timestamptz?", "completed_at timestamptz"),
    ),
    "verification_run": View(
        "VerificationRun",
        ("job_id run_no",),
        """
        job_id bigint, run_no integer, worker text, started_at timestamptz, ended_at timestamptz?,
        outcome text, reason text?, lease_expires_at timestamptz?
        """,
    ),
    "verification_attempt": View(
        "LabAttempt",
        ("attempt_id", "job_id", "session_id commit_sha"),
        """
        attempt_id bigint, session_id uuid, commit_sha text, delivery_id text?,
        recorded_at timestamptz, pushed_at timestamptz?, author text?, branch text?,
        changed_files text[]?, job_id bigint?, status job_status?, effective_status job_status?,
        completed_at timestamptz?, error_reason text?
        """,
    ),
    "verification_artifact": View(
        "VerificationArtifact",
        ("artifact_id", "job_id run_no name"),
        """
        artifact_id bigint, job_id bigint, run_no integer, kind text, name text, sha256 bytea,
        size_bytes bigint, media_type text, location text?, truncated boolean,
        created_at timestamptz, expired_at timestamptz?, original_size_bytes bigint?,
        original_sha256 bytea?
        """,
    ),
    "verification_amendment": View(
        "VerificationAmendment",
        ("amendment_id", "job_id amendment_no"),
        """
        amendment_id bigint, job_id bigint, amendment_no integer, status job_status,
        lab_version text?, reason text, actor text, approver text, ticket text, login text,
        review_id bigint?, amended_at timestamptz
        """,
    ),
    "verification_review": View(
        "VerificationReview",
        ("review_id",),
        """
        review_id bigint, job_id bigint, session_id uuid, commit_sha text, status text,
        priority integer, lab_version text, reason text, actor text, approver text, ticket text,
        login text, requested_at timestamptz, started_at timestamptz?, ended_at timestamptz?,
        run_no integer, worker text?, detail text?, summary jsonb?
        """,
    ),
    "verification_hold": View(
        "VerificationHold",
        ("session_id ticket held_at",),
        """
        session_id uuid, ticket text, reason text, actor text, login text, held_at timestamptz,
        lifted_at timestamptz?, lift_reason text?, lift_actor text?, lift_login text?
        """,
    ),
    "backfill_report": View(
        "BackfillReport",
        ("log_id",),
        """
        log_id uuid, session_id uuid, outcome text, reason text, attempt_id bigint?,
        job_id bigint?, commit_sha text?, backfilled_at timestamptz, login text
        """,
    ),
}
# The field of Prisma, its type in the database, and the JSON Schema with an example.
_TIME = "2026-01-31T12:00:00.123456+00:00"
_SESSION = "5e55a0e1-0000-4000-8000-000000000001"
_TYPES: dict[str, tuple[str, str, dict[str, Any], Any]] = {
    "bigint": ("BigInt", "", {"type": "integer"}, 1),
    "integer": ("Int", "", {"type": "integer"}, 1),
    "boolean": ("Boolean", "", {"type": "boolean"}, False),
    "text": ("String", "", {"type": "string"}, None),
    "text[]": ("String[]", "", {"type": "array", "items": {"type": "string"}}, ["src/a.py"]),
    "job_status": ("String", "", {"type": "string", "enum": [*map(str, JobStatus)]}, "PASSED"),
    "uuid": ("String", "Uuid", {"type": "string", "format": "uuid"}, _SESSION),
    "timestamptz": (
        *("DateTime", "Timestamptz(6)"),
        *({"type": "string", "format": "date-time"}, _TIME),
    ),
    "bytea": ("Bytes", "", {"type": "string", "pattern": r"^\\x([0-9a-f]{2})*$"}, r"\x00ff"),
    "jsonb": ("Json", "", {}, {"tests": 12}),
}
_EXAMPLES = {"commit_sha": "c0ffee" * 6 + "beef", "kind": "LOG", "outcome": "PASSED"}
_HEAD = """\
// The views of the schema pgjobs. A file and a client of its own: what migrate, db push and db pull
// are given knows nothing of pgjobs, so they leave it alone.
generator client {
  provider        = "prisma-client"
  output          = "./generated/pgjobs"
  previewFeatures = ["views"]
}

datasource db {
  provider = "postgresql"
  schemas  = ["pgjobs"]
}
"""


def prisma() -> str:
    """Return a schema file for Prisma, with a model of every view."""
    return _HEAD + "".join(_prisma_view(name, view) for name, view in VIEWS.items())


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the rows of every view, as ``to_jsonb(row)`` gives them."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:forgea-pgjobs:views:{__version__}",
        "title": "A row of a view of pgjobs, as to_jsonb gives it",
        "$defs": {name: _json_view(view) for name, view in VIEWS.items()},
    }


def _prisma_view(name: str, view: View) -> str:
    fields = []
    for column, kind, may_be_null in view.parsed():
        field, native, *_ = _TYPES[kind]
        notes = (
            "@unique" if column in view.keys else "",
            f'@map("{column}")' if _camel(column) != column else "",
            native and f"@db.{native}",
        )
        optional = "?" * (may_be_null and not field.endswith("[]"))  # a list of Prisma never is
        fields.append((_camel(column), field + optional, " ".join(filter(None, notes))))
    first, second = (max(len(field[place]) for field in fields) for place in (0, 1))
    lines = [f"  {one:<{first}} {two:<{second}} {rest}".rstrip() for one, two, rest in fields]
    keys = (", ".join(map(_camel, key.split())) for key in view.keys if " " in key)
    ends = [*(f"@@unique([{key}])" for key in keys), f'@@map("{name}")', '@@schema("pgjobs")']
    return "\n".join([f"\nview {view.model} {{", *lines, "", *(f"  {end}" for end in ends), "}\n"])


def _json_view(view: View) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    example: dict[str, Any] = {}
    for column, kind, may_be_null in view.parsed():
        _field, _native, schema, value = _TYPES[kind]
        # Without a type it is any JSON.
        if may_be_null and schema:
            schema = schema | {"type": [schema["type"], "null"]}
            if "enum" in schema:
                schema["enum"] = [*schema["enum"], None]
        properties[column] = schema
        if value is None and not may_be_null:
            value = _EXAMPLES.get(column, column)
        example[column] = value
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "examples": [example],
    }


def _camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda letter: letter[1].upper(), name)
