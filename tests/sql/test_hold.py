"""A hold keeps all of a session until its own ticket lifts it; the locations of a host follow."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.types.json import Jsonb

from tests.calls import ELSEWHERE, ORDER, add, erase, hold, reverify, start
from tests.helpers import Connection, call, claim, complete, refused, rows, sha

NOW = {"older_than": "0", "dry_run": False}
KEPT = """
select
    (select count(*) from pgjobs.body) as bodies,
    (select count(*) from pgjobs.attempt_detail) as attempts,
    (select count(*) from pgjobs.job_payload) as payloads,
    (select count(*) from pgjobs.verdict_summary) as summaries,
    (select count(*) from pgjobs.review_summary) as reviews
"""
HOLDS = """
select ticket, reason, actor, login, held_at <= clock_timestamp(),
    lifted_at >= held_at as lifted, lift_reason, lift_actor, lift_login
from pgjobs.verification_hold order by held_at
"""


def lift(conn: Connection, session_id: UUID, **arguments: Any) -> Any:
    [answer] = call(conn, "lift_hold", **{"session_id": session_id, **ORDER, **arguments})
    return answer


def fill(conn: Connection, **arguments: Any) -> Any:
    """Leave a row of every kind that may go, and return the run."""
    run = start(conn, **{"author": "Ada", "payload": Jsonb(1), **arguments})
    add(conn, run)
    complete(conn, run, summary=Jsonb(2))
    reverify(conn, run.job_id)
    complete(conn, claim(conn), summary=Jsonb(3))
    return run


def expire_everything(conn: Connection) -> tuple[list[Any], list[Any]]:
    """Expire all that may go, and return what stays because it is held, of artifacts and details.

    A dry run must have said the same.
    """
    answers = []
    for function in ("expire_artifacts", "expire_details"):
        dry = call(conn, function, older_than="0")
        assert call(conn, function, **NOW) == dry
        answers.append([tuple(answer) for answer in dry])
    return answers[0], answers[1]


def test_a_held_session_survives_every_expiry_and_erasure(conn: Connection) -> None:
    held, other = fill(conn), fill(conn, author="Bob")
    call(conn, "record_attempt", session_id=held.session_id, commit_sha=sha(), author="Ada")
    hold(conn, held.session_id)
    # Their bytes are the same, and one of the two is held.
    assert expire_everything(conn) == (
        [(0, 0, 0, 1)],
        [("ATTEMPT", 1, 2), ("PAYLOAD", 1, 1), ("SUMMARY", 2, 2)],
    )
    for dry_run in (True, False):
        with refused("23V09", "hold_session_id_ticket_hold_no_pkey"), conn.transaction():
            erase(conn, held.session_id, dry_run=dry_run)
    assert rows(conn, KEPT) == [(1, 2, 1, 1, 1)]
    assert erase(conn, other.session_id)["ARTIFACT"] == 1
    assert rows(conn, KEPT) == [(1, 2, 1, 1, 1)]
    lift(conn, held.session_id)
    assert expire_everything(conn) == (
        [(2, 1, 3, 0)],
        [("ATTEMPT", 2, 0), ("PAYLOAD", 1, 0), ("SUMMARY", 2, 0)],
    )
    assert rows(conn, KEPT) == [(0, 0, 0, 0, 0)]


def test_a_young_or_open_job_is_not_counted_as_held(conn: Connection) -> None:
    run = fill(conn)
    hold(conn, run.session_id)
    assert call(conn, "expire_artifacts", older_than="1 minute") == [(0, 0, 0, 0)]
    reverify(conn, run.job_id)
    assert expire_everything(conn) == (
        [(0, 0, 0, 0)],
        [("ATTEMPT", 0, 0), ("PAYLOAD", 0, 0), ("SUMMARY", 0, 0)],
    )


def test_a_push_behind_a_hold_is_held(conn: Connection) -> None:
    session_id = uuid4()
    hold(conn, session_id)
    fill(conn, session_id=session_id)
    assert expire_everything(conn)[0] == [(0, 0, 0, 1)]


def test_a_hold_or_a_lift_said_again_changes_nothing(conn: Connection) -> None:
    session_id = uuid4()
    assert lift(conn, session_id) == (session_id, False, False)
    assert hold(conn, session_id) == (session_id, True, True)
    assert hold(conn, session_id, reason="again", actor="bob") == (session_id, True, False)
    assert lift(conn, session_id, reason="settled", actor="eve") == (session_id, False, True)
    assert lift(conn, session_id) == (session_id, False, False)
    assert hold(conn, session_id, reason="reopened") == (session_id, True, True)
    assert rows(conn, HOLDS) == [
        (*("T-1", "complaint", "ada", "postgres", True), True, "settled", "eve", "postgres"),
        (*("T-1", "reopened", "ada", "postgres", True), None, None, None, None),
    ]


def test_each_ticket_lifts_its_own_hold(conn: Connection) -> None:
    session_id, other = uuid4(), uuid4()
    hold(conn, session_id)
    hold(conn, session_id, ticket="T-2")
    hold(conn, other)
    assert lift(conn, session_id, ticket="T-3") == (session_id, True, False)
    assert lift(conn, session_id) == (session_id, True, True)
    with refused("23V09"), conn.transaction():
        erase(conn, session_id)
    assert lift(conn, session_id, ticket="T-2") == (session_id, False, True)
    assert set(erase(conn, session_id).values()) == {0}
    with refused("23V09"):
        erase(conn, other)


@pytest.mark.parametrize("function", ["hold", "lift_hold", "erase_session", "expire_locations"])
@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_no_call_of_retention_goes_by_an_old_snapshot(
    conn: Connection, function: str, level: str
) -> None:
    conn.execute(f"set transaction isolation level {level}".encode())
    said: dict[str, Any] = {"session_id": uuid4(), **ORDER}
    if function == "expire_locations":
        said = {"artifact_ids": [1], "reason": "r", "ticket": "t"}
    with refused("25000"):
        call(conn, function, **said)


def test_the_host_says_which_of_its_objects_are_gone(conn: Connection) -> None:
    run = start(conn)
    here, there = add(conn, run), add(conn, run, name="elsewhere", **ELSEWHERE)
    complete(conn, run)
    said = {"reason": "90 days", "ticket": "T-2"}
    asked = [there.artifact_id, here.artifact_id, 0, there.artifact_id]
    answer = [(1, "expired"), (2, "not_found"), (3, "not_found"), (4, "expired")]
    shown = "select expired_at from pgjobs.verification_artifact order by artifact_id"
    for _ in range(2):
        told = call(conn, "expire_locations", artifact_ids=asked, **said)
        assert [each.artifact_id for each in told] == asked
        assert [(each.ordinal, each.outcome) for each in told] == answer
        recorded = rows(conn, "select kind, id, login, actor, reason, ticket from pgjobs.expiry")
        assert recorded == [("ARTIFACT", there.artifact_id, "postgres", None, "90 days", "T-2")]
    [[not_gone], [gone]] = rows(conn, shown)
    assert (not_gone, gone is not None) == (None, True)
    with refused("23V08", "expiry_kind_id_pkey"):
        call(conn, "read_artifact", artifact_id=there.artifact_id)


def test_an_object_of_a_held_session_must_stay(conn: Connection) -> None:
    run = start(conn)
    there = add(conn, run, **ELSEWHERE)
    gone = add(conn, run, name="gone", **ELSEWHERE)
    said = {"reason": "90 days", "ticket": "T-2"}
    call(conn, "expire_locations", artifact_ids=[gone.artifact_id], **said)
    hold(conn, run.session_id)
    asked = [there.artifact_id, gone.artifact_id]
    told = call(conn, "expire_locations", artifact_ids=asked, **said)
    assert [each.outcome for each in told] == ["held", "expired"]
    assert len(rows(conn, "select from pgjobs.expiry")) == 1


def test_a_kind_of_artifact_has_an_age_of_its_own(conn: Connection) -> None:
    run = start(conn)
    for name, kind, content in (
        *(("log", "LOG", b"log"), ("diff", "DIFF", b"diff"), ("report", "REPORT", b"report")),
        *(("both", "LOG", b"both"), ("both too", "REPORT", b"both")),
    ):
        add(conn, run, name=name, kind=kind, content=content)
    complete(conn, run)
    said = {"reason": "90 days", "ticket": "T-2", "kinds": ["LOG", "DIFF"]}
    dry = call(conn, "expire_artifacts", older_than="0", **said)
    assert dry == call(conn, "expire_artifacts", **NOW, **said) == [(2, 2, 7, 0)]
    kept = rows(conn, "select content from pgjobs.body order by body_id")
    assert [each.content for each in kept] == [b"report", b"both"]
    assert set(rows(conn, "select kind, actor, reason, ticket from pgjobs.expiry")) == {
        ("BODY", None, "90 days", "T-2")
    }
    hold(conn, run.session_id)
    assert call(conn, "expire_artifacts", **NOW, kinds=["REPORT"]) == [(0, 0, 0, 2)]


def test_what_an_expiry_of_details_says_is_on_record(conn: Connection) -> None:
    run = fill(conn)
    call(conn, "expire_details", **NOW, reason="a year", ticket="T-2")
    recorded = rows(conn, "select kind, actor, reason, ticket from pgjobs.expiry order by kind")
    assert recorded == [
        (kind, None, "a year", "T-2") for kind in ("ATTEMPT", "PAYLOAD", "REVIEW", "SUMMARY")
    ]
    [[review_id]] = rows(conn, "select review_id from pgjobs.review")
    told = call(conn, "timeline", commit_sha=run.commit_sha)[-4:]
    assert {each.actor for each in told} == {"postgres"}
    assert [each.detail for each in told] == [
        {**what, "reason": "a year", "ticket": "T-2"}
        for what in (
            *({"kind": "ATTEMPT"}, {"kind": "PAYLOAD"}),
            *({"kind": "SUMMARY"}, {"kind": "SUMMARY", "review_id": review_id}),
        )
    ]
