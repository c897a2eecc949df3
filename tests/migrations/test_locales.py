"""F14: the locale changes nothing; an encoding other than UTF8 is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from forgea_pgjobs import schema
from tests.conftest import Postgres
from tests.helpers import claim, complete, enqueue, job, refused, sha

# i and I are no pair in Turkish.
LETTERS = "I\u0131\u0130i"
TURKISH = "locale_provider icu icu_locale 'tr-TR' locale 'C' encoding 'UTF8'"


@contextmanager
def database(pg: Postgres, options: str) -> Iterator[str]:
    name = f"pgjobs_{uuid4().hex}"
    create = sql.SQL("create database {} template template0 " + options)
    with psycopg.connect(pg.dsn(), autocommit=True) as admin:
        admin.execute(create.format(sql.Identifier(name)))
        try:
            yield pg.dsn(name)
        finally:
            admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def test_f14_a_database_that_is_not_utf8_is_refused(pg: Postgres) -> None:
    with (
        database(pg, "encoding 'SQL_ASCII' locale 'C'") as dsn,
        psycopg.connect(dsn) as conn,
        refused("0A000"),
    ):
        conn.execute(schema.install_sql().encode())


def test_f14_a_turkish_database_gives_the_same_answers(pg: Postgres) -> None:
    with psycopg.connect(pg.dsn()) as conn:
        icu = "select from pg_collation where collname = 'tr-x-icu'"
        if conn.execute(icu).fetchone() is None:
            pytest.skip("this server is built without ICU; Debian's, for one, has it")
    with database(pg, TURKISH) as dsn, psycopg.connect(dsn) as conn:
        conn.execute(schema.install_sql().encode())
        made = enqueue(conn, commit_sha=sha(0xABCDEF), lab_version=LETTERS)
        complete(conn, claim(conn))
        assert job(conn, made.job_id).status == "PASSED"
        assert job(conn, made.job_id).lab_version == LETTERS
        for bad in (letter * 40 for letter in LETTERS):
            with refused("22023", "enqueue_commit_sha_check"), conn.transaction():
                enqueue(conn, commit_sha=bad)
        with refused("22023", "claim_worker_check"):
            claim(conn, worker="\u00a0 \u3000")


@pytest.mark.parametrize("path", ["public", "hostile, pg_catalog"])
def test_the_path_of_the_installing_session_does_not_matter(pg: Postgres, path: str) -> None:
    with pg.database() as dsn, psycopg.connect(dsn) as conn:
        conn.execute("create schema hostile; create domain hostile.text as integer")
        conn.execute(
            "create function hostile.now() returns timestamptz language sql"
            " return null::timestamptz"
        )
        conn.execute(f"set search_path = {path}".encode())
        conn.execute(schema.install_sql().encode())
        assert enqueue(conn).created
