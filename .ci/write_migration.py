"""Write migrations/0001.ledger.sql from sql/; only until the first release freezes it."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from forgea_pgjobs.schema import install_sql, migrations_folder

HEADER = """\
-- The ledger, its hot tables, functions, views, roles and grants.
-- depends:
--
-- For the operator: creates the schema pgjobs and, where the role may, five group roles. It
-- touches nothing that exists, so its locks meet nobody. With psql alone:
-- psql -1 -v ON_ERROR_STOP=1 -f migrations/0001.ledger.sql

"""


def migration() -> str:
    """Return the text of the migration: header, definition, and the row that records both."""
    body = HEADER + install_sql() + "\n\n"
    checksum = hashlib.sha256(body.encode()).hexdigest()
    return (
        body
        + "insert into pgjobs.migration (migration_id, checksum)\n"
        + f"values ('0001.ledger', '{checksum}');\n"
    )


if __name__ == "__main__":
    folder = migrations_folder()
    (folder / "0001.ledger.sql").write_text(migration(), encoding="utf-8")
