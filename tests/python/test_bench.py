"""The benchmark's command line with nothing measured, and its report of a few canned results."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench import __main__ as command
from bench import run as runs
from bench.card import Card
from bench.plots import singles, snapshot
from bench.report import markdown, number

SVG = "{http://www.w3.org/2000/svg}"


def card(name: str, *modes: str) -> dict[str, Any]:
    return {"name": name, "version": f"{name} 1.0", "key": "k", "settings": "s", "modes": modes}


def run(load: str, contender: str, number: int, **figures: float) -> dict[str, Any]:
    return {
        "load": load,
        "contender": contender,
        "round": number,
        "seconds": 1.0,
        "fdatasync_us": 100 + 50 * number,
        "figures": {name.lstrip("_"): figure for name, figure in figures.items()},
    }


RESULTS: dict[str, Any] = {
    "begun": "2026-01-02 03:04:05",
    "quick": False,
    "server": {"server_version": "18.0", "fsync": "on"},
    "contenders": {
        "raw": card("raw", "poll"),
        "raw_batch": card("raw, batches"),
        "forgea": card("forgea_pgjobs", "poll", "wake"),
        "peer": card("peer <&>"),
    },
    "absent": {"absurd": "left out: it is large"},
    "runs": [
        run("enqueue", "raw", 1, _1=1000, _8=4000),
        run("enqueue", "raw", 2, _1=2000, _8=4000),
        run("enqueue", "raw", 3, _1=9000, _8=4000),
        run("enqueue", "forgea", 1, _1=1500, _8=3000),
        run("enqueue", "peer", 1, _1=500, _8=800),
        {
            "load": "enqueue",
            "contender": "peer",
            "round": 2,
            "fdatasync_us": 3000,
            "failed": "no more",
        },
        run("snapshot", "raw_batch", 1, finished=10, free=200, held=50, ratio=0.25),
        run("snapshot", "forgea", 1, finished=10, free=100, held=90, ratio=0.9),
        run("backlog", "raw_batch", 1, **{"500000": 100.0}),
        run("backlog", "forgea", 1, **{"2000000": 98.0, "500000": 99.0}),
        run("latency", "forgea", 1, **{"wake: p50": 2.25, "wake: p99": 4.0, "wake: idle": 0.1}),
        run("wal", "forgea", 1, all=900, **{"of head": 200.0, "of lane_pkey": 700.0}),
    ],
}


@pytest.fixture
def results() -> dict[str, Any]:
    return deepcopy(RESULTS)


def row(report: str, begin: str) -> str:
    [found] = [line for line in report.splitlines() if line.startswith(begin)]
    return found


def table(report: str, title: str) -> str:
    return report.partition(f"## {title}\n")[2].partition("\n## ")[0]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """Run the command in which nothing is measured, and every run takes long."""
    server = SimpleNamespace(binaries="")
    one = SimpleNamespace(card=Card("one", "k", "s", "", ""), version="1")
    monkeypatch.delenv("ABSURD_SQL", raising=False)
    monkeypatch.setattr(command, "run_server", lambda **_given: nullcontext(server))
    monkeypatch.setattr(command, "surroundings", lambda _server: {})
    monkeypatch.setattr(runs, "Contender", lambda *_given: one)
    monkeypatch.setattr(
        runs,
        "_measure",
        lambda _one, name, load, _size: run(load, name, 0, _1=1) | {"seconds": 1000.0},
    )

    def main(*arguments: str) -> int:
        monkeypatch.setattr("sys.argv", ["bench", *arguments, "--out", str(tmp_path)])
        return command.main()

    return main


def written(folder: Path) -> dict[str, Any]:
    results: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return results


def rounds(folder: Path) -> Counter[str]:
    return Counter(one["load"] for one in written(folder)["runs"])


@pytest.mark.parametrize(
    ("named", "reason"),
    [
        (None, "ABSURD_SQL does not name the file of its schema"),
        ("", "ABSURD_SQL does not name the file of its schema"),
        ("missing.sql", "ABSURD_SQL names a file that is not there"),
    ],
)
def test_absurd_without_its_schema_is_left_out_and_that_is_said(
    named: str | None,
    reason: str,
    bench: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if named is not None:
        monkeypatch.setenv("ABSURD_SQL", named and str(tmp_path / named))
    assert bench("--peers", "raw,absurd", "--loads", "drain") == 0
    assert list(written(tmp_path)["contenders"]) == ["raw"]
    assert f" absurd is left out: {reason}\n" in capsys.readouterr().out
    assert f"\n- absurd is left out: {reason}\n" in (tmp_path / "results.md").read_text()


def test_absurd_takes_part_when_its_schema_is_named(
    bench: Callable[..., int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    schema = tmp_path / "absurd.sql"
    schema.touch()
    monkeypatch.setenv("ABSURD_SQL", str(schema))
    assert bench("--loads", "drain") == 0
    assert "absurd" in written(tmp_path)["contenders"]
    assert "absurd" not in written(tmp_path)["absent"]


def test_a_benchmark_of_nobody_fails(bench: Callable[..., int], tmp_path: Path) -> None:
    assert bench("--peers", "absurd") == 1
    assert not list(tmp_path.iterdir())


def test_each_load_has_its_rounds_however_long_they_take(
    bench: Callable[..., int], tmp_path: Path
) -> None:
    bench("--peers", "raw")
    assert rounds(tmp_path) == {
        "enqueue": 5, "single": 5, "bulk": 5, "drain": 5, "latency": 5, "backlog": 7,
        "snapshot": 7, "duplicates": 1, "wal": 1, "bytes": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (["--rounds", "2"], {"drain": 2, "snapshot": 2, "wal": 1}),
        (["--quick"], {"drain": 1, "snapshot": 1, "wal": 1}),
        (["--cheap", "999"], {"drain": 1, "snapshot": 1, "wal": 1}),
    ],
)
def test_fewer_rounds_can_be_asked_for(
    asked: list[str], expected: dict[str, int], bench: Callable[..., int], tmp_path: Path
) -> None:
    bench("--peers", "raw", "--loads", "drain,snapshot,wal", *asked)
    assert rounds(tmp_path) == expected


def test_the_report_tells_the_rounds_of_each_load_and_who_had_fewer(
    results: dict[str, Any],
) -> None:
    assert row(markdown(results), "Rounds") == (
        "Rounds that a median is of: enqueue 3 (forgea 1, peer 1), snapshot 1, backlog 1,"
        " latency 1, wal 1."
    )


def test_a_cell_is_the_median_with_its_spread_and_the_ratio_to_raw(results: dict[str, Any]) -> None:
    calls = table(markdown(results), "One job a call")
    assert row(calls, "| raw |").startswith("| raw | 2,000 (1,000 - 9,000) x 1.00 |")
    assert row(calls, "| forgea_pgjobs |") == "| forgea_pgjobs | 1,500 x 0.75 | 3,000 x 0.75 |  |"


def test_rounds_that_agree_show_no_spread(results: dict[str, Any]) -> None:
    calls = table(markdown(results), "One job a call")
    assert row(calls, "| raw |").split(" | ")[2] == "4,000 x 1.00"


def test_there_is_no_ratio_where_raw_was_not_measured(results: dict[str, Any]) -> None:
    results["runs"] = [one for one in results["runs"] if one["contender"] == "forgea"]
    assert row(markdown(results), "| forgea_pgjobs | 1,500") == (
        "| forgea_pgjobs | 1,500 | 3,000 |  |"
    )


def test_an_absent_contender_and_a_failed_run_have_a_line(results: dict[str, Any]) -> None:
    report = markdown(results)
    assert "- absurd is left out: it is large" in report.splitlines()
    assert "- peer, enqueue, round 2: no more" in report.splitlines()


def test_the_report_tells_how_steady_the_disk_was(results: dict[str, Any]) -> None:
    assert row(markdown(results), "A page written") == (
        "A page written and synced, before each run: 150 (150 - 3,000) µs."
    )


def test_a_contender_that_was_not_measured_has_no_row(results: dict[str, Any]) -> None:
    assert "peer" not in table(markdown(results), "A snapshot held by somebody else")


def test_a_load_that_was_not_run_has_no_table(results: dict[str, Any]) -> None:
    report = markdown(results)
    assert "## In bulk" not in report
    assert "\n\n\n" not in report


def test_queues_stand_in_the_order_of_their_length(results: dict[str, Any]) -> None:
    queues = table(markdown(results), "A long queue")
    assert row(queues, "|  |") == "|  | of 500,000 | of 2,000,000 |"
    assert row(queues, "| forgea_pgjobs |") == "| forgea_pgjobs | 99 x 0.99 | 98 |"


def test_each_way_to_wake_a_worker_that_was_measured_has_a_row(results: dict[str, Any]) -> None:
    assert row(markdown(results), "| forgea_pgjobs | wake") == (
        "| forgea_pgjobs | wake | 2.25 | 4 | 0.1 |  |"
    )


def test_the_parts_of_ours_stand_largest_first(results: dict[str, Any]) -> None:
    parts = table(markdown(results), "WAL bytes by table and index")
    assert parts.index("`lane_pkey` | 700") < parts.index("`head` | 200")


def test_numbers_have_at_least_three_digits() -> None:
    assert [number(value) for value in (12345.6, 100, 99.44, 0.12345, 0)] == [
        "12,346", "100", "99.4", "0.123", "0",
    ]  # fmt: skip


def test_the_plot_of_single_calls_has_a_bar_and_a_spread_for_each(results: dict[str, Any]) -> None:
    drawn = ET.fromstring(singles(results))  # noqa: S314 (our own text)
    assert len(drawn.findall(f"{SVG}rect")) == len(drawn.findall(f"{SVG}path")) == 6
    assert "peer <&>" in [text.text for text in drawn.findall(f"{SVG}text")]


def test_the_plot_of_the_snapshot_shows_what_is_left_of_the_rate(results: dict[str, Any]) -> None:
    drawn = ET.fromstring(snapshot(results))  # noqa: S314 (our own text)
    words = [text.text for text in drawn.findall(f"{SVG}text")]
    assert "50 x 0.25" in words
    assert "90 x 0.90" in words


def test_a_plot_of_nothing_is_still_a_plot(results: dict[str, Any]) -> None:
    results["runs"] = []
    for plot in (singles, snapshot):
        assert not ET.fromstring(plot(results)).findall(f"{SVG}rect")  # noqa: S314
