"""sqlc checks queries against a dump of the schema, and asks an installation about functions."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from forgea_pgjobs import embedded, schema
from tests.clients.scenario import url
from tests.conftest import Postgres

SQLC = shutil.which("sqlc", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
pytestmark = pytest.mark.skipif(SQLC is None, reason="sqlc is not on PATH")

NEWEST = """
-- name: Newest :many
select job_id, status from pgjobs.verification_job where commit_sha = $1;
"""
ENQUEUE = """
-- name: Enqueue :one
select job_id, created from pgjobs.enqueue(session_id => $1, commit_sha => $2, lab_version => $3);
"""


@pytest.fixture
def dump(pg: Postgres, fresh_dsn: str) -> str:
    """What pg_dump prints of the schema, as docs/clients.md calls it."""
    pg_dump = (pg.binaries or embedded.find_binaries()) / "pg_dump"
    command = [str(pg_dump), "--schema-only", "-n", "pgjobs", url(fresh_dsn)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def sqlc(folder: Path, definition: str, query: str, **settings: object) -> str:
    """Let sqlc write Go for a query, and return that or what it says instead."""
    assert SQLC
    go = {"package": "lab", "out": ".", "sql_package": "pgx/v5"}
    files = {"schema": "schema.sql", "queries": "query.sql", "gen": {"go": go}}
    config = {"version": "2", "sql": [{"engine": "postgresql", **files, **settings}]}
    (folder / "sqlc.json").write_text(json.dumps(config))
    (folder / "schema.sql").write_text(definition)
    (folder / "query.sql").write_text(query)
    done = subprocess.run([SQLC, "generate"], cwd=folder, capture_output=True, text=True)
    return done.stderr or (folder / "query.sql.go").read_text(encoding="utf-8")


def test_sqlc_takes_a_dump_and_the_address_of_an_installation(
    dump: str, fresh_dsn: str, tmp_path: Path
) -> None:
    database = {"uri": f"{url(fresh_dsn)}&sslmode=disable"}
    assert "type NewestRow struct" in sqlc(tmp_path, dump, NEWEST)
    assert "type EnqueueRow struct" in sqlc(tmp_path, dump, ENQUEUE, database=database)
    # A dump alone lacks the columns of the functions, and a migration alone everything.
    assert 'column "job_id" does not exist' in sqlc(tmp_path, dump, ENQUEUE)
    first, *_ = schema.migration_files().values()
    migration = first.read_text(encoding="utf-8")
    assert 'schema "pgjobs" does not exist' in sqlc(tmp_path, migration, NEWEST)
