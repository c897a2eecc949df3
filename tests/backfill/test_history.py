"""O17: a whole history moves in while its writer goes on and movers are killed; nothing differs."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import psycopg
import pytest
from psycopg.rows import TupleRow

from tests.backfill.host import HISTORY, LIVE, add_log, make_host
from tests.conftest import Postgres
from tests.helpers import Connection, call, rows, sha
from tests.races.rivals import LONG

LOGS = 100_000 if LONG else 1000
OLD = f"(select md5('log' || number)::uuid from generate_series(1, {LOGS}) as number)"
# Every byte of every old log, and the place where its row lies: a row that was written anew moved.
UNTOUCHED = f"""
select md5(string_agg(md5(log::text || log.ctid || log.xmin || log.xmax), '' order by log.id))
from "VerificationLog" as log
where log.id in {OLD}
"""
# What came of the old logs, ids left out but for their order.
RESULT = f"""
select
    report.log_id, report.session_id, report.outcome, report.reason, report.commit_sha,
    attempt.recorded_at, attempt.pushed_at, job.session_id, job.lab_version, job.status,
    job.priority, job.max_runs, job.created_at, job.available_at, job.started_at,
    job.completed_at, job.run_no, job.worker, job.error_reason, job.error_detail, job.origin,
    (
        select array_agg(
            (kind, name, sha256, size_bytes, media_type, truncated, created_at)::text order by name
        )
        from pgjobs.verification_artifact as artifact
        where artifact.job_id = report.job_id
    ),
    rank() over (order by report.job_id)
from pgjobs.backfill_report as report
left join pgjobs.verification_attempt as attempt on attempt.attempt_id = report.attempt_id
left join pgjobs.verification_job as job on job.job_id = report.job_id
where report.log_id in {OLD}
order by report.log_id
"""


@pytest.fixture(scope="module")
def host(pg: Postgres, dsn: str) -> str:
    """The name of a database with the whole history; others are copied from it."""
    with psycopg.connect(dsn) as conn:
        make_host(conn)
        conn.execute(HISTORY.format(size=LOGS).encode())
        conn.execute(LIVE)
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("vacuum (freeze, analyze)")
        return conn.info.dbname


@pytest.fixture
def undisturbed(pg: Postgres, host: str) -> Iterator[str]:
    with pg.database(host) as dsn:
        yield dsn


@pytest.fixture
def disturbed(pg: Postgres, host: str) -> Iterator[str]:
    with pg.database(host) as dsn:
        yield dsn


def outcome(conn: Connection) -> list[TupleRow]:
    """Return what came of the old logs; autovacuum may not have looked at the rows yet."""
    conn.execute("analyze")
    return conn.execute(RESULT.encode()).fetchall()


def move(dsn: str) -> subprocess.Popen[str]:
    """Start the command."""
    command = (
        *(sys.executable, "-m", "forgea_pgjobs.cli", "backfill", "--dsn", dsn, "--execute"),
        *("--batch-size", str(LOGS // 100)),
    )
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    )


def kill_half_way(dsn: str) -> None:
    """Kill the command, as by kill -9, after it has moved a tenth of what was left."""
    with move(dsn) as mover:
        assert mover.stdout is not None
        assert mover.stdout.readline().endswith(" logs\n")
        mover.kill()
    assert mover.returncode == -9


def write_on(dsn: str, stop: Event) -> int:
    """Go on writing logs until told to stop or enough.

    They are in turn of new commits and of one that has an old log whose session passed.
    """
    written = 0
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("set lock_timeout = '1s'")
        while not stop.is_set() and written < LOGS // 10:
            commit = sha() if written % 2 else f"c0ffee{55:034x}"
            add_log(conn, commit_sha=commit, verified_at="2026-06-01")
            written += 1
    return written


def test_o17_a_history_moves_in_the_same_however_often_it_is_killed(
    undisturbed: str, disturbed: str
) -> None:
    with psycopg.connect(undisturbed, autocommit=True) as conn:
        [expected] = call(conn, "backfill_verification_log")
        with move(undisturbed) as mover:
            out, err = mover.communicate()
        assert (mover.returncode, err) == (0, ""), out
        [moved] = rows(
            conn,
            "select count(*) as seen, count(job_id) as jobs, count(*) - count(job_id) as skipped"
            " from pgjobs.backfill_report",
        )
        assert (moved.seen, moved.jobs, moved.skipped) == (
            *(LOGS, expected.jobs, expected.skipped),
        )
        result = outcome(conn)
        assert len(result) == LOGS

    stop = Event()
    with (
        psycopg.connect(disturbed, autocommit=True) as conn,
        ThreadPoolExecutor(1) as pool,
    ):
        before = rows(conn, UNTOUCHED)
        assert call(conn, "backfill_verification_log") == [expected]
        writer = pool.submit(write_on, disturbed, stop)
        try:
            for _ in range(3):
                kill_half_way(disturbed)
            [[half_way]] = rows(conn, "select count(*) from pgjobs.backfill_report")
            assert 0 < half_way < LOGS
            with move(disturbed) as first, move(disturbed) as second:
                for mover in (first, second):
                    out, err = mover.communicate()
                    # All that may be missing is what the writer has added since.
                    assert not err or "not reconciled: logs that are in the report " in err, err
        finally:
            stop.set()
        written = writer.result()

        with move(disturbed) as mover:
            out, err = mover.communicate()
        assert (mover.returncode, err) == (0, ""), out
        assert rows(conn, UNTOUCHED) == before
        assert outcome(conn) == result
        [reported] = rows(
            conn,
            'select count(*), (select count(*) from "VerificationLog") as logs'
            " from pgjobs.backfill_report",
        )
        assert reported == (LOGS + written, LOGS + written)
        assert written > 0


def test_the_history_of_the_test_has_every_kind_of_log(undisturbed: str) -> None:
    with psycopg.connect(undisturbed, autocommit=True) as conn:
        kinds = rows(
            conn,
            """
            select
                count(*) filter (where "commitSha" ~ '^[0-9A-F]{40}$'
                    and "commitSha" ~ '[A-F]') as upper_case,
                count(*) filter (where length("commitSha") between 1 and 7
                    and trim("commitSha") <> '') as abbreviated,
                count(*) filter (where trim("commitSha") = '') as blank,
                count(*) filter (where "commitSha" = repeat('0', 40)) as zero,
                count(*) - count(distinct "commitSha") as duplicate,
                count(*) filter (where "prDiff" = '') as empty,
                count(*) filter (where octet_length("ciOutput") > 1048576) as large
            from "VerificationLog"
            """,
        )
        assert min(kinds[0]) > 0
        [statuses] = rows(conn, 'select count(distinct status) from "LabSession"')
        assert statuses == (4,)
