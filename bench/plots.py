"""The two plots, as SVG of bars: the rate of single calls, and what a held snapshot costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median
from xml.sax.saxutils import escape

from bench.report import OURS, Results, number, values

LEFT, BAR, WIDTH, ROW, PANEL_HEAD = 190, 430, 760, 22, 44
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 }
.ours { fill: #1a7f37 } .other { fill: #8c959f } .faded { opacity: .45 }
.spread { stroke: #24292f; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .ours { fill: #3fb950 } .spread { stroke: #e6edf3 }
}
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: the median of what was measured, with its spread."""

    label: str
    measured: Sequence[float]
    is_ours: bool
    note: str = ""
    is_faded: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """Bars on one scale below one title."""

    title: str
    bars: Sequence[Bar]


def singles(results: Results) -> str:
    """Draw the rates of one job a call."""
    return _svg(
        [
            Panel(f"{title}, jobs/s", list(_bars(results, load, figure)))
            for title, load, figure in (
                ("enqueue, 1 client", "enqueue", "1"),
                ("enqueue, 8 clients", "enqueue", "8"),
                ("claim + complete, 1 client", "single", "rate"),
            )
        ]
    )


def snapshot(results: Results) -> str:
    """Draw the drain of one worker without and with a held snapshot, and the ratio."""
    bars = []
    figures = (_bars(results, "snapshot", figure) for figure in ("free", "held", "ratio"))
    for free, held, ratio in zip(*figures, strict=True):
        note = f" x {median(ratio.measured):.2f}"
        bars += [
            replace(free, is_faded=True),
            replace(held, label="… snapshot held", note=note),
        ]
    return _svg([Panel("drain, 1 worker, jobs/s", bars)])


def _bars(results: Results, load: str, figure: str) -> Iterator[Bar]:
    for contender, card in results["contenders"].items():
        measured = values(results, load, contender, figure)
        if measured:
            yield Bar(card["name"], measured, contender.startswith(OURS))


def _svg(panels: Sequence[Panel]) -> str:
    parts: list[str] = []
    top = 0
    for panel in panels:
        if panel.bars:
            parts += _panel(panel, top)
            top += PANEL_HEAD + ROW * len(panel.bars)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top + ROW}">'
        f"<style>{STYLE}</style>\n{''.join(parts)}</svg>\n"
    )


def _panel(panel: Panel, top: int) -> Iterator[str]:
    yield _text(4, top + PANEL_HEAD - 16, panel.title, "title")
    scale = BAR / max(max(bar.measured) for bar in panel.bars)
    for row, bar in enumerate(panel.bars):
        y = top + PANEL_HEAD + ROW * row
        middle = median(bar.measured)
        low, high = (LEFT + value * scale for value in (min(bar.measured), max(bar.measured)))
        kind = ("ours" if bar.is_ours else "other") + (" faded" if bar.is_faded else "")
        yield _text(4, y + 13, bar.label)
        yield f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{middle * scale:.1f}" height="16"/>'
        yield f'<path class="spread" d="M{low:.1f} {y + 8}H{high:.1f}"/>\n'
        yield _text(high + 6, y + 13, number(middle) + bar.note)


def _text(x: float, y: float, words: str, kind: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y}" class="{kind}">{escape(words)}</text>\n'
