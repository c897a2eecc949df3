"""The poll of docs/feed.md answers every verdict and amendment once, however late one commits."""

import re
from pathlib import Path
from typing import Any

import pytest

from forgea_pgjobs import embedded
from tests.calls import amend, complete_many, finish, start, start_many
from tests.conftest import Connect, Postgres
from tests.counts import buffers
from tests.helpers import Connection, complete, rows
from tests.runbook import Desk, steps

BEGIN, POLL = steps("A feed of verdicts")
FED = "select job_id, amendment_no, status from verdict_feed order by happened_at"


def typed(poll: str) -> str:
    """Return the poll without the minute for clocks, which would hide what is late."""
    assert "'1 minute'" in poll
    return poll.replace("'1 minute'", "'0 s'")


class Feed:
    """A host that polls, as the page says."""

    def __init__(self, pg: Postgres, folder: Path, dsn: str, conn: Connection) -> None:
        self.desk = Desk(pg.binaries or embedded.find_binaries(), folder, {"lab": dsn})
        self.conn = conn
        self.desk.do(BEGIN)

    def poll(self, times: int = 1) -> list[Any]:
        """Poll so many times and return all that has been answered so far."""
        for _ in range(times):
            self.desk.do(typed(POLL))
        return [tuple(row) for row in rows(self.conn, FED)]

    def since(self) -> str:
        [mark] = rows(self.conn, "select since::text from verdict_feed_mark")
        return str(mark.since)


@pytest.fixture
def feed(pg: Postgres, tmp_path: Path, fresh_dsn: str, connect: Connect) -> Feed:
    return Feed(pg, tmp_path, fresh_dsn, connect(autocommit=True))


def test_every_verdict_and_amendment_is_answered_once(feed: Feed) -> None:
    first, second = finish(feed.conn), finish(feed.conn, "FAILED")
    seen = [(first.job_id, 0, "PASSED"), (second.job_id, 0, "FAILED")]
    assert feed.poll() == seen
    amend(feed.conn, second.job_id, "ERROR")
    amend(feed.conn, second.job_id, "PASSED")
    seen += [(second.job_id, 1, "ERROR"), (second.job_id, 2, "PASSED")]
    assert feed.poll() == seen
    assert "(0 rows)" in feed.desk.do(POLL)
    assert feed.poll(times=3) == seen


@pytest.mark.parametrize("level", ["read committed", "repeatable read", "serializable"])
def test_a_verdict_that_is_committed_late_is_not_lost(
    level: str, feed: Feed, connect: Connect
) -> None:
    slow, judged = start(feed.conn), finish(feed.conn, "FAILED")
    late, amending = connect(), connect()
    late.execute(f"set transaction isolation level {level}".encode())
    complete(late, slow)
    amend(amending, judged.job_id, "PASSED")
    later = finish(feed.conn)
    assert feed.poll(times=4) == [(judged.job_id, 0, "FAILED"), (later.job_id, 0, "PASSED")]
    stopped_at = feed.since()
    finish(feed.conn)
    feed.poll(times=2)
    assert feed.since() == stopped_at

    late.commit()
    amending.commit()
    assert {(slow.job_id, 0, "PASSED"), (judged.job_id, 1, "PASSED")} <= set(feed.poll())
    assert len(feed.poll(times=3)) == 5
    assert feed.since() > stopped_at


@pytest.mark.parametrize("place", range(1, 4))
def test_a_verdict_that_is_committed_while_a_poll_is_under_way_is_not_lost(
    place: int, feed: Feed, connect: Connect
) -> None:
    late, poll = connect(), connect(autocommit=True)
    slow = start(feed.conn)
    complete(late, slow, "FAILED")
    assert feed.poll(times=2) == []
    _head, text = typed(POLL).split("\n", 1)
    since = ""
    for number, statement in enumerate(re.split(r";\n| \\gset\n", text)):
        if number == place:
            late.commit()
        answer = poll.execute(statement.replace(":'since'", f"'{since}'").encode())
        if number == 1:
            [[since]] = answer.fetchall()
    assert feed.poll(times=3) == [(slow.job_id, 0, "FAILED")]


def test_a_poll_reads_what_is_new(feed: Feed) -> None:
    for status in ("FAILED", "PASSED") * 2:
        complete_many(feed.conn, start_many(feed.conn, 1000), status)
    feed.conn.execute("vacuum analyze")
    [[since]] = rows(feed.conn, "select max(completed_at) from pgjobs.verdict")
    finish(feed.conn)
    [query] = re.findall(r"insert into verdict_feed\n(select.*?)on conflict", POLL, re.DOTALL)
    found, read = buffers(feed.conn, query.replace(":'since'", f"'{since}'"))
    assert (found, read < 20) == (1, True)
