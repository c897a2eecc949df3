"""Transactions of Python's frameworks: each yields the psycopg connection that lies underneath.

Every one commits at the end of the block and rolls back on an exception, in the framework's own
way, and writes the host's own row with the framework's own means.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import django
import psycopg
from django.conf import settings as django_settings
from django.db import connections
from django.db import transaction as django_transaction
from psycopg_pool import AsyncConnectionPool, ConnectionPool
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import create_async_engine

from tests.clients.scenario import settings

Connection = psycopg.Connection[Any]
AsyncConnection = psycopg.AsyncConnection[Any]


def sqlalchemy_url(dsn: str) -> URL:
    """Return SQLAlchemy's form of a connection string."""
    return URL.create("postgresql+psycopg", query=settings(dsn))


@contextmanager
def sqlalchemy_2(dsn: str, push: str | None = None) -> Iterator[Connection]:
    """Begin a transaction of an engine."""
    engine = create_engine(sqlalchemy_url(dsn), poolclass=NullPool)
    with engine.begin() as connection:
        if push:
            connection.execute(text("insert into push values (:commit)"), {"commit": push})
        conn = connection.connection.driver_connection
        assert isinstance(conn, psycopg.Connection)
        yield conn


@contextmanager
def django_5(dsn: str, push: str | None = None) -> Iterator[Connection]:
    """Begin an atomic block."""
    if not django_settings.configured:
        django_settings.configure(
            DATABASES={"default": {"ENGINE": "django.db.backends.postgresql"}}
        )
        django.setup()
    connection = connections["default"]
    options = settings(dsn)
    connection.settings_dict.update(NAME=options.pop("dbname"), OPTIONS=options)
    try:
        with django_transaction.atomic():
            if push:
                with connection.cursor() as cursor:
                    cursor.execute("insert into push values (%s)", [push])
            yield connection.connection
    finally:
        connection.close()


@contextmanager
def psycopg_pool(dsn: str, push: str | None = None) -> Iterator[Connection]:
    """Take a connection out of a pool."""
    with ConnectionPool(dsn, min_size=1, open=True) as pool, pool.connection() as conn:
        if push:
            conn.execute("insert into push values (%s)", [push])
        yield conn


@asynccontextmanager
async def sqlalchemy_2_async(dsn: str, push: str | None = None) -> AsyncIterator[AsyncConnection]:
    """Begin a transaction of an asynchronous engine."""
    engine = create_async_engine(sqlalchemy_url(dsn), poolclass=NullPool)
    async with engine.begin() as connection:
        if push:
            await connection.execute(text("insert into push values (:commit)"), {"commit": push})
        conn = (await connection.get_raw_connection()).driver_connection
        assert isinstance(conn, psycopg.AsyncConnection)
        yield conn


@asynccontextmanager
async def psycopg_pool_async(dsn: str, push: str | None = None) -> AsyncIterator[AsyncConnection]:
    """Take a connection out of an asynchronous pool."""
    async with (
        AsyncConnectionPool(dsn, min_size=1, open=False) as pool,
        pool.connection() as conn,
    ):
        if push:
            await conn.execute("insert into push values (%s)", [push])
        yield conn
