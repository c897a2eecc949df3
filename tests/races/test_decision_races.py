"""Amendments and reviews that come at the same time."""

from collections import Counter

import pytest
from psycopg import IsolationLevel

from tests.calls import amend, finish, reverify
from tests.conftest import Connect
from tests.helpers import Connection, claim, complete, enqueue, refused, rows
from tests.races.ledger import violations
from tests.races.rivals import CLIENTS, LEVELS, at_once, level_name

pytestmark = pytest.mark.usefixtures("fresh_dsn")


@pytest.mark.parametrize("level", LEVELS, ids=level_name)
def test_eight_amendments_at_once_are_numbered_without_a_gap(
    connect: Connect, observer: Connection, level: IsolationLevel
) -> None:
    job_id = finish(observer).job_id
    at_once(connect, level, lambda conn, _: amend(conn, job_id, "PASSED"))
    numbers = rows(observer, "select amendment_no from pgjobs.amendment order by 1")
    assert numbers == [(number,) for number in range(1, CLIENTS + 1)]


@pytest.mark.parametrize("level", LEVELS[1:], ids=level_name)
def test_an_old_snapshot_that_does_not_know_a_review_is_told_to_retry(
    connect: Connect, observer: Connection, level: IsolationLevel
) -> None:
    done = finish(observer)
    late = connect()
    late.isolation_level = level
    late.execute("select")
    reverify(observer, done.job_id)
    complete(observer, claim(observer))
    with refused("40001"):
        reverify(late, done.job_id)
    late.rollback()
    [answer] = reverify(late, done.job_id)
    late.commit()
    assert answer.outcome == "queued"
    assert claim(observer).run_no == 3
    assert violations(observer) == []


@pytest.mark.parametrize("level", LEVELS, ids=level_name)
def test_eight_reviews_of_a_job_at_once_are_one(
    connect: Connect, observer: Connection, level: IsolationLevel
) -> None:
    done = finish(observer)

    def work(conn: Connection, number: int) -> str:
        if number % 2:
            enqueue(conn, session_id=done.session_id)
        [answer] = reverify(conn, done.job_id)
        return str(answer.outcome)

    answers = at_once(connect, level, work)
    assert Counter(answers) == {"queued": 1, "already_queued": CLIENTS - 1}
    assert violations(observer) == []
