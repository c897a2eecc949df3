"""``backfill``: counted first, moved in when told to, and compared at the end."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from forgea_pgjobs.cli.output import Progress
from tests.backfill.host import GRANTS, TABLES, add_log
from tests.helpers import rows, sha
from tests.python.test_cli import Run, assert_error, run

__all__ = ["run"]  # the fixture
COUNTED = """\
seen       4
attempts   3
jobs       2
artifacts  4
skipped    2
waiting    1
a dry run of what is left: --execute moves it in
"""
REPORTED = """\
outcome  reason            logs
JOB      BACKFILL_UNKNOWN  1
JOB      VERIFIED_PASS     1
ATTEMPT  COMMIT_HAS_JOB    1
SKIPPED  BAD_COMMIT_SHA    1
WAITING  to settle         1
all                        5

check                                          expected  actual  ok
logs that are in the report                    4         4       yes
logs as they were, by hash                     4         4       yes
ledger rows as they were, by hash              4         4       yes
logs skipped for their form                    1         1       yes
attempts of logs                               3         3       yes
logs whose commit had a job                    1         1       yes
jobs of logs                                   2         2       yes
verdicts PASSED                                1         1       yes
verdicts unknown                               1         1       yes
backfilled verdicts in all                     2         2       yes
artifacts of logs, by hash                     4         4       yes
artifacts without a run in all                 4         4       yes
unknown, and its session is VERIFIED_PASS now  0         0       yes
"""


@pytest.fixture
def host(fresh_dsn: str) -> str:
    """A database with four logs and a young one, as an operator reaches it.

    His sessions are SERIALIZABLE.
    """
    commit = sha()
    with psycopg.connect(fresh_dsn) as conn:
        conn.execute(TABLES)
        conn.execute(GRANTS)
        add_log(conn, commit_sha=commit, verified_at="2026-01-01")
        add_log(conn, commit_sha=commit, verified_at="2026-01-02")
        add_log(conn, status="STUCK")
        add_log(conn, commit_sha="HEAD")
        add_log(conn, verified_at=datetime.now(UTC).replace(tzinfo=None))
    options = "-c role=pgjobs_operator -c default_transaction_isolation=serializable"
    return make_conninfo(fresh_dsn, options=options)


def test_a_dry_run_counts_and_changes_nothing(host: str, run: Run) -> None:
    for _ in range(2):
        done = run("backfill", "--dsn", host)
        assert (done.code, done.out, done.err) == (0, COUNTED, "")


def test_execute_moves_the_history_in_and_reports(host: str, run: Run) -> None:
    steps = "2 of 4 logs\n4 of 4 logs\n"
    done = run("backfill", "--dsn", host, "--execute", "--batch-size", "2")
    assert (done.code, done.out, done.err) == (0, steps + REPORTED, "")
    again = run("backfill", "--dsn", host, "--execute")
    assert (again.code, again.out, again.err) == (0, REPORTED, "")


def test_a_history_that_does_not_agree_is_a_failure(host: str, fresh_dsn: str, run: Run) -> None:
    assert run("backfill", "--dsn", host, "--execute").code == 0
    with psycopg.connect(fresh_dsn) as conn:
        conn.execute("set session_replication_role = replica")
        conn.execute('delete from "VerificationLog" where "commitSha" = \'HEAD\'')
    done = run("backfill", "--dsn", host, "--execute")
    assert_error(done, "55000")
    assert "logs as they were, by hash" in done.err
    assert f"{'logs as they were, by hash':45}  4         3       NO\n" in done.out


def test_what_waits_is_moved_without_settle_and_texts_stay_when_told(
    host: str, fresh_dsn: str, run: Run
) -> None:
    done = run("backfill", "--dsn", host, "--execute", "--settle", "0s", "--without-bodies")
    assert (done.code, done.err) == (0, "")
    assert "WAITING" not in done.out
    with psycopg.connect(fresh_dsn) as conn:
        [counts] = conn.execute(
            "select count(*), count(location), count(body_id) from pgjobs.artifact"
        )
        assert counts == (6, 6, 0)


def test_a_session_that_passed_too_late_is_named(host: str, fresh_dsn: str, run: Run) -> None:
    assert run("backfill", "--dsn", host, "--execute").code == 0
    with psycopg.connect(fresh_dsn) as conn:
        conn.execute("update \"LabSession\" set status = 'VERIFIED_PASS'")
        [[log_id]] = rows(
            conn, "select log_id from pgjobs.backfill where reason = 'BACKFILL_UNKNOWN'"
        )
    done = run("backfill", "--dsn", host, "--execute")
    assert_error(done, "55000")
    assert done.out.endswith(f"\nunknown, and its session is VERIFIED_PASS now: {log_id}\n")


def test_show_says_where_a_verdict_comes_from(host: str, fresh_dsn: str, run: Run) -> None:
    run("backfill", "--dsn", host, "--execute")
    with psycopg.connect(fresh_dsn) as conn:
        [[commit]] = rows(conn, "select commit_sha from pgjobs.job order by job_id limit 1")
    assert "\norigin   BACKFILL, no run of ours\n" in run("show", commit, "--dsn", host).out


def test_backfill_is_an_operators(host: str, fresh_dsn: str, run: Run) -> None:
    reader = make_conninfo(fresh_dsn, options="-c role=pgjobs_reader")
    assert_error(run("backfill", "--dsn", reader), "42501")
    assert_error(run("backfill", "--dsn", host, "--batch-size", "0"), "22023")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    progress = Progress(terminal, 1000, "logs")
    for count in (500, 700):
        progress.add(count)
    progress.end()
    half, full = terminal.getvalue().split("\r\x1b[2K")[1:]
    assert half == f"[{'#' * 15}{'.' * 15}] 500 of 1,000 logs"
    assert full == f"[{'#' * 30}] 1,200 of 1,200 logs\n"


def test_without_a_terminal_there_is_a_line_for_every_tenth(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    terminal = Terminal()
    progress = Progress(terminal, 100, "logs")
    for _ in range(100):
        progress.add(1)
    progress.end()
    assert terminal.getvalue() == "".join(f"{n} of 100 logs\n" for n in range(10, 101, 10))
