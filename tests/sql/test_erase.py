"""What is personal of a session goes when told to, whatever its age; hashes and verdicts stay."""

from typing import Any
from uuid import uuid4

import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from tests.calls import ELSEWHERE, add, cancel, erase, read, reverify, start
from tests.counts import untouched
from tests.helpers import Connection, call, claim, complete, enqueue, refused, rows, sha
from tests.ledger_rows import TABLES

NONE = dict.fromkeys(("ARTIFACT", "ATTEMPT", "BODY", "PAYLOAD", "REVIEW", "SUMMARY"), 0)
WORD = "Lovelace"  # what the learner has left everywhere, as bytes too
FOUND = """
select exists (
    select from pgjobs.{} as row
    where row::text like '%%' || %(word)s || '%%' or row::text like '%%' || %(bytes)s || '%%'
)
"""
LEDGER = """
select jsonb_build_array(attempt, job, verdict, result, artifact) as said
from pgjobs.lab_attempt as attempt
join pgjobs.job using (session_id, commit_sha)
left join pgjobs.verdict using (job_id)
left join pgjobs.review_result as result using (job_id)
left join pgjobs.artifact using (job_id)
order by attempt.attempt_id, artifact.artifact_id
"""


def leave(conn: Connection, content: bytes = WORD.encode(), **arguments: Any) -> Any:
    """Push, verify and review a commit, the learner's name in all that may go; return the run."""
    push = {"author": WORD, "branch": f"{WORD}/main", "changed_files": [f"{WORD}.txt"]}
    run = start(conn, **push, payload=Jsonb({"url": WORD}), **arguments)
    add(conn, run, content=content)
    complete(conn, run, summary=Jsonb({"said": WORD}))
    reverify(conn, run.job_id)
    complete(conn, claim(conn), summary=Jsonb({"said": WORD}))
    return run


def tables_with(conn: Connection, word: str) -> set[str]:
    """Return the tables in which a text stands, as it is or as bytes."""
    values = {"word": word, "bytes": word.encode().hex()}
    found = set()
    for (name,) in rows(conn, TABLES):
        query = sql.SQL(FOUND).format(sql.Identifier(name))
        if conn.execute(query, values).fetchone() == (True,):
            found.add(name)
    return found


def test_no_text_of_the_learner_is_left_in_any_table_and_the_ledger_verifies(
    conn: Connection,
) -> None:
    run = leave(conn, delivery_id="d")
    pushed = {"session_id": run.session_id, "commit_sha": sha(), "author": WORD}
    call(conn, "record_attempt", **pushed)
    assert tables_with(conn, WORD) == {
        *("attempt_detail", "job_payload", "verdict_summary", "review_summary", "body")
    }
    before = rows(conn, LEDGER)
    went = {"ARTIFACT": 1, "ATTEMPT": 2, "BODY": 1, "PAYLOAD": 1, "REVIEW": 1, "SUMMARY": 1}
    assert erase(conn, run.session_id, dry_run=True) == went
    assert erase(conn, run.session_id) == went
    assert tables_with(conn, WORD) == set()
    assert rows(conn, LEDGER) == before
    assert [each for each in call(conn, "verify") if each.severity == "error"] == []
    assert erase(conn, run.session_id, dry_run=True) == NONE
    assert erase(conn, run.session_id) == NONE
    with refused("23V08"):
        read(conn, rows(conn, "select artifact_id from pgjobs.artifact")[0].artifact_id)


def test_who_erased_and_why_is_on_record(conn: Connection) -> None:
    run = leave(conn)
    erase(conn, run.session_id)
    recorded = rows(
        conn, "select kind, login, actor, reason, ticket from pgjobs.expiry order by kind"
    )
    assert recorded == [(kind, "postgres", "ada", "complaint", "T-1") for kind in NONE]
    [[review_id]] = rows(conn, "select review_id from pgjobs.review")
    told = call(conn, "timeline", commit_sha=run.commit_sha)[-5:]
    assert {each.actor for each in told} == {"ada"}
    assert [each.detail for each in told] == [
        {**what, "reason": "complaint", "ticket": "T-1"}
        for what in (
            *({"name": "log"}, {"kind": "ATTEMPT"}, {"kind": "PAYLOAD"}),
            *({"kind": "SUMMARY", "review_id": review_id}, {"kind": "SUMMARY"}),
        )
    ]


def test_bytes_that_another_session_shares_go_with_the_last_of_the_two(conn: Connection) -> None:
    first, second = leave(conn), leave(conn)
    one, two = rows(conn, "select artifact_id from pgjobs.artifact order by 1")
    went = {"ARTIFACT": 1, "ATTEMPT": 1, "PAYLOAD": 1, "REVIEW": 1, "SUMMARY": 1}
    assert erase(conn, first.session_id) == {**NONE, **went}
    assert erase(conn, first.session_id, dry_run=True) == NONE
    assert read(conn, two.artifact_id) == WORD.encode()
    with refused("23V08"), conn.transaction():
        read(conn, one.artifact_id)
    expired = "select expired_at is not null from pgjobs.verification_artifact order by artifact_id"
    assert rows(conn, expired) == [(True,), (False,)]
    assert erase(conn, second.session_id) == {**NONE, **went, "BODY": 1}
    assert tables_with(conn, WORD) == set()
    for run in (first, second):
        told = call(conn, "timeline", commit_sha=run.commit_sha)
        assert [each.event for each in told].count("artifact_expired") == 1


def test_what_comes_after_an_erasure_stays_until_the_next(conn: Connection) -> None:
    erased = leave(conn)
    erase(conn, erased.session_id)
    leave(conn, session_id=erased.session_id)
    assert tables_with(conn, WORD) != set()
    assert erase(conn, erased.session_id) == dict.fromkeys(NONE, 1)
    assert tables_with(conn, WORD) == set()


def test_an_erased_artifact_has_no_right_to_bytes_that_are_old(conn: Connection) -> None:
    erased, other = leave(conn), leave(conn)
    erase(conn, erased.session_id)
    # Even while its job is judged again.
    reverify(conn, erased.job_id)
    assert call(conn, "expire_artifacts", older_than="0", dry_run=False) == [(2, 1, 8, 0)]
    assert other.session_id != erased.session_id


def test_two_artifacts_of_the_session_with_the_same_bytes_go(conn: Connection) -> None:
    session_id = uuid4()
    for _ in range(2):
        leave(conn, session_id=session_id)
    assert erase(conn, session_id) == {**dict.fromkeys(NONE, 2), "BODY": 1}


def test_another_session_is_left_alone(conn: Connection) -> None:
    run = leave(conn)
    other = leave(conn, content=b"other")
    before = rows(conn, "select * from pgjobs.verification_attempt where author is not null")
    erase(conn, run.session_id)
    left = rows(conn, "select * from pgjobs.verification_attempt where author is not null")
    assert left == [each for each in before if each.session_id == other.session_id]
    assert erase(conn, uuid4()) == NONE


def test_the_object_at_a_location_is_the_hosts_to_delete(conn: Connection) -> None:
    run = start(conn)
    add(conn, run, **ELSEWHERE)
    complete(conn, run)
    assert erase(conn, run.session_id) == NONE
    assert rows(conn, "select expired_at from pgjobs.verification_artifact") == [(None,)]


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_session_with_open_jobs_is_not_erased(conn: Connection, dry_run: bool) -> None:
    run = leave(conn)
    waiting = enqueue(conn, session_id=run.session_id)
    for _queued_running_and_judged_again in range(3):
        with refused("55V02", "lane_session_id_pkey"), conn.transaction():
            erase(conn, run.session_id, dry_run=dry_run)
        if rows(conn, "select from pgjobs.ready"):
            claim(conn)
        else:
            cancel(conn, waiting.job_id)
            assert set(erase(conn, run.session_id, dry_run=True).values()) == {1}
            reverify(conn, run.job_id)


def test_a_dry_run_and_a_second_call_write_nothing(conn: Connection) -> None:
    run = leave(conn)
    with untouched(conn):
        erase(conn, run.session_id, dry_run=True)
    erase(conn, run.session_id)
    with untouched(conn):
        erase(conn, run.session_id)


def test_a_redelivery_to_an_erased_session_is_still_the_same_request(conn: Connection) -> None:
    run = leave(conn, delivery_id="d")
    erase(conn, run.session_id)
    same = {"session_id": run.session_id, "commit_sha": run.commit_sha, "delivery_id": "d"}
    assert enqueue(conn, **same, author=WORD, payload=Jsonb({"url": WORD})).created is False
    assert tables_with(conn, WORD) == set()
