"""Nothing of the ledger needs a session: everything works behind pgbouncer's transaction mode."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import psycopg
import pytest

import forgea_pgjobs as pgjobs
from forgea_pgjobs.worker import Worker
from tests.calls import batch, lease, new
from tests.clients import node, test_asyncpg
from tests.clients.pooler import needs_pgbouncer, pooled
from tests.clients.scenario import TOLD, told
from tests.helpers import call, refused, sha
from tests.python.workers import passing

pytestmark = needs_pgbouncer

SERVERS = 2
CLIENTS = 8


def push() -> dict[str, Any]:
    """Return the arguments that enqueue a commit nobody has pushed before."""
    return {"session_id": uuid4(), "commit_sha": sha(), "lab_version": "1"}


@pytest.fixture
def pooled_dsn(host_dsn: str) -> Iterator[str]:
    """The database through a pooler of its own, with two connections for everybody."""
    with pooled(host_dsn) as dsn:
        yield dsn


@pytest.fixture
def clients(pooled_dsn: str) -> Iterator[list[psycopg.Connection]]:
    """More connections than the pooler has servers for, none of them preparing statements."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                psycopg.connect(pooled_dsn, autocommit=True, prepare_threshold=None)
            )
            for _ in range(CLIENTS)
        ]


def test_the_pooler_gives_every_transaction_another_server(
    clients: list[psycopg.Connection],
) -> None:
    pids = {conn.execute("select pg_backend_pid()").fetchone() for conn in clients}
    assert 1 <= len(pids) <= SERVERS < CLIENTS


def test_one_run_is_told_by_many_connections(clients: list[psycopg.Connection]) -> None:
    jobs = [call(conn, "enqueue", **push()) for conn in clients]
    runs = [call(conn, "claim", worker=f"w{number}") for number, conn in enumerate(clients)]
    assert sorted(run.job_id for [run] in runs) == [job.job_id for [job] in jobs]
    # Each call of a run comes through another connection than the one before.
    shifted = [*clients[1:], clients[0]]
    for conn, [run] in zip(shifted, runs, strict=True):
        call(conn, "heartbeat", job_id=run.job_id, lease_token=run.lease_token)
    for conn, [run] in zip(reversed(clients), runs, strict=True):
        assert not call(conn, "complete", **lease(run), status="PASSED")[0].replayed
        with refused("23V02"):
            call(clients[0], "complete", **lease(run), status="FAILED")


def test_open_transactions_end_as_their_clients_say(clients: list[psycopg.Connection]) -> None:
    one, two, *others = clients
    kept, undone = push(), push()
    with one.transaction():
        pgjobs.enqueue(one, **kept)
        with two.transaction(force_rollback=True):
            pgjobs.enqueue(two, **undone)
    found = [pgjobs.get_job(conn, commit_sha=kept["commit_sha"]) for conn in others]
    assert [job and job.status for job in found] == ["QUEUED"] * len(others)
    assert pgjobs.get_job(one, commit_sha=undone["commit_sha"]) is None


def test_batches_and_a_worker_that_prepares_nothing(
    pooled_dsn: str, clients: list[psycopg.Connection]
) -> None:
    conn, other, *_ = clients
    answers = pgjobs.enqueue_many(conn, **batch(*new(20)))
    assert all(answer.created for answer in answers)
    runs = pgjobs.claim(conn, worker="w", max_jobs=10)
    done = pgjobs.complete_many(
        other,
        job_ids=[run.job_id for run in runs],
        lease_tokens=[run.lease_token for run in runs],
        statuses=["PASSED"] * len(runs),
    )
    assert [one.outcome for one in done] == ["completed"] * 10

    def open_connection() -> psycopg.Connection:
        return psycopg.connect(pooled_dsn, prepare_threshold=None)

    tally = Worker(open_connection, passing, batch=3, concurrency=2).drain()
    assert tally.written == 10


def test_a_worker_opens_connections_of_its_own_through_a_pooler_of_sessions(host_dsn: str) -> None:
    with pooled(host_dsn, pool_mode="session") as dsn:
        with psycopg.connect(dsn) as conn:
            pgjobs.enqueue(conn, **push())
        assert Worker(dsn, passing).drain().written == 1


def test_the_life_of_a_job_told_by_asyncpg_through_the_pooler(pooled_dsn: str) -> None:
    assert told(asyncio.run(test_asyncpg.story(pooled_dsn, statement_cache_size=0))) == TOLD


@pytest.mark.skipif(node.missing() is not None, reason=str(node.missing()))
def test_the_life_of_a_job_told_by_node_postgres_through_the_pooler(pooled_dsn: str) -> None:
    node.install()
    assert told(json.loads(node.run("node", "node_postgres.mjs", dsn=pooled_dsn))) == TOLD
