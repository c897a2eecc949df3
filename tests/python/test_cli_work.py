"""``forgea-pgjobs work``: what the command says, what of it is kept, and what ends it."""

from __future__ import annotations

import ctypes
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from forgea_pgjobs import cancel, read_artifact, schema
from forgea_pgjobs.worker import check as checks
from tests.conftest import Connect
from tests.helpers import Connection, enqueue, job, let_time_pass, rows, sha
from tests.python.repositories import git, new_repository
from tests.python.test_cli import Run, assert_error, run
from tests.python.workers import until

__all__ = ["run"]  # the fixture
ROOT = schema.migrations_folder().parent
RUNS = "select * from pgjobs.verification_run"
ARTIFACTS = "select * from pgjobs.verification_artifact order by artifact_id"
SESSION = UUID("5e55a0e1-0000-4000-8000-000000000001")
ENDED = "over its time, or stopped with the worker"
# A limit of processes does not bind root, who also reads everything.
NOBODY = os.getuid() or 65534
AS_NOBODY = f"setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups" * (os.getuid() == 0)


@pytest.fixture
def observer(connect: Connect) -> Connection:
    return connect(autocommit=True)


@pytest.fixture(autouse=True)
def temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for the runs, of which nothing is left, no process either."""
    temp = tmp_path / "temp"
    temp.mkdir()
    monkeypatch.setenv("TMPDIR", str(temp))
    monkeypatch.setattr("tempfile.tempdir", str(temp))
    monkeypatch.setattr(checks, "SAME_SIGNAL", 0.0)
    monkeypatch.setattr(checks, "GRACE", 0.5)
    yield temp
    for number in processes_of(temp):
        with suppress(ProcessLookupError):
            process = os.pidfd_open(number)
            assert select.select([process], [], [], 5)[0]
            os.close(process)
    assert list(temp.iterdir()) == []


def processes_of(temp: Path) -> list[int]:
    """Return the processes that have the folder in their environment, ours excepted."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.fsencode(temp) in (folder / "environ").read_bytes():
                found.append(int(folder.name))
    return [number for number in found if number != os.getpid()]


Judge = Callable[..., Any]


@pytest.fixture
def judge(fresh_dsn: str, observer: Connection, run: Run) -> Judge:
    """Have a job judged by a command, and return it."""

    def judge(check: str, *options: str, **pushed: Any) -> Any:
        queued = enqueue(observer, **pushed)
        done = run("work", "--dsn", fresh_dsn, "--check", check, "--drain", *options)
        assert (done.code, done.err) == (0, "")
        return job(observer, queued.job_id)

    return judge


def log_of(observer: Connection) -> bytes:
    """Return the log of the only run."""
    [log] = [each for each in rows(observer, ARTIFACTS) if each.kind == "LOG"]
    assert (log.name, log.media_type) == ("check.log", "text/plain")
    return read_artifact(observer, artifact_id=log.artifact_id) or b""


# Has no mark of ours, and ends when it can write no more.
STRAY = "sh -c 'while echo y; do sleep 1; done'"


@pytest.mark.parametrize(
    ("check", "status", "detail", "log"),
    [
        ("ls -A; exec >/dev/null 2>&1; sleep 0.1", "PASSED", None, b""),
        ("echo no; exit 1", "FAILED", None, b"no\n"),
        ("exit 2", "ERROR", None, b""),
        ("printf 'no\\033\\377\\n \\n' >&2; exit 2", "ERROR", "no \ufffd", b"no\x1b\xff\n \n"),
        ("setsid sleep 1000 & exit 1", "FAILED", None, b""),
        (f"setsid env -i {STRAY} & sleep 0.2; exit 1", "FAILED", None, b"y\n"),
        ("for i in $(seq 1500); do mkdir d; cd d; done; chmod 0 . ..", "PASSED", None, b""),
    ],
)  # fmt: skip
def test_exit_code_0_1_or_2_is_a_verdict(
    check: str, status: str, detail: str | None, log: bytes, judge: Judge, observer: Connection
) -> None:
    verdict = judge(check)
    assert (verdict.status, verdict.error_detail, verdict.summary) == (status, detail, None)
    assert log_of(observer) == log


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        ("echo no commit >&2; exit 3", "exit code 3: no commit"),
        ("no-such-command 2>/dev/null", "exit code 127"),
        ("kill -9 $$", "exit code -9"),
        ("sh -c 'kill -9 $$'; exit $?", "exit code 137: Killed"),
        ("trap 'exit 1' TERM; kill -TERM 0; sleep 9", "its processes were signalled"),
        ("sleep 1000 & sleep 1000", ENDED),
        ("trap '' TERM; while :; do sleep 1000; done", ENDED),
        ("kill -STOP 0", ENDED),
    ],
)
def test_another_exit_code_a_signal_or_the_time_limit_is_no_verdict(
    check: str, reason: str, judge: Judge, observer: Connection
) -> None:
    options = ["--time-limit", "0.3"] if reason is ENDED else []
    assert judge(check, *options).status == "QUEUED"
    [run] = rows(observer, RUNS)
    assert (run.outcome, run.reason) == ("RELEASED", reason)
    assert log_of(observer).decode().strip() == reason.partition(": ")[2]


def test_the_check_knows_its_job_and_neither_the_database_nor_a_caller(
    judge: Judge, observer: Connection, temp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DATABASE_URL", "PGPASSWORD", "PGJOBS_TEST_DSN", "GIT_DIR"):
        monkeypatch.setenv(name, "secret")
    pushed: Any = {"session_id": SESSION, "commit_sha": sha(1), "payload": Jsonb({"é": [1]})}
    queued = judge('env; cat "$PGJOBS_PAYLOAD"', **pushed)
    *lines, payload = log_of(observer).decode().splitlines()
    known = dict(
        line.split("=", 1) for line in lines if re.match("DATABASE|PG|GIT|TMPDIR|PWD", line)
    )
    [folder] = {Path(known.pop(name)).parent for name in ("PGJOBS_ARTIFACTS", "TMPDIR", "PWD")}
    assert folder.parent == temp
    assert known == {
        "PGJOBS_COMMIT": sha(1),
        "PGJOBS_LAB_VERSION": "1",
        "PGJOBS_SESSION": str(SESSION),
        "PGJOBS_JOB": str(queued.job_id),
        "PGJOBS_RUN": "1",
        "PGJOBS_PAYLOAD": f"{folder}/payload.json",
    }
    assert json.loads(payload) == {"é": [1]}


def test_a_check_cannot_read_the_environment_of_its_worker(
    fresh_dsn: str, observer: Connection
) -> None:
    queued = enqueue(observer)
    is_root = os.getuid() == 0
    prefix = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] * is_root  # as others are
    check = "cat /proc/$PPID/environ >/dev/null && exit 1; exit 0"
    with started(fresh_dsn, check, "--drain", prefix=prefix) as worker:
        assert worker.wait() == 0
    assert job(observer, queued.job_id).status == "PASSED"


@pytest.mark.parametrize("size", [960 * 1024, 960 * 1024 + 1, 50_000_000])
def test_the_log_has_the_beginning_and_the_end(
    size: int, judge: Judge, observer: Connection
) -> None:
    judge(f"echo begin; head -c {size - 10} /dev/zero; echo end; touch $PGJOBS_ARTIFACTS/check.log")
    log = log_of(observer)
    cut = size - 960 * 1024
    marks = [b"\n[not kept: 'check.log']\n"] + [b"\n[%d bytes left out]\n" % cut] * (cut > 0)
    assert len(log) == min(size, 960 * 1024) + sum(map(len, marks))
    assert all(mark in log for mark in [b"begin\n\0", b"\0end\n", *marks])
    assert rows(observer, ARTIFACTS)[0].truncated == (cut > 0)


HOSTILE = r"""
cd "$PGJOBS_ARTIFACTS"
for name in report.xml a.diff output a.log check.log one 'back\slash' "$(printf 'bad\377')"; do
    echo "$name" >"$name"
done
head -c 1048577 /dev/zero >big
ln one two; ln -s /etc/passwd link; mkfifo fifo; mkdir folder; touch folder/inner
ln -s /etc/passwd summary.json
"""
OTHERS = r"'back\\slash', 'bad\udcff', 'check.log', 'fifo', 'folder', 'link', 'one', 'two'"


@pytest.mark.parametrize(
    ("check", "kept", "others"),
    [
        (
            HOSTILE,
            [("DIFF", "a.diff", 7), ("LOG", "a.log", 6), ("OTHER", "big", 1_048_576),
             ("OTHER", "output", 7), ("REPORT", "report.xml", 11)],
            OTHERS,
        ),
        ('rmdir "$PGJOBS_ARTIFACTS"; ln -s /etc "$PGJOBS_ARTIFACTS"', [], None),
        (
            'cd "$PGJOBS_ARTIFACTS"; for i in $(seq 100 220); do echo $i >$i; done',
            [("OTHER", str(number), 4) for number in range(100, 199)],
            f"{', '.join(repr(str(number)) for number in range(199, 219))}, ...",
        ),
        (
            'cd "$PGJOBS_ARTIFACTS"; for i in $(seq 10 25); do head -c 1048576 /dev/zero >$i; done',
            [("OTHER", str(number), 1_048_576) for number in range(10, 25)],
            "'25'",
        ),
    ],
)  # fmt: skip
def test_plain_files_are_kept_as_far_as_a_run_may_have_them(
    check: str, kept: list[tuple[str, str, int]], others: str | None,
    judge: Judge, observer: Connection,
) -> None:  # fmt: skip
    verdict = judge(check)
    assert (verdict.status, verdict.summary) == ("PASSED", None)
    *files, log = rows(observer, ARTIFACTS)
    assert [(each.kind, each.name, each.size_bytes) for each in files] == kept
    assert [each.name for each in files if each.truncated] == ["big"] * (check == HOSTILE)
    words = f"\n[not kept: {others}]\n" if others else ""
    assert read_artifact(observer, artifact_id=log.artifact_id) == words.encode()


@pytest.mark.parametrize(
    ("written", "summary"),
    [
        ("""echo '{"tests": 3, "word": "\\u0000"}'""", {"tests": 3, "word": "\ufffd"}),
        ("echo NaN", "NaN"),
        ("true", None),
        ("echo '{'", "JSONDecodeError: "),
        ("printf '\\377\\377'", "UnicodeDecodeError: "),
        ("head -c 100000 /dev/zero | tr '\\0' '['", "RecursionError: "),
    ],
)
def test_summary_json_is_the_summary(written: str, summary: Any, judge: Judge) -> None:
    verdict = judge(f"({written}) >$PGJOBS_ARTIFACTS/summary.json; exit 1")
    assert verdict.status == "FAILED"
    if isinstance(summary, str) and summary.endswith(": "):
        assert verdict.summary.keys() == {"not_stored"}
        assert verdict.summary["not_stored"].startswith(summary)
    else:
        assert verdict.summary == summary


def test_a_fork_bomb_has_an_end(judge: Judge) -> None:
    count = f"ls -ln /proc | grep -c ' {NOBODY} '"
    limits = f"{AS_NOBODY} prlimit --nproc=$((50 + $({count})))"
    bomb = "bomb() { bomb | bomb & bomb; }; bomb"
    assert judge(f"{limits} timeout 1 sh -c '{bomb}' >/dev/null 2>&1; exit 1").status == "FAILED"


def test_a_worker_that_is_given_orphans_keeps_no_zombie(judge: Judge) -> None:
    def is_zombie_of_ours(folder: Path) -> bool:
        with suppress(OSError):
            state, parent = (folder / "stat").read_text().rpartition(") ")[2].split()[:2]
            return (state, int(parent)) == ("Z", os.getpid())
        return False

    set_child_subreaper = partial(ctypes.CDLL(None).prctl, 36)
    assert set_child_subreaper(1) == 0
    try:
        assert judge("(sleep 1000 &); sleep 1000 & exit 1").status == "FAILED"
        assert not [*filter(is_zombie_of_ours, Path("/proc").glob("[0-9]*"))]
    finally:
        set_child_subreaper(0)


@contextmanager
def started(
    dsn: str, check: str, *options: str, prefix: Sequence[str] = ()
) -> Iterator[subprocess.Popen[str]]:
    """Start a worker in a process group of its own, and kill it at the end."""
    argv = [sys.executable, "-m", "forgea_pgjobs.cli", "work", "--check", check, *options]
    with subprocess.Popen(
        [*prefix, *argv], cwd=ROOT, env=os.environ | {"DATABASE_URL": dsn},
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def signal_worker(worker: subprocess.Popen[str], _temp: Path) -> None:
    os.killpg(worker.pid, signal.SIGTERM)


def signal_twice(worker: subprocess.Popen[str], _temp: Path) -> None:
    worker.terminate()
    time.sleep(0.5)
    worker.terminate()


def signal_all(worker: subprocess.Popen[str], temp: Path) -> None:
    # The worker last, which is the worst for it.
    for number in set(processes_of(temp)) - {worker.pid}:
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGTERM)
    time.sleep(0.3)
    worker.terminate()


WAITING = """
trap 'echo told; exit 1' TERM
echo here
touch ../../../begun
until [ -e ../../../go ]; do sleep 0.05; done
exit 1
"""


@pytest.mark.parametrize(
    ("stop", "outcome", "is_told"),
    [
        (signal_worker, "FAILED", False),
        (signal_twice, "INTERRUPTED", True),
        (signal_all, "INTERRUPTED", True),
    ],
)
def test_a_deploy_makes_no_failure_and_no_counted_run(
    stop: Callable[..., None], outcome: str, is_told: bool, fresh_dsn: str,
    observer: Connection, tmp_path: Path, temp: Path,
) -> None:  # fmt: skip
    queued = enqueue(observer)
    with started(fresh_dsn, WAITING, "--name=w1") as worker:
        until((tmp_path / "begun").exists)
        stop(worker, temp)
        if not is_told:
            (tmp_path / "go").touch()
        out, err = worker.communicate(timeout=30)
    assert worker.returncode == 0
    assert [run.outcome for run in rows(observer, RUNS)] == [outcome]
    assert job(observer, queued.job_id).status == ("QUEUED" if is_told else "FAILED")
    assert (b"told\n" in log_of(observer)) == is_told
    assert re.search(rf" job {queued.job_id}: {outcome} after \d\.\d+ s", err)
    assert out == f"verdicts {1 - is_told}, runs given back {is_told:d}, lost 0\n"


def test_a_killed_worker_takes_its_check_along_and_another_goes_on(
    fresh_dsn: str, observer: Connection, tmp_path: Path, temp: Path, judge: Judge
) -> None:
    queued = enqueue(observer)
    with started(fresh_dsn, WAITING) as worker:
        until((tmp_path / "begun").exists)
        worker.kill()
        until(lambda: not processes_of(temp))
    for folder in temp.iterdir():
        shutil.rmtree(folder)
    let_time_pass(observer, "1 hour")
    judge("true")
    done = job(observer, queued.job_id)
    assert (done.status, done.run_no) == ("PASSED", 2)


def test_a_check_whose_job_is_cancelled_is_ended(
    fresh_dsn: str, observer: Connection, tmp_path: Path
) -> None:
    queued = enqueue(observer)
    alive = tmp_path / "alive"
    options = ("--lease-for=1", "--drain", f"--alive={alive}", "--concurrency=2")
    with started(fresh_dsn, WAITING, *options) as worker:
        until((tmp_path / "begun").exists)
        cancel(observer, job_id=queued.job_id, reason="withdrawn", actor="ada")
        out, _err = worker.communicate(timeout=30)
    assert alive.exists()
    assert out == "verdicts 0, runs given back 0, lost 1\n"


@pytest.mark.parametrize(
    "option",
    ["--concurrency=0", "--lease-for=0", "--lease-for=nan", "--time-limit=1e99"],
)
def test_an_option_out_of_its_range_is_refused(option: str, run: Run) -> None:
    assert_error(run("work", "--dsn", "", "--check", "true", option), "22023")


def test_no_part_of_a_password_is_taken_for_a_host_and_printed(run: Run) -> None:
    done = run("work", "--dsn", "postgres://ada:se@cret@host/lab", "--check", "true", "--drain")
    assert_error(done, "08001")
    assert "cret" not in done.err


CODES = {
    "good": "assert True",
    "wrong": "assert False",
    "endless": "while True: pass",
    "crash": "os.abort()",
}


def test_the_script_of_the_documentation_judges_a_real_repository(
    judge: Judge, tmp_path: Path, observer: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs/run.md").read_text(encoding="utf-8")
    [script] = re.findall(r"^```text\n(git clone(?:.*\n){6})```$", page, re.MULTILINE)
    (tmp_path / "check.sh").write_text(script.replace("timeout 60", "timeout 2"))
    lab = new_repository(tmp_path / "lab", ["one"])
    monkeypatch.setenv("LAB", str(lab))
    commits = {"vanished": sha()}
    for name, line in CODES.items():
        body = (
            f"import os, unittest\nclass Test(unittest.TestCase):\n  def test(self):\n    {line}\n"
        )
        (lab / "test_lab.py").write_text(body)
        git(lab, "add", ".")
        git(lab, "commit", "--quiet", "-m", name)
        commits[name] = git(lab, "rev-parse", "HEAD")
    check = f"sh {tmp_path}/check.sh"
    verdicts = {name: judge(check, commit_sha=commits[name]) for name in commits}
    assert {name: verdict.status for name, verdict in verdicts.items()} == {
        "good": "PASSED", "wrong": "FAILED", "endless": "FAILED",
        "crash": "QUEUED", "vanished": "QUEUED",
    }  # fmt: skip
    assert verdicts["wrong"].summary == {"exit_code": 1}
    reasons = [run.reason for run in rows(observer, RUNS) if run.outcome == "RELEASED"]
    assert [reason.partition(":")[0] for reason in reasons] == ["exit code 3"] * 2
    assert "report.txt" in {each.name for each in rows(observer, ARTIFACTS)}
