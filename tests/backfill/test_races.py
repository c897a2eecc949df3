"""O17: a backfill beside another one and beside live pushes; unique keys decide, nobody is lost."""

from functools import partial
from typing import Any
from uuid import UUID

import pytest

from tests.backfill.host import add_log
from tests.conftest import Connect
from tests.helpers import Connection, call, enqueue, refused, rows, sha
from tests.races.rivals import background

SESSION = UUID(int=7)
REAL = {"dry_run": False}


@pytest.fixture
def observer(host_dsn: str, connect: Connect) -> Connection:
    return connect(autocommit=True)


def batch(conn: Connection, **arguments: Any) -> Any:
    [answer] = call(conn, "backfill_verification_log", dry_run=False, **arguments)
    return answer


def is_reconciled(conn: Connection) -> bool:
    return all(check.ok for check in call(conn, "backfill_reconcile"))


@pytest.mark.parametrize("undone", [False, True])
def test_o17_two_calls_take_turns(connect: Connect, observer: Connection, undone: bool) -> None:
    for _ in range(3):
        add_log(observer)
    first, second = connect(), connect()
    assert batch(first, batch_size=2).seen == 2
    with background(second, observer, lambda: batch(second)) as waiting:
        assert waiting.blockers() == [first.info.backend_pid]
        (first.rollback if undone else first.commit)()
        assert waiting.result().seen == (3 if undone else 1)
    second.commit()
    assert is_reconciled(observer)


@pytest.mark.parametrize("undone", [False, True])
@pytest.mark.parametrize("session_id", [SESSION, UUID(int=8)], ids=["its own", "another"])
def test_a_batch_waits_for_an_open_push_of_the_same_commit(
    connect: Connect, observer: Connection, session_id: UUID, undone: bool
) -> None:
    commit = sha()
    log_id = add_log(observer, session_id=SESSION, commit_sha=commit)
    pushing, moving = connect(), connect()
    live = enqueue(pushing, session_id=session_id, commit_sha=commit)
    with background(moving, observer, lambda: batch(moving)) as waiting:
        assert waiting.blockers() == [pushing.info.backend_pid]
        (pushing.rollback if undone else pushing.commit)()
        answer = waiting.result()
    moving.commit()
    [found] = rows(observer, f"select * from pgjobs.backfill_report where log_id = '{log_id}'")
    if undone:
        assert (answer.jobs, found.outcome, found.reason) == (1, "JOB", "VERIFIED_PASS")
    else:
        assert (answer.jobs, found.outcome, found.reason) == (0, "ATTEMPT", "COMMIT_HAS_JOB")
        jobs = rows(observer, "select job_id, status, origin from pgjobs.verification_job")
        assert jobs == [(live.job_id, "QUEUED", "QUEUE")]
    assert is_reconciled(observer)


@pytest.mark.parametrize("undone", [False, True])
def test_a_push_waits_for_an_open_batch_and_is_answered_with_its_verdict(
    connect: Connect, observer: Connection, undone: bool
) -> None:
    commit = sha()
    add_log(observer, session_id=SESSION, commit_sha=commit)
    request = {"session_id": SESSION, "commit_sha": commit, "lab_version": "1.4"}
    moving, pushing = connect(), connect()
    batch(moving)
    with background(pushing, observer, lambda: enqueue(pushing, **request)) as waiting:
        assert waiting.blockers() == [moving.info.backend_pid]
        (moving.rollback if undone else moving.commit)()
        answer = waiting.result()
    pushing.commit()
    assert (answer.status, answer.created) == (("QUEUED", True) if undone else ("PASSED", False))


def test_a_push_of_another_session_is_told_that_the_commit_is_taken(
    connect: Connect, observer: Connection
) -> None:
    commit = sha()
    add_log(observer, commit_sha=commit)
    moving, pushing = connect(), connect()
    batch(moving)
    with background(pushing, observer, partial(enqueue, pushing, commit_sha=commit)) as waiting:
        assert waiting.blockers() == [moving.info.backend_pid]
        moving.commit()
        with refused("23V03", "job_commit_sha_key"):
            waiting.result()


def test_the_hosts_writer_never_waits_for_a_batch(connect: Connect, observer: Connection) -> None:
    add_log(observer)
    moving = connect()
    batch(moving)
    call(moving, "backfill_reconcile")
    observer.execute("set lock_timeout = '1ms'")
    add_log(observer)
    moving.commit()
    assert batch(observer).seen == 1


def test_a_batch_that_is_undone_leaves_nothing(connect: Connect, observer: Connection) -> None:
    add_log(observer)
    moving = connect()
    assert batch(moving).jobs == 1
    observer.execute("select pg_terminate_backend(%s)", [moving.info.backend_pid])
    assert batch(observer) == (1, 1, 1, 2, 0, 0)
    assert is_reconciled(observer)
