"""A ledger moves from the oldest major version to the one under test by dump and restore."""

from pathlib import Path

import psycopg
import pytest

from forgea_pgjobs import embedded, schema
from tests.ledger_rows import content, fill_every_table, sequences
from tests.migrations.conftest import Dump
from tests.restores.conftest import ROLES, assert_work_goes_on, findings, restore
from tests.runbook import Desk
from tests.test_docs import ROOT

OLDEST = [*sorted(ROOT.glob(".cache/postgresql/15.*/bin")), Path("/usr/lib/postgresql/15/bin")]


def test_a_ledger_moves_to_a_newer_major_version(
    dump: Dump, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    present = [folder for folder in OLDEST if (folder / "initdb").exists()]
    if not present:
        pytest.skip("no PostgreSQL 15 at hand: make oldest fetches it")
    with embedded.run_server(fsync=False) as newer, monkeypatch.context() as patch:
        patch.setenv("PGJOBS_PG_BIN", str(present[0]))
        with embedded.run_server(fsync=False) as older:
            with psycopg.connect(older.dsn(), autocommit=True) as conn:
                with conn.transaction():
                    conn.execute(schema.recorded_install_sql().encode())
                running = fill_every_table(conn)
                former = content(conn), sequences(conn)
            desk = Desk(newer.binaries, tmp_path, {"lab": older.dsn(), "new": newer.dsn()})
            for command in ROLES:
                desk.do(command)
            restore("plain", desk)
        with psycopg.connect(newer.dsn(), autocommit=True) as conn:
            assert (content(conn), sequences(conn)) == former
            assert findings(conn) == []
            # 16 and later write views in fewer words, so an installation there is what to equal.
            conn.execute("create database installed template template0")
            with psycopg.connect(newer.dsn("installed")) as installed:
                installed.execute(schema.recorded_install_sql().encode())
            assert dump(newer.dsn()) == dump(newer.dsn("installed"))
            assert_work_goes_on(conn, running)
