"""The calls have the parameters and defaults of the functions, and the twins have the same."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from typing import Any

import pytest

import forgea_pgjobs
from forgea_pgjobs import _statements, aio
from tests.helpers import Connection

CALLS = [name for name in aio.__all__ if name != "retry"]
REQUIRED = inspect.Parameter.empty


@pytest.mark.parametrize("name", CALLS)
def test_a_call_has_the_parameters_and_defaults_of_its_function(
    name: str, conn: Connection
) -> None:
    # The default of link_lab_sessions is a table of the host's, null where there is none.
    conn.execute('create table public."LabSession" (); set local search_path = pg_catalog')
    declared = conn.execute(
        "select parameter.parameter_name, parameter.parameter_default"
        " from information_schema.parameters as parameter"
        " join information_schema.routines as routine using (specific_schema, specific_name)"
        " where specific_schema = 'pgjobs' and routine.routine_name = %s"
        " order by parameter.ordinal_position",
        [name],
    ).fetchall()
    in_sql: list[tuple[str, Any]] = []
    for parameter, default in declared:
        found = conn.execute(f"select {default}".encode()).fetchone() if default else None
        value = found[0] if found else REQUIRED
        in_sql.append((parameter, tuple(value) if isinstance(value, list) else value))
    _conn, *parameters = inspect.signature(getattr(forgea_pgjobs, name)).parameters.values()
    assert [(parameter.name, parameter.default) for parameter in parameters] == in_sql
    assert {parameter.kind for parameter in parameters} <= {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("name", CALLS)
def test_a_statement_hands_over_every_parameter(name: str) -> None:
    statement = getattr(_statements, name.upper())
    handed_over = re.findall(r"(\w+) => %\((\w+)\)s::", statement)
    parameters = list(inspect.signature(getattr(forgea_pgjobs, name)).parameters)[1:]
    assert handed_over == [(parameter, parameter) for parameter in parameters]


@pytest.mark.parametrize("name", CALLS)
def test_a_docstring_names_the_function_and_what_is_raised(name: str) -> None:
    text = inspect.getdoc(getattr(forgea_pgjobs, name)) or ""
    assert re.search(rf"Calls ``pgjobs.{name}``[.,]", text)
    raised = re.findall(r"\w+", text.partition("Raises: ")[2])
    assert raised or name in {"unlink_lab_sessions", "verify", "wake"}
    assert set(raised) <= set(forgea_pgjobs.__all__)


@pytest.mark.parametrize("name", aio.__all__)
def test_the_twins_have_the_same_signature(name: str) -> None:
    def without_async(signature: inspect.Signature) -> str:
        text = re.sub(r"Awaitable\[(.+?\]?)\](?=[,\]])", r"\1", str(signature))
        return re.sub(r" = <[^>]*>", " = ...", text.replace("AsyncConnection", "Connection"))

    here, there = (inspect.signature(getattr(module, name)) for module in (forgea_pgjobs, aio))
    assert without_async(there) == without_async(here)


def test_the_package_exports_every_twin() -> None:
    assert set(aio.__all__) <= set(forgea_pgjobs.__all__)


@pytest.mark.parametrize(
    ("name", "model"),
    {
        "record_attempt": forgea_pgjobs.Recorded,
        "enqueue": forgea_pgjobs.Enqueued,
        "enqueue_many": forgea_pgjobs.EnqueuedElement,
        "get_job": forgea_pgjobs.VerificationJob,
        "claim": forgea_pgjobs.Claimed,
        "complete": forgea_pgjobs.Completed,
        "complete_many": forgea_pgjobs.CompletedElement,
        "complete_and_claim": forgea_pgjobs.Claimed,
        "release": forgea_pgjobs.Released,
        "rescue": forgea_pgjobs.Rescued,
        "cancel": forgea_pgjobs.Cancelled,
        "add_artifact": forgea_pgjobs.ArtifactAdded,
        "amend": forgea_pgjobs.Amended,
        "reverify": forgea_pgjobs.ReviewedElement,
        "expire_artifacts": forgea_pgjobs.ArtifactsExpired,
        "expire_details": forgea_pgjobs.DetailsExpired,
        "link_lab_sessions": forgea_pgjobs.SessionLink,
        "timeline": forgea_pgjobs.Event,
        "verify": forgea_pgjobs.Finding,
        "verify_bodies": forgea_pgjobs.BodiesVerified,
        "why_waiting": forgea_pgjobs.WaitingReason,
        "backfill_verification_log": forgea_pgjobs.Backfilled,
        "backfill_reconcile": forgea_pgjobs.BackfillCheck,
    }.items(),
)
def test_a_model_has_the_columns_of_its_answer_in_their_order(
    name: str, model: Any, conn: Connection
) -> None:
    statement = getattr(_statements, name.upper())
    nulls = dict.fromkeys(re.findall(r"%\((\w+)\)s::", statement))
    described = conn.execute(f"{statement} where false".encode(), nulls).description or []
    names = getattr(model, "_fields", None) or tuple(field.name for field in fields(model))
    assert tuple(column.name for column in described) == names
