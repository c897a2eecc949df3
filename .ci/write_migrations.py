"""Write the migrations and SHA256SUMS from sql/; only until the first release freezes them."""

from __future__ import annotations

import hashlib
import re
import sys
import textwrap
from pathlib import Path

import psycopg

sys.path.insert(0, str(Path(__file__).parent.parent))

from forgea_pgjobs import embedded
from forgea_pgjobs.schema.files import checksum_of, framed, migrations_folder, parts, record
from forgea_pgjobs.schema.fingerprints import Fingerprint, installed, rendered

# What a DBA reads first: what it is, what it needs, the locks it takes on what is there already.
HEADS = {
    "0001.ledger": """\
-- The ledger, its hot tables, functions, views, roles and grants.
-- depends:
--
-- For the operator: creates the schema pgjobs and, where the role may, six group roles.
-- Locks on what exists: none.
""",
    "0002.host": """\
-- The host's part: moves its history into the ledger, and links its sessions.
-- depends: 0001.ledger
--
-- For the operator: adds functions and a view. A host without "VerificationLog", "LabSession" and
-- "Lab" may leave it out: forgea-pgjobs migrate --without 0002.host.
-- Locks on what exists: ACCESS SHARE on pgjobs.backfill, pgjobs.lab_attempt, the views; ROW
-- EXCLUSIVE on pgjobs.migration.
""",
    "0003.verify": """\
-- verify(): whether the installation is as released, and its rows agree.
-- depends: 0001.ledger
--
-- For the operator: adds functions and the digests of every object that this version has.
-- Locks on what exists: ACCESS SHARE on the views; ROW EXCLUSIVE on pgjobs.migration.
""",
}
BY_HAND = "-- With psql alone: psql -v ON_ERROR_STOP=1 -f migrations/{name}.sql\n\n"

LATER = """\
if exists (select from pgjobs.migration where migration_id > '{name}') then
    raise exception 'a later migration is there, and stands on this one'
        using errcode = '55000', schema = 'pgjobs', table = 'migration',
              constraint = 'migration_migration_id_pkey',
              hint = 'Undo the later ones first, the newest before the others: '
                     'select migration_id from pgjobs.migration.';
end if;
"""
# By their triggers and constraints, so these are dropped after them.
NEEDED_BY_TABLES = ("pgjobs._guard_ledger", "pgjobs._guard_detail", "pgjobs._is_same_person")
DOWNS = {
    "0001.ledger": """\
-- Undoes 0001.ledger. Refuses while a later migration is there; and while there are ledger rows,
-- unless the operator says, in the same transaction: set local pgjobs.force_rollback = on. It
-- holds the tables from that question to the drop. The group roles stay: they belong to the
-- cluster, and other databases may use them.
-- Locks on what exists: ACCESS EXCLUSIVE on every table and view of the schema.

lock table
{table}
in access exclusive mode;

{later}if (exists (select from pgjobs.lab_attempt) or exists (select from pgjobs.hold))
    and current_setting('pgjobs.force_rollback', true) is distinct from 'on'
then
    raise exception 'the ledger has rows, and this rollback would destroy them'
        using errcode = '55000', schema = 'pgjobs', table = 'lab_attempt',
              constraint = 'lab_attempt_append_only',
              hint = 'Dump it; then: set local pgjobs.force_rollback = on, or rollback --force.';
end if;

drop function
{function};
drop view
{view};
drop table
{table};
drop function {needed};
drop sequence
{sequence};
drop type
{type};
drop domain pgjobs.priority, pgjobs.max_runs, pgjobs.open_jobs;
drop schema pgjobs;
""",
    "0002.host": """\
-- Undoes 0002.host: its functions, its view, and the link to the host's sessions, if there is one.
-- What a backfill has written are ledger rows, and stay; after the next up it goes on where it was.
-- Locks on what exists: ACCESS EXCLUSIVE on pgjobs.backfill_report, pgjobs.lab_attempt, the linked
-- table of sessions; ROW EXCLUSIVE on pgjobs.migration.

{later}
drop function
{function};
drop view
{view};
drop type
{type};
alter table pgjobs.lab_attempt drop constraint if exists lab_attempt_session_id_fkey;

delete from pgjobs.migration where migration_id = '0002.host';
""",
    "0003.verify": """\
-- Undoes 0003.verify: its functions and the digests of this version. The ledger is not touched.
-- Locks on what exists: ACCESS EXCLUSIVE on pgjobs.fingerprint; ROW EXCLUSIVE on pgjobs.migration.

{later}
drop function
{function};
drop table
{table};
drop type
{type};

delete from pgjobs.migration where migration_id = '0003.verify';
""",
}


def brought_by_each(texts: dict[str, str]) -> dict[str, set[Fingerprint]]:
    """Return what each part adds on a new server."""
    found: dict[str, set[Fingerprint]] = {}
    with embedded.run_server(fsync=False) as server:
        for name, text in texts.items():
            with psycopg.connect(server.dsn()) as conn:
                conn.execute(framed(text).encode())
                found[name] = installed(conn).difference(*found.values())
    return found


def migration(name: str, text: str) -> str:
    """Return the text of a migration: what it does, and the row that records it."""
    whole = HEADS[name] + BY_HAND.format(name=name) + framed(text, record(name, "DIGEST"))
    return whole.replace("DIGEST", checksum_of(whole))


def down(name: str, text: str) -> str:
    """Return the text of a migration's down, which drops by name what the up creates."""
    kinds = {}
    for kind in ("function", "view", "table", "sequence", "type"):
        found = re.findall(rf"^create {kind} (pgjobs\.\w+)", text, re.MULTILINE)
        names = ", ".join(each for each in found if each not in NEEDED_BY_TABLES)
        kinds[kind] = textwrap.fill(names, 100, initial_indent=" " * 4, subsequent_indent=" " * 4)
    head, body = DOWNS[name].split("\n\n", 1)
    needed = ", ".join(NEEDED_BY_TABLES)
    body = body.format(later=LATER.format(name=name), needed=needed, **kinds)
    return f"{head}\n\n{framed(body)}"


def main() -> int:
    """Write the files."""
    texts = parts()
    last = list(texts)[-1]
    published = {name: rendered(name, rows) for name, rows in brought_by_each(texts).items()}
    texts[last] = "\n\n".join([texts[last], *published.values()])
    folder = migrations_folder()
    for name, text in texts.items():
        (folder / f"{name}.rollback.sql").write_text(down(name, text), encoding="utf-8")
        (folder / f"{name}.sql").write_text(migration(name, text), encoding="utf-8")
    sums = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(folder.glob("*.sql"))
    ]
    (folder / "SHA256SUMS").write_text("".join(sums), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
