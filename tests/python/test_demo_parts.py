"""The demo's parts: hostile repositories, the check, the expectations, the screen."""

from __future__ import annotations

import io
import json
import os
import shlex
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from forgea_pgjobs import JobStatus
from forgea_pgjobs.cli.output import plain
from forgea_pgjobs.demo import story
from forgea_pgjobs.demo.repository import Repository
from forgea_pgjobs.demo.screen import Console, Refusal, fitted, width
from tests.helpers import sha
from tests.python.repositories import git, new_repository


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A repository of three commits."""
    return new_repository(tmp_path / "lab", ["one", "two", "three"])


def filled(folder: Path, origin: Path | None, commits: int = 1) -> Repository:
    """Return a repository with the newest commits of another."""
    repository = Repository(folder)
    repository.fill(origin, commits)
    return repository


def laid_out(script: str, folder: Path) -> int:
    """Run what lays a commit out in the folder's tree, and return its exit code."""
    (folder / "tree").mkdir(exist_ok=True)
    return subprocess.run(["sh", "-c", script], cwd=folder / "tree", capture_output=True).returncode


def test_a_hostile_repository_runs_nothing_and_hides_nothing(
    lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alarm = tmp_path / "alarm"
    (lab / ".gitattributes").write_text("*.py filter=evil\nlab.py export-ignore\n")
    git(lab, "add", ".")
    git(lab, "commit", "--quiet", "-m", "\x1b[31mtwo\u202e")
    hook = lab / ".git" / "hooks" / "post-checkout"
    for path in (hook, hook.with_name("post-index-change")):
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\ntouch {alarm}\n")
        path.chmod(0o755)
    for name in ("core.fsmonitor", "filter.evil.smudge", "uploadpack.packObjectsHook"):
        git(lab, "config", name, f"touch {alarm}; false")
    # What a git hook that starts us, or a careless user, would pass on.
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("HOME", str(tmp_path))
    users = f'[filter "evil"]\nsmudge = touch {alarm}\n[core]\nhooksPath = {hook.parent}\n'
    (tmp_path / ".gitconfig").write_text(users)

    repository = filled(tmp_path / "repository", lab)
    [(newest, subject)] = repository.newest(1).items()
    monkeypatch.delenv("GIT_DIR")
    monkeypatch.setenv("PGJOBS_COMMIT", newest)
    assert laid_out(repository.check_out(), tmp_path) == 0
    assert subject == "[31mtwo"
    assert (tmp_path / "tree" / "lab.py").read_text() == "ANSWER = 42\n"
    assert not alarm.exists()


def test_a_shallow_clone_gives_what_it_has(lab: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", "--depth=2", f"file://{lab}", "shallow")
    repository = filled(tmp_path / "repository", tmp_path / "shallow", 20)
    assert [*repository.newest(20).values()] == ["two", "three"]


def test_without_a_repository_a_small_one_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    repository = Repository(tmp_path / "repository")
    assert repository.fill(None, 3) == "a small repository made for this"
    assert len(repository.newest(20)) == 3


def test_the_broken_commit_is_the_same_each_time(lab: Path, tmp_path: Path) -> None:
    repositories = [filled(tmp_path / name, lab) for name in ("first", "second")]
    for repository in repositories:
        repository.add_broken()
    assert repositories[0].newest(1) == repositories[1].newest(1)


@pytest.mark.parametrize(("content", "code"), [(b"x = 1\n", 0), (b"def f(:\n", 1), (b"\0", 1)])
def test_the_default_check_compiles_and_writes_nothing(
    content: bytes, code: int, tmp_path: Path
) -> None:
    outside, tree = tmp_path / "outside", tmp_path / "tree"
    (outside / "secret").mkdir(parents=True)
    (outside / "secret.py").write_text("the secret")
    (tree / "package").mkdir(parents=True)
    (tree / "package" / "module.py").write_bytes(content)
    (tree / "package" / "__pycache__").symlink_to(outside / "secret")
    (tree / "link.py").symlink_to(os.devnull)
    (tree / "secret.py").symlink_to(outside / "secret.py")
    (tree / "warnings.py").write_text("raise SystemExit(9)\n")
    before = sorted(tree.rglob("*"))
    done = subprocess.run(shlex.split(story.BYTE_COMPILE), cwd=tree, capture_output=True)
    assert done.returncode == code
    assert b"the secret" not in done.stdout + done.stderr
    assert sorted(tree.rglob("*")) == before
    assert list((outside / "secret").iterdir()) == []


@pytest.mark.parametrize(
    ("check", "code"), [("test -f lab.py", 0), ("exit 7", 1), ("kill -9 $$", 137)]
)
def test_the_demo_tells_0_from_all_else(
    check: str, code: int, lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = filled(tmp_path / "repository", lab)
    monkeypatch.setenv("PGJOBS_ARTIFACTS", str(tmp_path))
    monkeypatch.setenv("PGJOBS_COMMIT", git(lab, "rev-parse", "HEAD"))
    script = story.CHECK.format(repository.check_out(), "", shlex.quote(check))
    assert laid_out(script, tmp_path) == code
    said = json.loads((tmp_path / "summary.json").read_text())
    assert min(said["exit_code"], 1) == min(code, 1)
    monkeypatch.setenv("PGJOBS_COMMIT", sha())
    assert laid_out(script, tmp_path) == 3


BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
ONE, TWO, BROKEN = (sha(number) for number in (1, 2, 3))
COMMITS = {ONE: "one", TWO: "two, " * 20, BROKEN: "broken"}
FAILED = {"status": JobStatus.FAILED, "summary": {"exit_code": 1}}
PASSED = {"status": JobStatus.PASSED, "summary": {"exit_code": 0}}


def a_job(number: int, **more: Any) -> Any:
    """Return as much of a job as the demo looks at."""
    times = {"started_at": BEGIN, "completed_at": BEGIN + timedelta(seconds=number)}
    words = {"job_id": number, "commit_sha": sha(number), "session_id": story.deal(1, 1)[0]}
    return SimpleNamespace(**words, **times, **{"run_no": 1} | PASSED | more)


JOBS = [a_job(1, run_no=2), a_job(2), a_job(3, **FAILED)]
SEEN: dict[str, Any] = {
    "commits": COMMITS,
    "broken": BROKEN,
    "pushed": (3, 3),
    "again": (0, 0),
    "killed": JOBS[0],
    "jobs": JOBS,
    "runs": [(1, "LEASE_LOST")],
    "logs": [(1, 2), (2, 1), (3, 1)],
    "verdicts": [ONE, TWO, BROKEN],
    "refusals": [Refusal("update", "23V01", "23V01", "LedgerImmutable")],
    "jobs_afterwards": JOBS,
}


def with_job(number: int, **changes: Any) -> dict[str, Any]:
    changed = SimpleNamespace(**vars(JOBS[number - 1]) | changes)
    jobs = [*JOBS[: number - 1], changed, *JOBS[number:]]
    return {"jobs": jobs, "jobs_afterwards": jobs}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, []),
        ({"pushed": (3, 2)}, ["first push"]),
        ({"again": (1, 0)}, ["second push"]),
        ({"verdicts": [ONE] * 3}, ["exactly one verdict"]),
        (with_job(2, summary={"exit_code": 1}), ["what its check said"]),
        (with_job(2, status=JobStatus.ERROR, summary=None), ["what its check said"]),
        ({**with_job(1, run_no=1), "logs": [(1, 1), (2, 1), (3, 1)]}, ["killed worker"]),
        ({**with_job(1, run_no=3), "logs": [(1, 3), (2, 1), (3, 1)]}, ["killed worker"]),
        ({"logs": [(1, 1), (2, 1), (3, 1)]}, ["log of its check"]),
        ({"runs": [(1, "RELEASED")]}, ["killed worker"]),
        ({"refusals": [Refusal("update", "23V01", "00000", "not refused")]}, ["refused"]),
        ({"jobs_afterwards": JOBS[:2]}, ["nothing has changed"]),
        (with_job(3, **PASSED), ["broken commit"]),
        (with_job(2, **FAILED), ["only the broken commit fails"]),
        ({**with_job(2, **FAILED), "broken": None}, []),
    ],
)
def test_what_did_not_hold_is_named(changes: dict[str, Any], words: list[str]) -> None:
    demo = object.__new__(story.Demo)
    vars(demo).update(SEEN | changes)
    for expectation, word in zip(demo.not_held(), words, strict=True):
        assert word in expectation


@pytest.mark.parametrize(("count", "workers", "sessions"), [(9, 2, 4), (3, 2, 3), (1000, 2, 10)])
def test_commits_are_dealt_in_turn(count: int, workers: int, sessions: int) -> None:
    order = story.deal(count, workers)
    assert len(order) == count
    assert len(set(order)) == sessions
    assert order[sessions:] == order[: count - sessions]


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_one_line_that_is_written_over() -> None:
    terminal = Terminal()
    console = Console(terminal)
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


@pytest.mark.parametrize("text", ["", "short", "exactly ten", "語" * 80, "e\u0301" * 90])
def test_the_table_has_at_most_100_columns(text: str) -> None:
    pipe = io.StringIO()
    Console(pipe).jobs(JOBS, COMMITS | {ONE: text})
    _, head, *lines = pipe.getvalue().splitlines()
    assert width(head) == 100
    assert {width(line) for line in lines} == {97}
    assert width(fitted(text, 10)) == 10


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
