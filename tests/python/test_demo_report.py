"""What the demo shows, and what it expects: each expectation can be disappointed."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from forgea_pgjobs import JobStatus, VerificationJob
from forgea_pgjobs.cli.output import plain
from forgea_pgjobs.demo.expectations import Course, not_held
from forgea_pgjobs.demo.ledger import Commit, Refusal, RunRecord, spread
from forgea_pgjobs.demo.report import Console, show_jobs
from forgea_pgjobs.demo.text import fitted, last_lines, width
from forgea_pgjobs.demo.worker import Run
from tests.helpers import sha

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def a_job(commit: Commit, number: int, status: str, run_no: int, exit_code: int) -> VerificationJob:
    return VerificationJob(
        job_id=number, attempt_id=number, session_id=commit.session_id, commit_sha=commit.sha,
        lab_version="demo", status=JobStatus(status), priority=2, payload=None, created_at=BEGIN,
        available_at=BEGIN, started_at=BEGIN, completed_at=BEGIN + timedelta(seconds=number),
        run_no=run_no, max_runs=3, worker="worker-2", error_reason=None, error_detail=None,
        summary={"exit_code": exit_code}, effective_status=JobStatus(status), amended_at=None,
        origin="QUEUE",
    )  # fmt: skip


COMMITS = spread([(sha(1), "one"), (sha(2), "two, " * 20), (sha(3), "broken")], workers=1)
JOBS = [
    a_job(COMMITS[0], 1, "PASSED", 2, 0),
    a_job(COMMITS[1], 2, "PASSED", 1, 0),
    a_job(COMMITS[2], 3, "FAILED", 1, 1),
]
GOOD = Course(
    commits=COMMITS,
    broken=COMMITS[2],
    pushed=(3, 3),
    again=(0, 0),
    jobs=JOBS,
    killed=Run(1, COMMITS[0].sha, "token", 0),
    killed_worker="worker-1",
    runs=[RunRecord(1, "worker-1", "LEASE_LOST"), RunRecord(2, "worker-2", "PASSED")],
    logs=[(1, 2), (2, 1), (3, 1)],
    verdicts=[commit.sha for commit in COMMITS],
    refusals=[Refusal("update", "23V01", "23V01", "LedgerImmutable")],
    jobs_afterwards=JOBS,
)


def with_job(index: int, **changes: Any) -> dict[str, Any]:
    jobs = [*JOBS[:index], replace(JOBS[index], **changes), *JOBS[index + 1 :]]
    return {"jobs": jobs, "jobs_afterwards": jobs}


def test_everything_held() -> None:
    assert not_held(GOOD) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pushed": (3, 2)}, "first push"),
        ({"again": (1, 0)}, "second push"),
        ({"verdicts": [COMMITS[0].sha] * 3}, "exactly one verdict"),
        (with_job(1, summary={"exit_code": 1}), "what its check said"),
        (with_job(1, status=JobStatus.ERROR, summary=None), "what its check said"),
        ({**with_job(0, run_no=1), "logs": [(1, 1), (2, 1), (3, 1)]}, "killed worker"),
        ({**with_job(0, run_no=3), "logs": [(1, 3), (2, 1), (3, 1)]}, "killed worker"),
        ({"logs": [(1, 1), (2, 1), (3, 1)]}, "log of its check"),
        ({"runs": [RunRecord(1, "worker-1", "RELEASED")]}, "killed worker"),
        ({"refusals": [Refusal("update", "23V01", "00000", "not refused")]}, "refused"),
        ({"jobs_afterwards": JOBS[:2]}, "nothing has changed"),
        (with_job(2, status=JobStatus.PASSED, summary={"exit_code": 0}), "broken commit"),
        (
            with_job(1, status=JobStatus.FAILED, summary={"exit_code": 1}),
            "only the broken commit fails",
        ),
    ],
)
def test_what_did_not_hold_is_named(changes: dict[str, Any], words: str) -> None:
    [expectation] = not_held(replace(GOOD, **changes))
    assert words in expectation


def test_with_a_check_of_the_callers_any_commit_may_fail() -> None:
    failed = with_job(1, status=JobStatus.FAILED, summary={"exit_code": 1})
    assert not_held(replace(GOOD, broken=None, **failed)) == []


@pytest.mark.parametrize(("count", "workers", "sessions"), [(9, 2, 4), (3, 2, 3), (1000, 2, 10)])
def test_commits_are_dealt_in_turn(count: int, workers: int, sessions: int) -> None:
    commits = spread([(sha(number), "") for number in range(1, count + 1)], workers)
    order = [commit.session_id for commit in commits]
    assert len(set(order)) == sessions
    assert order[sessions:] == order[: count - sessions]
    assert [commit.sha for commit in commits] == [sha(number) for number in range(1, count + 1)]


def test_a_terminal_gets_one_line_that_is_written_over() -> None:
    terminal = Terminal()
    with Console(terminal) as console:
        for _ in range(3):
            console.progress(JOBS, COMMITS)
        assert terminal.getvalue().count("\r") == 3
        assert "\n" not in terminal.getvalue()
        console.line("done")
    assert terminal.getvalue().endswith("\r\x1b[2Kdone\n")


def test_a_pipe_gets_a_line_for_each_verdict_once() -> None:
    pipe = io.StringIO()
    console = Console(pipe)
    for _ in range(2):
        console.progress(JOBS, COMMITS)
    words = [line.split()[:2] for line in pipe.getvalue().splitlines()]
    assert words == [["1/3", "PASSED"], ["2/3", "PASSED"], ["3/3", "FAILED"]]


def test_colour_is_left_away_where_it_is_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b" in Console(Terminal()).paint("word", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    assert Console(Terminal()).paint("word", "1") == "word"
    assert Console(io.StringIO()).paint("word", "1") == "word"


def test_the_table_has_at_most_100_columns() -> None:
    pipe = io.StringIO()
    wide = replace(COMMITS[1], subject="語" * 80)
    show_jobs(Console(pipe), [COMMITS[0], wide, COMMITS[2]], JOBS)
    assert max(map(width, pipe.getvalue().splitlines())) <= 100


def test_a_stream_that_cannot_say_it_gets_a_question_mark() -> None:
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding="ascii")
    Console(stream).line("語")
    assert buffer.getvalue() == b"?\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\r\nc", "a b c"),
        ("\x1b[31mred\x9b0m", "[31mred 0m"),
        ("\u202eleft\u200b", "left"),
        ("\udce4", ""),
        ("語 é", "語 é"),
    ],
)
def test_strangers_words_are_made_plain(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize("text", ["", "short", "exactly ten", "語語語語語語語", "e\u0301" * 20])
def test_text_is_cut_or_filled_to_its_columns(text: str) -> None:
    assert width(fitted(text, 10)) == 10


def test_the_last_lines_are_few_and_short() -> None:
    output = b"one\n\xff\n" + b"x" * 300 + b"\n\n"
    assert last_lines(output, 2) == ["\ufffd", "x" * 200]
