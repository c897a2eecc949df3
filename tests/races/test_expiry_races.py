"""A sweep that ends what was not begun in time waits for nobody, and misses nobody."""

from functools import partial
from uuid import uuid4

import pytest

from tests.calls import start
from tests.conftest import Connect
from tests.helpers import Connection, call, enqueue, job, overdue_now
from tests.races.ledger import violations
from tests.races.rivals import background

pytestmark = pytest.mark.usefixtures("fresh_dsn")


@pytest.mark.parametrize("held", ["lane", "ready"])
def test_what_another_holds_is_left_to_the_next_sweep(
    connect: Connect, observer: Connection, held: str
) -> None:
    job_id = enqueue(observer, start_within="1 hour").job_id
    overdue_now(observer)
    rival = connect()
    rival.execute(f"select from pgjobs.{held} for update".encode())
    observer.execute("set lock_timeout = '1ms'")
    assert call(observer, "claim", worker="w") == []
    assert job(observer, job_id).status == "QUEUED"
    rival.rollback()
    assert call(observer, "claim", worker="w") == []
    assert job(observer, job_id).error_reason == "EXPIRED"
    assert violations(observer) == []


def test_a_session_that_is_held_holds_up_the_expiry_of_no_other(
    connect: Connect, observer: Connection
) -> None:
    session_id = uuid4()
    start(observer, session_id=session_id)
    first = enqueue(observer, session_id=session_id, start_within="1 hour").job_id
    other = enqueue(observer, start_within="1 hour").job_id
    overdue_now(observer)
    rival = connect()
    rival.execute("select from pgjobs.lane where session_id = %s for update", [session_id])
    # Of one place in a sweep, the one that is free.
    observer.execute("select pgjobs._expire_jobs(1, '-infinity')")
    assert [job(observer, each).status for each in (first, other)] == ["QUEUED", "ERROR"]


def test_an_enqueue_that_waits_for_a_sweep_finds_the_place_it_left(
    connect: Connect, observer: Connection
) -> None:
    session_id = uuid4()
    job_id = enqueue(observer, session_id=session_id, start_within="1 hour").job_id
    overdue_now(observer)
    sweeper, caller = connect(), connect()
    call(sweeper, "claim", worker="w")
    ask = partial(enqueue, caller, session_id=session_id, max_open_jobs=1)
    with background(caller, observer, ask) as waiting:
        assert waiting.blockers() == [sweeper.info.backend_pid]
        sweeper.commit()
        assert waiting.result().created
    caller.commit()
    assert job(observer, job_id).error_reason == "EXPIRED"
    assert violations(observer) == []
