"""Retention: bodies and details go when they are old, and the ledger says so for ever.

What is open stays; what is gone still decides by its hash whether a request is the same.
"""

from typing import Any
from uuid import uuid4

import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from tests.calls import add, cancel, read, release, reverify, start
from tests.counts import untouched
from tests.helpers import Connection, call, claim, complete, enqueue, refused, rows, sha

DETAILS = {
    "ATTEMPT": ("attempt_detail", "attempt_id", "author"),
    "PAYLOAD": ("job_payload", "job_id", "payload"),
    "SUMMARY": ("verdict_summary", "job_id", "summary"),
    "REVIEW": ("review_summary", "review_id", "summary"),
    "BODY": ("body", "body_id", "content"),
}
PUSH = {"delivery_id": "d", "author": "Ada", "lab_version": "1"}
NONE = {"ATTEMPT": 0, "PAYLOAD": 0, "SUMMARY": 0}
SUMMARY = Jsonb({"tests": 1})
SHOWN = "select summary from pgjobs.verification_review"
HASHES = """
select attempt.detail_sha256, job.payload_sha256, verdict.summary_sha256
from pgjobs.lab_attempt as attempt
join pgjobs.job using (commit_sha) join pgjobs.verdict using (job_id)
"""


def expire(conn: Connection, older_than: str = "0", **arguments: Any) -> Any:
    """Expire for good what no hold keeps, and see that a dry run has said the same before."""
    dry = call(conn, "expire_artifacts", older_than=older_than, **arguments)
    assert dry == call(conn, "expire_artifacts", older_than=older_than, **arguments)
    done = call(conn, "expire_artifacts", older_than=older_than, **arguments, dry_run=False)
    assert done == dry
    assert done[0].held == 0
    return done[0][:3]


def expire_details(conn: Connection, **arguments: Any) -> dict[str, int]:
    dry = call(conn, "expire_details", **{"older_than": "0", **arguments})
    done = call(conn, "expire_details", **{"older_than": "0", **arguments}, dry_run=False)
    assert done == dry
    return {each.kind: each.details for each in done if each.held == 0}


def finish(conn: Connection, *contents: bytes, **arguments: Any) -> Any:
    """Verify a commit, its run leaving these contents, and return the run."""
    run = start(conn, **arguments)
    for number, content in enumerate(contents):
        add(conn, run, name=f"{number}", content=content)
    complete(conn, run, summary=SUMMARY)
    return run


def artifacts(conn: Connection) -> list[Any]:
    return rows(conn, "select xmin::text, * from pgjobs.artifact order by artifact_id")


def bodies(conn: Connection) -> list[bytes]:
    found = rows(conn, "select content, sha256(content) = sha256 as agrees from pgjobs.body")
    assert all(body.agrees for body in found)
    return sorted(body.content for body in found)


def test_old_bodies_go_and_their_artifacts_stay_as_they_were(conn: Connection) -> None:
    finish(conn, b"one", b"two")
    finish(conn, b"two")
    before = artifacts(conn)
    assert expire(conn) == (3, 2, 6)
    assert artifacts(conn) == before
    assert bodies(conn) == []
    assert expire(conn) == (0, 0, 0)
    shown = rows(conn, "select * from pgjobs.verification_artifact")
    assert all(each.expired_at and each.sha256 and each.size_bytes == 3 for each in shown)
    for each in shown:
        with refused("23V08", "expiry_kind_id_pkey"), conn.transaction():
            read(conn, each.artifact_id)
    recorded = rows(conn, "select kind, login, expired_at <= clock_timestamp() from pgjobs.expiry")
    assert recorded == [("BODY", "postgres", True)] * 2


def test_young_bodies_stay(conn: Connection) -> None:
    finish(conn, b"one")
    assert expire(conn, "1 minute") == (0, 0, 0)
    assert bodies(conn) == [b"one"]


def test_bodies_of_open_jobs_and_of_open_reviews_stay(conn: Connection) -> None:
    running = start(conn)
    add(conn, running, content=b"open")
    done = finish(conn, b"judged again")
    reverify(conn, done.job_id)
    assert expire(conn) == (0, 0, 0)
    complete(conn, running)
    assert expire(conn) == (1, 1, 4)
    complete(conn, claim(conn))
    assert expire(conn) == (1, 1, 12)


def test_a_body_that_a_younger_artifact_shares_stays(conn: Connection) -> None:
    finish(conn, b"shared", b"alone")
    conn.execute("alter table pgjobs.artifact disable trigger all")
    conn.execute("alter table pgjobs.body disable trigger all")
    conn.execute("update pgjobs.body set created_at = created_at - interval '91 days'")
    conn.execute("update pgjobs.artifact set created_at = created_at - interval '91 days'")
    finish(conn, b"shared")
    assert expire(conn, "90 days") == (1, 1, 5)
    assert bodies(conn) == [b"shared"]


def test_bytes_that_come_again_are_another_body(conn: Connection) -> None:
    finish(conn, b"log")
    expire(conn)
    finish(conn, b"log")
    old, new = rows(conn, "select * from pgjobs.verification_artifact order by artifact_id")
    assert (bool(old.expired_at), new.expired_at) == (True, None)
    assert read(conn, new.artifact_id) == b"log"
    with refused("23V01", "body_append_only"), conn.transaction():
        conn.execute("delete from pgjobs.body")
    with refused("23V08"):
        read(conn, old.artifact_id)


def test_a_call_drops_no_more_than_max_rows_the_oldest_first(conn: Connection) -> None:
    finish(conn, *(f"{number}".encode() for number in range(5)))
    assert expire(conn, max_rows=2) == (2, 2, 2)
    assert bodies(conn) == [b"2", b"3", b"4"]
    assert expire(conn, max_rows=10_000) == (3, 3, 3)


def test_details_go_and_their_hashes_stay(conn: Connection) -> None:
    push = {"author": "Ada", "branch": "main", "changed_files": ["a"], "delivery_id": "d"}
    run = finish(conn, **push, payload=Jsonb({"url": "u"}))
    reverify(conn, run.job_id)
    assert expire_details(conn) == NONE
    complete(conn, claim(conn), summary=Jsonb({"tests": 2}))
    [hashes] = rows(conn, HASHES)
    assert expire_details(conn, older_than="1 minute") == NONE
    for _ in range(2):
        assert expire_details(conn, kinds=["SUMMARY"], max_rows=1) == {"SUMMARY": 1}
    assert expire_details(conn) == {"ATTEMPT": 1, "PAYLOAD": 1, "SUMMARY": 0}
    assert None not in hashes
    assert rows(conn, HASHES) == [hashes]
    [shown] = rows(
        conn,
        "select job.payload, job.summary, attempt.author, attempt.branch, attempt.changed_files"
        " from pgjobs.verification_job as job join pgjobs.verification_attempt as attempt"
        " using (attempt_id)",
    )
    assert shown == (None,) * 5
    # A redelivery is still the same request; what has expired is not compared.
    same = {"session_id": run.session_id, "commit_sha": run.commit_sha, **push}
    assert enqueue(conn, **same, payload=Jsonb({"url": "u"})).created is False


def test_details_of_open_jobs_stay_and_those_of_recorded_pushes_go(conn: Connection) -> None:
    finish_me = start(conn, author="Ada", payload=Jsonb(1))
    call(conn, "record_attempt", session_id=finish_me.session_id, commit_sha="ab" * 20, author="B")
    assert expire_details(conn) == {"ATTEMPT": 1, "PAYLOAD": 0, "SUMMARY": 0}


def expiries(conn: Connection) -> list[Any]:
    query = "select kind, id, login, expired_at between now() and clock_timestamp() as is_now"
    return rows(conn, f"{query} from pgjobs.expiry order by kind")


def test_a_body_that_an_open_job_shares_stays(conn: Connection) -> None:
    finish(conn, b"shared", b"alone")
    running = start(conn)
    add(conn, running, content=b"shared")
    assert expire(conn) == (1, 1, 5)
    assert bodies(conn) == [b"shared"]
    complete(conn, running)
    assert expire(conn) == (2, 1, 6)


def test_a_released_job_is_open(conn: Connection) -> None:
    run = start(conn, payload=Jsonb(1), author="Ada")
    add(conn, run)
    release(conn, run)
    assert expire(conn) == (0, 0, 0)
    assert expire_details(conn) == NONE


def test_a_review_that_waits_behind_another_job_is_open(conn: Connection) -> None:
    done = finish(conn, b"log", author="Ada", payload=Jsonb(1))
    in_front = enqueue(conn, session_id=done.session_id)
    reverify(conn, done.job_id)
    assert expire(conn) == (0, 0, 0)
    assert expire_details(conn) == NONE
    assert claim(conn).job_id == in_front.job_id


def test_a_cancelled_job_and_a_cancelled_review_are_not_open(conn: Connection) -> None:
    run = start(conn)
    add(conn, run)
    cancel(conn, run.job_id)
    reverify(conn, run.job_id)
    assert expire(conn) == (0, 0, 0)
    cancel(conn, run.job_id)
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
    with untouched(conn):
        call(conn, "expire_artifacts", older_than="0")
        call(conn, "expire_details", older_than="0")
        call(conn, "expire_artifacts", older_than="1 day", dry_run=False)
        call(conn, "expire_details", older_than="1 day", dry_run=False)


def test_the_summary_of_a_review_goes_and_its_hash_stays(conn: Connection) -> None:
    reverify(conn, finish(conn).job_id)
    complete(conn, claim(conn), summary=SUMMARY)
    query = "select xmin::text, * from pgjobs.review_result"
    before = rows(conn, query)
    assert rows(conn, SHOWN) == [({"tests": 1},)]
    assert expire_details(conn, kinds=["SUMMARY"]) == {"SUMMARY": 2}
    assert rows(conn, SHOWN) == [(None,)]
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


@pytest.mark.parametrize("mode", ["origin", "replica"])
@pytest.mark.parametrize("role", ["pgjobs_owner", "none"])
@pytest.mark.parametrize("kind", DETAILS)
def test_a_row_goes_only_when_its_expiry_is_on_record(
    conn: Connection, kind: str, role: str, mode: str
) -> None:
    run = finish(conn, b"log", author="Ada", payload=Jsonb(1))
    reverify(conn, run.job_id)
    complete(conn, claim(conn), summary=Jsonb(1))
    table, key, column = DETAILS[kind]
    conn.execute(f"set local session_replication_role = {mode}".encode())
    conn.execute(f"set local role {role}".encode())
    delete = f"delete from pgjobs.{table}".encode()
    insert = f"insert into pgjobs.expiry select {key} + %s, now(), %s, '-' from pgjobs.{table}"
    for other in set(DETAILS) - {kind}:
        conn.execute(insert.encode(), [0, other])
    conn.execute(insert.encode(), [1, kind])
    with refused("23V01", f"{table}_append_only"), conn.transaction():
        conn.execute(delete)
    conn.execute(insert.encode(), [0, kind])
    with refused("23V01", f"{table}_append_only"), conn.transaction():
        conn.execute(f"update pgjobs.{table} set {column} = {column}".encode())
    with refused("23V01", f"{table}_no_truncate"), conn.transaction():
        conn.execute(f"truncate pgjobs.{table}".encode())
    assert conn.execute(delete).rowcount == 1
