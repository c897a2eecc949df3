"""What a handler says, and what a worker has done."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from forgea_pgjobs.models import Claimed, JobStatus


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer of a handler: PASSED, FAILED or ERROR, and a summary, JSON of at most 64 KiB."""

    status: JobStatus | str
    summary: Any = None


Handler = Callable[[Claimed], Verdict | JobStatus | str]


@dataclass(slots=True)
class Tally:
    """What a worker has done: verdicts written, jobs released, results whose lease was lost."""

    written: int = 0
    released: int = 0
    lost: int = 0

    def add(self, other: Tally) -> None:
        """Count what another has done as well."""
        self.written += other.written
        self.released += other.released
        self.lost += other.lost


class Finished(NamedTuple):
    """A run that has ended: its verdict as the database takes it, or why there is none."""

    job: Claimed
    status: str = ""
    summary: str | None = None
    reason: str | None = None


def run(handler: Handler, job: Claimed) -> Finished:
    """Run the handler. An exception is not a verdict: it says that the infrastructure failed."""
    try:
        said = handler(job)
        if not isinstance(said, Verdict):
            return Finished(job, JobStatus(said))
        summary = None if said.summary is None else json.dumps(said.summary)
        return Finished(job, JobStatus(said.status), summary)
    except Exception as error:  # whatever it is, the job must be given back
        return Finished(job, reason=reason_of(error))


def reason_of(error: BaseException) -> str:
    """Return the kind and the first words of an error, as ``release`` takes them."""
    text = f"{type(error).__name__}: {error}"
    return "".join(char if char.isprintable() else " " for char in text)[:200]
