"""Every code of the contract arrives as its own exception, and as psycopg's of its family."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

import forgea_pgjobs as pgjobs
from forgea_pgjobs.errors import BY_SQLSTATE
from tests.backfill.host import TABLES
from tests.helpers import Connection, sha

FAMILIES = {
    "22": psycopg.DataError,
    "23": psycopg.IntegrityError,
    "25": psycopg.InternalError,
    "42": psycopg.ProgrammingError,
    "54": psycopg.OperationalError,
    "55": psycopg.OperationalError,
    "P0": psycopg.errors.NoDataFound,
}


def enqueue(conn: Connection, **arguments: Any) -> pgjobs.Enqueued:
    defaults: dict[str, Any] = {"session_id": uuid4(), "commit_sha": sha(), "lab_version": "1"}
    return pgjobs.enqueue(conn, **{**defaults, **arguments})


def running(conn: Connection) -> dict[str, Any]:
    enqueue(conn)
    [run] = pgjobs.claim(conn, worker="w")
    return {"job_id": run.job_id, "lease_token": run.lease_token}


def verdict_final(conn: Connection) -> None:
    lease = running(conn)
    pgjobs.complete(conn, **lease, status="PASSED")
    pgjobs.complete(conn, **lease, status="FAILED")


def commit_taken(conn: Connection) -> None:
    commit = sha()
    enqueue(conn, commit_sha=commit)
    enqueue(conn, commit_sha=commit)


def delivery_conflict(conn: Connection) -> None:
    session = uuid4()
    enqueue(conn, session_id=session, delivery_id="d")
    enqueue(conn, session_id=session, delivery_id="d")


def lease_lost(conn: Connection) -> None:
    pgjobs.heartbeat(conn, job_id=running(conn)["job_id"], lease_token=uuid4())


def artifact_conflict(conn: Connection) -> None:
    lease = running(conn)
    pgjobs.add_artifact(conn, **lease, kind="LOG", name="log", content=b"one")
    pgjobs.add_artifact(conn, **lease, kind="LOG", name="log", content=b"two")


def not_final(conn: Connection) -> None:
    job_id = running(conn)["job_id"]
    decision = {"reason": "r", "actor": "a", "approver": "b", "ticket": "t"}
    pgjobs.amend(conn, job_id=job_id, status="PASSED", **decision)


def artifact_expired(conn: Connection) -> None:
    lease = running(conn)
    log = pgjobs.add_artifact(conn, **lease, kind="LOG", name="log", content=b"log")
    pgjobs.complete(conn, **lease, status="PASSED")
    pgjobs.expire_artifacts(conn, older_than=timedelta(0), dry_run=False)
    pgjobs.read_artifact(conn, artifact_id=log.artifact_id)


def erase(conn: Connection, session_id: UUID) -> None:
    pgjobs.erase_session(conn, session_id=session_id, reason="r", actor="a", ticket="t")


def on_hold(conn: Connection) -> None:
    held = pgjobs.hold(conn, session_id=uuid4(), reason="r", actor="a", ticket="t")
    erase(conn, held.session_id)


def session_busy(conn: Connection) -> None:
    session = uuid4()
    enqueue(conn, session_id=session)
    erase(conn, session)


def isolation_too_high(conn: Connection) -> None:
    conn.execute("set transaction isolation level repeatable read")
    pgjobs.expire_artifacts(conn, older_than=timedelta(0))


def host_table_closed(conn: Connection) -> None:
    conn.execute(TABLES)
    pgjobs.backfill_verification_log(conn)


def not_running(conn: Connection) -> None:
    pgjobs.revoke_lease(conn, job_id=enqueue(conn).job_id, reason="r", actor="a")


def too_many_open_jobs(conn: Connection) -> None:
    session = uuid4()
    for _ in range(101):
        enqueue(conn, session_id=session)


REFUSALS: list[tuple[str, type[pgjobs.PgjobsError], Callable[[Connection], object]]] = [
    ("22023", pgjobs.InvalidArgument, lambda conn: enqueue(conn, priority=5)),
    ("22004", pgjobs.InvalidArgument, lambda conn: enqueue(conn, commit_sha=None)),
    (
        "P0002",
        pgjobs.JobNotFound,
        lambda conn: pgjobs.cancel(conn, job_id=0, reason="r", actor="a"),
    ),
    ("23V02", pgjobs.VerdictFinal, verdict_final),
    ("23V03", pgjobs.CommitTaken, commit_taken),
    ("23V04", pgjobs.DeliveryConflict, delivery_conflict),
    ("23V05", pgjobs.LeaseLost, lease_lost),
    ("23V06", pgjobs.ArtifactConflict, artifact_conflict),
    ("23V07", pgjobs.NotFinal, not_final),
    ("23V08", pgjobs.ArtifactExpired, artifact_expired),
    ("23V09", pgjobs.OnHold, on_hold),
    ("25000", pgjobs.IsolationTooHigh, isolation_too_high),
    ("42P01", pgjobs.HostTableMissing, pgjobs.backfill_verification_log),
    ("42501", pgjobs.HostTableClosed, host_table_closed),
    ("54V01", pgjobs.TooManyOpenJobs, too_many_open_jobs),
    ("55V01", pgjobs.NotRunning, not_running),
    ("55V02", pgjobs.SessionBusy, session_busy),
]


def test_every_code_but_one_is_refused_by_a_call() -> None:
    # 23V01 comes from the guards alone; no call of the wrapper writes there.
    assert {code for code, _error, _act in REFUSALS} == set(BY_SQLSTATE) - {"23V01"}


@pytest.mark.parametrize(
    ("sqlstate", "error", "act"), REFUSALS, ids=[code for code, *_ in REFUSALS]
)
def test_a_refusal_is_an_exception_of_its_own_and_of_its_family(
    sqlstate: str,
    error: type[pgjobs.PgjobsError],
    act: Callable[[Connection], object],
    conn: Connection,
) -> None:
    with pytest.raises(error) as caught:
        act(conn)
    assert isinstance(caught.value, FAMILIES[sqlstate[:2]])
    assert caught.value.sqlstate == caught.value.diag.sqlstate == sqlstate
    assert caught.value.hint
    assert isinstance(caught.value.__cause__, psycopg.Error)


def test_an_argument_and_a_differing_field_are_named(conn: Connection) -> None:
    with pytest.raises(pgjobs.InvalidArgument) as invalid, conn.transaction():
        enqueue(conn, max_runs=0)
    assert invalid.value.argument == "max_runs"
    with pytest.raises(pgjobs.DeliveryConflict) as conflict, conn.transaction():
        delivery_conflict(conn)
    assert conflict.value.differing == "commit_sha"
    push = {"session_id": uuid4(), "commit_sha": sha()}
    enqueue(conn, **push)
    with pytest.raises(pgjobs.CommitTaken) as taken, conn.transaction():
        enqueue(conn, **push, lab_version="2")
    assert taken.value.differing == "lab_version"
    with pytest.raises(pgjobs.ArtifactConflict) as other, conn.transaction():
        artifact_conflict(conn)
    assert other.value.differing == "sha256"


def test_the_code_of_somebody_else_passes_as_it_is(conn: Connection) -> None:
    conn.execute(
        "create function pg_temp.refuse() returns trigger language plpgsql as"
        " $$ begin raise exception 'mine' using errcode = '22023', schema = 'mine'; end $$"
    )
    conn.execute(
        "create trigger refuse before insert on pgjobs.job"
        " for each row execute function pg_temp.refuse()"
    )
    with pytest.raises(psycopg.errors.InvalidParameterValue) as caught:
        enqueue(conn)
    assert not isinstance(caught.value, pgjobs.PgjobsError)
    assert caught.value.diag.schema_name == "mine"


def test_what_is_no_uuid_is_an_invalid_argument(conn: Connection) -> None:
    with pytest.raises(pgjobs.InvalidArgument, match="no uuid") as caught:
        enqueue(conn, session_id="no uuid")
    assert caught.value.sqlstate == "22023"


def test_a_number_too_large_for_its_column_is_a_data_error(conn: Connection) -> None:
    with pytest.raises(psycopg.DataError):
        enqueue(conn, priority=2**40)


def test_a_status_of_none_is_a_null_argument(conn: Connection) -> None:
    enqueue(conn)
    [run] = pgjobs.claim(conn, worker="w")
    nothing: Any = None
    with pytest.raises(pgjobs.InvalidArgument) as caught:
        pgjobs.complete(conn, job_id=run.job_id, lease_token=run.lease_token, status=nothing)
    assert (caught.value.sqlstate, caught.value.argument) == ("22004", "status")


def test_a_refusal_survives_the_way_between_processes(conn: Connection) -> None:
    with pytest.raises(pgjobs.InvalidArgument) as caught:
        enqueue(conn, priority=5)
    there = pickle.loads(pickle.dumps(caught.value))  # noqa: S301  # our own pickle
    assert type(there) is pgjobs.InvalidArgument
    assert (there.sqlstate, there.argument, there.hint) == (
        "22023",
        "priority",
        caught.value.hint,
    )
