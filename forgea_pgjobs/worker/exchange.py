"""What a worker says to the database: finished runs against new ones, in one transaction."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import psycopg
from psycopg import Cursor
from psycopg.rows import tuple_row

from forgea_pgjobs import complete, release
from forgea_pgjobs._transient import CommitWatch
from forgea_pgjobs.errors import LeaseLost, VerdictFinal
from forgea_pgjobs.models import Claimed
from forgea_pgjobs.worker.verdict import Finished, Tally, reason_of

log = logging.getLogger("forgea_pgjobs.worker")

COMPLETE_MANY = """
select job_id, outcome from pgjobs.complete_many(
    %(job_ids)s::bigint[], %(lease_tokens)s::uuid[], %(statuses)s::text[],
    %(summaries)s::text[]::jsonb[]
) where outcome not in ('completed', 'replayed')
"""
CLAIM = "select * from pgjobs.claim(%s::text, %s::integer, %s::interval)"


def exchange(
    conn: psycopg.Connection[Any],
    finished: Sequence[Finished],
    *,
    worker: str,
    max_jobs: int,
    lease_for: timedelta,
) -> tuple[list[Claimed], list[tuple[int, str]], bool]:
    """Write verdicts and claim, in one transaction and, where libpq can, one round trip.

    Returns the runs, the jobs whose verdict was not taken with the outcome, and whether the COMMIT
    is sure to last. Repeating it writes nothing twice.
    """
    watch = CommitWatch()
    prepare = conn.prepare_threshold is not None or None
    refused: list[tuple[int, str]] = []
    with conn.pipeline() if psycopg.Pipeline.is_supported() else nullcontext():
        conn.add_notice_handler(watch)
        try:
            with conn.transaction():
                writer = Cursor(conn, row_factory=tuple_row)
                if finished:
                    writer.execute(
                        COMPLETE_MANY,
                        {
                            "job_ids": [one.job.job_id for one in finished],
                            "lease_tokens": [one.job.lease_token for one in finished],
                            "statuses": [one.status for one in finished],
                            "summaries": [one.summary for one in finished],
                        },
                        prepare=prepare,
                    )
                claimer = Cursor(conn, row_factory=tuple_row)
                if max_jobs:
                    claimer.execute(
                        CLAIM, (worker, max_jobs, lease_for), prepare=prepare, binary=True
                    )
            if finished:
                refused = writer.fetchall()
            runs = [Claimed(*row) for row in claimer.fetchall()] if max_jobs else []
        finally:
            conn.remove_notice_handler(watch)
    return runs, refused, not watch.is_unknown


def write_singly(conn: psycopg.Connection[Any], finished: Sequence[Finished]) -> Tally:
    """Write each verdict by itself; one that the database will not take is no verdict.

    Its job is released instead. So one bad summary does not hold up the verdicts of its batch.
    """
    tally = Tally()
    for one in finished:
        reason = one.reason
        try:
            if reason is None:
                summary = None if one.summary is None else json.loads(one.summary)
                complete(
                    conn,
                    job_id=one.job.job_id,
                    lease_token=one.job.lease_token,
                    status=one.status,
                    summary=summary,
                )
                tally.written += 1
                continue
        except (LeaseLost, VerdictFinal) as error:
            lose(one.job.job_id, str(error))
            tally.lost += 1
            continue
        except psycopg.DataError as error:
            reason = reason_of(error)
        tally.add(give_back(conn, one.job, reason))
    return tally


def give_back(
    conn: psycopg.Connection[Any],
    job: Claimed,
    reason: str,
    retry_after: timedelta | None = None,
) -> Tally:
    """Release a run; one that was taken away meanwhile is somebody else's now."""
    try:
        release(
            conn,
            job_id=job.job_id,
            lease_token=job.lease_token,
            reason=reason,
            retry_after=retry_after,
        )
    except (LeaseLost, VerdictFinal) as error:
        lose(job.job_id, str(error))
        return Tally(lost=1)
    return Tally(released=1)


def lose(job_id: int, why: str) -> None:
    """Say that a result was dropped."""
    log.warning("job %s: the result is dropped, %s", job_id, why)
