"""The loads: each takes a contender and a size, and returns figures."""

from __future__ import annotations

from collections.abc import Callable

from bench.contender import Contender
from bench.loads.costs import bytes_kept, cycle
from bench.loads.rates import backlog, bulk, drain, enqueue, single, snapshot
from bench.loads.waiting import duplicates, latency
from bench.size import Size

LOADS: dict[str, Callable[[Contender, Size], dict[str, float]]] = {
    "enqueue": enqueue,
    "single": single,
    "bulk": bulk,
    "drain": drain,
    "latency": latency,
    "backlog": backlog,
    "snapshot": snapshot,
    "duplicates": duplicates,
    "wal": cycle,
    "bytes": bytes_kept,
}
# These count, and noise does not change what they count.
ONCE = {"duplicates", "wal", "bytes"}
# These differ most from round to round.
UNSTEADY = {"backlog", "snapshot"}


def rounds_of(load: str, asked: int | None = None) -> int:
    """Return how many rounds a load has; what is asked for counts where time is taken."""
    if load in ONCE:
        return 1
    return asked or (7 if load in UNSTEADY else 5)
