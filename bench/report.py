"""The markdown of the results: medians, the spread of the rounds, and ratios."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

from bench.tables import TABLES, Column, Table

Results = dict[str, Any]
OURS = "forgea"
PART = "of "


def values(results: Results, load: str, contender: str, figure: str) -> list[float]:
    """Return the figure of every round that was measured."""
    return [
        run["figures"][figure]
        for run in results["runs"]
        if (run["load"], run["contender"]) == (load, contender) and figure in run.get("figures", {})
    ]


def markdown(results: Results) -> str:
    """Return the whole report."""
    sections = (
        *(_table(results, table) for table in TABLES),
        _backlog(results),
        _latency(results),
        _parts(results, "wal", "WAL bytes by table and index"),
        _parts(results, "bytes", "Bytes kept by table and index"),
    )
    return "\n".join([*_surroundings(results), *filter(None, sections)])


def _surroundings(results: Results) -> Iterator[str]:
    quick = ", a quick look: everything small" if results["quick"] else ""
    server = ", ".join(f"{name} {value}" for name, value in results["server"].items())
    yield f"Begun {results['begun']}{quick}. {server}.\n"
    disk = [run["fdatasync_us"] for run in results["runs"]]
    if disk:
        yield (
            f"A page written and synced, before each run: {number(median(disk))}"
            f" ({number(min(disk))} - {number(max(disk))}) µs.\n"
        )
    if rounds := list(_rounds(results)):
        yield f"Rounds that a median is of: {', '.join(rounds)}.\n"
    rows = [
        (card["name"], card["version"], card["key"], card["settings"])
        for card in results["contenders"].values()
    ]
    yield _rows(("contender", "version", "key", "settings"), rows)
    for name, reason in results["absent"].items():
        yield f"- {name} is {reason}"
    for run in results["runs"]:
        if "failed" in run:
            yield f"- {run['contender']}, {run['load']}, round {run['round']}: {run['failed']}"
    yield ""


def _rounds(results: Results) -> Iterator[str]:
    """Say how many rounds of each load gave figures, and of which contenders fewer."""
    loads: dict[str, Counter[str]] = defaultdict(Counter)
    for run in results["runs"]:
        loads[run["load"]][run["contender"]] += "figures" in run
    for load, rounds in loads.items():
        most = max(rounds.values())
        fewer = ", ".join(f"{name} {count}" for name, count in rounds.items() if count < most)
        yield f"{load} {most}" + (f" ({fewer})" if fewer else "")


def _table(results: Results, table: Table) -> str:
    rows = []
    for contender, card in results["contenders"].items():
        cells = [_cell(results, column, contender) for column in table.columns]
        if any(cells):
            rows.append((card["name"], *cells))
    if not rows:
        return ""
    head = ("", *(column.title for column in table.columns))
    return f"## {table.title}\n\n{table.words}\n\n" + _rows(head, rows)


def _backlog(results: Results) -> str:
    lengths = sorted(_figures(results, "backlog"), key=int)
    columns = tuple(Column(f"of {int(n):,}", "backlog", n, "raw_batch") for n in lengths)
    words = "Jobs per second of one worker over the first jobs of a queue of this length."
    return _table(results, Table("A long queue", words, columns))


def _latency(results: Results) -> str:
    rows = []
    for contender, card in results["contenders"].items():
        for mode in card["modes"]:
            columns = [
                Column("", "latency", f"{mode}: {figure}", None)
                for figure in ("p50", "p99", "idle", "lost")
            ]
            cells = [_cell(results, column, contender) for column in columns]
            if any(cells):
                rows.append((card["name"], mode, *cells))
    if not rows:
        return ""
    return (
        "## From enqueue to handler\n\nMilliseconds from the start of the enqueue call to the"
        " start of the handler; what the idle worker and its connections cost.\n\n"
        + _rows(("", "wake-up", "p50", "p99", "idle, % of a core", "lost"), rows)
    )


def _parts(results: Results, load: str, title: str) -> str:
    """List the parts of one load for our package, the largest first."""
    parts = {
        figure.removeprefix(PART): median(found)
        for figure in _figures(results, load)
        if figure.startswith(PART) and (found := values(results, load, OURS, figure))
    }
    largest_first = sorted(parts.items(), key=lambda part: -part[1])
    rows = [(f"`{name}`", number(value)) for name, value in largest_first]
    return f"## {title}\n\n" + _rows(("", "bytes a job"), rows) if rows else ""


def _figures(results: Results, load: str) -> list[str]:
    """Return the names of all figures of a load."""
    runs = (run for run in results["runs"] if run["load"] == load)
    return list(dict.fromkeys(name for run in runs for name in run.get("figures", {})))


def _cell(results: Results, column: Column, contender: str) -> str:
    measured = values(results, column.load, contender, column.figure)
    if not measured:
        return ""
    cell = number(median(measured))
    if min(measured) < max(measured):
        cell += f" ({number(min(measured))} - {number(max(measured))})"
    if column.baseline is not None:
        base = values(results, column.load, column.baseline, column.figure)
        cell += f" x {median(measured) / median(base):.2f}" if base else ""
    return cell


def number(value: float) -> str:
    """Return three digits, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
