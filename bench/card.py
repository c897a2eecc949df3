"""What a contender says about itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Card:
    """A contender in words and SQL; a node adapter exports an object with the same keys.

    remaining, total: SQL that counts the unfinished and all jobs. loads: those it takes part in,
    None for all. single: the worker options of one job a call. modes: the worker options of each
    way to wake an idle worker. filler: the contender on the same tables that finishes jobs
    where no time is taken, for one that would need long.
    """

    name: str
    key: str
    settings: str
    remaining: str
    total: str
    loads: tuple[str, ...] | None = None
    single: dict[str, Any] = field(default_factory=lambda: {"batch": 1})
    modes: dict[str, dict[str, Any]] = field(default_factory=lambda: {"default": {}})
    filler: str | None = None
