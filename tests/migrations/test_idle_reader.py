"""R05: a migration that cannot get its lock gives up, and the application goes on meanwhile."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import psycopg
import pytest

from forgea_pgjobs import schema
from forgea_pgjobs.errors import Refused
from forgea_pgjobs.schema import runner
from forgea_pgjobs.schema.yoyo_backend import Notify
from tests.helpers import Connection, claim, complete, enqueue, rows
from tests.migrations.conftest import LATER, Folder

UP = """
set local lock_timeout = '500ms';
alter table pgjobs.job add column later integer;
"""
DOWN = "alter table pgjobs.job drop column later;"
WAITS_FOR = """
select from pg_stat_activity
where datname = current_database() and %(holder)s = any (pg_blocking_pids(pid))
"""


def one_job_from_end_to_end(app: Connection) -> None:
    enqueue(app)
    complete(app, claim(app))


def roll_everything_back(dsn: str, notify: Notify = print) -> list[str]:
    """Roll back one migration after the other, as an operator does, and return their ids."""
    undone: list[str] = []
    while names := runner.rollback(dsn, force=True, notify=notify):
        undone += names
    return undone


def go_on_while(app: Connection, holder: Connection, run: Future[list[str]]) -> None:
    """Use the application behind a migration that waits for the holder, until it gives up."""
    while not rows(app, WAITS_FOR, holder=holder.info.backend_pid):
        assert not run.done()
    while not run.done():
        one_job_from_end_to_end(app)


@pytest.mark.parametrize("way", ["up", "down"])
def test_r05_an_idle_reader_makes_a_migration_give_up_and_nobody_waits_for_long(
    way: str, fresh_dsn: str, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "PAUSE", 0.1)
    monkeypatch.setattr(runner, "TRIES", 3)
    runner.migrate(fresh_dsn)
    run, last = partial(roll_everything_back, fresh_dsn), next(iter(schema.migration_files()))
    if way == "up":
        folder.add(UP, DOWN)
        run, last = partial(runner.migrate, fresh_dsn), LATER
    notices: list[str] = []

    with (
        psycopg.connect(fresh_dsn) as reader,
        psycopg.connect(fresh_dsn, autocommit=True) as app,
        ThreadPoolExecutor(1) as pool,
    ):
        # What the application may wait for a lock at most; a wait beyond it is an error here.
        app.execute("set lock_timeout = '1s'")
        one_job_from_end_to_end(app)
        reader.execute("select count(*) from pgjobs.verification_job").fetchone()
        under_way = pool.submit(run, notify=notices.append)
        go_on_while(app, reader, under_way)
        with pytest.raises(Refused) as refusal:
            under_way.result()
        assert refusal.value.sqlstate == "55P03"
        assert len(notices) == runner.TRIES - 1

        # The hint finds the holder.
        query = refusal.value.hint.partition(": ")[2]
        assert reader.info.backend_pid in {row.pid for row in rows(app, query)}
        reader.rollback()
        one_job_from_end_to_end(app)
    assert run()[-1] == last


def test_a_migration_goes_through_when_the_reader_ends_between_two_tries(
    fresh_dsn: str, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "PAUSE", 0)
    runner.migrate(fresh_dsn)
    folder.add(UP, DOWN)
    with psycopg.connect(fresh_dsn) as reader:
        reader.execute("select count(*) from pgjobs.verification_job").fetchone()
        notices: list[str] = []

        def end_the_reader(message: str) -> None:
            notices.append(message)
            reader.rollback()

        assert runner.migrate(fresh_dsn, notify=end_the_reader) == [LATER]
    assert len(notices) == 1
    assert runner.pending(fresh_dsn) == []
