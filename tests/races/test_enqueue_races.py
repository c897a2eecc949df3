"""P2, P7: callers who bring the same commit, or commits of the same session, at the same time."""

from functools import partial
from uuid import uuid4

import psycopg
import pytest
from psycopg import IsolationLevel

from tests.calls import enqueue_many, lease, start
from tests.conftest import Connect
from tests.counts import NOW
from tests.helpers import Connection, call, claim, complete, enqueue, job, refused, rows, sha
from tests.races.ledger import drain, open_places, violations
from tests.races.rivals import LEVELS, background, level_name

ABOVE = LEVELS[1:]


@pytest.mark.parametrize("level", LEVELS, ids=level_name)
@pytest.mark.parametrize("undo", ["rollback", "rollback to savepoint before", "kill"])
@pytest.mark.parametrize("elsewhere", [False, True])
def test_a10_when_the_first_inserter_rolls_back_the_waiting_one_creates(
    connect: Connect, observer: Connection, level: IsolationLevel, undo: str, elsewhere: bool
) -> None:
    request = {"session_id": uuid4(), "commit_sha": sha()}
    first, second = connect(), connect()
    first.execute("savepoint before")
    rival = enqueue(first, **{**request, **({"session_id": uuid4()} if elsewhere else {})})
    second.isolation_level = level
    with background(second, observer, lambda: enqueue(second, **request)) as waiting:
        assert waiting.blockers() == [first.info.backend_pid]
        if undo == "kill":
            observer.execute("select pg_terminate_backend(%s)", [first.info.backend_pid])
        else:
            first.execute(undo.encode())
        answer = waiting.result()
    second.commit()
    assert (answer.created, answer.status) == (True, "QUEUED")
    assert None not in answer
    assert rows(observer, "select from pgjobs.job where job_id = %(id)s", id=rival.job_id) == []
    assert violations(observer) == []


@pytest.mark.usefixtures("fresh_dsn")
@pytest.mark.parametrize("rolls_back", [True, False])
def test_p7_ids_rise_in_the_order_of_enqueuing_though_a_lane_came_and_went(
    connect: Connect, observer: Connection, rolls_back: bool
) -> None:
    session_id = uuid4()
    first, second = connect(), connect()
    enqueue(first, session_id=session_id)
    with background(second, observer, lambda: enqueue(second, session_id=session_id)) as waiting:
        assert waiting.blockers() == [first.info.backend_pid]
        latest = enqueue(first, session_id=session_id).job_id
        for _ in range(2):
            complete(first, claim(first))
        first.rollback() if rolls_back else first.commit()
        assert waiting.result().job_id > latest
    second.commit()
    assert violations(observer) == []


@pytest.mark.usefixtures("fresh_dsn")
@pytest.mark.parametrize("waits_for", ["a lane", "a commit"])
@pytest.mark.parametrize("batch", [False, True])
def test_what_waited_while_claims_went_on_is_claimed_at_once(
    connect: Connect, observer: Connection, waits_for: str, batch: bool
) -> None:
    slow, caller = connect(), connect()
    session_id, commit_sha = uuid4(), sha()
    enqueue(slow, session_id=session_id, commit_sha=commit_sha)
    session = session_id if waits_for == "a lane" else uuid4()
    commit = commit_sha if waits_for == "a commit" else sha()

    def ask() -> int:
        if not batch:
            return int(enqueue(caller, session_id=session, commit_sha=commit).job_id)
        [said] = enqueue_many(caller, (session, commit))
        return int(said.job_id)

    with background(caller, observer, ask) as waiting:
        assert waiting.blockers() == [slow.info.backend_pid]
        observer.execute("select setval('pgjobs.job_job_id_seq', 100000)")
        enqueue(observer)
        complete(observer, claim(observer))  # which raises the mark
        enqueue(observer)
        slow.rollback()
        job_id = waiting.result()
    caller.commit()
    observer.execute(f"select setval('pgjobs.swept_at', {NOW})".encode())
    assert job_id in [run.job_id for run in call(observer, "claim", worker="w", max_jobs=10)]


@pytest.mark.usefixtures("fresh_dsn")
def test_a_repeated_complete_waits_for_nobody(connect: Connect, observer: Connection) -> None:
    session_id = uuid4()
    run = start(observer, session_id=session_id)
    enqueue(observer, session_id=session_id)
    complete(observer, run)
    slow = connect()
    enqueue(slow, session_id=session_id)  # and stays open
    observer.execute("set lock_timeout = '1ms'")
    assert complete(observer, run).replayed


@pytest.mark.parametrize("level", ABOVE, ids=level_name)
def test_a_batch_on_a_lane_that_went_after_its_snapshot_has_one_head(
    connect: Connect, observer: Connection, level: IsolationLevel
) -> None:
    session_id = uuid4()
    enqueue(observer, session_id=session_id)
    caller = connect()
    caller.isolation_level = level
    caller.execute("select from pgjobs.lane")  # the snapshot has the lane
    complete(observer, claim(observer))
    said = enqueue_many(caller, (session_id, sha()), (session_id, sha()))
    caller.commit()
    assert [answer.created for answer in said] == [True, True]
    assert violations(observer) == []
    drain(observer)
    assert open_places(observer) == 0


def test_a_job_that_appears_between_two_looks_is_answered_with_its_attempt(
    connect: Connect, observer: Connection
) -> None:
    request = {"session_id": uuid4(), "commit_sha": sha()}
    rival, caller = connect(), connect()
    # Whoever looks for the commit's job waits here, whatever it has looked at before.
    rival.execute("lock table pgjobs.job in access exclusive mode")
    first = enqueue(rival, **request)
    with background(caller, observer, lambda: enqueue(caller, **request)) as waiting:
        assert waiting.blockers() == [rival.info.backend_pid]
        rival.commit()
        again = waiting.result()
    assert (again.job_id, again.attempt_id, again.created) == (*first[:2], False)


@pytest.mark.parametrize("level", ABOVE, ids=level_name)
def test_a09_an_old_snapshot_is_told_to_retry_and_then_finds_the_job(
    connect: Connect, observer: Connection, level: IsolationLevel
) -> None:
    request = {"session_id": uuid4(), "commit_sha": sha()}
    caller = connect()
    caller.isolation_level = level
    caller.execute("select")
    first = enqueue(observer, **request)
    with refused("40001"):
        enqueue(caller, **request)
    caller.rollback()
    again = enqueue(caller, **request)
    assert (again.job_id, again.attempt_id, again.created) == (*first[:2], False)


def test_l10_a_delivery_id_used_at_once_for_two_commits_makes_one_job(
    connect: Connect, observer: Connection
) -> None:
    request = {"session_id": uuid4(), "delivery_id": "delivery"}
    first, second = connect(), connect()
    enqueue(first, **request)
    with background(second, observer, lambda: enqueue(second, **request)) as waiting:
        assert waiting.blockers() == [first.info.backend_pid]
        first.commit()
        with refused("23V04", "lab_attempt_session_id_delivery_id_key"):
            waiting.result()
    second.rollback()
    query = "select from pgjobs.lab_attempt where session_id = %(id)s"
    assert len(rows(observer, query, id=request["session_id"])) == 1


def test_a13_a_squatted_session_costs_the_callers_own_timeout_and_then_a_retry(
    connect: Connect, observer: Connection
) -> None:
    request = {"session_id": uuid4(), "commit_sha": sha()}
    squatter, caller = connect(), connect()
    squatted = enqueue(squatter, **request)
    for timeout, sqlstate in (("lock_timeout", "55P03"), ("statement_timeout", "57014")):
        caller.execute(f"set local {timeout} = '1ms'".encode())
        with refused(sqlstate):
            enqueue(caller, **request)
        caller.rollback()
    squatter.commit()
    answer = enqueue(caller, **request)
    assert (answer.job_id, answer.created) == (squatted.job_id, False)


def test_p7_while_an_enqueue_is_open_the_head_is_claimable_and_its_lease_renewable(
    connect: Connect, observer: Connection
) -> None:
    drain(observer)
    session_id = uuid4()
    head = enqueue(observer, session_id=session_id, max_runs=1)
    squatter = connect()
    enqueue(squatter, session_id=session_id)
    observer.execute("set lock_timeout = '1ms'")
    run = claim(observer)
    assert run.job_id == head.job_id
    assert call(observer, "heartbeat", **lease(run))
    assert call(observer, "rescue") == []
    assert job(observer, head.job_id).status == "RUNNING"
    for function, arguments in {
        "complete": {**lease(run), "status": "PASSED"},
        "release": {**lease(run), "reason": "the last run"},
        "cancel": {"job_id": head.job_id, "reason": "why", "actor": "who"},
    }.items():
        with refused("55P03"):
            call(observer, function, **arguments)


@pytest.mark.parametrize("level", LEVELS, ids=level_name)
def test_a12_overlapping_unsorted_batches_never_deadlock(
    connect: Connect, observer: Connection, level: IsolationLevel
) -> None:
    sessions = [uuid4() for _ in range(10)]
    pairs = [(sessions[number % 10], sha()) for number in range(60)]
    batches = {"first": pairs[:40], "second": pairs[:19:-1]}
    first, second = connect(), connect()
    first.isolation_level = second.isolation_level = level
    answers = {"first": enqueue_many(first, *batches["first"])}
    again = partial(enqueue_many, second, *batches["second"])
    with background(second, observer, again) as waiting:
        assert waiting.blockers() == [first.info.backend_pid]
        first.commit()
        try:
            answers["second"] = waiting.result()
        except psycopg.errors.SerializationFailure:
            assert level != IsolationLevel.READ_COMMITTED
            second.rollback()
            answers["second"] = again()
    second.commit()
    for name, said in answers.items():
        assert [answer.ordinal for answer in said] == list(range(1, 41))
        shas = {answer.job_id: job(observer, answer.job_id).commit_sha for answer in said}
        assert [shas[answer.job_id] for answer in said] == [commit for _, commit in batches[name]]
    assert sum(answer.created for said in answers.values() for answer in said) == 60
    assert violations(observer, sessions) == []


@pytest.mark.parametrize("limit", [1, 3, 100])
@pytest.mark.parametrize("commits", [True, False])
def test_l17_the_last_place_is_taken_by_a_commit_and_left_by_a_rollback(
    connect: Connect, observer: Connection, commits: bool, limit: int
) -> None:
    session_id = uuid4()
    enqueue_many(observer, *((session_id, sha()) for _ in range(limit - 1)))
    first, second = connect(), connect()
    place = {"session_id": session_id, "max_open_jobs": limit}
    enqueue(first, **place)
    with background(second, observer, lambda: enqueue(second, **place)) as waiting:
        assert waiting.blockers() == [first.info.backend_pid]
        if commits:
            first.commit()
            with refused("54V01", "lane_open_jobs_check"):
                waiting.result()
        else:
            first.rollback()
            assert waiting.result().created
            second.commit()
    assert violations(observer, [session_id]) == []
