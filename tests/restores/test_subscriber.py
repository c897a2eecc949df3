"""O12: a logical subscriber follows every call, stops at tampering, and can take over."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from forgea_pgjobs import embedded, schema
from tests.helpers import Connection, call, complete, rows
from tests.ledger_rows import content, fill_every_table, sequences
from tests.restores.conftest import assert_work_goes_on, findings
from tests.runbook import Desk, steps

[PUBLISH, SUBSCRIBE, TAKE_OVER] = steps("A logical subscriber")
SETTINGS: dict[str, str | int] = {"wal_level": "logical", "log_line_prefix": "%e "}
COPYING = "select from pg_subscription_rel where srsubstate <> 'r'"
ENABLED = "select from pg_subscription where subenabled"
BEHIND = "select from pg_replication_slots where confirmed_flush_lsn < %(end)s::pg_lsn"
ACTIVE = "select from pg_replication_slots where active"
NOTHING_OLD = {"older_than": "0", "dry_run": False}


@dataclass(frozen=True, slots=True)
class Pair:
    """A primary with a full ledger, and its subscriber."""

    primary: Connection
    subscriber: Connection
    desk: Desk
    log: Path
    running: Any


def wait(over: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not over():
        assert time.monotonic() < deadline


def follow(pair: Pair) -> None:
    """Wait until the subscriber has confirmed all that the primary has written."""
    [now] = rows(pair.primary, "select pg_current_wal_lsn()::text as lsn")
    wait(lambda: not rows(pair.primary, BEHIND, end=now.lsn))


@pytest.fixture(scope="module")
def servers() -> Iterator[list[embedded.Server]]:
    with (
        embedded.run_server(fsync=False, settings=SETTINGS) as primary,
        embedded.run_server(fsync=False, settings=SETTINGS) as subscriber,
    ):
        for server in (primary, subscriber):
            with psycopg.connect(server.dsn()) as conn:
                conn.execute(schema.recorded_install_sql().encode())
        yield [primary, subscriber]


@pytest.fixture
def pair(servers: list[embedded.Server], tmp_path: Path) -> Iterator[Pair]:
    for server in servers:
        with psycopg.connect(server.dsn("template1"), autocommit=True) as conn:
            conn.execute("create database lab template postgres")
    [primary, subscriber] = [server.dsn("lab") for server in servers]
    desk = Desk(servers[0].binaries, tmp_path, {"primary": primary, "subscriber": subscriber})
    with (
        psycopg.connect(primary, autocommit=True) as one,
        psycopg.connect(subscriber, autocommit=True) as other,
    ):
        pair = Pair(one, other, desk, servers[1].folder / "log", fill_every_table(one))
        desk.do(PUBLISH)
        desk.do(SUBSCRIBE)
        wait(lambda: not rows(other, COPYING))
        yield pair
        if rows(other, "select from pg_subscription"):
            other.execute("drop subscription pgjobs")
        else:
            wait(lambda: not rows(one, ACTIVE))
            one.execute("select pg_drop_replication_slot('pgjobs')")
    for server in servers:
        with psycopg.connect(server.dsn(), autocommit=True) as conn:
            conn.execute("drop database lab with (force)")


def finish_everything(conn: Connection, running: Any) -> None:
    complete(conn, running)
    while claimed := call(conn, "claim", worker="w", max_jobs=100):
        for run in claimed:
            complete(conn, run, "FAILED", summary='{"tests": 2}')


def test_o12_a_subscriber_copies_the_ledger_and_follows_every_call(pair: Pair) -> None:
    assert content(pair.subscriber) == content(pair.primary)
    finish_everything(pair.primary, pair.running)
    fill_every_table(pair.primary)
    call(pair.primary, "expire_artifacts", **NOTHING_OLD)
    call(pair.primary, "expire_details", **NOTHING_OLD)
    follow(pair)
    assert content(pair.subscriber) == content(pair.primary)
    # Sequences are not replicated: they are set when it takes over.
    assert {finding for _object, finding in findings(pair.subscriber)} == {
        "gives ids that are taken"
    }


@pytest.mark.parametrize(
    ("guard", "tampering"),
    [
        (
            "verdict_append_only",
            "update pgjobs.verdict set status = 'PASSED' where status = 'FAILED'",
        ),
        ("job_payload_append_only", "delete from pgjobs.job_payload"),
        ("aborted_run_no_truncate", "truncate pgjobs.aborted_run"),
    ],
)
def test_o12_tampering_on_the_primary_stops_the_subscriber(
    guard: str, tampering: str, pair: Pair
) -> None:
    table = guard.split("_append")[0].split("_no_")[0]
    before = content(pair.subscriber)
    pair.primary.execute(f"alter table pgjobs.{table} disable trigger {guard}".encode())
    pair.primary.execute(tampering.encode())
    wait(lambda: not rows(pair.subscriber, ENABLED))
    assert content(pair.subscriber) == before
    assert content(pair.primary) != before
    errors = [line for line in pair.log.read_text().splitlines() if " ERROR:  " in line]
    assert errors[-1].startswith("23V01 ")
    assert f"pgjobs.{table} " in errors[-1]


def test_o12_a_subscriber_takes_over_and_gives_no_id_again(pair: Pair) -> None:
    follow(pair)
    given = sequences(pair.primary)
    pair.desk.do(TAKE_OVER)
    assert findings(pair.subscriber) == []
    own = sequences(pair.subscriber)
    # The marks of claim are no ids: they start anew.
    ids = [name for name in own if name.endswith("_seq")]
    assert len(ids) == 5
    assert all((own[name] or 0) >= (given[name] or 0) + 100_000 for name in ids)
    assert_work_goes_on(pair.subscriber, pair.running)
