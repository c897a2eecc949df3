"""The bounds that are accepted, and input too big or too broken to be an argument at all."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.calls import lease, release, start
from tests.helpers import Connection, call, claim, complete, enqueue, job, refused, rows

MEGABYTES = 50 * 1024 * 1024


@pytest.mark.parametrize(
    "arguments",
    [
        {"commit_sha": "0" * 39 + "1"},
        {"commit_sha": "0123456789abcdef" * 4},
        {"lab_version": "x" * 200},
        {"lab_version": "\U0001f600" * 200},
        {"delivery_id": "\u00e4 \u00a0", "branch": " x", "author": "O'Neil; --"},
        *({"priority": number} for number in (1, 4)),
        *({"max_runs": number} for number in (1, 25)),
        *({"max_open_jobs": number} for number in (1, 100)),
        *({"start_within": interval} for interval in ("1 second", "30 days", "1 month")),
        {"available_at": "1999-01-01"},
        {"pushed_at": "0001-01-01 00:00+00"},
        {"pushed_at": datetime.now(UTC) + timedelta(hours=23)},
        {"changed_files": []},
        {"changed_files": ["a"] * 3000},
        {"changed_files": ["\u00e4" * 512] * 256},
        {"payload": Jsonb(None)},
        {"payload": Jsonb("x" * 65_534)},
    ],
    ids=lambda arguments: f"{next(iter(arguments))}_{str(next(iter(arguments.values())))[:8]}",
)
def test_the_bounds_themselves_are_accepted(conn: Connection, arguments: dict[str, Any]) -> None:
    assert enqueue(conn, **arguments).created


def test_a_job_may_be_delayed_by_30_days_and_no_more(conn: Connection) -> None:
    [times] = rows(
        conn,
        "select clock_timestamp() + interval '30 days' as last,"
        " clock_timestamp() + interval '30 days 1 minute' as beyond",
    )
    assert enqueue(conn, available_at=times.last).created
    with refused("22023", "enqueue_available_at_check"):
        enqueue(conn, available_at=times.beyond)


@pytest.mark.parametrize("lease_for", ["1 second", "1 day", "24 hours", "1 month -29 days"])
def test_a_lease_lasts_from_a_second_to_a_day(conn: Connection, lease_for: str) -> None:
    enqueue(conn)
    run = claim(conn, lease_for=lease_for, max_jobs=1000)
    [beat] = call(conn, "heartbeat", **lease(run), lease_for=lease_for)
    assert beat.heartbeat > run.lease_expires_at


def test_retry_after_may_be_a_day(conn: Connection) -> None:
    assert release(conn, start(conn), retry_after="1 day").status == "QUEUED"


@pytest.mark.parametrize("argument", ["commit_sha", "lab_version", "delivery_id", "branch"])
def test_l07_a_string_of_50_megabytes_is_refused(conn: Connection, argument: str) -> None:
    with refused("22023", f"enqueue_{argument}_check") as caught:
        enqueue(conn, **{argument: "x" * MEGABYTES})
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize("argument", ["commit_sha", "lab_version", "delivery_id"])
@pytest.mark.parametrize(
    ("text", "error"), [("a\0b", psycopg.DataError), ("\ud800", UnicodeEncodeError)]
)
def test_l08_what_is_no_text_never_leaves_the_client(
    conn: Connection, argument: str, text: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        enqueue(conn, **{argument: text})
    assert enqueue(conn).created, "the connection is usable afterwards"


def test_l08_invalid_utf8_is_refused(conn: Connection) -> None:
    query = b"select pgjobs.enqueue(gen_random_uuid(), '" + b"a" * 39 + b"\xff', '1')"
    with refused("22021"), conn.transaction():
        conn.execute(query)
    assert enqueue(conn).created, "the connection is usable afterwards"


@pytest.mark.parametrize(
    ("document", "sqlstate"),
    [
        ('{"a": "\\u0000"}', "22P05"),
        ("[" * 100_000 + "]" * 100_000, "54001"),
        ("1e100000", "22023"),
        ('{"a": NaN}', "22P02"),
        ('"' + "x" * 65_535 + '"', "22023"),
    ],
    ids=["nul", "nesting", "huge_number", "nan", "one_byte_too_many"],
)
def test_l15_a_document_that_is_no_json_or_too_big_is_refused(
    conn: Connection, document: str, sqlstate: str
) -> None:
    with refused(sqlstate), conn.transaction():
        enqueue(conn, payload=document)
    run = start(conn)
    with refused(sqlstate), conn.transaction():
        complete(conn, run, summary=document)
    assert complete(conn, run).status == "PASSED"


def test_l15_of_duplicate_keys_the_last_wins(conn: Connection) -> None:
    answer = enqueue(conn, payload='{"a": 1, "a": 2}')
    assert job(conn, answer.job_id).payload == {"a": 2}
