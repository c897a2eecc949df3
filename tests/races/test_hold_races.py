"""A hold against whatever would drop what it keeps, and erasures against one another."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from psycopg import IsolationLevel

from tests.calls import ELSEWHERE, add, erase, hold, read, start
from tests.conftest import Connect
from tests.helpers import Connection, call, complete, refused, rows
from tests.races.rivals import at_once, background

pytestmark = pytest.mark.usefixtures("fresh_dsn")
NOW = {"older_than": "0", "dry_run": False}
SAID = {"reason": "90 days", "ticket": "T-2"}


def leave(conn: Connection, name: str = "log") -> Any:
    """Verify a commit by Ada, whose run leaves bytes here and an object elsewhere."""
    run = start(conn, author="Ada")
    add(conn, run, name=name)
    add(conn, run, name="elsewhere", **ELSEWHERE)
    complete(conn, run)
    return run


def expire_artifacts(conn: Connection, _session_id: Any) -> int:
    [answer] = call(conn, "expire_artifacts", **NOW)
    return int(answer.bodies)


def expire_details(conn: Connection, _session_id: Any) -> int:
    return sum(answer.details for answer in call(conn, "expire_details", **NOW))


def expire_locations(conn: Connection, _session_id: Any) -> int:
    query = "select artifact_id from pgjobs.artifact where location is not null"
    ids = [artifact_id for (artifact_id,) in rows(conn, query)]
    told = call(conn, "expire_locations", artifact_ids=ids, **SAID)
    return sum(each.outcome == "expired" for each in told)


def erase_attempt(conn: Connection, session_id: Any) -> int:
    return erase(conn, session_id)["ATTEMPT"]


Drop = Callable[[Connection, Any], int]
DROPS = [expire_artifacts, expire_details, expire_locations, erase_attempt]


@pytest.mark.parametrize("committed", [True, False])
@pytest.mark.parametrize("drop", DROPS)
def test_after_the_commit_of_a_hold_nothing_goes(
    connect: Connect, observer: Connection, drop: Drop, committed: bool
) -> None:
    """Who would drop something waits for a hold that is not committed yet, and then knows of it."""
    run = leave(observer)
    holding, dropping = connect(), connect(autocommit=True)
    hold(holding, run.session_id)
    with background(dropping, observer, partial(drop, dropping, run.session_id)) as waiting:
        assert waiting.blockers() == [holding.info.backend_pid]
        (holding.commit if committed else holding.rollback)()
        if committed and drop is erase_attempt:
            with refused("23V09"):
                waiting.result()
        else:
            assert waiting.result() == int(not committed)
    assert bool(rows(observer, "select from pgjobs.expiry")) is not committed


@pytest.mark.parametrize("committed", [True, False])
@pytest.mark.parametrize("drop", DROPS)
def test_a_hold_waits_for_what_is_being_dropped(
    connect: Connect, observer: Connection, drop: Drop, committed: bool
) -> None:
    run = leave(observer)
    dropping, holding = connect(), connect(autocommit=True)
    assert drop(dropping, run.session_id) == 1
    with background(holding, observer, partial(hold, holding, run.session_id)) as waiting:
        assert waiting.blockers() == [dropping.info.backend_pid]
        (dropping.commit if committed else dropping.rollback)()
        assert waiting.result() == (run.session_id, True, True)
    assert bool(rows(observer, "select from pgjobs.expiry")) is committed
    if not committed and drop is not erase_attempt:
        assert drop(observer, run.session_id) == 0


def test_a_ticket_holds_a_session_once(connect: Connect, observer: Connection) -> None:
    session_id = leave(observer).session_id
    answers = at_once(
        connect, IsolationLevel.READ_COMMITTED, lambda conn, _: hold(conn, session_id)
    )
    assert Counter(answers) == {(session_id, True, True): 1, (session_id, True, False): 7}
    assert len(rows(observer, "select from pgjobs.hold")) == 1


def test_of_two_erasures_that_share_bytes_the_second_drops_them(
    connect: Connect, observer: Connection
) -> None:
    one, two = leave(observer), leave(observer)
    first, second = connect(), connect(autocommit=True)
    assert erase(first, one.session_id)["BODY"] == 0
    with background(second, observer, partial(erase, second, two.session_id)) as waiting:
        assert waiting.blockers() == [first.info.backend_pid]
        first.commit()
        assert waiting.result()["BODY"] == 1
    assert rows(observer, "select from pgjobs.body") == []


def test_of_two_erasures_of_a_session_one_drops_and_counts(
    connect: Connect, observer: Connection
) -> None:
    run = leave(observer)
    first, second = connect(), connect(autocommit=True)
    assert erase(first, run.session_id)["ATTEMPT"] == 1
    with background(second, observer, partial(erase, second, run.session_id)) as waiting:
        assert waiting.blockers() == [first.info.backend_pid]
        first.commit()
        assert set(waiting.result().values()) == {0}


@pytest.mark.parametrize("first", ["newcomer", "erasure"])
def test_a_newcomer_keeps_or_stores_anew_the_bytes_that_are_erased(
    connect: Connect, observer: Connection, first: str
) -> None:
    run = leave(observer)
    running = start(observer)
    adding, erasing = connect(), connect()
    acts: dict[str, tuple[Connection, Callable[[], Any]]] = {
        "newcomer": (adding, partial(add, adding, running)),
        "erasure": (erasing, partial(erase, erasing, run.session_id)),
    }
    ahead, act = acts.pop(first)
    [(behind, wait)] = acts.values()
    act()
    with background(behind, observer, wait) as waiting:
        assert waiting.blockers() == [ahead.info.backend_pid]
        ahead.commit()
        waiting.result()
    behind.commit()
    [[new]] = rows(observer, "select max(artifact_id) from pgjobs.artifact")
    assert read(observer, new) == b"log"
    with refused("23V08"):
        read(observer, 1)
