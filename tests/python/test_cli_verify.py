"""``verify``: exit code 0 for an installation as released, 1 when there is an error."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

import forgea_pgjobs as pgjobs
from forgea_pgjobs.cli import verify as command
from tests.helpers import sha
from tests.python.test_cli import Run, run

__all__ = ["run"]  # the fixture
GUARD = "trigger job_append_only on pgjobs.job"
QUIET = """
create or replace function pgjobs.verify() returns setof pgjobs.finding
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as 'begin return; end'
"""


@pytest.fixture
def operator(fresh_dsn: str) -> str:
    """A connection string that acts as an operator."""
    return make_conninfo(fresh_dsn, options="-c role=pgjobs_operator")


def execute(dsn: str, *statements: str) -> None:
    with psycopg.connect(dsn) as conn:
        for statement in statements:
            conn.execute(statement.encode())


def errors(run: Run, dsn: str) -> dict[str, str]:
    """Return what verify finds wrong: objects, and what it says of them."""
    done = run("verify", "--dsn", dsn, "--json")
    found = json.loads(done.out)
    assert {tuple(each) for each in found} <= {("severity", "object", "finding", "hint")}
    wrong = {each["object"]: each["finding"] for each in found if each["severity"] == "error"}
    assert (done.code, done.err) == (1 if wrong else 0, "")
    return wrong


def test_an_installation_as_released_has_no_error(operator: str, run: Run) -> None:
    assert errors(run, operator) == {}
    done = run("verify", "--dsn", operator)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1].startswith("no errors in ")


def test_an_error_is_a_line_and_exit_code_1(fresh_dsn: str, operator: str, run: Run) -> None:
    execute(fresh_dsn, "alter table pgjobs.job enable trigger job_append_only")
    done = run("verify", "--dsn", operator)
    header, first, *_rest, last = done.out.splitlines()
    assert (done.code, done.err) == (1, "")
    assert header.split() == ["severity", "object", "finding", "hint"]
    assert first.startswith(f"error     {GUARD}")
    assert last.startswith("1 error in ")


def test_a_verify_that_was_replaced_is_found_out(fresh_dsn: str, operator: str, run: Run) -> None:
    execute(
        fresh_dsn,
        QUIET,
        f"drop {GUARD}",
        "create function pgjobs.enqueue() returns int language sql as 'select 1'",
        "grant execute on function pgjobs.claim to pgjobs_app",
    )
    wrong = errors(run, operator)
    granted = "grant execute on function pgjobs"
    assert wrong.keys() == {
        *("function pgjobs.verify", GUARD, "function pgjobs.enqueue"),
        *(f"{granted}.claim to pgjobs_app", f"{granted}.enqueue to PUBLIC"),
    }
    assert len(set(wrong.values())) == 1


def test_a_fingerprint_that_was_rewritten_is_found_out(
    fresh_dsn: str, operator: str, run: Run
) -> None:
    execute(
        fresh_dsn,
        "alter table pgjobs.job disable trigger job_append_only",
        f"update pgjobs.fingerprint set state = 'switched off' where object = '{GUARD}'",
    )
    assert errors(run, operator).keys() == {GUARD}


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        (
            "alter table pgjobs.verdict drop constraint verdict_status_check",
            "constraint verdict_status_check on pgjobs.verdict",
        ),
        ("alter function pgjobs.verify owner to postgres", "function pgjobs.verify"),
        ("drop function pgjobs._verify_server", "function pgjobs._verify_server"),
        ("drop function pgjobs._installed", "function pgjobs._installed"),
        ("drop table pgjobs.fingerprint", "table pgjobs.fingerprint"),
    ],
)
def test_what_verify_cannot_say_is_said_by_the_command(
    statement: str, name: str, fresh_dsn: str, run: Run
) -> None:
    execute(fresh_dsn, f"delete from pgjobs.fingerprint where object = '{name}'", statement)
    assert name in errors(run, fresh_dsn)


def test_every_body_is_checked_batch_by_batch(
    fresh_dsn: str, operator: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(fresh_dsn) as conn:
        pgjobs.enqueue(conn, session_id=uuid4(), commit_sha=sha(), lab_version="1")
        [claimed] = pgjobs.claim(conn, worker="w")
        lease: dict[str, Any] = {"job_id": claimed.job_id, "lease_token": claimed.lease_token}
        for name in ("one", "two", "three"):
            pgjobs.add_artifact(conn, **lease, kind="LOG", name=name, content=name.encode())
    execute(
        fresh_dsn,
        "set session_replication_role = replica",
        "alter table pgjobs.body disable trigger body_append_only",
        "update pgjobs.body set content = 'else' where body_id = 3",
        "alter table pgjobs.body enable always trigger body_append_only",
        QUIET,
    )
    monkeypatch.setattr(command, "BATCH", 1)
    wrong = errors(run, operator)
    assert wrong.keys() == {"function pgjobs.verify", "body 3"}


def test_a_database_without_the_schema_is_one_line(empty_dsn: str, run: Run) -> None:
    done = run("verify", "--dsn", empty_dsn)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("error 3F000: ")
    assert done.err.count("\n") == 1


def test_one_who_is_no_operator_is_told_so(fresh_dsn: str, run: Run) -> None:
    done = run("verify", "--dsn", make_conninfo(fresh_dsn, options="-c role=pgjobs_reader"))
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("error 42501: ")


@pytest.mark.parametrize(
    ("grant", "is_error"),
    [
        ("select (lease_token) on pgjobs.lease", True),
        ("execute on function pgjobs._complete", True),
        ("references on pgjobs.lease", True),
        ("select on pgjobs.backfill", True),
        ("select on pgjobs.verification_job", False),
        ("select (job_id) on pgjobs.verification_job", False),
        ("select on pgjobs.backfill_report", False),
        ("execute on function pgjobs.claim", False),
        ("references (job_id) on pgjobs.job", False),
    ],
)
def test_a_quiet_verify_hides_no_grant_but_those_of_the_dba(
    grant: str, is_error: bool, fresh_dsn: str, operator: str, run: Run
) -> None:
    execute(fresh_dsn, QUIET, f"grant {grant} to pg_monitor")
    wrong = errors(run, operator).keys() - {"function pgjobs.verify"}
    assert bool(wrong) is is_error
