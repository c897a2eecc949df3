"""What a worker says to the database: finished runs against new ones, in one transaction."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import timedelta
from typing import Any, LiteralString

import psycopg
from psycopg import Cursor
from psycopg.rows import tuple_row

from forgea_pgjobs import _statements, complete, release
from forgea_pgjobs._transient import CommitWatch
from forgea_pgjobs.errors import LeaseLost, VerdictFinal, translated
from forgea_pgjobs.models import Claimed
from forgea_pgjobs.worker.verdict import Finished, Tally, reason_of

log = logging.getLogger("forgea_pgjobs.worker")

# In binary, which costs half of text or less: it is all ours, as claimed or made of a JobStatus.
COMPLETE_MANY = """
select job_id, outcome from pgjobs.complete_many(
    %(job_ids)b::bigint[], %(lease_tokens)b::uuid[], %(statuses)b::text[],
    %(summaries)b::text[]::jsonb[]
) where outcome not in ('completed', 'replayed')
"""


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

    Raises: LeaseLost, VerdictFinal: for a single verdict that is not taken.
    """
    watch = CommitWatch()
    claiming = {"worker": worker, "max_jobs": max_jobs, "lease_for": lease_for}
    refused: list[tuple[int, str]] = []
    # Around it all: the answer to COMMIT comes last.
    conn.add_notice_handler(watch)
    try:
        if max_jobs and len(finished) <= 1:
            asked = _one_statement(conn, finished, claiming)
        else:
            asked, refused = _one_transaction(conn, finished, claiming)
    finally:
        conn.remove_notice_handler(watch)
    return list(map(Claimed._make, asked)), refused, not watch.is_unknown


def _one_statement(
    conn: psycopg.Connection[Any], finished: Sequence[Finished], claiming: dict[str, Any]
) -> list[Any]:
    if not finished:
        return _ask(conn, _statements.CLAIM, claiming, binary=True).fetchall()
    [one] = finished
    verdict = {
        "job_id": one.job.job_id,
        "lease_token": one.job.lease_token,
        "status": one.status,
        "summary": one.summary,
    }
    with translated():
        asked = _ask(conn, _statements.COMPLETE_AND_CLAIM, claiming | verdict, binary=True)
    return asked.fetchall()


def _one_transaction(
    conn: psycopg.Connection[Any], finished: Sequence[Finished], claiming: dict[str, Any]
) -> tuple[list[Any], list[Any]]:
    summaries = [one.summary for one in finished]
    verdicts = {
        "job_ids": [one.job.job_id for one in finished],
        "lease_tokens": [one.job.lease_token for one in finished],
        "statuses": [one.status for one in finished],
        "summaries": summaries if any(summaries) else None,
    }
    with conn.pipeline() if psycopg.Pipeline.is_supported() else nullcontext():
        with conn.transaction():
            writer = _ask(conn, COMPLETE_MANY, verdicts)
            if claiming["max_jobs"]:
                claimer = _ask(conn, _statements.CLAIM, claiming, binary=True)
        return (claimer.fetchall() if claiming["max_jobs"] else []), writer.fetchall()


def _ask(
    conn: psycopg.Connection[Any],
    statement: LiteralString,
    arguments: dict[str, Any],
    *,
    binary: bool = False,
) -> Cursor[tuple[Any, ...]]:
    """Run a statement, prepared unless a pooler forbids that."""
    prepare = conn.prepare_threshold is not None or None
    return Cursor(conn, row_factory=tuple_row).execute(
        statement, arguments, prepare=prepare, binary=binary
    )


def write_singly(conn: psycopg.Connection[Any], finished: Sequence[Finished]) -> Tally:
    """Write each verdict by itself; one that the database will not take is no verdict.

    Its job is released instead. So one bad summary does not hold up the verdicts of its batch.
    """
    tally = Tally()
    for one in finished:
        try:
            complete(
                conn,
                job_id=one.job.job_id,
                lease_token=one.job.lease_token,
                status=one.status,
                summary=None if one.summary is None else json.loads(one.summary),
            )
            tally.written += 1
        except (LeaseLost, VerdictFinal) as error:
            lose(one.job.job_id, str(error))
            tally.lost += 1
        except psycopg.DataError as error:
            tally.add(give_back(conn, one.job, reason_of(error)))
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
