"""The arrays of a batch travel in binary, but whatever is given means what it means as text."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.adapt import Dumper
from psycopg.pq import TransactionStatus

import forgea_pgjobs as pgjobs
from forgea_pgjobs import JobStatus, Outcome, _call_text
from tests.helpers import Connection, rows


class Word(str):
    __slots__ = ()


class Commit(StrEnum):
    ONE = "a" * 40


class Name(Enum):
    ONE = "a" * 40


class Session(UUID):
    pass


class Unknown:
    text = UUID(int=1).hex


class UnknownDumper(Dumper):
    oid = psycopg.adapters.types["uuid"].oid

    def dump(self, obj: Unknown) -> bytes:
        return obj.text.encode()


UUIDS = [UUID(int=number) for number in (1, 2, 3)]
A, B, C = "a" * 40, "b" * 40, "c" * 64
BATCH: dict[str, Any] = {
    "session_ids": UUIDS,
    "commit_shas": [A, B, C],
    "lab_versions": ["1", "1", "1"],
}
ENCODINGS = ["utf8", "latin1", "sql_ascii"]

# What may be given to enqueue_many instead.
BATCHES: dict[str, dict[str, Any]] = {
    "as documented": {},
    "nothing": {"session_ids": [], "commit_shas": [], "lab_versions": []},
    "tuples": {name: tuple(values) for name, values in BATCH.items()},
    "a dictionary's keys": {"commit_shas": {A: 1, B: 2, C: 3}.keys()},
    "one too few": {"lab_versions": ["1", "1"]},
    "uuids as text": {"session_ids": [str(each) for each in UUIDS]},
    "uuids as hex": {"session_ids": [each.hex for each in UUIDS]},
    "uuids, one as text": {"session_ids": [UUIDS[0], str(UUIDS[1]), UUIDS[2]]},
    "uuids of a subclass": {"session_ids": [Session(int=1), *UUIDS[1:]]},
    "a uuid missing": {"session_ids": [UUIDS[0], None, UUIDS[2]]},
    "all uuids missing": {"session_ids": [None, None, None]},
    "no uuid": {"session_ids": ["no uuid", "no uuid", "no uuid"]},
    "a sha missing": {"commit_shas": [A, B, None]},
    "a sha with a NUL": {"commit_shas": [A, "b\0", C]},
    "a sha that is not ASCII": {"commit_shas": [A, "é" * 40, C]},
    "a sha that is not Latin 1": {"commit_shas": [A, "漢" * 40, C]},
    "a sha with half a character": {"commit_shas": [A, "\ud800" * 40, C]},
    "shas of a subclass": {"commit_shas": [Word(A), Word(B), Word(C)]},
    "shas, one of an enum": {"commit_shas": [Commit.ONE, B, C]},
    "shas of another enum": {"commit_shas": [Name.ONE, Name.ONE, Name.ONE]},
    "shas, one of another enum": {"commit_shas": [Name.ONE, B, C]},
    "shas as bytes": {"commit_shas": [A.encode(), B.encode(), C.encode()]},
    "shas as numbers": {"commit_shas": [1, 2, 3]},
    "shas, one as a number": {"commit_shas": [1, B, C]},
    "shas of no known type": {"commit_shas": [Unknown(), Unknown(), Unknown()]},
    "lists of shas": {"commit_shas": [[A], [B], [C]]},
    "lists of shas, one empty": {"commit_shas": [[A], [], [C]]},
    "one word for the shas": {"commit_shas": "abc"},
    "versions to be quoted": {"lab_versions": ['{",\\} NULL', "NULL", " 'x' "]},
    "a version that is not ASCII": {"lab_versions": ["é", "1", "1"]},
    "a version that is not Latin 1": {"lab_versions": ["漢", "1", "1"]},
    "an empty version": {"lab_versions": ["", "1", "1"]},
    "delivery ids": {"delivery_ids": ["d", None, '{",\\} NULL']},
    "no delivery id": {"delivery_ids": [None, None, None]},
    "a delivery id with a NUL": {"delivery_ids": [None, "\0", None]},
    "payloads": {"payloads": [{"é": '"\\', "n": [1.5, None]}, None, "漢"]},
    "no payload": {"payloads": [None, None, None]},
    "a payload too large": {"payloads": [None, "x" * 70_000, None]},
    "a payload with a NUL": {"payloads": [None, "\0", None]},
    "a payload that is no JSON": {"payloads": [None, float("nan"), None]},
    "a priority as text": {"priority": "1"},
}

# What may be given to complete_many instead, or is made of what is documented.
VERDICTS: dict[str, dict[str, Any]] = {
    "as documented": {},
    "nothing": {"job_ids": [], "lease_tokens": [], "statuses": []},
    "one too few": {"statuses": ["PASSED"]},
    "ids as text": {"job_ids": lambda ids: list(map(str, ids))},
    "ids as decimals": {"job_ids": lambda ids: list(map(Decimal, ids))},
    "ids as floats": {"job_ids": [1.5, 2.5, 3.5]},
    "ids as truths": {"job_ids": [True, True, True]},
    "ids, one a truth": {"job_ids": [True, 2, 3]},
    "an id missing": {"job_ids": [1, None, 3]},
    "ids of 2 bytes": {"job_ids": [2**15 - 1, -(2**15), 1]},
    "ids of 4 bytes": {"job_ids": [2**15, -(2**15) - 1, 1]},
    "ids of 8 bytes": {"job_ids": [2**63 - 1, -(2**63), 1]},
    "an id too large": {"job_ids": [2**63, 2, 1]},
    "an id too small": {"job_ids": [-(2**63) - 1, 2, 1]},
    "tokens as text": {"lease_tokens": lambda tokens: list(map(str, tokens))},
    "tokens, one as text": {"lease_tokens": [str(UUIDS[0]), *UUIDS[1:]]},
    "a token missing": {"lease_tokens": [None, *UUIDS[1:]]},
    "statuses of each kind": {"statuses": [JobStatus.PASSED, "FAILED", Word("ERROR")]},
    "a status missing": {"statuses": ["PASSED", None, "PASSED"]},
    "a status with a NUL": {"statuses": ["PASSED", "\0", "PASSED"]},
    "a status that is not ASCII": {"statuses": ["PASSED", "é", "PASSED"]},
    "summaries": {"summaries": [{"é": '"\\'}, None, "漢"]},
    "a summary that is no JSON": {"summaries": [float("inf"), None, None]},
}


def told(conn: Connection, call: Callable[[], list[Any]]) -> list[Any]:
    """Return what a call answers or raises, the state it leaves, and what it has written."""
    try:
        answer: list[Any] = [
            (each.ordinal, each.status, getattr(each, "outcome", None)) for each in call()
        ]
    except Exception as error:
        answer = [type(error), str(error)]
        if isinstance(error, psycopg.Error) and error.sqlstate:
            diag = error.diag
            answer = [type(error), diag.message_primary, diag.sqlstate, diag.column_name]
    answer.append(conn.info.transaction_status)
    if conn.info.transaction_status is TransactionStatus.INTRANS:
        conn.execute("set client_encoding to utf8")
        written = (
            "select attempt.session_id, attempt.commit_sha, attempt.delivery_id, job.lab_version,"
            " job.priority, job.payload, job.status, job.summary"
            " from pgjobs.lab_attempt as attempt"
            " left join pgjobs.verification_job as job using (commit_sha) order by 1, 2"
        )
        answer.append(rows(conn, written))
    conn.rollback()
    return answer


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("instead", BATCHES.values(), ids=BATCHES)
def test_a_batch_means_the_same_in_binary_and_as_text(
    conn: Connection, monkeypatch: pytest.MonkeyPatch, instead: dict[str, Any], encoding: str
) -> None:
    def told_of_batch() -> list[Any]:
        conn.execute(f"set client_encoding to {encoding}".encode())
        return told(conn, lambda: pgjobs.enqueue_many(conn, **{**BATCH, **instead}))

    in_binary = told_of_batch()
    monkeypatch.setattr(_call_text, "is_plain", lambda _value: False)
    assert in_binary == told_of_batch()


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("instead", VERDICTS.values(), ids=VERDICTS)
def test_verdicts_mean_the_same_in_binary_and_as_text(
    conn: Connection, monkeypatch: pytest.MonkeyPatch, instead: dict[str, Any], encoding: str
) -> None:
    def told_of_verdicts() -> list[Any]:
        conn.execute("alter table pgjobs.job alter column job_id restart")
        pgjobs.enqueue_many(conn, **BATCH)
        runs = pgjobs.claim(conn, worker="w", max_jobs=3)
        verdicts: dict[str, Any] = {
            "job_ids": [run.job_id for run in runs],
            "lease_tokens": [run.lease_token for run in runs],
            "statuses": ["PASSED", "FAILED", "ERROR"],
        }
        for name, given in instead.items():
            verdicts[name] = given(verdicts[name]) if callable(given) else given
        conn.execute(f"set client_encoding to {encoding}".encode())
        return told(conn, lambda: pgjobs.complete_many(conn, **verdicts))

    in_binary = told_of_verdicts()
    monkeypatch.setattr(_call_text, "is_plain", lambda _value: False)
    assert in_binary == told_of_verdicts()


@pytest.mark.parametrize(
    ("instead", "argument", "ordinal"),
    [
        ({"session_ids": [UUIDS[0], None, UUIDS[2]]}, "session_ids", 2),
        ({"session_ids": [None, None, None]}, "session_ids", 1),
        ({"commit_shas": [A, B, None]}, "commit_shas", 3),
        ({"lab_versions": [None, "1", "1"]}, "lab_versions", 1),
    ],
)
def test_the_database_names_the_element_that_is_missing(
    conn: Connection, instead: dict[str, Any], argument: str, ordinal: int
) -> None:
    with pytest.raises(pgjobs.InvalidArgument) as caught:
        pgjobs.enqueue_many(conn, **{**BATCH, **instead})
    assert (caught.value.sqlstate, caught.value.argument) == ("22004", argument)
    assert f"element {ordinal} must not be null" in str(caught.value)


def test_what_is_given_arrives(conn: Connection) -> None:
    versions = ["漢", '{",\\} NULL', "1"]
    pgjobs.enqueue_many(
        conn, session_ids=UUIDS, commit_shas=[A, B, C], lab_versions=versions,
        delivery_ids=[None, "é", "NULL"], payloads=[{"é": '"\\'}, None, [1]],
    )  # fmt: skip
    written = rows(
        conn,
        "select job.session_id, commit_sha, lab_version, delivery_id, payload"
        " from pgjobs.verification_job as job join pgjobs.lab_attempt using (commit_sha)"
        " order by 1",
    )
    assert written == [
        (UUIDS[0], A, "漢", None, {"é": '"\\'}),
        (UUIDS[1], B, '{",\\} NULL', "é", None),
        (UUIDS[2], C, "1", "NULL", [1]),
    ]


def test_uuids_may_be_given_as_text(conn: Connection) -> None:
    as_text: Any = [str(each) for each in UUIDS]
    made = pgjobs.enqueue_many(conn, **{**BATCH, "session_ids": as_text})
    runs = pgjobs.claim(conn, worker="w", max_jobs=3)
    assert [run.session_id for run in runs] == UUIDS
    tokens: Any = [str(run.lease_token) for run in runs]
    ended = pgjobs.complete_many(
        conn,
        job_ids=[each.job_id for each in made],
        lease_tokens=tokens,
        statuses=["PASSED"] * 3,
    )
    assert {each.outcome for each in ended} == {Outcome.COMPLETED}


def test_a_type_of_the_host_may_be_known_as_text_only(conn: Connection) -> None:
    conn.adapters.register_dumper(Unknown, UnknownDumper)
    sessions: Any = [Unknown(), Unknown(), Unknown()]
    made = pgjobs.enqueue_many(conn, **{**BATCH, "session_ids": sessions})
    assert [each.created for each in made] == [True, True, True]
    [written] = rows(conn, "select distinct session_id from pgjobs.job")
    assert written.session_id == UUIDS[0]
