"""P4, P5: a head that moves between ready and lease while somebody else looks for it."""

from functools import partial
from typing import Any

import pytest
from psycopg import IsolationLevel

from tests.calls import cancel, complete_many, release, revoke
from tests.conftest import Connect
from tests.helpers import Connection, call, claim, enqueue, job, refused
from tests.races.ledger import open_places, violations
from tests.races.rivals import LEVELS, background, level_name

pytestmark = pytest.mark.usefixtures("fresh_dsn")
ABOVE = LEVELS[1:]
CALLS: dict[str, dict[str, Any]] = {
    "complete": {"status": "PASSED"},
    "release": {"reason": "why"},
    "heartbeat": {},
    "add_artifact": {"kind": "LOG", "name": "log", "content": b"1"},
}


@pytest.mark.parametrize("move", ["claim", "release", "claim and release"])
def test_p5_cancel_finds_a_head_that_moves_while_it_waits(
    connect: Connect, observer: Connection, move: str
) -> None:
    mover, canceller = connect(), connect()
    job_id = enqueue(observer).job_id
    run = claim(observer if move == "release" else mover)
    if "release" in move:
        release(mover, run, retry_after="0 s")
    with background(canceller, observer, partial(cancel, canceller, job_id)) as waits:
        assert waits.blockers() == [mover.info.backend_pid]
        mover.commit()
        said = waits.result()
    canceller.commit()
    assert said.status == "ERROR"
    assert (job(observer, job_id).error_reason, job(observer, job_id).run_no) == ("CANCELLED", 1)
    assert (open_places(observer), violations(observer)) == (0, [])


@pytest.mark.parametrize("move", ["release", "release and claim", "complete"])
def test_revoke_lease_takes_the_run_that_it_finds_after_a_wait(
    connect: Connect, observer: Connection, move: str
) -> None:
    mover, revoker = connect(), connect()
    job_id = enqueue(observer).job_id
    run = claim(observer)
    if move == "complete":
        complete_many(mover, [run])
    else:
        release(mover, run, retry_after="0 s")
    if move == "release and claim":
        claim(mover)
    with background(revoker, observer, partial(revoke, revoker, job_id)) as waits:
        assert waits.blockers() == [mover.info.backend_pid]
        mover.commit()
        if move == "release and claim":
            assert waits.result()[:3] == (job_id, "QUEUED", 2)
            revoker.commit()
        else:
            with refused("55V01" if move == "release" else "23V02"):
                waits.result()
    assert violations(observer) == []


@pytest.mark.parametrize("level", ABOVE, ids=level_name)
def test_a_snapshot_older_than_the_lease_does_not_say_that_nothing_runs(
    connect: Connect, observer: Connection, level: IsolationLevel
) -> None:
    revoker = connect()
    revoker.isolation_level = level
    job_id = enqueue(observer).job_id
    revoker.execute("select from pgjobs.ready")
    claim(observer)
    with refused("40001"):
        revoke(revoker, job_id)
    revoker.rollback()
    assert revoke(revoker, job_id).status == "QUEUED"


@pytest.mark.parametrize("level", ABOVE, ids=level_name)
@pytest.mark.parametrize("called", [*CALLS, "complete_many"])
def test_p4_a_snapshot_older_than_the_lease_is_told_to_retry_and_then_has_it(
    connect: Connect, observer: Connection, called: str, level: IsolationLevel
) -> None:
    worker = connect()
    worker.isolation_level = level
    job_id = enqueue(observer).job_id
    worker.execute("select from pgjobs.ready")  # the snapshot has the head, but no lease
    token = claim(observer).lease_token
    arguments: dict[str, Any] = {"job_id": job_id, "lease_token": token, **CALLS.get(called, {})}
    if called == "complete_many":
        arguments = {"job_ids": [job_id], "lease_tokens": [token], "statuses": ["PASSED"]}
    with refused("40001"):
        call(worker, called, **arguments)
    worker.rollback()
    assert len(call(worker, called, **arguments)) == 1
    worker.commit()
    assert violations(observer) == []
