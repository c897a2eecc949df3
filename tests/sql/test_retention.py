"""Retention at its edges: what is open, who expired it, and what the hash still decides."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from tests.helpers import Connection, call, claim, complete, enqueue, refused, rows, sha, traces
from tests.sql.test_add_artifact import add
from tests.sql.test_expire import bodies, expire, expire_details, finish
from tests.sql.test_reviews import reverify, review

PUSH = {"delivery_id": "d", "author": "Ada", "lab_version": "1"}
SUMMARY = Jsonb({"tests": 1})


def expiries(conn: Connection) -> list[Any]:
    query = "select kind, id, login, expired_at between now() and clock_timestamp() as is_now"
    return rows(conn, f"{query} from pgjobs.expiry order by kind")


def test_a_body_that_an_open_job_shares_stays(conn: Connection) -> None:
    finish(conn, b"shared", b"alone")
    enqueue(conn)
    running = claim(conn)
    add(conn, running, content=b"shared")
    assert expire(conn) == (1, 1, 5)
    assert bodies(conn) == [b"shared"]
    complete(conn, running)
    assert expire(conn) == (2, 1, 6)


def test_a_released_job_is_open(conn: Connection) -> None:
    enqueue(conn, payload=Jsonb(1), author="Ada")
    run = claim(conn)
    add(conn, run)
    call(conn, "release", job_id=run.job_id, lease_token=run.lease_token, reason="r")
    assert expire(conn) == (0, 0, 0)
    assert expire_details(conn) == {"ATTEMPT": 0, "PAYLOAD": 0, "SUMMARY": 0}


def test_a_review_that_waits_behind_another_job_is_open(conn: Connection) -> None:
    done = finish(conn, b"log", author="Ada", payload=Jsonb(1))
    in_front = enqueue(conn, session_id=done.session_id)
    reverify(conn, done.job_id)
    assert expire(conn) == (0, 0, 0)
    assert expire_details(conn) == {"ATTEMPT": 0, "PAYLOAD": 0, "SUMMARY": 0}
    assert claim(conn).job_id == in_front.job_id


def test_a_cancelled_job_and_a_cancelled_review_are_not_open(conn: Connection) -> None:
    enqueue(conn)
    run = claim(conn)
    add(conn, run)
    decision = {"job_id": run.job_id, "reason": "r", "actor": "a"}
    call(conn, "cancel", **decision)
    reverify(conn, run.job_id)
    assert expire(conn) == (0, 0, 0)
    call(conn, "cancel", **decision)
    assert expire(conn) == (1, 1, 3)


def test_an_expiry_names_what_it_dropped_and_the_login(conn: Connection) -> None:
    name = f"oncall_{uuid4().hex}"
    conn.execute(sql.SQL("create role {} in role pgjobs_operator").format(sql.Identifier(name)))
    run = finish(conn, b"log", author="Ada", payload=Jsonb(1))
    reverify(conn, run.job_id)
    complete(conn, claim(conn), summary=SUMMARY)
    [ids] = rows(
        conn,
        "select (select attempt_id from pgjobs.lab_attempt) as attempt,"
        " (select body_id from pgjobs.body) as body,"
        " (select review_id from pgjobs.review) as review",
    )
    conn.execute(sql.SQL("set local session authorization {}").format(sql.Identifier(name)))
    expire(conn)
    expire_details(conn)
    conn.execute("set local session authorization default")
    assert expiries(conn) == [
        ("ATTEMPT", ids.attempt, name, True),
        ("BODY", ids.body, name, True),
        ("PAYLOAD", run.job_id, name, True),
        ("REVIEW", ids.review, name, True),
        ("SUMMARY", run.job_id, name, True),
    ]


def test_a_dry_run_and_a_run_that_finds_nothing_write_nothing(conn: Connection) -> None:
    finish(conn, b"log", author="Ada", payload=Jsonb(1))
    before = traces(conn)
    call(conn, "expire_artifacts", older_than="0")
    call(conn, "expire_details", older_than="0")
    call(conn, "expire_artifacts", older_than="1 day", dry_run=False)
    call(conn, "expire_details", older_than="1 day", dry_run=False)
    assert traces(conn) == before


def test_the_summary_of_a_review_goes_and_its_hash_stays(conn: Connection) -> None:
    reverify(conn, finish(conn).job_id)
    complete(conn, claim(conn), summary=SUMMARY)
    query = "select xmin::text, * from pgjobs.review_result"
    before = rows(conn, query)
    assert review(conn).summary == {"tests": 1}
    assert expire_details(conn, kinds=["SUMMARY"]) == {"SUMMARY": 2}
    assert review(conn).summary is None
    assert rows(conn, query) == before
    assert before[0].summary_sha256 is not None


def test_details_go_up_to_max_rows_the_oldest_first(conn: Connection) -> None:
    runs = [finish(conn, author="Ada", payload=Jsonb(1)) for _ in range(3)]
    assert expire_details(conn, max_rows=2) == {"ATTEMPT": 2, "PAYLOAD": 2, "SUMMARY": 2}
    left = rows(conn, "select job_id from pgjobs.job_payload")
    assert left == rows(conn, "select job_id from pgjobs.verdict_summary")
    assert left == [(runs[-1].job_id,)]


def test_only_the_kinds_that_are_named_go(conn: Connection) -> None:
    finish(conn, author="Ada", payload=Jsonb(1))
    assert expire_details(conn, kinds=["PAYLOAD", "ATTEMPT"]) == {"ATTEMPT": 1, "PAYLOAD": 1}
    assert len(rows(conn, "select from pgjobs.verdict_summary")) == 1


@pytest.mark.parametrize("given", [{"payload": Jsonb({"url": "u"})}, {}], ids=["same", "none"])
def test_a_redelivery_of_what_is_gone_is_still_the_same_request(
    conn: Connection, given: dict[str, Any]
) -> None:
    run = finish(conn, **PUSH, payload=Jsonb({"url": "u"}))
    expire_details(conn)
    lane = {"session_id": run.session_id, "commit_sha": run.commit_sha}
    again = enqueue(conn, **PUSH, **lane, **given)
    assert (again.job_id, again.created) == (run.job_id, False)
    with refused("23V04") as caught:
        enqueue(conn, **PUSH, **lane, payload=Jsonb({"url": "other"}))
    assert caught.value.diag.column_name == "payload"


def test_a_delivery_whose_details_are_gone_is_still_of_its_commit(conn: Connection) -> None:
    run = finish(conn, **PUSH)
    expire_details(conn)
    with refused("23V04") as caught:
        enqueue(conn, **PUSH, session_id=run.session_id, commit_sha=sha())
    assert caught.value.diag.column_name == "commit_sha"


def test_a_verdict_is_replayed_by_the_hash_of_a_summary_that_is_gone(conn: Connection) -> None:
    run = finish(conn)
    expire_details(conn)
    assert complete(conn, run, summary=SUMMARY).replayed
    with refused("23V02"):
        complete(conn, run, summary=Jsonb({"tests": 2}))


def test_a_review_of_a_job_whose_payload_is_gone_runs_without_it(conn: Connection) -> None:
    done = finish(conn, payload=Jsonb(1))
    expire_details(conn)
    reverify(conn, done.job_id)
    assert claim(conn).payload is None
