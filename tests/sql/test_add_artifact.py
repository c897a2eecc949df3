"""Artifacts: the evidence of a run, recorded once under its lease, its equal bytes kept once."""

import hashlib
from typing import Any
from uuid import UUID

import pytest

from tests.calls import ELSEWHERE, add, read, reverify
from tests.counts import untouched
from tests.helpers import Connection, call, claim, complete, enqueue, let_time_pass, refused, rows

NAME_KEY = "artifact_job_id_run_no_name_key"
MOST = bytes(1_048_576)
CUT = {"truncated": True}
HASH = "original_sha256"


def test_a_content_is_hashed_measured_and_kept(conn: Connection, run: Any) -> None:
    digest = hashlib.sha256(b"log").digest()
    answer = add(conn, run, media_type="text/plain", truncated=True)
    assert answer == (answer.artifact_id, digest, 3, True)
    assert read(conn, answer.artifact_id) == b"log"
    [shown] = rows(conn, "select * from pgjobs.verification_artifact")
    assert shown.created_at
    assert shown._replace(created_at=None) == (
        *(answer.artifact_id, run.job_id, 1, "LOG", "log", digest, 3),
        *("text/plain", None, True, None, None, None, None),
    )


@pytest.mark.parametrize("artifact", [{}, ELSEWHERE], ids=["here", "elsewhere"])
def test_what_was_cut_keeps_the_size_and_hash_it_had(
    conn: Connection, run: Any, artifact: dict[str, Any]
) -> None:
    original = {"truncated": True, "original_size_bytes": 2**40, "original_sha256": b"o" * 32}
    assert add(conn, run, **artifact, **original).created
    assert not add(conn, run, **artifact, **original).created
    shown = "select original_size_bytes, original_sha256 from pgjobs.verification_artifact"
    assert rows(conn, shown) == [(2**40, b"o" * 32)]
    assert add(conn, run, name="size", truncated=True, original_size_bytes=3).created


@pytest.mark.parametrize(
    ("argument", "value"),
    [("original_size_bytes", 2), ("original_size_bytes", -1), ("original_sha256", b"o" * 31)],
)
def test_an_original_is_no_smaller_than_what_is_stored(
    conn: Connection, run: Any, argument: str, value: Any
) -> None:
    for artifact in ({}, {**ELSEWHERE, "size_bytes": 3}):
        with refused("22023", f"add_artifact_{argument}_check"), conn.transaction():
            add(conn, run, **artifact, truncated=True, **{argument: value})


def test_a_location_is_recorded_with_the_hash_and_size_it_was_given(
    conn: Connection, run: Any
) -> None:
    answer = add(conn, run, **ELSEWHERE)
    assert answer == (answer.artifact_id, b"h" * 32, 7, True)
    assert read(conn, answer.artifact_id) is None
    [shown] = rows(conn, "select location, media_type from pgjobs.verification_artifact")
    assert shown == ("s3://lab/log", "application/octet-stream")
    assert rows(conn, "select from pgjobs.body") == []


@pytest.mark.parametrize("artifact", [{}, {"content": b""}, ELSEWHERE], ids=["", "empty", "away"])
def test_the_same_call_again_writes_nothing(
    conn: Connection, run: Any, artifact: dict[str, Any]
) -> None:
    first = add(conn, run, **artifact)
    with untouched(conn):
        assert add(conn, run, **artifact) == first._replace(created=False)
        assert add(conn, run, **artifact, media_type="application/octet-stream").created is False


@pytest.mark.parametrize(
    ("first", "then", "differing"),
    [
        ({}, {"content": b"loG"}, "sha256"),
        ({}, ELSEWHERE, "sha256"),
        (ELSEWHERE, {**ELSEWHERE, "size_bytes": 8}, "size_bytes"),
        (ELSEWHERE, {**ELSEWHERE, "location": "s3://lab/other"}, "location"),
        ({}, {"kind": "REPORT"}, "kind"),
        ({}, {"media_type": "text/plain"}, "media_type"),
        ({}, {"truncated": True}, "truncated"),
        (CUT, {**CUT, "original_size_bytes": 9}, "original_size_bytes"),
        ({**CUT, "original_size_bytes": 9}, CUT, "original_size_bytes"),
        ({**CUT, "original_sha256": b"o" * 32}, CUT, "original_sha256"),
        ({**CUT, "original_sha256": b"o" * 32}, {**CUT, "original_sha256": b"p" * 32}, HASH),
    ],
)
def test_the_name_of_another_artifact_of_the_run_is_refused(
    conn: Connection, run: Any, first: dict[str, Any], then: dict[str, Any], differing: str
) -> None:
    add(conn, run, **first)
    with untouched(conn), refused("23V06", NAME_KEY) as caught, conn.transaction():
        add(conn, run, **then)
    assert caught.value.diag.column_name == differing


def test_without_the_lease_nothing_is_recorded(conn: Connection, run: Any) -> None:
    with untouched(conn):
        with refused("23V05", "lease_session_id_pkey"), conn.transaction():
            add(conn, run._replace(lease_token=UUID(int=1)))
        with refused("P0002", "job_job_id_pkey"), conn.transaction():
            add(conn, run._replace(job_id=0))
    complete(conn, run)
    with refused("23V02", "verdict_job_id_pkey"):
        add(conn, run)


def test_what_a_lost_run_left_stays_under_it(conn: Connection, run: Any) -> None:
    add(conn, run)
    let_time_pass(conn, "10 minutes")
    again = claim(conn)
    with refused("23V05"), conn.transaction():
        add(conn, run, name="late")
    assert add(conn, again, content=b"another").created
    found = rows(conn, "select run_no, size_bytes from pgjobs.verification_artifact order by 1")
    assert found == [(1, 3), (2, 7)]


def test_a_run_has_a_hundred_artifacts_at_most(conn: Connection, run: Any) -> None:
    for number in range(100):
        add(conn, run, name=f"{number}", **ELSEWHERE)
    with refused("22023", "add_artifact_name_check"), conn.transaction():
        add(conn, run, name="100", **ELSEWHERE)
    assert add(conn, run, name="99", **ELSEWHERE).created is False


def test_a_run_has_16_mib_of_content_at_most(conn: Connection, run: Any) -> None:
    most = bytes(1_048_576)
    for number in range(15):
        add(conn, run, name=f"{number}", content=most)
    add(conn, run, name="15", content=most[1:])
    with refused("22023", "add_artifact_content_check"), conn.transaction():
        add(conn, run, name="16", content=b"ab")
    add(conn, run, name="16", content=b"a")
    add(conn, run, name="17", content=b"")
    assert add(conn, run, name="18", **ELSEWHERE).created


@pytest.mark.parametrize(
    ("artifact", "argument"),
    [
        ({"content": None}, "content"),
        ({"content": b"log", "location": "s3://lab/log"}, "content"),
        ({**ELSEWHERE, "location": ""}, "location"),
        ({**ELSEWHERE, "location": "x" * 1025}, "location"),
        ({**ELSEWHERE, "location": "s3://lab/a b"}, "location"),
        ({**ELSEWHERE, "location": "s3://lab/\u0085"}, "location"),
        ({**ELSEWHERE, "sha256": b"h" * 31}, "sha256"),
        ({**ELSEWHERE, "size_bytes": -1}, "size_bytes"),
    ],
)
def test_what_is_neither_a_content_nor_a_location_is_refused(
    conn: Connection, run: Any, artifact: dict[str, Any], argument: str
) -> None:
    with refused("22023", f"add_artifact_{argument}_check"):
        add(conn, run, **artifact)


@pytest.mark.parametrize("missing", ["sha256", "size_bytes"])
def test_a_location_needs_hash_and_size(conn: Connection, run: Any, missing: str) -> None:
    with refused("22004", f"add_artifact_{missing}_check"):
        add(conn, run, **{**ELSEWHERE, missing: None})


def test_equal_bytes_of_a_thousand_artifacts_are_stored_once(conn: Connection) -> None:
    for _ in range(10):
        enqueue(conn)
    for each in call(conn, "claim", worker="w", max_jobs=10):
        for number in range(100):
            add(conn, each, name=f"{number}")
    [counts] = rows(
        conn,
        "select (select count(*) from pgjobs.artifact) as artifacts,"
        " (select count(*) from pgjobs.body) as bodies",
    )
    assert counts == (1000, 1)


def test_an_unknown_artifact_has_no_bytes(conn: Connection) -> None:
    with refused("P0002", "artifact_artifact_id_pkey"):
        read(conn, 0)


def runs_of_artifacts(conn: Connection) -> list[int]:
    found = rows(conn, "select run_no from pgjobs.verification_artifact order by artifact_id")
    return [artifact.run_no for artifact in found]


def test_a_lease_is_of_its_own_job_alone(conn: Connection, run: Any) -> None:
    behind = enqueue(conn, session_id=run.session_id)
    with refused("23V05", "lease_session_id_pkey"):
        add(conn, run._replace(job_id=behind.job_id))


def test_a_review_has_artifacts_of_its_own_run(conn: Connection, run: Any) -> None:
    first = add(conn, run)
    complete(conn, run)
    reverify(conn, run.job_id)
    again = claim(conn)
    with refused("23V05", "lease_session_id_pkey"), conn.transaction():
        add(conn, run, name="late")
    second = add(conn, again, content=b"another log")
    assert second.created
    assert runs_of_artifacts(conn) == [1, 2]
    complete(conn, again)
    with refused("23V02", "verdict_job_id_pkey"), conn.transaction():
        add(conn, again, name="late")
    assert read(conn, first.artifact_id) == b"log"
    assert read(conn, second.artifact_id) == b"another log"


def test_what_a_lost_run_has_used_up_is_not_counted_for_the_next(
    conn: Connection, run: Any
) -> None:
    for number in range(16):
        add(conn, run, name=f"{number}", content=MOST)
    for number in range(16, 100):
        add(conn, run, name=f"{number}", **ELSEWHERE)
    let_time_pass(conn, "10 minutes")
    again = claim(conn)
    assert add(conn, again, name="0", content=MOST).created
    assert runs_of_artifacts(conn) == [1] * 100 + [2]


def test_what_lies_elsewhere_is_not_counted_as_content(conn: Connection, run: Any) -> None:
    add(conn, run, **{**ELSEWHERE, "size_bytes": 2**62})
    for number in range(16):
        add(conn, run, name=f"{number}", content=MOST)
    with refused("22023", "add_artifact_content_check"):
        add(conn, run, name="16", content=b"a")


@pytest.mark.parametrize(("number", "artifact"), [(100, ELSEWHERE), (16, {"content": MOST})])
def test_what_a_full_run_refuses_leaves_nothing(
    conn: Connection, run: Any, number: int, artifact: dict[str, Any]
) -> None:
    for each in range(number):
        add(conn, run, name=f"{each}", **artifact)
    with untouched(conn), refused("22023"), conn.transaction():
        add(conn, run, name="more", content=b"not stored yet")


def test_hash_and_size_of_the_content_may_be_given(conn: Connection, run: Any) -> None:
    first = add(conn, run)
    known = {"sha256": first.sha256, "size_bytes": first.size_bytes}
    assert add(conn, run, **known) == first._replace(created=False)
    assert add(conn, run, name="other", **known)[1:] == (first.sha256, 3, True)


@pytest.mark.parametrize(
    "name", ["a/b/c.log", ".hidden", "a/.git", "...", "..a", "a..b", "a..", "n\u00e4me", "x" * 200]
)
def test_a_name_that_leads_nowhere_else_is_taken(conn: Connection, run: Any, name: str) -> None:
    add(conn, run, name=name)
    assert rows(conn, "select name from pgjobs.verification_artifact") == [(name,)]


def test_a_location_has_1024_characters_of_any_script(conn: Connection, run: Any) -> None:
    location = "\U0001f4dc" * 1024
    add(conn, run, **{**ELSEWHERE, "location": location})
    assert rows(conn, "select location from pgjobs.verification_artifact") == [(location,)]
