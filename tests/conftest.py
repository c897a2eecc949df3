"""The server of a test run, and databases and connections on it.

The server is ``PGJOBS_TEST_DSN`` (a superuser's) where that is set, else an embedded one, whose
binaries ``PGJOBS_PG_BIN`` may choose; never ``DATABASE_URL``, which may be somebody's own. The
tests run as root or not, with or without xdist: each xdist process has its own embedded server, or
its own databases on the server it was given.

``PGJOBS_LONG=1`` is the long run, which plays more of the same.
"""

from __future__ import annotations

import faulthandler
import os
import shutil
import signal
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Protocol
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from pytest_postgresql import factories
from pytest_postgresql.executors import NoopExecutor

from forgea_pgjobs import embedded, schema
from forgea_pgjobs.embedded import server
from forgea_pgjobs.embedded.binaries import Account
from tests.races.rivals import LONG

SETTINGS: dict[str, str | int] = {
    "full_page_writes": "off",
    "max_connections": 200,
    "max_prepared_transactions": 10,
    "synchronous_commit": "off",
}
# Any number: it serialises creating the cluster's roles between xdist processes on one server.
ROLES_LOCK = 7_061_923


# Seconds that a test may take, its fixtures included: many times what the slowest needs.
LIMIT = 7200 if LONG else 300
# Files that take longest, the longest first: so that the processes of xdist end at the same time.
LONGEST = (
    *("test_permutations.py", "test_killed.py", "test_demo.py", "test_up_and_down.py"),
    *("test_migration_tools.py", "test_cli_work.py"),
    *("test_weakened.py", "test_embedded.py", "test_prisma.py", "test_claim_counts.py"),
    *("test_runner.py", "test_cli.py", "test_counts.py", "test_model.py", "test_hammer.py"),
    *("test_dead_network.py", "test_full_disk.py", "test_synchronous_standby.py", "test_chaos.py"),
    *("test_docs.py", "test_history.py", "test_freezing.py", "test_crash.py", "test_arrays.py"),
)
CONSOLE = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    """Let SIGTERM and SIGHUP end the run like Ctrl-C, so that the server is stopped.

    What nohup or a script's ``&`` makes a process ignore, its children ignore as well, and a test
    that ends a child by that signal would wait for ever. A handler that does nothing is not
    inherited.
    """

    def end(signum: int, _frame: FrameType | None) -> None:
        pytest.exit(signal.Signals(signum).name, 128 + signum)

    for signum in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(signum) is signal.SIG_IGN:
            signal.signal(signum, lambda _signum, _frame: None)
        elif signum in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, end)
    config.stash[CONSOLE] = os.dup(sys.stderr.fileno())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files."""
    rank = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test that takes longer than its limit; where it does not even end then, exit.

    SIGALRM interrupts a wait; a test that goes on waiting, for a thread of its own, say, is ended
    with its process a minute later, and every thread shows where it stands.
    """

    def fail(_signum: int, _frame: FrameType | None) -> None:
        pytest.fail(f"it has taken {LIMIT} seconds")

    former = signal.signal(signal.SIGALRM, fail)
    signal.alarm(LIMIT)
    faulthandler.dump_traceback_later(LIMIT + 60, exit=True, file=item.config.stash[CONSOLE])
    try:
        return (yield)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, former)
        faulthandler.cancel_dump_traceback_later()


@dataclass(frozen=True, slots=True)
class Postgres:
    """The server under test. ``binaries`` is None for a server given by PGJOBS_TEST_DSN."""

    admin_dsn: str
    binaries: Path | None
    # The rest is what pytest-postgresql asks of the fixture that another depends on.
    host: str
    port: int
    user: str
    password: str | None
    options: str = ""
    maintenance_dbname: str = "postgres"
    template_dbname: str = "template1"

    @classmethod
    def at(cls, dsn: str, binaries: Path | None) -> Postgres:
        """Describe the server that dsn leads to."""
        with psycopg.connect(dsn) as conn:
            info = conn.info
            return cls(dsn, binaries, info.host, info.port, info.user, info.password or None)

    def dsn(self, dbname: str = "postgres", **settings: str) -> str:
        """Return the superuser's connection string for a database."""
        return make_conninfo(self.admin_dsn, dbname=dbname, **settings)

    @contextmanager
    def database(self, template: str = "template0") -> Iterator[str]:
        """Make a database for the length of the block and yield its connection string."""
        name = f"pgjobs_{uuid4().hex}"
        with psycopg.connect(self.dsn(), autocommit=True) as admin:
            admin.execute(
                sql.SQL("create database {} template {} strategy file_copy").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )
            try:
                yield self.dsn(name)
            finally:
                admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


class Connect(Protocol):
    """Opens a connection to the test's database, logged in as a role; closed with the test."""

    def __call__(
        self, role: str | None = None, *, autocommit: bool = False
    ) -> psycopg.Connection: ...


@pytest.fixture(scope="session", autouse=True)
def copied_clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let a server begin with a copy of what initdb has made for an earlier one of its binaries."""
    made: dict[str, Path] = {}
    run = server._run

    def copied(account: Account, folder: Path, argv: list[str]) -> None:
        if Path(argv[0]).name != "initdb" or account.uid is not None:
            run(account, folder, argv)
        elif argv[0] in made:
            shutil.copytree(made[argv[0]], argv[-1])
        else:
            run(account, folder, argv)
            made[argv[0]] = tmp_path_factory.mktemp("cluster") / "data"
            shutil.copytree(argv[-1], made[argv[0]])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "_run", copied)
        yield


@pytest.fixture(scope="session")
def pg(copied_clusters: None) -> Iterator[Postgres]:
    """The server: ``pg.dsn(dbname)`` for the superuser, ``pg.database()`` for an empty database."""
    with server_under_test() as postgres:
        yield postgres


@contextmanager
def server_under_test() -> Iterator[Postgres]:
    """Yield the server that PGJOBS_TEST_DSN leads to, else an embedded one."""
    given = os.environ.get("PGJOBS_TEST_DSN")
    if given:
        yield Postgres.at(given, None)
        return
    with embedded.run_server(fsync=False, settings=SETTINGS) as server:
        yield Postgres.at(server.dsn(), server.binaries)


def install(**where: Any) -> None:
    """Install sql/, the present definition; tests/migrations proves it equal to the migrations."""
    where.pop("autocommit", None)
    with (
        psycopg.connect(**{**where, "dbname": "postgres"}) as roles,
        psycopg.connect(**where) as target,
    ):
        roles.execute("select pg_advisory_xact_lock(%s)", [ROLES_LOCK])
        target.execute(schema.recorded_install_sql())
        # tests/mutate.py weakens one object here and expects a test to go red.
        target.execute(os.environ.get("PGJOBS_MUTATION", "").encode())


installed = factories.postgresql_noproc(
    dbname=f"pgjobs_{os.getpid()}", depends_on="pg", load=[install]
)


@pytest.fixture(scope="module")
def dsn(pg: Postgres, installed: NoopExecutor) -> Iterator[str]:
    """A database of this module's own, with the schema and no rows."""
    with pg.database(installed.template_dbname) as dsn:
        yield dsn


@pytest.fixture
def fresh_dsn(pg: Postgres, installed: NoopExecutor) -> Iterator[str]:
    """A database of this test's own; ``conn`` and ``connect`` then lead to it as well."""
    with pg.database(installed.template_dbname) as dsn:
        yield dsn


@pytest.fixture
def empty_dsn(pg: Postgres, installed: NoopExecutor) -> Iterator[str]:
    """A database without the schema, on a server that already has the group roles."""
    with pg.database() as dsn:
        yield dsn


@pytest.fixture
def test_dsn(request: pytest.FixtureRequest) -> str:
    """The database of this test: its own where it asks for ``fresh_dsn``, else its module's."""
    fixture = "fresh_dsn" if "fresh_dsn" in request.fixturenames else "dsn"
    return str(request.getfixturevalue(fixture))


@pytest.fixture
def connect(test_dsn: str) -> Iterator[Connect]:
    """Open further connections; ``role`` logs in as that role (``set session authorization``)."""
    with ExitStack() as stack:

        def open_connection(
            role: str | None = None, *, autocommit: bool = False
        ) -> psycopg.Connection:
            conn = psycopg.connect(test_dsn, autocommit=True)
            stack.callback(conn.close)
            if role is not None:
                conn.execute(sql.SQL("set session authorization {}").format(sql.Identifier(role)))
            conn.autocommit = autocommit
            return conn

        yield open_connection


@pytest.fixture
def observer(connect: Connect) -> psycopg.Connection:
    """A superuser's connection that commits by itself and looks on while others race."""
    return connect(autocommit=True)


@pytest.fixture
def conn(connect: Connect) -> Iterator[psycopg.Connection]:
    """A superuser's connection with an open transaction that is rolled back at the end."""
    conn = connect()
    yield conn
    conn.rollback()
