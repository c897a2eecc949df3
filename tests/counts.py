"""What a call costs, counted by the server: rows, ids, WAL and buffers, but never time."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from statistics import median
from typing import Any

from tests.helpers import Connection, rows

# A sequence logs 32 ids ahead; set to where it stands, it logs with the very next one.
SEQUENCES = ("lab_attempt_attempt_id_seq", "job_job_id_seq")
LOG_NEXT = ", ".join(
    f"(select setval('pgjobs.{name}', last_value, is_called) from pgjobs.{name})"
    for name in SEQUENCES
)
DRAWN = " + ".join(f"(select last_value from pgjobs.{name})" for name in SEQUENCES)
WRITTEN = """
select relname as table, n_tup_ins as inserted, n_tup_upd as updated, n_tup_del as deleted
from pg_stat_xact_user_tables
where schemaname = 'pgjobs'
order by relname
"""

# The mark of the last sweep, for claims that sweep nothing, what came due since, or everything.
# Rounded down: before a mark that lies ahead a claim sweeps everything.
NOW = "floor(extract(epoch from clock_timestamp()) * 1000)::bigint"
A_SECOND_AGO = f"{NOW} - 1200"
NEVER = "0"

# Sessions and commits in no order, as in real life, and the same in every run.
SESSION = "md5('session' || {})::uuid"
COMMIT = "md5('commit' || {}) || '00000000'"


def traces(conn: Connection) -> list[Any]:
    """Return what this transaction has written, undone writes included, and every id drawn."""
    drawn = (rows(conn, f"select last_value from pgjobs.{name}") for name in SEQUENCES)
    return [rows(conn, WRITTEN), *drawn]


def buffers(conn: Connection, query: str) -> tuple[int, int]:
    """Run a query; return the rows it gave and the buffers it touched, nested calls included."""
    explain = f"explain (analyze, buffers, timing off, format json) {query}"
    [[[plan]]] = conn.execute(explain.encode()).fetchall()
    top = plan["Plan"]
    return top["Actual Rows"], top["Shared Hit Blocks"] + top["Shared Read Blocks"]


@contextmanager
def untouched(conn: Connection) -> Iterator[None]:
    """Expect that the block leaves no trace, not even of what it undid."""
    before = traces(conn)
    yield
    assert traces(conn) == before


@dataclass(frozen=True, slots=True)
class Count:
    """A call on so many jobs, and what each costs; + is a row inserted, ~ updated, - deleted."""

    jobs: int
    written: str
    ids: float
    wal: float
    buffers: float


def listed(counts: Mapping[str, Count]) -> str:
    """Show counts as the lines that a test would keep."""
    return "measured:\n" + "\n".join(
        f'    "{name}": Count({each.jobs}, "{each.written}",'
        f" {each.ids:g}, {each.wal:g}, {each.buffers:g}),"
        for name, each in counts.items()
    )


class Meter:
    """Counts calls on a connection, and keeps the counts by name."""

    def __init__(self, conn: Connection) -> None:
        """Begin with nothing counted."""
        self.conn = conn
        self._numbers = count(1)
        self._counted: dict[str, list[Count]] = defaultdict(list)

    def new(self, kind: str) -> str:
        """Return SQL for a session or a commit that is not known yet."""
        return kind.format(next(self._numbers))

    def batch(self, size: int, sessions: int | None = None) -> str:
        """Return the arguments of enqueue_many: new commits of new sessions, one each if None."""
        first = next(self._numbers) * 1_000_000
        series = f"generate_series({first}, {first + size - 1}) as number"
        session = SESSION.format(f"({first} + number % {sessions or size})")
        return (
            f"array(select {session} from {series}),"
            f" array(select {COMMIT.format('number')} from {series}),"
            f" array_fill('1'::text, array[{size}])"
        )

    def lease(self) -> str:
        """Return the first two arguments of a worker's calls for the one job that is running."""
        [run] = rows(self.conn, "select * from pgjobs.lease")
        return f"{run.job_id}, '{run.lease_token}'"

    def running(self, *, verdicts: bool = True, lease_for: str = "'10 minutes'") -> str:
        """Return the arguments of complete_many, or heartbeat_many, for all that is running."""
        [running] = rows(
            self.conn,
            "select array_agg(job_id)::text as job_ids, array_agg(lease_token)::text as tokens,"
            " count(*) as size from pgjobs.lease",
        )
        statuses = f"array_fill('PASSED'::text, array[{running.size}])"
        return f"'{running.job_ids}', '{running.tokens}', {statuses if verdicts else lease_for}"

    def call(self, call: str) -> int:
        """Make a call that is not to be counted; return how many rows it answered."""
        return self.conn.execute(f"select from pgjobs.{call}".encode()).rowcount

    def sweep(self, swept_at: str) -> None:
        """Set the mark of the last sweep, which is believed only within its minute."""
        second = "select extract(second from clock_timestamp()) as now"
        while swept_at == A_SECOND_AGO and rows(self.conn, second)[0].now < 1.3:
            pass
        self.conn.execute(f"select setval('pgjobs.swept_at', {swept_at})".encode())

    def count(self, name: str, call: str, jobs: int = 1, swept_at: str = NOW) -> None:
        """Count a call on so many jobs, in a transaction of its own."""
        with self.conn.transaction():
            self.conn.execute(f"select {LOG_NEXT}".encode())
            [drawn] = rows(self.conn, f"select {DRAWN} as ids")
            written = self._written()
            self.sweep(swept_at)
            [[[plan]]] = self.conn.execute(
                "explain (analyze, wal, buffers, timing off, format json)"
                f" select * from pgjobs.{call}".encode()
            )
            changes = {
                change: (number - written.get(change, 0)) / jobs
                for change, number in self._written().items()
            }
            [drawn_then] = rows(self.conn, f"select {DRAWN} as ids")
        top = plan["Plan"]
        self._counted[name].append(
            Count(
                jobs,
                " ".join(
                    change if share == 1 else f"{share:g}{change}"
                    for change, share in changes.items()
                    if share
                ),
                (drawn_then.ids - drawn.ids) / jobs,
                top["WAL Bytes"] / jobs,
                (top["Shared Hit Blocks"] + top["Shared Read Blocks"]) / jobs,
            )
        )

    def counts(self) -> dict[str, Count]:
        """Return what was counted since the last time: the median bytes, the least buffers.

        A page that splits, a mark that moves or a checkpoint, now and then, makes no difference.
        """
        counts = {
            name: Count(
                each[0].jobs,
                " or ".join(dict.fromkeys(one.written for one in each)),
                median(one.ids for one in each),
                median(one.wal for one in each),
                min(one.buffers for one in each),
            )
            for name, each in self._counted.items()
        }
        self._counted.clear()
        return counts

    def _written(self) -> dict[str, int]:
        """Return the rows written so far by this transaction, and by others not yet reported."""
        return {
            sign + row.table: number
            for row in rows(self.conn, WRITTEN)
            for sign, number in (("+", row.inserted), ("~", row.updated), ("-", row.deleted))
        }
