"""The demo from the outside: what it shows, what it refuses, and that nothing of it is left."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from forgea_pgjobs import schema
from forgea_pgjobs.cli import main
from tests.helpers import Connection, enqueue, rows
from tests.python.repositories import git, new_repository

ROOT = schema.migrations_folder().parent


@pytest.fixture
def temp(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A temp folder for the demo alone (tmp_path is too long for a socket)."""
    tmp_path_factory.getbasetemp()  # so that pytest has made its own folder elsewhere
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def processes_of(temp: Path) -> list[int]:
    """Open every process that was started with this temp folder, ours excepted."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            if bytes(temp) in (folder / "environ").read_bytes() and folder.name != str(os.getpid()):
                found.append(os.pidfd_open(int(folder.name)))
    return found


def assert_gone(processes: list[int]) -> None:
    """Expect them to end; at most five seconds for their last instructions."""
    for process in processes:
        ended, _, _ = select.select([process], [], [], 5)
        os.close(process)
        assert ended


def running_demo(dsn: str, repository: Path) -> subprocess.Popen[str]:
    """Start a demo whose checks never end, and return it once it has killed its worker."""
    demo = subprocess.Popen(
        [sys.executable, "-m", "forgea_pgjobs.cli", "demo", f"--dsn={dsn}", f"--repo={repository}",
         "--workers=2", "--check=sleep 1000 & sleep 1000"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert demo.stdout is not None
    assert any(line.startswith("  killed ") for line in demo.stdout)
    return demo


def table_of(out: str) -> dict[str, tuple[str, int]]:
    """Return status and run number by subject."""
    found = re.findall(r"^[0-9a-f]{10}  (.+?) +(PASSED|FAILED) +(\d+) +[\d.]+  \w{8}$", out, re.M)
    return {subject: (status, int(run_no)) for subject, status, run_no in found}


def test_real_commits_become_verdicts_that_nobody_can_change(
    temp: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    repository = new_repository(tmp_path / "lab", ["one", "two", "three"])
    code = main(["demo", "--repo", str(repository), "--commits", "2", "--workers", "1"])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    assert "  pushed    created 3 attempts and 3 jobs\n" in out
    assert "  again     created 0 attempts and 0 jobs\n" in out
    assert "  stored    3 logs of checks, equal bytes once\n" in out
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) <= 100

    verdicts = table_of(out)
    assert verdicts == {
        "two": ("PASSED", 2),
        "three": ("PASSED", 1),
        "Break a file on purpose (the demo's own commit)": ("FAILED", 1),
    }
    assert re.findall(r"^(\w+) .*  (\w{5})  (\w+)$", out, re.M) == [
        ("update", "23V01", "LedgerImmutable"),
        ("delete", "23V01", "LedgerImmutable"),
        ("truncate", "23V01", "LedgerImmutable"),
    ]
    assert re.search(r"^complete\(.*  23V02  VerdictFinal$", out, re.M)
    assert out.splitlines()[-1].startswith("Everything held (")
    assert_gone(processes_of(temp))
    assert list(temp.iterdir()) == []


def test_a_database_with_the_same_commits_is_refused(
    temp: Path, tmp_path: Path, empty_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = new_repository(tmp_path / "lab", ["one"])
    argv = ["demo", "--dsn", empty_dsn, "--repo", str(repository), "--workers", "2"]
    assert main([*argv, "--check", "exit 7"]) == 0
    assert table_of(capsys.readouterr().out)["one"][0] == "FAILED"
    assert main(argv) == 1
    assert capsys.readouterr().err.startswith("error 58000: the database has verified these")
    assert list(temp.iterdir()) == []


def test_a_database_with_open_jobs_is_left_alone(
    fresh_dsn: str, conn: Connection, temp: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    enqueue(conn)
    conn.commit()
    repository = new_repository(tmp_path / "lab", ["one"])
    assert main(["demo", "--dsn", fresh_dsn, "--repo", str(repository)]) == 1
    assert capsys.readouterr().err.startswith("error 58000: the database has open jobs")
    [job] = rows(conn, "select status, run_no from pgjobs.verification_job")
    assert (job.status, job.run_no) == ("QUEUED", 0)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_no_process_and_no_folder(
    signum: signal.Signals, temp: Path, tmp_path: Path, empty_dsn: str
) -> None:
    repository = new_repository(tmp_path / "lab", ["one", "two"])
    with running_demo(empty_dsn, repository) as demo:
        demo.send_signal(signum)
        assert demo.wait() == (1 if signum == signal.SIGINT else 128 + signum)
    assert_gone(processes_of(temp))
    assert list(temp.iterdir()) == []


def test_a_killed_demo_takes_its_workers_and_their_checks_along(
    temp: Path, tmp_path: Path, empty_dsn: str
) -> None:
    repository = new_repository(tmp_path / "lab", ["one", "two"])
    with running_demo(empty_dsn, repository) as demo:
        demo.kill()
    assert_gone(processes_of(temp))


def test_a_worker_that_dies_ends_the_demo(temp: Path, tmp_path: Path, empty_dsn: str) -> None:
    repository = new_repository(tmp_path / "lab", ["one", "two"])
    with running_demo(empty_dsn, repository) as demo, psycopg.connect(empty_dsn) as conn:
        conn.execute("drop function pgjobs.heartbeat")
        conn.commit()
        assert demo.stderr is not None
        message = demo.stderr.read()
        assert re.match(r"error 58000: worker-\d has died: error 42883: .*\n$", message)
        assert demo.wait() == 1
    assert_gone(processes_of(temp))
    assert list(temp.iterdir()) == []


def test_a_folder_that_is_no_repository_is_refused(
    temp: Path, tmp_path: Path, empty_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    git(tmp_path, "init", "--quiet", "unborn")
    for name in ("unborn", "nowhere"):
        assert main(["demo", "--dsn", empty_dsn, "--repo", str(tmp_path / name)]) == 1
        assert "is no git repository with commits" in capsys.readouterr().err
