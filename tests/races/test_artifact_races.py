"""Artifacts against whoever ends their run, and expiries against one another."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import pytest
from psycopg import IsolationLevel
from psycopg.types.json import Jsonb

from tests.calls import add, cancel, read, release, start
from tests.conftest import Connect
from tests.helpers import Connection, call, complete, refused, rows
from tests.races.rivals import LEVELS, background, level_name

NOW = {"older_than": "0", "dry_run": False}

pytestmark = pytest.mark.usefixtures("fresh_dsn")


def leave_log(conn: Connection) -> Any:
    """Verify a commit, its run leaving a log and a summary; return the log."""
    run = start(conn)
    artifact = add(conn, run)
    complete(conn, run, summary=Jsonb(1))
    return artifact


def end_by_cancel(conn: Connection, run: Any) -> None:
    cancel(conn, run.job_id)


@pytest.mark.parametrize(
    ("end", "sqlstate"), [(complete, "23V02"), (end_by_cancel, "23V02"), (release, "23V05")]
)
def test_an_artifact_that_waits_for_the_end_of_its_run_is_refused(
    connect: Connect, observer: Connection, end: Callable[[Connection, Any], None], sqlstate: str
) -> None:
    run = start(observer)
    ending, adding = connect(), connect(autocommit=True)
    end(ending, run)
    with background(adding, observer, lambda: add(adding, run)) as waiting:
        assert waiting.blockers() == [ending.info.backend_pid]
        ending.commit()
        with refused(sqlstate):
            waiting.result()
    assert rows(observer, "select from pgjobs.artifact") == []
    assert rows(observer, "select from pgjobs.body") == []


def test_bytes_whose_drop_is_undone_are_shared(connect: Connect, observer: Connection) -> None:
    old = leave_log(observer)
    run = start(observer)
    dropping, adding = connect(), connect(autocommit=True)
    call(dropping, "expire_artifacts", **NOW)
    with background(adding, observer, lambda: add(adding, run)) as waiting:
        assert waiting.blockers() == [dropping.info.backend_pid]
        dropping.rollback()
        new = waiting.result()
    assert len(rows(observer, "select from pgjobs.body")) == 1
    assert read(observer, old.artifact_id) == read(observer, new.artifact_id) == b"log"


def test_of_two_expiries_of_bodies_at_once_one_skips(
    connect: Connect, observer: Connection
) -> None:
    leave_log(observer)
    first = connect()
    assert call(first, "expire_artifacts", **NOW) == [(1, 1, 3, 0)]
    observer.execute("set lock_timeout = '10s'")
    assert call(observer, "expire_artifacts", **NOW) == [(0, 0, 0, 0)]
    first.rollback()
    assert call(observer, "expire_artifacts", **NOW) == [(1, 1, 3, 0)]


@pytest.mark.parametrize("undone", [False, True])
def test_of_two_expiries_of_details_at_once_one_drops_and_counts(
    connect: Connect, observer: Connection, undone: bool
) -> None:
    leave_log(observer)
    summaries = {**NOW, "kinds": ["SUMMARY"]}
    first, second = connect(), connect(autocommit=True)
    assert call(first, "expire_details", **summaries) == [("SUMMARY", 1, 0)]
    expire = partial(call, second, "expire_details", **summaries)
    with background(second, observer, expire) as waiting:
        assert waiting.blockers() == [first.info.backend_pid]
        (first.rollback if undone else first.commit)()
        assert waiting.result() == [("SUMMARY", int(undone), 0)]
    assert len(rows(observer, "select from pgjobs.expiry")) == 1


@pytest.mark.parametrize("level", LEVELS, ids=level_name)
def test_an_expiry_whose_snapshot_is_old_drops_nothing_that_a_newcomer_shares(
    connect: Connect, observer: Connection, level: IsolationLevel
) -> None:
    leave_log(observer)
    run = start(observer)
    dropping = connect()
    dropping.isolation_level = level
    dropping.execute("select")
    new = add(observer, run)
    told = nullcontext() if level is LEVELS[0] else refused("25000")
    with told, dropping.transaction():
        call(dropping, "expire_artifacts", **NOW)
    dropping.commit()
    assert read(observer, new.artifact_id) == b"log"
