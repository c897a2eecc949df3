"""O10, O11: what each way of dumping and restoring keeps, and what it breaks."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pytest_postgresql.executors import NoopExecutor

from forgea_pgjobs.schema import runner
from tests.conftest import Postgres
from tests.helpers import Connection, refused, rows
from tests.ledger_rows import content, fill_every_table, sequences
from tests.migrations.conftest import Dump
from tests.restores.conftest import BARE, MODES, REPAIR, assert_work_goes_on, findings, restore
from tests.runbook import Desk
from tests.test_docs import ROOT

TAMPER = "update pgjobs.verdict set status = 'PASSED' where status = 'FAILED'"
# Each guard of a table, as verify() names it when it has become an ordinary trigger.
GUARDS = """
select 'trigger ' || tgname || ' on ' || tgrelid::regclass as object,
    'is ordinary, not always on' as finding
from pg_trigger join pg_class on pg_class.oid = tgrelid
where relnamespace = 'pgjobs'::regnamespace and tgenabled = 'A'
"""


@dataclass(frozen=True, slots=True)
class Ledger:
    dsn: str
    running: Any


@pytest.fixture(scope="module")
def source(dsn: str) -> Ledger:
    """The ledger that is dumped; its database has lost the rights that PUBLIC has by default."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(f"revoke all on database {conn.info.dbname} from public".encode())
        return Ledger(dsn, fill_every_table(conn))


@pytest.fixture
def lab_owner(pg: Postgres) -> Iterator[str]:
    """A login that may create nothing but what is in its database."""
    with psycopg.connect(pg.dsn(), autocommit=True) as admin:
        admin.execute("create role lab_owner login")
        yield "lab_owner"
        admin.execute("drop role lab_owner")


@pytest.fixture
def target(mode: str, pg: Postgres, installed: NoopExecutor) -> Iterator[str]:
    template = installed.template_dbname if mode.startswith("data-only") else "template0"
    with pg.database(template) as dsn:
        yield dsn


@pytest.fixture
def desk(source: Ledger, target: str, programs: Path, tmp_path: Path) -> Desk:
    return Desk(programs, tmp_path, {"lab": source.dsn, "new": target})


def state(conn: Connection) -> Any:
    return content(conn), sequences(conn)


def test_the_ledger_that_is_dumped_has_rows_in_every_table(source: Ledger) -> None:
    with psycopg.connect(source.dsn) as conn:
        assert all(count for count, _hash in content(conn).values())


@pytest.mark.parametrize("mode", MODES)
def test_o10_o11_a_restored_ledger_is_the_dumped_one(
    mode: str, source: Ledger, target: str, desk: Desk, dump: Dump
) -> None:
    restore(mode, desk)
    with (
        psycopg.connect(source.dsn) as former,
        psycopg.connect(target, autocommit=True) as conn,
    ):
        assert state(conn) == state(former)
        # The whole of what a mode breaks: the guards, where triggers were disabled.
        broken = sorted(rows(former, GUARDS)) if "disabled" in mode else []
        assert findings(conn) == broken
        assert (dump(target) == dump(source.dsn)) == (not broken)
        desk.type(REPAIR, target)
        assert findings(conn) == []
        assert dump(target) == dump(source.dsn)
        assert runner.pending(target) == []
        assert_work_goes_on(conn, source.running)


@pytest.mark.parametrize("mode", [mode for mode in MODES if "disabled" in mode])
def test_o11_a_guard_that_the_restore_left_ordinary_can_be_switched_off(
    mode: str, target: str, desk: Desk
) -> None:
    restore(mode, desk)
    with psycopg.connect(target) as conn:
        conn.execute("set session_replication_role = replica")
        assert conn.execute(TAMPER).rowcount == 1
        conn.rollback()
        desk.type(REPAIR, target)
        conn.execute("set session_replication_role = replica")
        with refused("23V01", "verdict_append_only"):
            conn.execute(TAMPER)


@pytest.mark.parametrize("mode", ["data-only"])
def test_o11_rows_that_come_without_their_order_are_refused(
    mode: str, target: str, desk: Desk
) -> None:
    desk.do("pg_dump -Fc -f whole.dump -d lab")
    with pytest.raises(AssertionError, match="foreign key"):
        desk.do("pg_restore -e -1 --data-only -n pgjobs -d new whole.dump")
    with psycopg.connect(target) as conn:
        assert rows(conn, "select from pgjobs.lab_attempt") == []


@pytest.mark.parametrize("mode", ["plain"])
def test_o10_rights_on_the_database_are_in_no_dump_without_create(
    mode: str, target: str, desk: Desk
) -> None:
    restore(mode, desk)
    acl = "select datacl from pg_database where datname = current_database()"
    with psycopg.connect(target) as conn:
        assert conn.execute(acl).fetchone() == (None,)
    name = psycopg.conninfo.conninfo_to_dict(desk.places["lab"])["dbname"]
    assert f"REVOKE CONNECT,TEMPORARY ON DATABASE {name} FROM PUBLIC" in desk.do(
        "pg_dump --create --schema-only -d lab"
    )


@pytest.mark.parametrize("mode", ["for another owner"])
def test_o10_a_dump_without_owners_and_rights_is_whole_again_after_grants_sql(
    mode: str, source: Ledger, lab_owner: str, target: str, desk: Desk
) -> None:
    with psycopg.connect(target, autocommit=True) as conn:
        conn.execute(f"alter database {conn.info.dbname} owner to {lab_owner}".encode())
        for command in BARE:
            desk.do(command)
        public = [found.object for found in findings(conn)]
        assert public
        assert all(name.startswith("grant ") and name.endswith(" to PUBLIC") for name in public)
        with psycopg.connect(target, user=lab_owner) as owner:
            owner.execute((ROOT / "sql/grants.sql").read_bytes())
        assert findings(conn) == []
        granted = rows(conn, "select * from pgjobs._installed() where object ~ '^grant '")
        with psycopg.connect(source.dsn) as former:
            query = "select * from pgjobs._installed() where object ~ '^grant '"
            assert sorted(granted) == sorted(rows(former, query))
        assert_work_goes_on(conn, source.running)
