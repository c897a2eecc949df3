"""Which figure of which load stands in which column of the report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """One figure of one load; ``baseline`` is the contender that ratios are of."""

    title: str
    load: str
    figure: str
    baseline: str | None = "raw"


@dataclass(frozen=True, slots=True)
class Table:
    """A heading, the words below it, and columns."""

    title: str
    words: str
    columns: tuple[Column, ...]


TABLES = (
    Table(
        "One job a call",
        "Jobs per second; each call is its own transaction.",
        (
            Column("enqueue, 1 client", "enqueue", "1"),
            Column("enqueue, 8 clients", "enqueue", "8"),
            Column("claim + complete, 1 client", "single", "rate"),
        ),
    ),
    Table(
        "In bulk",
        "Jobs per second; a drain ends when the database has no unfinished job.",
        (
            Column("bulk enqueue", "bulk", "rate"),
            Column("drain, 1 worker", "drain", "1", "raw_batch"),
            Column("drain, 2 workers", "drain", "2", "raw_batch"),
        ),
    ),
    Table(
        "A snapshot held by somebody else",
        "Jobs per second of one worker, after others were finished under the snapshot.",
        (
            Column("finished before", "snapshot", "finished", None),
            Column("drain without it", "snapshot", "free", "raw_batch"),
            Column("drain with it", "snapshot", "held", "raw_batch"),
            Column("with / without", "snapshot", "ratio", None),
        ),
    ),
    Table(
        "Eight clients enqueue the same keys",
        "Jobs: how many came of it. Twice: how many more when all are finished and come again.",
        (
            Column("jobs", "duplicates", "jobs", None),
            Column("told new", "duplicates", "new", None),
            Column("told duplicate", "duplicates", "duplicate", None),
            Column("not told", "duplicates", "untold", None),
            Column("errors", "duplicates", "errors", None),
            Column("twice", "duplicates", "twice", None),
        ),
    ),
    Table(
        "Bytes of a job",
        "WAL of single calls, without full-page images; kept of a finished job, after a vacuum.",
        (
            Column("WAL, enqueue", "wal", "enqueue"),
            Column("WAL, claim + complete", "wal", "finish"),
            Column("WAL, all", "wal", "all"),
            Column("kept", "bytes", "all"),
        ),
    ),
)
