"""Where the time of one call goes: CPU of the backend, with one ingredient removed in turn.

CPU, not wall-clock time: on a busy machine it is the steadier of the two, and it leaves out the
client, the round trip's waiting and the disk. Linux only. ``python -m bench.profile`` prints a
markdown table; the ingredients are removed from throw-away databases.
"""

from __future__ import annotations

import random
import sys
import uuid
from collections import defaultdict
from hashlib import sha256
from pathlib import Path
from statistics import median

import psycopg

import forgea_pgjobs as pgjobs
from bench.adapters import raw
from forgea_pgjobs import schema
from forgea_pgjobs.embedded import Server, run_server

ROUNDS = 5
JOBS = 1500
CALLS = ("enqueue", "enqueue again", "claim", "complete")
NO_PATHS = """
do $$
declare
    v_function regprocedure;
begin
    for v_function in select oid from pg_proc where pronamespace = 'pgjobs'::regnamespace loop
        execute format('alter function %s reset all', v_function);
    end loop;
end
$$
"""
NO_CONSTRAINTS = """
do $$
declare
    v_constraint record;
begin
    for v_constraint in
        select conrelid::regclass as relation, conname from pg_constraint
        where connamespace = 'pgjobs'::regnamespace and contype = '{kind}'
    loop
        execute format(
            'alter table %s drop constraint %I', v_constraint.relation, v_constraint.conname
        );
    end loop;
end
$$
"""
ALWAYS_TRUE = """
create or replace function pgjobs._check_text(
    routine text, argument text, value text, element bigint default null
) returns boolean language plpgsql as 'begin return true; end';
create or replace function pgjobs._check_commit_sha(
    routine text, argument text, value text, element bigint default null
) returns boolean language plpgsql as 'begin return true; end'
"""
INGREDIENTS = {
    "nothing removed": "",
    "without foreign keys": NO_CONSTRAINTS.format(kind="f"),
    "without check constraints": NO_CONSTRAINTS.format(kind="c"),
    "without pinned search paths": NO_PATHS,
    "without the checks of texts and SHAs": ALWAYS_TRUE,
    "without the index on verdicts": "drop index pgjobs.verdict_status_completed_at_idx",
}


def main() -> int:
    """Measure each variant in every round, in another order, and print the medians."""
    spent: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with run_server(fsync=False, settings={"synchronous_commit": "off"}) as server:
        for number in range(ROUNDS):
            variants = [*INGREDIENTS, "raw"]
            random.Random(number).shuffle(variants)  # noqa: S311  # an order, no secret
            for variant in variants:
                for call, microseconds in measure(server, variant).items():
                    spent[variant][call].append(microseconds)
    sys.stdout.write(table(spent))
    return 0


def measure(server: Server, variant: str) -> dict[str, float]:
    """Return the CPU microseconds of the backend per call, in a database of its own."""
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute("drop database if exists profile with (force)")
        admin.execute("create database profile")
    with psycopg.connect(server.dsn("profile"), autocommit=True) as conn:
        keys = [sha256(str(number).encode()).hexdigest()[:40] for number in range(JOBS)]
        if variant == "raw":
            conn.execute(raw.TABLE)
            return _raw(conn, keys)
        conn.execute(schema.recorded_install_sql().encode())
        if INGREDIENTS[variant]:
            conn.execute(INGREDIENTS[variant].encode())
        return _ours(conn, keys)


def _ours(conn: psycopg.Connection, keys: list[str]) -> dict[str, float]:
    sessions = [uuid.UUID(key[:32]) for key in keys]
    figures = {}
    for call in ("enqueue", "enqueue again"):
        before = _cpu(conn)
        for key, session_id in zip(keys, sessions, strict=True):
            pgjobs.enqueue(conn, session_id=session_id, commit_sha=key, lab_version="1")
        figures[call] = _since(conn, before)
    before = _cpu(conn)
    runs = [pgjobs.claim(conn, worker="profile")[0] for _ in keys]
    figures["claim"] = _since(conn, before)
    before = _cpu(conn)
    for run in runs:
        pgjobs.complete(conn, job_id=run.job_id, lease_token=run.lease_token, status="PASSED")
    figures["complete"] = _since(conn, before)
    return figures


def _raw(conn: psycopg.Connection, keys: list[str]) -> dict[str, float]:
    figures = {}
    for call in ("enqueue", "enqueue again"):
        before = _cpu(conn)
        for key in keys:
            conn.execute(raw.INSERT, (key, key))
        figures[call] = _since(conn, before)
    before = _cpu(conn)
    claimed = [conn.execute(raw.CLAIM, (1,)).fetchall()[0][0] for _ in keys]
    figures["claim"] = _since(conn, before)
    before = _cpu(conn)
    for job_id in claimed:
        conn.execute(raw.COMPLETE, ([job_id],))
    figures["complete"] = _since(conn, before)
    return figures


def _cpu(conn: psycopg.Connection) -> int:
    return int(Path(f"/proc/{conn.info.backend_pid}/schedstat").read_text().split()[0])


def _since(conn: psycopg.Connection, before: int) -> float:
    return (_cpu(conn) - before) / JOBS / 1000


def table(spent: dict[str, dict[str, list[float]]]) -> str:
    """Return the medians as markdown, ours first, raw last."""
    lines = ["| CPU of the backend, µs | " + " | ".join(CALLS) + " |", "|---|" + "---:|" * 4]
    for variant in [*INGREDIENTS, "raw"]:
        cells = (f"{median(spent[variant][call]):.0f}" for call in CALLS)
        lines.append(f"| {variant} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
