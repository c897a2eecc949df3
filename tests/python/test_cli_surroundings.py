"""The commands do the same wherever they are run: settings of the database, encodings, streams."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

import forgea_pgjobs as pgjobs
from forgea_pgjobs import schema
from forgea_pgjobs.cli import main
from forgea_pgjobs.schema import runner
from forgea_pgjobs.schema.yoyo_backend import LOCK
from tests.helpers import sha
from tests.python.test_cli import ALL, Run, run

__all__ = ["run"]  # the fixture
COMMIT = sha(0xC0FFEE)
ENCODINGS = ["LATIN1", "WIN1252", "SQL_ASCII"]
AUTHOR, BRANCH, REASON = "Ада", "ветка-語", "диск"
WAITING = "select count(*) from pg_locks where locktype = 'advisory' and not granted"


def set_default(dsn: str, setting: str, value: str) -> None:
    """Set what every new session of the database begins with."""
    with psycopg.connect(dsn) as conn:
        name = sql.Identifier(conn.info.dbname)
        conn.execute(sql.SQL("alter database {} set {} = {}").format(name, sql.SQL(setting), value))


def tell_a_story(dsn: str) -> None:
    """Have a commit pushed, released and judged, in words that are not Latin."""
    with psycopg.connect(dsn, client_encoding="UTF8") as conn:
        pushed: Any = {"session_id": uuid4(), "commit_sha": COMMIT, "lab_version": "1"}
        pgjobs.enqueue(conn, **pushed, author=AUTHOR, branch=BRANCH)
        conn.commit()
        [held] = pgjobs.claim(conn, worker="w")
        lease: Any = {"job_id": held.job_id, "lease_token": held.lease_token}
        pgjobs.add_artifact(conn, **lease, kind="LOG", name=REASON, content=b"x")
        pgjobs.complete(conn, **lease, status="FAILED", summary={"word": REASON})


def run_all(dsn: str, run: Run) -> str:
    """Run every command on an empty database, and return what ``show`` says of the story."""

    def done(*argv: str) -> str:
        ended = run(*argv, "--dsn", dsn)
        assert (ended.code, "error" in ended.err) == (0, False), ended.err
        return ended.out

    assert f"-- pending: {ALL[0]}" in done("migrate", "--dry-run")
    assert done("migrate") == "".join(f"applied {name}\n" for name in ALL)
    tell_a_story(dsn)
    assert "FAILED, last 24 h   1\n" in done("status")
    assert "\nno errors in " in done("verify")
    story = done("show", COMMIT)
    assert done("expire", "--older-than", "0s", "--execute").startswith("dropped 1 body ")
    assert done("rollback", "--force") == f"rolled back {ALL[-1]}\n"
    return story


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_encoding_of_the_environment_changes_nothing(
    encoding: str, empty_dsn: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", encoding)
    story = run_all(empty_dsn, run)
    assert f"by {AUTHOR} on {BRANCH}\n" in story
    assert REASON in story
    assert run("sql").out == schema.recorded_install_sql()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        *(("client_encoding", encoding) for encoding in ENCODINGS),
        ("default_transaction_isolation", "repeatable read"),
        ("default_transaction_isolation", "serializable"),
        ("datestyle", "SQL, DMY"),
    ],
)
def test_a_setting_of_the_database_changes_nothing(
    setting: str, value: str, empty_dsn: str, run: Run
) -> None:
    set_default(empty_dsn, setting, value)
    assert f"by {AUTHOR} on {BRANCH}\n" in run_all(empty_dsn, run)


def test_a_runner_that_had_to_wait_sees_what_the_other_has_done(empty_dsn: str) -> None:
    set_default(empty_dsn, "default_transaction_isolation", "repeatable read")
    with psycopg.connect(empty_dsn, autocommit=True) as gate, ThreadPoolExecutor(2) as pool:
        gate.execute("select pg_advisory_lock(%s)", [LOCK])
        runs = [pool.submit(runner.migrate, empty_dsn) for _ in range(2)]
        while gate.execute(WAITING).fetchone() != (2,):
            assert not any(each.done() for each in runs)
        gate.execute("select pg_advisory_unlock(%s)", [LOCK])
        assert sorted(name for each in runs for name in each.result()) == ALL


CLOSED = "error 58030: standard output is closed (hint: try >/dev/null)\n"
FULL = "error 58000: [Errno 28] No space left on device\n"
# Prints, and then fails.
BREAKING = """
import sys
from forgea_pgjobs.cli import main, status
status.run = lambda _options: [print("queued jobs"), 1 / 0]
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("ending", "code", "out", "err"),
    [
        ("{command} >&-", 1, "", CLOSED),
        ("{command} >&- 2>&-", 1, "", ""),
        ("{command} 2>&-", 0, "queued jobs", ""),
        ("{command} --wrong 2>&-", 2, "", ""),
        ("{command} --dsn host=/nowhere 2>&-", 1, "", ""),
        ("{command} >/dev/full", 1, "", FULL),
        ("{breaking} >/dev/full", 1, "", "error 58000: division by zero\n"),
    ],
)
def test_a_closed_or_full_output_is_one_line_or_none(
    ending: str, code: int, out: str, err: str, dsn: str
) -> None:
    python = shlex.quote(sys.executable)
    command = f"{python} -m forgea_pgjobs.cli status"
    breaking = f"{python} -c {shlex.quote(BREAKING)} status"
    done = subprocess.run(
        ["sh", "-c", ending.format(command=command, breaking=breaking)],
        env=os.environ | {"DATABASE_URL": dsn, "PYTHONUNBUFFERED": ""},
        cwd=schema.migrations_folder().parent,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (code, err)
    assert out in done.stdout if out else not done.stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_an_output_that_cannot_say_a_word_gets_question_marks(
    encoding: str, fresh_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell_a_story(fresh_dsn)
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
    assert main(["show", COMMIT, "--dsn", fresh_dsn]) == 0
    assert b"by ??? on ?????-?\n" in written.getvalue()
