"""The report of the benchmark, made of a few canned results."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from copy import deepcopy
from typing import Any

import pytest

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
    "absent": {"absurd": "left out: its schema is in no registry package"},
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
    assert "- absurd is left out: its schema is in no registry package" in report.splitlines()
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
