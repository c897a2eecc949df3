"""One statement beats for every lease of a worker, and waits for none."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.calls import add
from tests.conftest import Connect
from tests.helpers import Connection, call, complete, enqueue, rows

ENDS = "select lease_expires_at from pgjobs.lease where lease_token = any (%(tokens)s)"


def start(conn: Connection, number: int) -> list[Any]:
    for _ in range(number):
        enqueue(conn)
    return call(conn, "claim", worker="w", max_jobs=number)


def beat(conn: Connection, runs: list[Any], **arguments: Any) -> list[Any]:
    ids, tokens = [run.job_id for run in runs], [run.lease_token for run in runs]
    return call(conn, "heartbeat_many", job_ids=ids, lease_tokens=tokens, **arguments)


def test_it_sets_the_end_of_each_lease_and_answers_in_input_order(conn: Connection) -> None:
    runs = start(conn, 5)
    kept, *others = runs
    beats = beat(conn, others[::-1], lease_for="1 hour")
    assert [each.ordinal for each in beats] == [1, 2, 3, 4]
    assert [each.job_id for each in beats] == [run.job_id for run in others[::-1]]
    assert {each.outcome for each in beats} == {"held"}
    [end] = {each.lease_expires_at for each in beats}
    assert set(rows(conn, ENDS, tokens=[run.lease_token for run in others])) == {(end,)}
    assert end - kept.lease_expires_at > timedelta(minutes=50)
    assert rows(conn, ENDS, tokens=[kept.lease_token]) == [(kept.lease_expires_at,)]


def test_whatever_is_no_current_lease_is_lost_and_holds_up_no_other(conn: Connection) -> None:
    finished, released, held = start(conn, 3)
    complete(conn, finished)
    call(conn, "release", job_id=released.job_id, lease_token=released.lease_token, reason="r")
    ids = [finished.job_id, released.job_id, held.job_id, held.job_id, 0]
    tokens = [finished.lease_token, released.lease_token, uuid4(), held.lease_token, uuid4()]
    beats = call(conn, "heartbeat_many", job_ids=ids, lease_tokens=tokens)
    assert [each.outcome for each in beats] == [*["lease_lost"] * 3, "held", "lease_lost"]
    assert [each.lease_expires_at is None for each in beats] == [True] * 3 + [False, True]


def test_no_leases_give_no_rows(conn: Connection) -> None:
    assert call(conn, "heartbeat_many", job_ids=[], lease_tokens=[]) == []


def test_a_lease_that_another_transaction_has_locked_is_not_waited_for(
    fresh_dsn: str, connect: Connect
) -> None:
    observer, other = connect(autocommit=True), connect()
    first, second = start(observer, 2)
    add(other, first, name="log", content=b"log")
    observer.execute("set lock_timeout = '1ms'")
    beats = beat(observer, [first, second])
    assert [each.outcome for each in beats] == ["locked", "held"]
    other.rollback()
    assert [each.outcome for each in beat(observer, [first, second])] == ["held", "held"]


def test_a_snapshot_older_than_a_beat_is_told_to_try_again(
    fresh_dsn: str, connect: Connect
) -> None:
    observer, old = connect(autocommit=True), connect()
    runs = start(observer, 2)
    old.execute("set transaction isolation level repeatable read")
    old.execute("select 1")
    beat(observer, runs)
    with pytest.raises(psycopg.errors.SerializationFailure):
        beat(old, runs)
