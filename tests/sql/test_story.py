"""timeline and why_waiting: what happened to a commit, and why it is not done yet."""

from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest
from psycopg.types.json import Jsonb

from tests.calls import add, amend, cancel, enqueue_many, finish, new, release, reverify
from tests.helpers import Connection, call, claim, complete, enqueue, let_time_pass, refused, sha

AMENDED = {"login": "postgres", "reason": "bug", "approver": "grace", "ticket": "T-1"}
STORY = [
    ("recorded", None, None, {"delivery_id": "d"}),
    ("enqueued", None, None, {"priority": 2, "lab_version": "1", "max_runs": 3}),
    ("claimed", 1, "one", {}),
    ("artifact_added", 1, None, {"name": "log", "kind": "LOG", "size_bytes": 3}),
    ("lease_lost", 1, "one", {}),
    ("claimed", 2, "two", {}),
    ("released", 2, "two", {"reason": "no disk"}),
    ("claimed", 3, "three", {}),
    ("completed", 3, "three", {"status": "FAILED"}),
    ("amended", None, "ada", {"status": "ERROR", **AMENDED}),
    ("review_queued", None, "ada", {"lab_version": "2", **AMENDED}),
    ("claimed", 4, "four", {}),
    ("review_completed", 4, "four", {"status": "PASSED"}),
    ("amended", None, "ada", {"status": "PASSED", "lab_version": "2", **AMENDED}),
    ("artifact_expired", 1, "postgres", {"name": "log"}),
    ("detail_expired", None, "postgres", {"kind": "ATTEMPT"}),
]
IDS = {"job_id", "attempt_id", "artifact_id", "review_id", "available_at", "truncated"}


def why(conn: Connection, job_id: int) -> tuple[str, dict[str, Any]]:
    [answer] = call(conn, "why_waiting", job_id=job_id)
    return answer.reason, answer.detail


def story(conn: Connection, commit_sha: str) -> list[Any]:
    events = call(conn, "timeline", commit_sha=commit_sha)
    assert [event.at for event in events] == sorted(event.at for event in events)
    return [
        (
            *(event.event, event.run_no, event.actor),
            {name: value for name, value in event.detail.items() if name not in IDS},
        )
        for event in events
    ]


def test_a_job_that_went_through_everything_reads_like_a_story(conn: Connection) -> None:
    session, commit = uuid4(), sha()
    first = enqueue(conn, session_id=session)
    push = {"session_id": session, "commit_sha": commit, "delivery_id": "d", "author": "Ada"}
    job_id = enqueue(conn, **push).job_id
    busy = {"job_id": first.job_id, "ahead": 1, "running": False}
    assert why(conn, job_id) == ("session_busy", busy)
    run = claim(conn)
    assert why(conn, job_id)[1]["running"] is True
    complete(conn, run)
    assert why(conn, job_id) == ("next", {"priority": 2})

    run = claim(conn, worker="one")
    add(conn, run)
    reason, detail = why(conn, job_id)
    assert (reason, detail["worker"], detail["run_no"]) == ("running", "one", 1)
    let_time_pass(conn, "10 minutes")
    assert why(conn, job_id)[0] == "lease_over"

    run = claim(conn, worker="two")
    release(conn, run, retry_after="1 hour")
    reason, detail = why(conn, job_id)
    assert (reason, detail["run_no"]) == ("delayed", 2)
    assert detail["available_at"]
    let_time_pass(conn, "1 hour")
    assert why(conn, job_id) == ("next", {"priority": 2})

    complete(conn, claim(conn, worker="three"), "FAILED")
    amend(conn, job_id, "ERROR")
    reason, detail = why(conn, job_id)
    assert (reason, detail["status"], detail["effective_status"]) == ("final", "FAILED", "ERROR")
    [review] = reverify(conn, job_id, lab_version="2")
    assert why(conn, job_id) == ("next", {"priority": 3, "review_id": review.review_id})
    complete(conn, claim(conn, worker="four"), "PASSED", summary=Jsonb(1))
    call(conn, "expire_artifacts", older_than="0", dry_run=False)
    call(conn, "expire_details", older_than="0", kinds=["ATTEMPT"], dry_run=False)

    assert story(conn, commit) == STORY


def test_a_delayed_job_says_until_when(conn: Connection) -> None:
    at = "2200-01-01"
    with refused("22023"), conn.transaction():
        enqueue(conn, available_at=at)
    [[tomorrow]] = conn.execute("select clock_timestamp() + interval '1 day'").fetchall()
    delayed = enqueue(conn, commit_sha=sha(7), available_at=tomorrow)
    assert why(conn, delayed.job_id)[0] == "delayed"
    [_, enqueued] = call(conn, "timeline", commit_sha=sha(7))
    assert datetime.fromisoformat(enqueued.detail["available_at"]) == tomorrow


@pytest.mark.parametrize("ended", ["cancelled", "runs_exhausted"])
def test_a_job_that_ended_without_a_worker_says_how(conn: Connection, ended: str) -> None:
    queued = enqueue(conn, commit_sha=sha(8), max_runs=1)
    last: Any
    if ended == "cancelled":
        cancel(conn, queued.job_id)
        last = ("cancelled", None, "ops", {"reason": "withdrawn", "login": "postgres"})
    else:
        release(conn, claim(conn))
        last = ("runs_exhausted", 1, None, {"reason": "no disk"})
    event, run_no, actor, detail = story(conn, sha(8))[-1]
    assert (event, run_no, actor, detail) == (*last[:3], {"status": "ERROR", **last[3]})


@pytest.mark.parametrize("ended", ["cancelled", "runs_exhausted"])
def test_a_review_that_ended_without_an_answer_says_how(conn: Connection, ended: str) -> None:
    run = finish(conn, commit_sha=sha(9), max_runs=1)
    reverify(conn, run.job_id)
    last: Any
    if ended == "cancelled":
        cancel(conn, run.job_id)
        last = ("review_cancelled", 1, "ops", {"reason": "withdrawn", "login": "postgres"})
    else:
        release(conn, claim(conn))
        last = ("review_runs_exhausted", 2, None, {"reason": "no disk"})
    assert story(conn, sha(9))[-1] == last


def test_behind_counts_what_is_claimable_before_it(conn: Connection) -> None:
    enqueue_many(conn, *new(1000))
    urgent, last = enqueue(conn, priority=1), enqueue(conn, priority=4)
    assert why(conn, urgent.job_id) == ("next", {"priority": 1})
    assert why(conn, last.job_id) == ("behind", {"ahead": 1000, "at_least": True, "priority": 4})
    call(conn, "claim", worker="w", max_jobs=11)
    assert why(conn, last.job_id) == ("behind", {"ahead": 990, "priority": 4})


def test_a_waiting_review_says_whom_it_waits_for(conn: Connection) -> None:
    session = uuid4()
    run = finish(conn, session_id=session)
    jobs = [enqueue(conn, session_id=session) for _ in range(2)]
    [review] = reverify(conn, run.job_id)
    assert why(conn, run.job_id) == (
        "session_busy",
        {"job_id": jobs[0].job_id, "ahead": 2, "running": False, "review_id": review.review_id},
    )


def test_an_unknown_job_and_an_unknown_commit(conn: Connection) -> None:
    with refused("P0002", "job_job_id_pkey"), conn.transaction():
        why(conn, 0)
    assert story(conn, sha()) == []
