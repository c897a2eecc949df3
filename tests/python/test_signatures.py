"""The calls have the parameters and defaults of the functions, and the twins have the same."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from typing import Any

import pytest

import forgea_pgjobs
from forgea_pgjobs import _call_text, aio
from forgea_pgjobs._sync import _call
from tests.helpers import Connection

NAMES: list[str] = vars(forgea_pgjobs)["__all__"]
TWINS: list[str] = vars(aio)["__all__"]
CALLS = [name for name in TWINS if name != "retry"]
REQUIRED = inspect.Parameter.empty


@pytest.mark.parametrize("name", CALLS)
def test_a_call_has_the_parameters_and_defaults_of_its_function(
    name: str, conn: Connection
) -> None:
    # The default of link_lab_sessions is a table of the host's, null where there is none.
    conn.execute('create table public."LabSession" (); set local search_path = pg_catalog')
    declared = conn.execute(
        "select parameter.parameter_name, parameter.parameter_default,"
        " format('%%I.%%I', parameter.udt_schema, parameter.udt_name)::regtype::text"
        " from information_schema.parameters as parameter"
        " join information_schema.routines as routine using (specific_schema, specific_name)"
        " where specific_schema = 'pgjobs' and routine.routine_name = %s"
        " order by parameter.ordinal_position",
        [name],
    ).fetchall()
    in_sql: list[tuple[str, Any]] = []
    types = [_call_text.TYPES.get(parameter, "text") for parameter, *_ in declared]
    named = conn.execute("select %s::regtype[]::text[]", [types]).fetchone()
    assert named == ([sql_type for *_, sql_type in declared],)
    for parameter, default, _type in declared:
        found = conn.execute(f"select {default}".encode()).fetchone() if default else None
        value = found[0] if found else REQUIRED
        in_sql.append((parameter, tuple(value) if isinstance(value, list) else value))
    _conn, *parameters = inspect.signature(getattr(forgea_pgjobs, name)).parameters.values()
    assert [(parameter.name, parameter.default) for parameter in parameters] == in_sql
    assert {parameter.kind for parameter in parameters} <= {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_hands_over_every_parameter(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    handed_over: dict[str, list[str]] = {}

    def recorded(function: str, _model: object, parameters: dict[str, Any]) -> None:
        handed_over[function] = list(parameters)
        raise LookupError

    monkeypatch.setattr(_call, "prepared", recorded)
    parameters = inspect.signature(getattr(forgea_pgjobs, name)).parameters
    with pytest.raises(LookupError):
        getattr(forgea_pgjobs, name)(**dict.fromkeys(parameters, 1))
    assert handed_over == {name: list(parameters)}


@pytest.mark.parametrize("name", CALLS)
def test_a_docstring_names_the_function_and_what_is_raised(name: str) -> None:
    text = inspect.getdoc(getattr(forgea_pgjobs, name)) or ""
    assert re.search(rf"Calls ``pgjobs.{name}``[.,]", text)
    raised = re.findall(r"\w+", text.partition("Raises: ")[2])
    assert raised or name in {"unlink_lab_sessions", "verify", "wake"}
    assert set(raised) <= set(NAMES)


@pytest.mark.parametrize("name", TWINS)
def test_the_twins_have_the_same_signature(name: str) -> None:
    def without_async(signature: inspect.Signature) -> str:
        text = re.sub(r"Awaitable\[(.+?\]?)\](?=[,\]])", r"\1", str(signature))
        return re.sub(r" = <[^>]*>", " = ...", re.sub("Async(Con)", r"\1", text))

    here, there = (inspect.signature(getattr(module, name)) for module in (forgea_pgjobs, aio))
    assert without_async(there) == without_async(here)


def test_the_package_exports_every_twin() -> None:
    assert set(TWINS) <= set(NAMES)


@pytest.mark.parametrize(
    ("name", "model"),
    {
        "record_attempt": forgea_pgjobs.Recorded,
        "enqueue": forgea_pgjobs.Enqueued,
        "enqueue_many": forgea_pgjobs.EnqueuedElement,
        "get_job": forgea_pgjobs.VerificationJob,
        "attempts": forgea_pgjobs.VerificationAttempt,
        "metrics": forgea_pgjobs.Metric,
        "claim": forgea_pgjobs.Claimed,
        "complete": forgea_pgjobs.Completed,
        "complete_many": forgea_pgjobs.CompletedElement,
        "heartbeat_many": forgea_pgjobs.HeartbeatElement,
        "complete_and_claim": forgea_pgjobs.Claimed,
        "release": forgea_pgjobs.Released,
        "rescue": forgea_pgjobs.Rescued,
        "cancel": forgea_pgjobs.Cancelled,
        "revoke_lease": forgea_pgjobs.Released,
        "add_artifact": forgea_pgjobs.ArtifactAdded,
        "amend": forgea_pgjobs.Amended,
        "reverify": forgea_pgjobs.ReviewedElement,
        "expire_artifacts": forgea_pgjobs.ArtifactsExpired,
        "expire_details": forgea_pgjobs.DetailsExpired,
        "expire_locations": forgea_pgjobs.LocationExpired,
        "hold": forgea_pgjobs.Held,
        "lift_hold": forgea_pgjobs.Held,
        "erase_session": forgea_pgjobs.DetailsErased,
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
    nulls = dict.fromkeys(list(inspect.signature(getattr(forgea_pgjobs, name)).parameters)[1:])
    described = conn.execute(
        _call_text.text(name, None, tuple(nulls)) + b" where false", nulls
    ).description
    names = getattr(model, "_fields", None) or tuple(field.name for field in fields(model))
    assert tuple(column.name for column in described or []) == names
