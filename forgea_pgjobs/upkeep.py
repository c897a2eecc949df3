"""The answers of the functions that keep a ledger in order, one frozen dataclass each."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ArtifactsExpired:
    """Answer of ``expire_artifacts``: bodies dropped, their artifacts, and their bytes."""

    artifacts: int
    bodies: int
    bytes: int


@dataclass(frozen=True, slots=True)
class DetailsExpired:
    """Answer of ``expire_details``: how many rows of a kind were dropped."""

    kind: str
    details: int


@dataclass(frozen=True, slots=True)
class Backfilled:
    """Answer of ``backfill_verification_log``: logs looked at, rows made, logs that gave no job."""

    seen: int
    attempts: int
    jobs: int
    artifacts: int
    skipped: int


@dataclass(frozen=True, slots=True)
class BackfillCheck:
    """A row of ``backfill_reconcile``: what should be there, what is, and whether they agree."""

    check_name: str
    expected: str
    actual: str
    ok: bool


@dataclass(frozen=True, slots=True)
class SessionLink:
    """Answer of ``link_lab_sessions``; examples are at most ten of the orphans."""

    state: str
    orphans: int | None
    examples: list[UUID]


@dataclass(frozen=True, slots=True)
class Finding:
    """Answer of ``verify``: what is not as released; severity is error, warning or info."""

    severity: str
    object: str
    finding: str
    hint: str


@dataclass(frozen=True, slots=True)
class BodiesVerified:
    """Answer of ``verify_bodies``; last_body_id is None when there are no more."""

    bodies: int
    last_body_id: int | None
    wrong: list[int]
