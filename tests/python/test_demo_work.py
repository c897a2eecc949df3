"""The demo's parts at work: hostile repositories, and a worker's verdicts."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from forgea_pgjobs import Claimed, claim, read_artifact, rescue
from forgea_pgjobs.demo import byte_compile, process
from forgea_pgjobs.demo.repository import Repository, obtain
from forgea_pgjobs.demo.worker import Plan, verify
from tests.conftest import Connect
from tests.helpers import Connection, enqueue, job, let_time_pass, rows, sha
from tests.python.repositories import git, new_repository


def check_out(repository: Repository, commit_sha: str, tree: Path) -> None:
    tree.mkdir()
    environment = repository.environment | {"GIT_INDEX_FILE": str(tree.parent / "index")}
    subprocess.run(repository.checkout(commit_sha, tree), cwd=tree, env=environment, check=True)


def test_a_hostile_repository_runs_nothing_and_hides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = new_repository(tmp_path / "hostile", ["one"])
    alarm = tmp_path / "alarm"
    (hostile / ".gitattributes").write_text("*.py filter=evil\nlab.py export-ignore\n")
    git(hostile, "add", ".")
    git(hostile, "commit", "--quiet", "-m", "\x1b[31mtwo\u202e")
    hook = hostile / ".git" / "hooks" / "post-checkout"
    for path in (hook, hook.with_name("post-index-change")):
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\ntouch {alarm}\n")
        path.chmod(0o755)
    for name in ("core.fsmonitor", "filter.evil.smudge", "uploadpack.packObjectsHook"):
        git(hostile, "config", name, f"touch {alarm}; false")
    # What a git hook that starts us, or a careless user, would pass on.
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("HOME", str(tmp_path))
    users = f'[filter "evil"]\nsmudge = touch {alarm}\n[core]\nhooksPath = {hook.parent}\n'
    (tmp_path / ".gitconfig").write_text(users)

    repository, _name = obtain(hostile, tmp_path / "repository", 5)
    [_one, (newest, subject)] = repository.newest(5)
    check_out(repository, newest, tmp_path / "tree")
    assert subject == "[31mtwo"
    assert (tmp_path / "tree" / "lab.py").read_text() == "ANSWER = 42\n"
    assert not alarm.exists()


def test_a_shallow_clone_gives_what_it_has(tmp_path: Path) -> None:
    deep = new_repository(tmp_path / "deep", ["one", "two", "three"])
    git(tmp_path, "clone", "--quiet", "--depth=2", f"file://{deep}", "shallow")
    repository, _name = obtain(tmp_path / "shallow", tmp_path / "repository", 20)
    assert [subject for _, subject in repository.newest(20)] == ["two", "three"]


def test_without_a_repository_a_small_one_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    repository, name = obtain(None, tmp_path / "repository", 3)
    assert name == "a small repository made for this"
    assert len(repository.newest(20)) == 3


def test_the_broken_commit_is_the_same_each_time(tmp_path: Path) -> None:
    lab = new_repository(tmp_path / "lab", ["one"])
    first, _ = obtain(lab, tmp_path / "first", 1)
    second, _ = obtain(lab, tmp_path / "second", 1)
    assert first.add_broken() == second.add_broken()


@pytest.mark.parametrize(("content", "code"), [(b"x = 1\n", 0), (b"def f(:\n", 1), (b"\0", 1)])
def test_the_default_check_compiles_and_writes_nothing(
    content: bytes, code: int, tmp_path: Path
) -> None:
    outside, tree = tmp_path / "outside", tmp_path / "tree"
    outside.mkdir()
    (tree / "package").mkdir(parents=True)
    (tree / "package" / "module.py").write_bytes(content)
    (tree / "package" / "__pycache__").symlink_to(outside)
    (tree / "link.py").symlink_to(os.devnull)
    (tree / "warnings.py").write_text("raise SystemExit(9)\n")
    command = [sys.executable, "-I", byte_compile.__file__]
    assert subprocess.run(command, cwd=tree, capture_output=True).returncode == code
    assert list(outside.iterdir()) == []


def claimed_from(conn: Connection, repository: Path, folder: Path, **arguments: Any) -> Claimed:
    """Enqueue and claim the repository's newest commit, or another."""
    obtain(repository, folder / "repository", 1)
    enqueue(conn, **{"commit_sha": git(repository, "rev-parse", "HEAD"), **arguments})
    [claimed] = claim(conn, worker="w")
    return claimed


def plan_for(folder: Path, command: str, time_limit: float = 20) -> Plan:
    check = ["sh", "-c", command]
    return Plan("w", "", str(folder / "repository"), str(folder), check, time_limit)


@pytest.mark.parametrize(
    ("command", "time_limit", "status", "exit_code", "lines"),
    [
        ("echo; echo good; test -f lab.py", 20, "PASSED", 0, ["good"]),
        ("printf 'bad\\033[1m\\0'; exit 3", 20, "FAILED", 3, ["bad [1m"]),
        ("sleep 1000 & sleep 1000", 0.1, "FAILED", None, []),
        ("kill -9 $$", 20, "FAILED", -9, []),
        ('test -z "$DATABASE_URL$PGPASSWORD$GIT_DIR"', 20, "PASSED", 0, []),
    ],
)
def test_a_worker_writes_what_the_check_said(
    command: str, time_limit: float, status: str, exit_code: int | None, lines: list[str],
    conn: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    claimed = claimed_from(conn, new_repository(tmp_path / "lab", ["one"]), tmp_path)
    for name in ("DATABASE_URL", "PGPASSWORD", "GIT_DIR"):
        monkeypatch.setenv(name, "secret")
    verify(conn, plan_for(tmp_path, command, time_limit), claimed)
    verdict = job(conn, claimed.job_id)
    assert verdict.status == status
    assert verdict.summary["exit_code"] == exit_code
    assert verdict.summary["last_lines"] == lines
    assert not (tmp_path / "commit").exists()
    assert not (tmp_path / "run.json").exists()


@pytest.mark.parametrize(("size", "kept"), [(5, 5), (1_048_576, 1_048_576), (1_048_600, 1_048_576)])
def test_a_worker_stores_the_end_of_what_the_check_has_written(
    size: int, kept: int, conn: Connection, tmp_path: Path
) -> None:
    claimed = claimed_from(conn, new_repository(tmp_path / "lab", ["one"]), tmp_path)
    verify(conn, plan_for(tmp_path, f"head -c {size - 1} /dev/zero; echo"), claimed)
    [log] = rows(conn, "select * from pgjobs.verification_artifact")
    assert (log.kind, log.run_no, log.size_bytes, log.truncated) == ("LOG", 1, kept, size > kept)
    assert read_artifact(conn, artifact_id=log.artifact_id) == bytes(kept - 1) + b"\n"


def test_what_a_check_leaves_behind_is_killed(conn: Connection, tmp_path: Path) -> None:
    claimed = claimed_from(conn, new_repository(tmp_path / "lab", ["one"]), tmp_path)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with os.fdopen(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK), "rb", 0) as reader:
        verify(conn, plan_for(tmp_path, f"exec 9>{fifo}; echo here >&9; sleep 1000 &"), claimed)
        assert reader.read(5) == b"here\n"
        # The end of the file: nobody holds it open for writing any more.
        assert select.select([reader], [], [], 5)[0]
        assert reader.read(1) == b""


def test_a_checkout_that_breaks_is_released(conn: Connection, tmp_path: Path) -> None:
    lab = new_repository(tmp_path / "lab", ["one"])
    claimed = claimed_from(conn, lab, tmp_path, commit_sha=sha())
    verify(conn, plan_for(tmp_path, "true"), claimed)
    assert job(conn, claimed.job_id).status == "QUEUED"
    [run] = rows(conn, "select outcome, reason from pgjobs.verification_run order by started_at")[
        -1:
    ]
    assert run.outcome == "RELEASED"
    assert run.reason.startswith("checkout: ")


def test_a_worker_that_lost_its_lease_writes_nothing(
    fresh_dsn: str, connect: Connect, tmp_path: Path
) -> None:
    conn = connect(autocommit=True)
    claimed = claimed_from(conn, new_repository(tmp_path / "lab", ["one"]), tmp_path)
    let_time_pass(conn, "1 hour")
    rescue(conn)
    verify(conn, plan_for(tmp_path, "true"), claimed)
    assert job(conn, claimed.job_id).status == "QUEUED"
    assert rows(conn, "select * from pgjobs.verification_artifact") == []


def test_folders_that_forbid_it_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "closed" / "inner").mkdir(parents=True)
    (folder / "link").symlink_to(tmp_path)
    (folder / "closed" / "inner").chmod(0)
    (folder / "closed").chmod(0o500)
    process.remove(folder)
    assert list(tmp_path.iterdir()) == []
