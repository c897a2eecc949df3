"""The published fingerprint is that of an installation, on this server, under any name."""

import psycopg
from psycopg.conninfo import make_conninfo

from forgea_pgjobs import schema
from forgea_pgjobs.schema import fingerprints, runner
from tests.helpers import Connection, rows


def test_the_fingerprint_has_every_object_and_no_other(conn: Connection) -> None:
    published = set().union(*fingerprints.published().values())
    here = fingerprints.installed(conn)
    assert here <= published
    assert {row.object for row in here} == {row.object for row in published}
    stored = rows(conn, "select object, state, digest from pgjobs.fingerprint")
    assert {tuple(row) for row in stored} == published


def test_each_migration_publishes_what_it_brings(empty_dsn: str) -> None:
    had: set[fingerprints.Fingerprint] = set()
    with psycopg.connect(empty_dsn) as conn:
        for name, path in schema.migration_files().items():
            conn.execute(path.read_bytes())
            conn.execute("reset role")
            brought = fingerprints.installed(conn) - had
            assert brought <= fingerprints.published()[name]
            had |= brought


def test_a_search_path_changes_no_digest(empty_dsn: str) -> None:
    runner.migrate(empty_dsn)
    dsn = make_conninfo(empty_dsn, options="-c search_path=pgjobs,public")
    with psycopg.connect(empty_dsn) as plain, psycopg.connect(dsn) as other:
        assert fingerprints.installed(plain) == fingerprints.installed(other)
