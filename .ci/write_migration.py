"""Write the migrations from sql/; only until the first release freezes them."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from forgea_pgjobs.schema import migrations_folder, sql_text

LEDGER = """\
-- The ledger, its hot tables, functions, views, roles and grants.
-- depends:
--
-- For the operator: creates the schema pgjobs and, where the role may, five group roles. It
-- touches nothing that exists, so its locks meet nobody. With psql alone:
-- psql -1 -v ON_ERROR_STOP=1 -f migrations/0001.ledger.sql

"""
BACKFILL = """\
-- The functions and the view that move a host's history into the ledger.
-- depends: 0001.ledger
--
-- For the operator: adds functions and a view, and locks no table. The host's tables need not be
-- there, and are not touched. With psql alone:
-- psql -1 -v ON_ERROR_STOP=1 -f migrations/0002.backfill.sql

"""
MIGRATIONS = {
    "0001.ledger": LEDGER + sql_text("install.sql", without="backfill.sql"),
    "0002.backfill": BACKFILL + sql_text("backfill.sql"),
}


def migration(name: str, text: str) -> str:
    """Return the text of a migration: what it does, and the row that records it."""
    body = text + "\n\n"
    checksum = hashlib.sha256(body.encode()).hexdigest()
    return (
        body
        + "insert into pgjobs.migration (migration_id, checksum)\n"
        + f"values ('{name}', '{checksum}');\n"
    )


if __name__ == "__main__":
    for name, text in MIGRATIONS.items():
        path = migrations_folder() / f"{name}.sql"
        path.write_text(migration(name, text), encoding="utf-8")
