"""The connection of the tests in SQL: one backend a file, which has the functions compiled."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.calls import start
from tests.ledger_rows import fill_every_table


@pytest.fixture(scope="module")
def warm(dsn: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(dsn, prepare_threshold=None) as conn:
        yield conn


@pytest.fixture
def conn(warm: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """A superuser's connection with an open transaction that is rolled back at the end."""
    yield warm
    warm.rollback()


@pytest.fixture(scope="module")
def filled(dsn: str) -> None:
    """Leave a row in every table and every view of the module's database."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        fill_every_table(conn)


@pytest.fixture
def ledger(filled: None, conn: psycopg.Connection) -> psycopg.Connection:
    """The test's connection to a database with a row in every table and every view."""
    return conn


@pytest.fixture
def run(conn: psycopg.Connection) -> Any:
    """A claimed run."""
    return start(conn)
