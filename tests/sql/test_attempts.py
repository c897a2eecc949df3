"""The learner's page: a session's attempts, each with how its verification stands."""

from typing import Any
from uuid import uuid4

import pytest

from tests.calls import amend, cancel, finish, reverify, start
from tests.helpers import Connection, call, claim, enqueue, rows, sha

PAGE = "select commit_sha, job_id, status, effective_status, error_reason, completed_at is not null"
NEWEST = " from pgjobs.verification_attempt where session_id = %(id)s order by attempt_id desc"


def test_each_attempt_shows_how_its_verification_stands(conn: Connection) -> None:
    session = uuid4()
    enqueue(conn, commit_sha=sha(9), priority=4)
    of: dict[str, Any] = {"session_id": session}
    shas = [sha(number) for number in range(1, 8)]
    passed, cancelled = (finish(conn, commit_sha=commit, **of) for commit in shas[:2])
    amend(conn, cancelled.job_id, "FAILED")
    amend(conn, cancelled.job_id, "ERROR")
    lost = enqueue(conn, commit_sha=shas[2], **of)
    cancel(conn, lost.job_id)
    running, queued = start(conn, commit_sha=shas[3], **of), enqueue(conn, commit_sha=shas[4], **of)
    # Recorded alone; and a classmate's commit, whose job is none of this session's business.
    for commit in (shas[5], sha(9)):
        call(conn, "record_attempt", commit_sha=commit, **of)
    expected = [
        (sha(9), None, None, None, None, False),
        (shas[5], None, None, None, None, False),
        (shas[4], queued.job_id, "QUEUED", "QUEUED", None, False),
        (shas[3], running.job_id, "RUNNING", "RUNNING", None, False),
        (shas[2], lost.job_id, "ERROR", "ERROR", "CANCELLED", True),
        (shas[1], cancelled.job_id, "PASSED", "ERROR", None, True),
        (shas[0], passed.job_id, "PASSED", "PASSED", None, True),
    ]
    assert rows(conn, PAGE + NEWEST, id=session) == expected
    assert call(conn, "attempts", **of) == rows(conn, "select *" + NEWEST, id=session)


def test_a_job_that_is_judged_again_keeps_its_status(conn: Connection) -> None:
    run = finish(conn, session_id=uuid4())
    reverify(conn, run.job_id)
    claim(conn)
    [attempt] = call(conn, "attempts", session_id=run.session_id)
    assert (attempt.status, attempt.effective_status) == ("PASSED", "PASSED")


def test_attempts_answers_page_by_page_what_the_view_shows(conn: Connection) -> None:
    session = uuid4()
    for _ in range(25):
        enqueue(conn, session_id=session, author="Ada", changed_files=["a"])
        enqueue(conn)
    whole = rows(conn, "select *" + NEWEST, id=session)
    assert call(conn, "attempts", session_id=session) == whole[:20]
    before = {"session_id": session, "before_attempt_id": whole[19].attempt_id}
    assert call(conn, "attempts", **before) == whole[20:]
    assert call(conn, "attempts", **before, max_rows=2) == whole[20:22]
    assert call(conn, "attempts", session_id=uuid4()) == []


@pytest.mark.parametrize("columns", ["count(*)", "session_id", "commit_sha, recorded_at"])
def test_what_a_query_does_not_name_is_not_read(conn: Connection, columns: str) -> None:
    plan = rows(conn, f"explain select {columns} from pgjobs.verification_attempt")
    scans = [line for (line,) in plan if "Scan" in line]
    assert [scan.partition(" on ")[2].split()[0] for scan in scans] == ["lab_attempt"]
