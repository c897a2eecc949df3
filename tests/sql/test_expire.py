"""Retention: bodies and details go when they are old, and the ledger says so for ever."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg.types.json import Jsonb

from tests.helpers import Connection, call, claim, complete, enqueue, refused, rows
from tests.sql.test_add_artifact import add, read

DECISION = {"reason": "r", "actor": "a", "approver": "b", "ticket": "t"}
DETAILS = {
    "ATTEMPT": ("attempt_detail", "attempt_id", "author"),
    "PAYLOAD": ("job_payload", "job_id", "payload"),
    "SUMMARY": ("verdict_summary", "job_id", "summary"),
    "REVIEW": ("review_summary", "review_id", "summary"),
    "BODY": ("body", "body_id", "content"),
}
HASHES = """
select attempt.detail_sha256, job.payload_sha256, verdict.summary_sha256
from pgjobs.lab_attempt as attempt
join pgjobs.job using (commit_sha) join pgjobs.verdict using (job_id)
"""


def expire(conn: Connection, older_than: str = "0", **arguments: Any) -> Any:
    """Expire for good, and see that a dry run has said the same before."""
    dry = call(conn, "expire_artifacts", older_than=older_than, **arguments)
    assert dry == call(conn, "expire_artifacts", older_than=older_than, **arguments)
    done = call(conn, "expire_artifacts", older_than=older_than, **arguments, dry_run=False)
    assert done == dry
    return done[0]


def expire_details(conn: Connection, **arguments: Any) -> dict[str, int]:
    dry = call(conn, "expire_details", **{"older_than": "0", **arguments})
    done = call(conn, "expire_details", **{"older_than": "0", **arguments}, dry_run=False)
    assert done == dry
    return dict(done)


def finish(conn: Connection, *contents: bytes, **arguments: Any) -> Any:
    """Verify a commit, its run leaving these contents, and return the run."""
    enqueue(conn, **arguments)
    run = claim(conn)
    for number, content in enumerate(contents):
        add(conn, run, name=f"{number}", content=content)
    complete(conn, run, summary=Jsonb({"tests": 1}))
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
    enqueue(conn)
    running = claim(conn)
    add(conn, running, content=b"open")
    done = finish(conn, b"judged again")
    call(conn, "reverify", job_ids=[done.job_id], **DECISION)
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
    call(conn, "reverify", job_ids=[run.job_id], **DECISION)
    assert expire_details(conn) == {"ATTEMPT": 0, "PAYLOAD": 0, "SUMMARY": 0}
    complete(conn, claim(conn), summary=Jsonb({"tests": 2}))
    [hashes] = rows(conn, HASHES)
    assert expire_details(conn, older_than="1 minute") == {
        "ATTEMPT": 0,
        "PAYLOAD": 0,
        "SUMMARY": 0,
    }
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
    again = enqueue(
        conn, session_id=run.session_id, commit_sha=run.commit_sha, **push,
        payload=Jsonb({"url": "u"}),
    )  # fmt: skip
    assert again.created is False


def test_details_of_open_jobs_stay_and_those_of_recorded_pushes_go(conn: Connection) -> None:
    enqueue(conn, author="Ada", payload=Jsonb(1))
    finish_me = claim(conn)
    call(conn, "record_attempt", session_id=finish_me.session_id, commit_sha="ab" * 20, author="B")
    assert expire_details(conn) == {"ATTEMPT": 1, "PAYLOAD": 0, "SUMMARY": 0}


@pytest.mark.parametrize("mode", ["origin", "replica"])
@pytest.mark.parametrize("role", ["pgjobs_owner", "none"])
@pytest.mark.parametrize("kind", DETAILS)
def test_a_row_goes_only_when_its_expiry_is_on_record(
    conn: Connection, kind: str, role: str, mode: str
) -> None:
    run = finish(conn, b"log", author="Ada", payload=Jsonb(1))
    call(conn, "reverify", job_ids=[run.job_id], **DECISION)
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
