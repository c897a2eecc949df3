"""A verdict comes only from the holder of the current lease, once."""

from typing import Any
from uuid import uuid4

import pytest
from psycopg.types.json import Jsonb

from tests.calls import lease, start
from tests.counts import traces, untouched
from tests.helpers import (
    Connection,
    call,
    claim,
    complete,
    enqueue,
    job,
    let_time_pass,
    refused,
    rows,
)
from tests.races.ledger import open_places

LEASE_CHECK = "lease_session_id_pkey"
VERDICT_KEY = "verdict_job_id_pkey"
LEASED: dict[str, dict[str, Any]] = {
    "add_artifact": {"kind": "LOG", "name": "log", "content": b"log"},
    "heartbeat": {},
    "complete": {"status": "FAILED"},
    "release": {"reason": "r"},
}


def expiry(conn: Connection) -> Any:
    [row] = rows(conn, "select lease_expires_at, clock_timestamp() as now from pgjobs.lease")
    return row.lease_expires_at, (row.lease_expires_at - row.now).total_seconds()


@pytest.mark.parametrize(("lease_for", "seconds"), [("1 hour", 3600), ("10 seconds", 10)])
def test_heartbeat_sets_now_plus_lease_for_and_may_shorten(
    conn: Connection, run: Any, lease_for: str, seconds: int
) -> None:
    [beat] = call(conn, "heartbeat", **lease(run), lease_for=lease_for)
    expires_at, left = expiry(conn)
    assert beat.heartbeat == expires_at
    assert seconds - 5 < left <= seconds


def test_a_shortened_lease_is_over_at_its_new_end(conn: Connection, run: Any) -> None:
    call(conn, "heartbeat", **lease(run), lease_for="10 seconds")
    let_time_pass(conn, "11 seconds")
    assert call(conn, "rescue") == [(run.job_id, "QUEUED")]


@pytest.mark.parametrize("function", LEASED)
def test_a_token_works_after_the_lease_end_until_somebody_takes_it(
    conn: Connection, run: Any, function: str
) -> None:
    let_time_pass(conn, "1 hour")
    assert len(call(conn, function, **lease(run), **LEASED[function])) == 1


@pytest.mark.parametrize("function", LEASED)
def test_w01_any_other_token_is_refused(conn: Connection, run: Any, function: str) -> None:
    theirs = start(conn)
    with untouched(conn):
        for token in (uuid4(), theirs.lease_token):
            lease = {"job_id": run.job_id, "lease_token": token}
            with refused("23V05", LEASE_CHECK), conn.transaction():
                call(conn, function, **lease, **LEASED[function])


@pytest.mark.parametrize("function", LEASED)
def test_a_queued_job_is_under_no_lease(conn: Connection, function: str) -> None:
    session_id = uuid4()
    for queued in (enqueue(conn, session_id=session_id), enqueue(conn, session_id=session_id)):
        lease = {"job_id": queued.job_id, "lease_token": uuid4()}
        with refused("23V05", LEASE_CHECK), conn.transaction():
            call(conn, function, **lease, **LEASED[function])


@pytest.mark.parametrize("function", LEASED)
def test_an_unknown_job_is_refused(conn: Connection, function: str) -> None:
    with refused("P0002", "job_job_id_pkey"):
        call(conn, function, job_id=0, lease_token=uuid4(), **LEASED[function])


@pytest.mark.parametrize("function", LEASED)
def test_w04_a_late_worker_writes_nothing(conn: Connection, run: Any, function: str) -> None:
    let_time_pass(conn, "1 hour")
    [(job_id, _)] = call(conn, "rescue")
    for again in (None, claim(conn, worker="second")):
        with untouched(conn), refused("23V05", LEASE_CHECK), conn.transaction():
            call(conn, function, **lease(run), **LEASED[function])
        if again is not None:
            assert complete(conn, again).status == "PASSED"
    assert job(conn, job_id).worker == "second"


@pytest.mark.parametrize("status", ["PASSED", "FAILED", "ERROR"])
@pytest.mark.parametrize("summary", [None, {"score": 7}])
def test_complete_writes_the_verdict(
    conn: Connection, run: Any, status: str, summary: dict[str, int] | None
) -> None:
    running = job(conn, run.job_id)
    answer = complete(conn, run, status, summary=summary and Jsonb(summary))
    assert answer[:2] == (run.job_id, status)
    assert answer.replayed is False

    shown = job(conn, run.job_id)
    assert (shown.status, shown.summary) == (status, summary)
    assert shown.completed_at == answer.completed_at
    assert (shown.started_at, shown.worker) == (running.started_at, "worker")
    assert (shown.run_no, shown.error_detail) == (1, None)
    assert shown.error_reason == ("REPORTED" if status == "ERROR" else None)
    assert shown.completed_at >= shown.started_at
    assert rows(conn, "select * from pgjobs.verification_verdict") == [shown]
    assert rows(conn, "select * from pgjobs.verification_run") == [
        (run.job_id, 1, "worker", shown.started_at, shown.completed_at, status, None, None)
    ]
    assert open_places(conn) == 0


@pytest.mark.parametrize("summary", [None, Jsonb({"b": 1, "a": [1.0, "x"]})])
def test_w03_the_very_same_complete_succeeds_again(
    conn: Connection, run: Any, summary: Jsonb | None
) -> None:
    first = complete(conn, run, "FAILED", summary=summary)
    with untouched(conn):
        again = complete(conn, run, "FAILED", summary=summary)
        assert again == (*first[:3], True)


OTHER_COMPLETES = {
    "other_status": {"status": "PASSED"},
    "other_summary": {"summary": Jsonb({"b": 2})},
    "no_summary": {"summary": None},
    "other_token": {"lease_token": uuid4()},
}


@pytest.mark.parametrize("change", OTHER_COMPLETES.values(), ids=OTHER_COMPLETES)
def test_w02_another_verdict_is_refused_and_the_first_stays(
    conn: Connection, run: Any, change: dict[str, Any]
) -> None:
    first = {**lease(run), "status": "FAILED", "summary": Jsonb({"b": 1})}
    call(conn, "complete", **first)
    before = (traces(conn), job(conn, run.job_id))
    with refused("23V02", VERDICT_KEY), conn.transaction():
        call(conn, "complete", **{**first, **change})
    assert (traces(conn), job(conn, run.job_id)) == before


@pytest.mark.parametrize("function", ["add_artifact", "heartbeat", "release", "cancel"])
@pytest.mark.parametrize("by_holder", [True, False])
def test_once_there_is_a_verdict_every_other_call_is_refused(
    conn: Connection, run: Any, function: str, by_holder: bool
) -> None:
    complete(conn, run)
    arguments = {**lease(run), **LEASED.get(function, {})}
    if not by_holder:
        arguments["lease_token"] = uuid4()
    if function == "cancel":
        arguments = {"job_id": run.job_id, "reason": "r", "actor": "a"}
    with refused("23V02", VERDICT_KEY):
        call(conn, function, **arguments)
