"""The newcomer's path: docs/install.md followed as it is written, by psql on a clean server."""

from __future__ import annotations

from contextlib import suppress

import psycopg
import pytest

from forgea_pgjobs import embedded, schema
from tests.runbook import BLOCK, Desk, section, steps
from tests.test_docs import ROOT

[OWNER_MAY_CREATE_ROLES, OWNER_MAY_NOT, *INSTALL] = steps("With psql alone")
LIVE_WITH_IT = ("Transactions", "A wrong verdict", "Retention", "Monitoring", "Lockdown")
# It stands beside the upgrade, but is what a reader does last.
ROLL_BACK = list(steps("Upgrade and roll back"))


def may_connect(dsn: str, login: str) -> bool:
    with suppress(psycopg.OperationalError), psycopg.connect(dsn, user=login):
        return True
    return False


@pytest.mark.parametrize("owner", [OWNER_MAY_CREATE_ROLES, OWNER_MAY_NOT], ids=["may", "may not"])
def test_the_page_can_be_followed_as_it_is_written(owner: str, new_server: embedded.Server) -> None:
    places = {"lab": new_server.dsn("lab"), "postgres": new_server.dsn()}
    desk = Desk(new_server.binaries, ROOT, places)
    desk.do(owner)
    desk.type("create role stranger login", places["postgres"])
    *_, pushed, verified, shown = (desk.do(step) for step in INSTALL)
    assert "QUEUED | t" in pushed
    assert "PASSED | f" in verified
    assert "PASSED | w1" in shown
    for title in LIVE_WITH_IT:
        assert [desk.do(step) for step in steps(title)]
    [_language, linked], *_ = BLOCK.findall(section("Beside the host's tables"))
    assert "orphans" in desk.type(linked, places["lab"])  # their sessions are nowhere in the host
    logins = ("host_app", "web", "runner", "lab_owner", "stranger")
    assert [may_connect(places["lab"], login) for login in logins] == [True] * 4 + [False]
    for step in ROLL_BACK:
        desk.do(step)
    with psycopg.connect(new_server.dsn("lab")) as conn:
        assert conn.execute("select to_regnamespace('pgjobs')").fetchone() == (None,)


def test_the_page_installs_and_rolls_back_every_migration() -> None:
    names = [path.name for path in schema.migration_files().values()]
    installed = [name for step in INSTALL for name in names if f"/{name} " in step]
    assert installed == names
    downs = [name.replace(".sql", ".rollback.sql") for name in reversed(names)]
    assert [name for step in ROLL_BACK for name in downs if f"/{name} " in step] == downs
