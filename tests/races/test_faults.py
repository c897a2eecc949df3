"""P6, P8, P9: connections that die, clocks that lie, transactions that cannot or do not commit."""

from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.errors import AdminShutdown, ObjectNotInPrerequisiteState

from tests.calls import lease, start, start_many
from tests.conftest import Connect
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
    sha,
)
from tests.races.ledger import drain, violations
from tests.races.rivals import background


@pytest.fixture
def observer(connect: Connect) -> Connection:
    """Open the connection that looks on, with nothing left to claim."""
    observer = connect(autocommit=True)
    drain(observer)
    return observer


def kill(observer: Connection, victim: Connection) -> None:
    """Terminate a backend; its connection learns of it on its next call."""
    pid = victim.info.backend_pid
    observer.execute("select pg_terminate_backend(%s, 10000)", [pid])
    with pytest.raises(AdminShutdown):
        victim.execute("select")


def test_w09_the_job_of_a_killed_worker_runs_again_and_the_old_token_is_dead(
    connect: Connect, observer: Connection
) -> None:
    worker = connect(autocommit=True)
    queued = enqueue(observer)
    run = claim(worker)
    kill(observer, worker)
    assert job(observer, queued.job_id).status == "RUNNING"
    assert call(observer, "claim", worker="next") == []
    let_time_pass(observer, "1 hour")
    again = claim(observer)
    assert (again.job_id, again.run_no) == (run.job_id, 2)
    with refused("23V05", "lease_session_id_pkey"):
        complete(observer, run)
    complete(observer, again)
    assert job(observer, queued.job_id).status == "PASSED"


def test_a08_an_enqueue_whose_connection_is_killed_leaves_neither_job_nor_attempt(
    connect: Connect, observer: Connection
) -> None:
    request = {"session_id": uuid4(), "commit_sha": sha()}
    caller = connect()
    enqueue(caller, **request)
    kill(observer, caller)
    query = "select from pgjobs.lab_attempt where session_id = %(id)s"
    assert rows(observer, query, id=request["session_id"]) == []
    assert call(observer, "get_job", commit_sha=request["commit_sha"]) == []
    assert enqueue(observer, **request).created


@pytest.mark.parametrize(
    "undo", ["rollback", "rollback to savepoint before; commit"], ids=["whole", "savepoint"]
)
@pytest.mark.parametrize("undone", ["claim", "rescue"])
@pytest.mark.parametrize("expired", [False, True])
def test_p8_after_an_undone_claim_or_rescue_the_next_claim_gets_the_job_at_once(
    connect: Connect, observer: Connection, undone: str, undo: str, expired: bool
) -> None:
    queued = enqueue(observer)
    if expired:
        claim(observer)
        let_time_pass(observer, "1 hour")
    caller = connect()
    caller.execute("savepoint before")
    found = call(caller, undone, **({"worker": "w"} if undone == "claim" else {}))
    assert len(found) == (undone == "claim" or expired)
    caller.execute(undo.encode())
    run = claim(observer)
    assert (run.job_id, run.run_no) == (queued.job_id, 1 + expired)


def test_w10_a_locked_lease_does_not_keep_the_others_from_rescue(
    connect: Connect, observer: Connection
) -> None:
    jobs = [run.job_id for run in start_many(observer, 3)]
    let_time_pass(observer, "1 hour")
    holder = connect()
    holder.execute("select from pgjobs.lease where job_id = %s for update", [jobs[1]])
    observer.execute("set lock_timeout = '1ms'")
    assert {rescued.job_id for rescued in call(observer, "rescue")} == {jobs[0], jobs[2]}


def test_w12_an_open_claim_does_not_keep_others_from_their_jobs(
    connect: Connect, observer: Connection
) -> None:
    jobs = [enqueue(observer).job_id for _ in range(2)]
    holder = connect()
    assert claim(holder).job_id == jobs[0]
    observer.execute("set lock_timeout = '1ms'")
    assert claim(observer).job_id == jobs[1]


def test_a_lease_granted_while_a_rescue_waits_is_not_taken_for_one_of_a_clock_ahead(
    connect: Connect, observer: Connection
) -> None:
    enqueue(observer)
    worker, rescuer = connect(), connect(autocommit=True)
    call(rescuer, "rescue")  # compiles the function, which would wait as well
    # The rescuer has read the clock when it comes to wait here; the lease is granted after that.
    worker.execute("lock table pgjobs.lease in access exclusive mode")
    with background(rescuer, observer, lambda: call(rescuer, "rescue")) as waiting:
        assert waiting.blockers() == [worker.info.backend_pid]
        run = claim(worker)
        worker.commit()
        assert waiting.result() == []
    complete(observer, run)


def test_f08_a_lease_granted_by_a_clock_two_days_ahead_is_rescued_at_once(
    observer: Connection,
) -> None:
    run = start(observer)
    observer.execute(
        "update pgjobs.lease set started_at = started_at + interval '2 days',"
        " lease_expires_at = lease_expires_at + interval '2 days'"
    )
    assert [rescued.job_id for rescued in call(observer, "rescue")] == [run.job_id]
    again = claim(observer)
    assert again.run_no == 2
    complete(observer, again)
    [run] = rows(observer, "select * from pgjobs.aborted_run where job_id = %(id)s", id=run.job_id)
    assert run.ended_at >= run.started_at
    assert violations(observer) == []


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("enqueue", {"session_id": uuid4(), "commit_sha": sha(), "lab_version": "1"}),
        ("record_attempt", {"session_id": uuid4(), "commit_sha": sha()}),
        ("claim", {"worker": "w"}),
        ("rescue", {}),
        ("complete", {"status": "PASSED"}),
        ("release", {"reason": "why"}),
        ("heartbeat", {}),
        ("cancel", {"reason": "why", "actor": "who"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a11_a_read_only_transaction_is_refused(
    connect: Connect, observer: Connection, function: str, arguments: dict[str, Any]
) -> None:
    run = start(observer)
    own = dict.fromkeys(("complete", "release", "heartbeat"), lease(run))
    own["cancel"] = {"job_id": run.job_id}
    caller = connect()
    caller.read_only = True
    with refused("25006"):
        call(caller, function, **own.get(function, {}), **arguments)


def test_a14_a_prepared_enqueue_counts_when_it_is_committed(
    connect: Connect, observer: Connection
) -> None:
    request = {"session_id": uuid4(), "commit_sha": sha()}
    caller = connect()
    first = enqueue(caller, **request)
    gid = str(uuid4())
    try:
        caller.execute(f"prepare transaction '{gid}'")
    except ObjectNotInPrerequisiteState:
        [row] = rows(observer, "select current_setting('max_prepared_transactions') as allowed")
        assert row.allowed == "0"
        return
    end = "rollback"
    try:
        observer.execute("set lock_timeout = '1ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            enqueue(observer, **request)
        assert call(observer, "get_job", commit_sha=request["commit_sha"]) == []
        end = "commit"
    finally:
        observer.execute(f"{end} prepared '{gid}'".encode())
    again = enqueue(observer, **request)
    assert (again.job_id, again.created) == (first.job_id, False)
