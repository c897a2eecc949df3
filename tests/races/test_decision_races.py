"""Amendments and reviews that come at the same time."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from psycopg import IsolationLevel

from tests.conftest import Connect
from tests.helpers import Connection, call, claim, complete, enqueue, refused, rows
from tests.races.ledger import violations
from tests.races.rivals import CLIENTS, LEVELS, at_once, level_name

DECISION = {"reason": "r", "actor": "a", "approver": "b", "ticket": "t"}


@pytest.fixture
def observer(connect: Connect) -> Connection:
    return connect(autocommit=True)


def finish(conn: Connection) -> Any:
    enqueue(conn)
    run = claim(conn)
    complete(conn, run)
    return run


@pytest.mark.parametrize("level", LEVELS, ids=level_name)
@pytest.mark.usefixtures("fresh_dsn")
def test_eight_amendments_at_once_are_numbered_without_a_gap(
    connect: Connect, observer: Connection, level: IsolationLevel
) -> None:
    job_id = finish(observer).job_id
    at_once(
        connect,
        level,
        lambda conn, _: call(conn, "amend", job_id=job_id, status="PASSED", **DECISION),
    )
    numbers = rows(observer, "select amendment_no from pgjobs.amendment order by 1")
    assert numbers == [(number,) for number in range(1, CLIENTS + 1)]


@pytest.mark.parametrize("level", LEVELS[1:], ids=level_name)
@pytest.mark.usefixtures("fresh_dsn")
def test_an_old_snapshot_that_does_not_know_a_review_is_told_to_retry(
    connect: Connect, observer: Connection, level: IsolationLevel
) -> None:
    done = finish(observer)
    late = connect()
    late.isolation_level = level
    late.execute("select")
    call(observer, "reverify", job_ids=[done.job_id], **DECISION)
    complete(observer, claim(observer))
    with refused("40001"):
        call(late, "reverify", job_ids=[done.job_id], **DECISION)
    late.rollback()
    [answer] = call(late, "reverify", job_ids=[done.job_id], **DECISION)
    late.commit()
    assert answer.outcome == "queued"
    assert claim(observer).run_no == 3
    assert violations(observer) == []


@pytest.mark.parametrize("level", LEVELS, ids=level_name)
@pytest.mark.usefixtures("fresh_dsn")
def test_eight_reviews_of_a_job_at_once_are_one(
    connect: Connect, observer: Connection, level: IsolationLevel
) -> None:
    done = finish(observer)

    def work(conn: Connection, number: int) -> str:
        if number % 2:
            enqueue(conn, session_id=done.session_id)
        [answer] = call(conn, "reverify", job_ids=[done.job_id], **DECISION)
        return str(answer.outcome)

    answers = at_once(connect, level, work)
    assert Counter(answers) == {"queued": 1, "already_queued": CLIENTS - 1}
    assert violations(observer) == []
