"""Write sql/fingerprints from the migrations, on every major whose binaries are named.

Some views are written out differently by different majors; such an object has several digests.
What a migration publishes comes last in it, and is left out here.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psycopg

sys.path.insert(0, str(Path(__file__).parent.parent))

from forgea_pgjobs import embedded
from forgea_pgjobs.schema import migration_files
from forgea_pgjobs.schema.fingerprints import PUBLISH, Fingerprint, installed, rendered

FOLDER = Path(__file__).parent.parent / "sql/fingerprints"


def brought_by_each() -> dict[str, set[Fingerprint]]:
    """Return what each migration adds on a new server."""
    found: dict[str, set[Fingerprint]] = {}
    with embedded.run_server(fsync=False) as server:
        for name, path in migration_files().items():
            with psycopg.connect(server.dsn()) as conn:
                conn.execute(path.read_bytes().partition(PUBLISH.encode())[0])
                found[name] = installed(conn).difference(*found.values())
    return found


if __name__ == "__main__":
    everything: dict[str, set[Fingerprint]] = {name: set() for name in migration_files()}
    for binaries in sys.argv[1:]:
        os.environ["PGJOBS_PG_BIN"] = binaries
        for name, rows in brought_by_each().items():
            everything[name] |= rows
    for name, rows in everything.items():
        file = FOLDER / f"{name.partition('.')[2]}.sql"
        file.write_text(rendered(name, rows), encoding="utf-8")
