"""In what form the calls send their arguments, as libpq sees it: as little as will do."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from psycopg.pq import Trace

import forgea_pgjobs as pgjobs
from forgea_pgjobs import JobStatus
from forgea_pgjobs._sync import producer
from forgea_pgjobs.worker import Worker
from forgea_pgjobs.worker.calls import exchange
from forgea_pgjobs.worker.run import Finished, Run
from tests.helpers import Connection, rows, sha
from tests.python.workers import passing

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="psycopg traces on Linux only")

BINARY = 1
NULL = 0  # what is not given goes as text
OPTIONAL: dict[str, Any] = {
    "delivery_id": "d",
    "available_at": datetime(2026, 1, 1, tzinfo=UTC),
    "author": "Ann",
    "branch": "main",
    "changed_files": [],
    "pushed_at": datetime(2026, 1, 1, tzinfo=UTC),
    "payload": 0,
}

Forms = Callable[[Callable[[], object]], list[list[int]]]


@pytest.fixture
def forms(conn: Connection, tmp_path: Path) -> Forms:
    """Make a call and return the forms of the arguments of each statement that has any."""

    def forms(call: Callable[[], object]) -> list[list[int]]:
        file = tmp_path / "trace"
        with file.open("w") as trace:
            conn.pgconn.trace(trace.fileno())
            conn.pgconn.set_trace_flags(Trace.SUPPRESS_TIMESTAMPS)
            call()
            conn.pgconn.untrace()
        # The names of portal and statement, the number of the forms, the forms.
        binds = re.findall(r'\tBind\t "\w*" "\w*" (\d+)(.*)', file.read_text())
        return [
            list(map(int, rest.split()[: int(number)])) for number, rest in binds if number > "0"
        ]

    return forms


def batch(size: int) -> dict[str, Any]:
    return {
        "session_ids": [uuid4() for _ in range(size)],
        "commit_shas": [sha() for _ in range(size)],
        "lab_versions": ["1"] * size,
    }


def test_the_arrays_of_a_batch_go_in_binary(conn: Connection, forms: Forms) -> None:
    more: dict[str, Any] = {"delivery_ids": ["d", None], "payloads": [{"steps": ["test"]}, None]}
    assert forms(lambda: pgjobs.enqueue_many(conn, **batch(2), **more)) == [
        [*[BINARY] * 7, NULL, BINARY]
    ]


def test_the_arrays_of_verdicts_go_in_binary(conn: Connection, forms: Forms) -> None:
    pgjobs.enqueue_many(conn, **batch(2))
    runs = pgjobs.claim(conn, worker="w", max_jobs=2)
    verdicts: dict[str, Any] = {
        "job_ids": [run.job_id for run in runs],
        "lease_tokens": [run.lease_token for run in runs],
        "statuses": [JobStatus.PASSED, "FAILED"],
        "summaries": [None, {"failed": 1}],
    }
    assert forms(lambda: pgjobs.complete_many(conn, **verdicts)) == [[*[BINARY] * 4, NULL]]


def test_a_worker_sends_its_verdicts_in_binary(conn: Connection, forms: Forms) -> None:
    pgjobs.enqueue_many(conn, **batch(2))
    one, other = (Run(*run) for run in pgjobs.claim(conn, worker="w", max_jobs=2))
    finished = [Finished(one, JobStatus.PASSED), Finished(other, JobStatus.FAILED, "{}")]
    settings = Worker("", passing)._settings
    [verdicts, _claim] = forms(lambda: exchange(conn, finished, settings, max_jobs=1))
    assert verdicts == [*[BINARY] * 4, NULL]
    statuses = [
        row.status for row in rows(conn, "select status from pgjobs.verdict order by job_id")
    ]
    assert statuses == ["PASSED", "FAILED"]


@pytest.mark.parametrize(("name", "value"), OPTIONAL.items())
def test_enqueue_sends_what_is_optional_when_some_of_it_is_given(
    conn: Connection, forms: Forms, name: str, value: Any
) -> None:
    one: dict[str, Any] = {"session_id": uuid4(), "commit_sha": sha(), "lab_version": "1"}
    [required] = forms(lambda: pgjobs.enqueue(conn, **one))
    [everything] = forms(lambda: pgjobs.enqueue(conn, **{**one, "commit_sha": sha(), name: value}))
    assert (len(required), len(everything)) == (6, 14)


def test_what_enqueue_does_not_send_is_as_if_it_were_none(
    conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def job_and_attempt() -> list[Any]:
        commit = sha()
        pgjobs.enqueue(
            conn, session_id=uuid4(), commit_sha=commit, lab_version="1", priority=4, max_runs=7
        )
        query = (
            "select priority, max_runs, payload, delivery_id, author, branch, changed_files,"
            " pushed_at, available_at = job.created_at"
            " from pgjobs.verification_job as job join pgjobs.verification_attempt using"
            " (attempt_id) where job.commit_sha = %(commit)s"
        )
        return rows(conn, query, commit=commit)

    told = job_and_attempt()
    assert told == [(4, 7, None, None, None, None, None, None, True)]
    monkeypatch.setattr(producer, "OPTIONAL", set())
    assert job_and_attempt() == told
