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
from forgea_pgjobs.embedded.server import temp_folder
from tests.helpers import Connection, enqueue, rows
from tests.python.repositories import git, new_repository

ROOT = schema.migrations_folder().parent
# However the tests were started: as from a terminal, or as in the background of a script.
HEEDING = ["env", "--default-signal=INT,QUIT,HUP"]
IGNORING = ["sh", "-c", 'trap "" INT QUIT HUP; exec "$@"', "sh"]


@pytest.fixture
def temp(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A temp folder for the demo alone (tmp_path is too long for a socket)."""
    tmp_path_factory.getbasetemp()  # so that pytest has made its own folder elsewhere
    with tempfile.TemporaryDirectory(dir=temp_folder()) as folder:
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A repository of three commits."""
    return new_repository(tmp_path / "lab", ["one", "two", "three"])


def demo(*argv: str | Path) -> int:
    """Run the command in this process."""
    return main(["demo", *map(str, argv)])


def started(dsn: str, lab: Path, check: str, prefix: list[str] = HEEDING) -> subprocess.Popen[str]:
    """Start a demo and return it once it has killed its worker."""
    process = subprocess.Popen(
        [*prefix, sys.executable, "-m", "forgea_pgjobs.cli", "demo", f"--dsn={dsn}",
         f"--repo={lab}", "--workers=2", f"--check={check}"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert any(line.startswith("  killed ") for line in process.stdout)
    return process


def assert_nothing_runs(temp: Path) -> None:
    """Expect every process with this temp folder, ours excepted, to end in five seconds."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            if bytes(temp) in (folder / "environ").read_bytes() and folder.name != str(os.getpid()):
                process = os.pidfd_open(int(folder.name))
                ended, _, _ = select.select([process], [], [], 5)
                os.close(process)
                assert ended


def table_of(out: str) -> dict[str, tuple[str, int]]:
    """Return status and run number by subject."""
    found = re.findall(r"^[0-9a-f]{10}  (.+?) +(PASSED|FAILED) +(\d+) +[\d.]+  \w{8}$", out, re.M)
    return {subject: (status, int(run_no)) for subject, status, run_no in found}


def test_real_commits_become_verdicts_that_nobody_can_change(
    temp: Path, lab: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is set for other programs is no leave to write verdicts for ever into it.
    monkeypatch.setenv("DATABASE_URL", "host=127.0.0.1 port=1")
    code = demo("--repo", lab, "--commits", "2", "--workers", "1")
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    assert "  pushed    created 3 attempts and 3 jobs\n" in out
    assert "  again     created 0 attempts and 0 jobs\n" in out
    assert re.search(r"^  killed    worker-1 with -9 while it checked \w{10} \(run 1\)$", out, re.M)
    assert re.search(r"^  rescued   \w{10} \(run 2\) by worker-2$", out, re.M)
    assert "  stored    3 logs of checks, equal bytes once\n" in out
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) <= 100
    assert table_of(out) == {
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
    assert_nothing_runs(temp)
    assert list(temp.iterdir()) == []


def test_an_expectation_that_is_disappointed_is_named(
    temp: Path, lab: Path, empty_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (lab / "lab.py").write_text("def broken(:")
    git(lab, "commit", "--quiet", "--all", "-m", "four")
    assert demo("--dsn", empty_dsn, "--repo", lab, "--commits", "1", "--workers", "1") == 1
    *_, named, last = capsys.readouterr().out.splitlines()
    assert named.startswith("Not held: only the broken commit fails (")
    assert last.startswith("Not everything held (")


def test_a_database_with_the_same_commits_is_refused(
    temp: Path, lab: Path, empty_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ("--dsn", empty_dsn, "--repo", lab, "--workers", "2")
    assert demo(*argv, "--check", "exit 7") == 0
    assert table_of(capsys.readouterr().out)["one"][0] == "FAILED"
    assert demo(*argv) == 1
    assert capsys.readouterr().err.startswith("error 58000: the database has verified these")
    assert list(temp.iterdir()) == []


def test_a_database_with_open_jobs_is_left_alone(
    fresh_dsn: str, conn: Connection, temp: Path, lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    enqueue(conn)
    conn.commit()
    assert demo("--dsn", fresh_dsn, "--repo", lab) == 1
    assert capsys.readouterr().err.startswith("error 58000: the database has open jobs")
    [job] = rows(conn, "select status, run_no from pgjobs.verification_job")
    assert (job.status, job.run_no) == ("QUEUED", 0)


@pytest.mark.parametrize(
    ("prefix", "signum", "code"),
    [(HEEDING, signal.SIGINT, 1), (HEEDING, signal.SIGTERM, 143), (IGNORING, signal.SIGTERM, 143)],
)
def test_a_signal_leaves_no_process_and_no_folder(
    prefix: list[str], signum: signal.Signals, code: int, temp: Path, lab: Path, empty_dsn: str
) -> None:
    with started(empty_dsn, lab, "sleep 1000 & sleep 1000", prefix) as process:
        process.send_signal(signum)
        assert process.wait() == code
    assert_nothing_runs(temp)
    assert list(temp.iterdir()) == []


def test_a_killed_demo_takes_its_workers_and_their_checks_along(
    temp: Path, lab: Path, empty_dsn: str
) -> None:
    with started(empty_dsn, lab, "sleep 1000 & sleep 1000") as process:
        process.kill()
    assert_nothing_runs(temp)


def test_a_worker_that_dies_ends_the_demo(temp: Path, lab: Path, empty_dsn: str) -> None:
    with started(empty_dsn, lab, "sleep 3") as process, psycopg.connect(empty_dsn) as conn:
        # The commit of the killed worker is still to be claimed.
        conn.execute("drop function pgjobs.claim")
        conn.commit()
        assert process.stderr is not None
        message = process.stderr.read()
        assert re.match(r"error 58000: worker-\d has died: error 42883: .*\n$", message)
        assert process.wait() == 1
    assert_nothing_runs(temp)
    assert list(temp.iterdir()) == []


def test_a_folder_that_is_no_repository_is_refused(
    temp: Path, tmp_path: Path, empty_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    git(tmp_path, "init", "--quiet", "unborn")
    for name in ("unborn", "nowhere"):
        assert demo("--dsn", empty_dsn, "--repo", tmp_path / name) == 1
        assert "is no git repository with commits" in capsys.readouterr().err
