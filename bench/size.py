"""How much of each load is run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Size:
    """The numbers of a whole run; QUICK has them for a look that takes minutes.

    Times are in seconds, the rest are jobs.
    """

    enqueue_for: float = 2.5
    single_for: float = 4.0
    bulk: int = 50_000
    drain: int = 20_000
    latency: int = 300
    idle_for: float = 20.0
    backlogs: tuple[int, ...] = (20_000, 500_000, 2_000_000)
    peer_backlog: int = 500_000
    taken: int = 10_000
    under_snapshot: int = 100_000
    duplicates: int = 1_000
    cycles: int = 1_000
    kept: int = 50_000
    cap: float = 60.0


FULL = Size()
QUICK = Size(
    enqueue_for=0.5,
    single_for=0.5,
    bulk=10_000,
    drain=2_000,
    latency=20,
    idle_for=1.0,
    backlogs=(2_000, 20_000),
    peer_backlog=20_000,
    taken=1_000,
    under_snapshot=2_000,
    duplicates=100,
    cycles=100,
    kept=3_000,
    cap=3.0,
)
