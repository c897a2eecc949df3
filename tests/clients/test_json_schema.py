"""The models of the views, by their rows: which columns may be null, and the JSON Schema."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import psycopg
import pytest
from jsonschema import Draft202012Validator, FormatChecker

from forgea_pgjobs.schema import views
from tests.ledger_rows import fill_every_table

SCHEMA = views.json_schema()


def is_a_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


FORMATS = FormatChecker(["uuid"])
FORMATS.checks("date-time", ValueError)(is_a_time)


def validator(view: str) -> Draft202012Validator:
    return Draft202012Validator({**SCHEMA, "$ref": f"#/$defs/{view}"}, format_checker=FORMATS)


@pytest.fixture(scope="module")
def shown(dsn: str) -> Iterator[dict[str, list[dict[str, Any]]]]:
    """The rows of every view after a run of every kind."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        fill_every_table(conn)
        yield {
            view: [
                row
                for (row,) in conn.execute(
                    f"select to_jsonb(row) from pgjobs.{view} as row".encode()
                )
            ]
            for view in views.VIEWS
        }


@pytest.mark.parametrize("view", views.VIEWS)
def test_a_column_may_be_null_where_it_is_in_some_row(
    view: str, shown: dict[str, list[dict[str, Any]]]
) -> None:
    null = {name for row in shown[view] for name, value in row.items() if value is None}
    assert null == {name for name, _kind, may_be in views.VIEWS[view].parsed() if may_be}


@pytest.mark.parametrize("view", views.VIEWS)
def test_rows_and_examples_are_as_the_json_schema_says(
    view: str, shown: dict[str, list[dict[str, Any]]]
) -> None:
    Draft202012Validator.check_schema(SCHEMA)
    for row in [*shown[view], *SCHEMA["$defs"][view]["examples"]]:
        validator(view).validate(row)


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "PASS"},
        {"status": None},
        {"job_id": "1"},
        {"session_id": "x"},
        {"created_at": "x"},
    ],
    ids=str,
)
def test_another_row_is_refused(wrong: dict[str, Any]) -> None:
    [example] = SCHEMA["$defs"]["verification_job"]["examples"]
    assert not validator("verification_job").is_valid(example | wrong)
    [missing] = wrong
    assert not validator("verification_job").is_valid(
        {k: v for k, v in example.items() if k != missing}
    )
