"""What the wrapper says of itself agrees with the database and with its source."""

from __future__ import annotations

import inspect
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

import forgea_pgjobs
from forgea_pgjobs import _statements

ROOT = Path(forgea_pgjobs.__file__).parent.parent
CALLS = [name for name in forgea_pgjobs._sync.__all__ if name != "retry"]


@pytest.mark.parametrize("name", CALLS)
def test_a_default_left_out_in_python_is_the_default_of_the_function(
    name: str, conn: psycopg.Connection[Any]
) -> None:
    rows = conn.execute(
        "select parameter_name, parameter_default from information_schema.parameters"
        " join information_schema.routines using (specific_schema, specific_name)"
        " where specific_schema = 'pgjobs' and routine_name = %s"
        " order by parameters.ordinal_position",
        [name],
    ).fetchall()
    in_sql: dict[str, Any] = {}
    for parameter, default in rows:
        value = conn.execute(f"select {default}".encode()).fetchone() if default else None
        in_sql[parameter] = value[0] if value else inspect.Parameter.empty
    signature = inspect.signature(getattr(forgea_pgjobs, name))
    in_python = {
        parameter.name: parameter.default
        for parameter in signature.parameters.values()
        if parameter.name != "conn"
    }
    assert in_python == in_sql
    assert list(in_python) == list(in_sql)


@pytest.mark.parametrize("name", CALLS)
def test_every_call_hands_over_every_parameter(name: str) -> None:
    statement = getattr(_statements, name.upper())
    parameters = list(inspect.signature(getattr(forgea_pgjobs, name)).parameters)[1:]
    assert [f"{parameter} => %({parameter})s::" in statement for parameter in parameters] == (
        [True] * len(parameters)
    )


def test_importing_the_package_imports_psycopg_and_nothing_else() -> None:
    code = (
        "import sys; before = set(sys.modules); import psycopg; after = set(sys.modules);"
        " import forgea_pgjobs, forgea_pgjobs.aio;"
        " print({name.split('.')[0] for name in set(sys.modules) - after}"
        " - set(sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "{'forgea_pgjobs'}"


def test_the_synchronous_modules_are_the_generated_ones() -> None:
    script = ROOT / ".ci" / "write_sync.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_a_lease_is_five_minutes_unless_said_otherwise() -> None:
    for call in (forgea_pgjobs.claim, forgea_pgjobs.heartbeat):
        assert inspect.signature(call).parameters["lease_for"].default == timedelta(minutes=5)
