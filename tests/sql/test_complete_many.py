"""complete_many: one answer per element, in input order, each as complete would give it."""

from typing import Any
from uuid import uuid4

from psycopg.types.json import Jsonb

from tests.calls import lease, start, start_many
from tests.helpers import Connection, call, complete, job, refused
from tests.races.ledger import open_places


def complete_many(conn: Connection, *elements: tuple[Any, ...], **more: Any) -> list[Any]:
    """Call it for elements of (job_id, lease_token, status)."""
    ids, tokens, statuses = (list(column) for column in zip(*elements, strict=True))
    return call(conn, "complete_many", job_ids=ids, lease_tokens=tokens, statuses=statuses, **more)


def test_every_outcome_is_answered_in_input_order(conn: Connection) -> None:
    fresh, replayed, final, lost = start_many(conn, 4)
    complete(conn, replayed, "PASSED", summary=Jsonb(1))
    complete(conn, final, "PASSED")
    answers = complete_many(
        conn,
        (lost.job_id, uuid4(), "PASSED"),
        (replayed.job_id, replayed.lease_token, "PASSED"),
        (0, uuid4(), "PASSED"),
        (final.job_id, final.lease_token, "FAILED"),
        (fresh.job_id, fresh.lease_token, "FAILED"),
        summaries=[None, Jsonb(1), None, None, Jsonb({"a": 1})],
    )

    jobs = [job(conn, run.job_id) for run in (lost, replayed, final, fresh)]
    assert answers == [
        (1, lost.job_id, None, None, "lease_lost"),
        (2, replayed.job_id, "PASSED", jobs[1].completed_at, "replayed"),
        (3, 0, None, None, "not_found"),
        (4, final.job_id, "PASSED", jobs[2].completed_at, "verdict_final"),
        (5, fresh.job_id, "FAILED", jobs[3].completed_at, "completed"),
    ]
    assert [(shown.status, shown.summary) for shown in jobs] == [
        ("RUNNING", None),
        ("PASSED", 1),
        ("PASSED", None),
        ("FAILED", {"a": 1}),
    ]


def test_the_reasons_of_errors_are_their_details(conn: Connection) -> None:
    error, failed, replayed = start_many(conn, 3)
    call(conn, "complete", **lease(replayed), status="ERROR", reason="no disk")
    answers = complete_many(
        conn,
        (error.job_id, error.lease_token, "ERROR"),
        (failed.job_id, failed.lease_token, "FAILED"),
        (replayed.job_id, replayed.lease_token, "ERROR"),
        reasons=["no image", None, "no disk"],
    )
    assert [answer.outcome for answer in answers] == ["completed", "completed", "replayed"]
    details = [job(conn, run.job_id).error_detail for run in (error, failed, replayed)]
    assert details == ["no image", None, "no disk"]


def test_a_job_named_twice_is_answered_in_order(conn: Connection) -> None:
    run = start(conn)
    element = (run.job_id, run.lease_token)
    answers = complete_many(conn, (*element, "PASSED"), (*element, "PASSED"), (*element, "FAILED"))
    assert [answer.outcome for answer in answers] == ["completed", "replayed", "verdict_final"]


def test_many_sessions_are_answered_in_input_order(conn: Connection) -> None:
    runs = start_many(conn, 50)
    answers = complete_many(conn, *((run.job_id, run.lease_token, "ERROR") for run in runs))
    assert [answer.job_id for answer in answers] == [run.job_id for run in runs]
    assert {answer.outcome for answer in answers} == {"completed"}
    assert open_places(conn) == 0


def test_from_none_to_ten_thousand_elements(conn: Connection) -> None:
    element = (0, uuid4(), "PASSED")
    assert call(conn, "complete_many", job_ids=[], lease_tokens=[], statuses=[]) == []
    answers = complete_many(conn, *[element] * 10_000)
    assert [answer.ordinal for answer in answers] == list(range(1, 10_001))
    with refused("22023", "complete_many_job_ids_check"):
        complete_many(conn, *[element] * 10_001)


def test_unequal_lengths_are_refused(conn: Connection) -> None:
    run = start(conn)
    with refused("22023", "complete_many_summaries_check"):
        complete_many(conn, (run.job_id, run.lease_token, "PASSED"), summaries=[None] * 2)
