"""Migrations go through pgbouncer's transaction mode, and leave its connections as they were."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psycopg
import pytest
from psycopg import sql

from forgea_pgjobs import schema
from forgea_pgjobs.schema import runner
from tests import helpers
from tests.clients.pooler import needs_pgbouncer, pooled

pytestmark = needs_pgbouncer

ALL = list(schema.migration_files())
FIRST_DOWN = schema.migration_files()[ALL[0]].with_suffix(".rollback.sql")
# The host's own, for which every connection of the pool was opened.
HOST = """
create schema host;
create table host.note (text text);
alter database {} set search_path = host, public;
alter database {} set lock_timeout = '7s'
"""
FOUND = """
select current_setting('search_path'), current_setting('lock_timeout'),
    current_setting('statement_timeout'), current_user = session_user,
    coalesce(current_setting('pgjobs.force_rollback', true), '') = 'on'
"""
AS_OPENED = ("host, public", "7s", "0", True, False)
ADVISORY = """
select count(*) from pg_locks as lock
join pg_database as here on here.oid = lock.database and here.datname = current_database()
where lock.locktype = 'advisory'
"""


class Pool:
    """A pooler whose transactions go to each of its servers in turn."""

    def __init__(self, dsn: str, servers: int) -> None:
        self.dsn = dsn
        self.servers = servers

    @contextmanager
    def connections(self) -> Iterator[list[psycopg.Connection]]:
        """Hold every server of the pool, each by an open transaction, which is rolled back."""
        with ExitStack() as stack:
            held = [stack.enter_context(psycopg.connect(self.dsn)) for _ in range(self.servers)]
            pids = set()
            for conn in held:
                stack.callback(conn.rollback)
                pids.add(conn.execute("select pg_backend_pid()").fetchone())
            assert len(pids) == self.servers
            yield held

    def is_as_opened(self) -> bool:
        """Whether every server has what is the host's, and none of what was the runner's."""
        with self.connections() as held:
            for conn in held:
                conn.execute("insert into note values ('unqualified')")
                assert conn.execute(ADVISORY).fetchone() == (0,)
                assert conn.execute(FOUND).fetchone() == AS_OPENED
        return True


@pytest.fixture(params=[1, 3], ids=["one server", "three servers"])
def pool(request: pytest.FixtureRequest, empty_dsn: str) -> Iterator[Pool]:
    """A pool before a database without the schema, all of its servers open."""
    with psycopg.connect(empty_dsn, autocommit=True) as conn:
        database = sql.Identifier(conn.info.dbname)
        conn.execute(sql.SQL(HOST).format(database, database))
    with pooled(empty_dsn, default_pool_size=request.param, server_round_robin=1) as dsn:
        pool = Pool(dsn, request.param)
        assert pool.is_as_opened()
        yield pool


def enqueue(dsn: str) -> None:
    with psycopg.connect(dsn) as conn:
        helpers.enqueue(conn)


def test_one_transaction_after_another_reaches_every_server(pool: Pool) -> None:
    with psycopg.connect(pool.dsn, autocommit=True, prepare_threshold=None) as conn:
        pids = {conn.execute("select pg_backend_pid()").fetchone() for _ in range(9)}
    assert len(pids) == pool.servers


def test_the_runner_leaves_nothing_in_a_connection_of_a_pooler(pool: Pool) -> None:
    assert runner.migrate(pool.dsn) == ALL
    assert pool.is_as_opened()
    enqueue(pool.dsn)
    for name in reversed(ALL[1:]):
        assert runner.rollback(pool.dsn) == [name]
        assert pool.is_as_opened()
    with helpers.refused("55000", "lab_attempt_append_only"):
        runner.rollback(pool.dsn)
    assert pool.is_as_opened()
    assert runner.rollback(pool.dsn, force=True) == ALL[:1]
    assert pool.is_as_opened()
    assert runner.pending(pool.dsn) == runner.migrate(pool.dsn) == ALL
    assert pool.is_as_opened()


def test_a_down_refuses_rows_on_every_connection_after_a_forced_rollback(pool: Pool) -> None:
    for _ in range(2):
        runner.migrate(pool.dsn)
        enqueue(pool.dsn)
        runner.rollback(pool.dsn, to=ALL[0])
        with pool.connections() as held:
            for conn in held:
                with helpers.refused("55000", "lab_attempt_append_only"):
                    conn.execute(FIRST_DOWN.read_bytes())
                conn.rollback()
        assert runner.rollback(pool.dsn, force=True) == ALL[:1]
    assert pool.is_as_opened()
