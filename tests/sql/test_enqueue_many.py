"""enqueue_many: the answers of enqueue, in input order, all or nothing."""

from typing import Any
from uuid import uuid4

import pytest
from psycopg.types.json import Jsonb

from tests.calls import batch, enqueue_many, new
from tests.helpers import Connection, call, enqueue, job, refused, rows, sha

MAX = 10_000


def test_answers_come_in_input_order_and_job_ids_rise(conn: Connection) -> None:
    elements = new(50)
    answers = call(conn, "enqueue_many", **batch(*elements), priority=1, max_runs=5)

    assert [answer.ordinal for answer in answers] == list(range(1, 51))
    ids = [answer.job_id for answer in answers]
    assert ids == sorted(set(ids))
    for answer, (session_id, commit_sha) in zip(answers, elements, strict=True):
        shown = job(conn, answer.job_id)
        assert (shown.session_id, shown.commit_sha) == (session_id, commit_sha)
        assert (shown.attempt_id, shown.status) == (answer.attempt_id, answer.status)
        assert (shown.priority, shown.max_runs, answer.created) == (1, 5, True)


def test_a_duplicate_in_the_batch_is_answered_like_one_across_calls(conn: Connection) -> None:
    [one, two] = new(2)
    known = enqueue(conn, session_id=two[0], commit_sha=two[1])
    answers = enqueue_many(conn, one, two, one)
    assert [answer.created for answer in answers] == [True, False, False]
    ids = [answer.job_id for answer in answers]
    assert ids == [ids[0], known.job_id, ids[0]]


def test_a_duplicate_draws_no_id(conn: Connection) -> None:
    elements = new(3)
    enqueue_many(conn, *elements)
    drawn = "select last_value from pgjobs.job_job_id_seq"
    before = rows(conn, drawn)
    enqueue_many(conn, *elements, *elements)
    assert rows(conn, drawn) == before


def test_delivery_ids_and_payloads_belong_to_their_element(conn: Connection) -> None:
    elements = new(2)
    payloads = [Jsonb({"a": 1}), None]
    answers = enqueue_many(conn, *elements, delivery_ids=[None, "d"], payloads=payloads)
    assert [job(conn, answer.job_id).payload for answer in answers] == [{"a": 1}, None]
    kept = rows(conn, "select session_id, delivery_id from pgjobs.lab_attempt order by attempt_id")
    assert {tuple(row) for row in kept} == {(elements[0][0], None), (elements[1][0], "d")}


def test_an_error_names_the_ordinal_and_undoes_the_whole_batch(conn: Connection) -> None:
    taken = enqueue(conn)
    [row] = rows(conn, "select commit_sha from pgjobs.job")
    [one, two] = new(2)
    with refused("23V03", "job_commit_sha_key") as caught, conn.transaction():
        enqueue_many(conn, one, two, (uuid4(), row.commit_sha))
    assert "element 3" in str(caught.value)
    versions = {"lab_versions": ["1", "2"]}
    with refused("23V03", "job_commit_sha_key") as caught, conn.transaction():
        enqueue_many(conn, one, one, **versions)
    assert "element 2" in str(caught.value)
    assert caught.value.diag.column_name == "lab_version"
    assert rows(conn, "select job_id from pgjobs.job") == [(taken.job_id,)]
    assert len(rows(conn, "select from pgjobs.lab_attempt")) == 1


def test_a_batch_fills_a_session_to_exactly_100(conn: Connection) -> None:
    session_id = uuid4()
    elements = [(session_id, sha()) for _ in range(101)]
    with refused("54V01", "lane_open_jobs_check") as caught, conn.transaction():
        enqueue_many(conn, *elements)
    assert "element 101" in str(caught.value)
    assert len(enqueue_many(conn, *elements[:100])) == 100


def test_no_elements_give_no_rows(conn: Connection) -> None:
    assert enqueue_many(conn, delivery_ids=[], payloads=[]) == []


def test_ten_thousand_elements_are_accepted(conn: Connection) -> None:
    answers = enqueue_many(conn, *new(MAX))
    assert [answer.ordinal for answer in answers] == list(range(1, MAX + 1))
    assert all(answer.created for answer in answers)


def test_one_more_is_refused(conn: Connection) -> None:
    with refused("22023", "enqueue_many_session_ids_check"):
        enqueue_many(conn, *new(MAX + 1))


ARRAYS = ["session_ids", "commit_shas", "lab_versions", "delivery_ids", "payloads"]


def whole(size: int) -> dict[str, Any]:
    return batch(*new(size), delivery_ids=["d"] * size, payloads=[Jsonb(1)] * size)


@pytest.mark.parametrize("argument", ARRAYS)
@pytest.mark.parametrize("change", [-1, 1])
def test_arrays_of_unequal_length_are_refused(conn: Connection, argument: str, change: int) -> None:
    arguments = {**whole(3), argument: whole(3 + change)[argument]}
    # The first array sets the length, so the second is the one that differs from it.
    blamed = "commit_shas" if argument == "session_ids" else argument
    with refused("22023", f"enqueue_many_{blamed}_check"):
        call(conn, "enqueue_many", **arguments)


@pytest.mark.parametrize("argument", ARRAYS)
def test_a_nested_array_is_refused(conn: Connection, argument: str) -> None:
    arguments = whole(4)
    flat = arguments[argument]
    with refused("22023", f"enqueue_many_{argument}_check"):
        call(conn, "enqueue_many", **{**arguments, argument: [flat[:2], flat[2:]]})


def test_null_is_allowed_in_the_other_arrays(conn: Connection) -> None:
    answers = enqueue_many(conn, *new(2), delivery_ids=[None] * 2, payloads=[None] * 2)
    assert [answer.created for answer in answers] == [True, True]
