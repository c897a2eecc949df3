"""A run as the handler sees it, and what a handler may say of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forgea_pgjobs import ArtifactAdded, JobStatus, add_artifact
from forgea_pgjobs.models import Claimed

if TYPE_CHECKING:
    from forgea_pgjobs.worker.connection import ReconnectingConnection
    from forgea_pgjobs.worker.thread import WorkerThread

# A summary may have so many, and no NUL; an artifact so many.
MOST_BYTES = 65_536
NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
MOST_CONTENT = 1_048_576
LONGEST_PAUSE = timedelta(days=1)


class Run(Claimed):
    """What the handler gets: the claimed run, and a way to keep evidence and to hear of its end."""

    _thread: WorkerThread
    _connection: ReconnectingConnection
    _end: float

    @property
    def is_stopped(self) -> bool:
        """Whether the handler should end, by an exception: the run is then given back.

        The worker is stopping, the run is over its time limit, the job was cancelled or its lease
        lost; the last two are known after a third of the lease, at most 15 s.
        """
        return self._thread.is_to_end(self, self._end, must=False)

    @property
    def must_end(self) -> bool:
        """As ``is_stopped``, but of a worker that is stopping only once it is told so twice."""
        return self._thread.is_to_end(self, self._end, must=True)

    def keep(
        self,
        kind: str,
        name: str,
        content: bytes | PathLike[str],
        *,
        media_type: str = "application/octet-stream",
        truncated: bool = False,
    ) -> ArtifactAdded:
        """Keep evidence of the run, bytes or a file's: the first MiB, marked where there is more.

        kind: LOG, REPORT, DIFF, OUTPUT or OTHER. name: unique within the run. truncated: it is cut
        already. See ``add_artifact``.

        Raises: InvalidArgument, ArtifactConflict; LeaseLost, VerdictFinal: the run is over.
        """
        if isinstance(content, PathLike):
            with Path(content).open("rb") as file:
                content = file.read(MOST_CONTENT + 1)
        return self._connection.run(
            partial(
                add_artifact,
                job_id=self.job_id,
                lease_token=self.lease_token,
                kind=kind,
                name=name,
                content=content[:MOST_CONTENT],
                media_type=media_type,
                truncated=truncated or len(content) > MOST_CONTENT,
            )
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer of a handler: PASSED, FAILED or ERROR, and a summary, JSON of at most 64 KiB.

    reason: of an ERROR, up to 200 characters; it becomes ``error_detail``.
    """

    status: JobStatus | str
    summary: Any = None
    reason: str | None = None


class Again(Exception):
    """Raised by a handler that has no verdict: the run is given back for ``reason``.

    after: 0 … 1 day until the next one; None for 30 s, doubled with every run.

    Raises: ValueError: after is out of its range.
    """

    def __init__(self, reason: str, *, after: timedelta | None = None) -> None:
        super().__init__(reason)
        if after is not None and not timedelta(0) <= after <= LONGEST_PAUSE:
            raise ValueError("after is 0 to 1 day")
        self.after = after


Handler = Callable[[Run], Verdict | JobStatus | str]


@dataclass(slots=True)
class Finished:
    """A run that has ended: its verdict as the database takes it, or how it is given back."""

    run: Run
    status: str = ""
    summary: str | None = None
    reason: str | None = None
    after: timedelta | None = None
    count_run: bool = True
    error: BaseException | None = None
    seconds: float = 0.0


def judge(handler: Handler, run: Run) -> Finished:
    """Run the handler. An exception is not a verdict: it says that the infrastructure failed.

    Raises: TypeError: an answer that is no verdict; no other run would give one.
    """
    try:
        said = handler(run)
    except Again as again:
        return Finished(run, reason=words(again), after=again.after)
    except Exception as error:  # whatever it is, the job must be given back
        return Finished(run, reason=reason_of(error), error=error)
    verdict = said if isinstance(said, Verdict) else Verdict(said)
    try:
        status = JobStatus(verdict.status)
    except ValueError:
        raise TypeError(f"the handler answered {said!r:.64}, which is no verdict") from None
    if verdict.reason is not None and status is not JobStatus.ERROR:
        raise TypeError(f"the handler gave {status} a reason, which only an ERROR has")
    return Finished(
        run,
        status,
        None if verdict.summary is None else storable(verdict.summary),
        None if verdict.reason is None else words(verdict.reason),
    )


def storable(summary: Any) -> str:
    """Return a summary as JSON that the database takes: what it cannot store is cut, and marked."""
    try:
        try:
            text = json.dumps(summary, allow_nan=False, ensure_ascii=False)
        except ValueError:  # it has a NaN, or it has itself
            text = json.dumps(json.loads(json.dumps(summary), parse_constant=str))
    except Exception as error:
        return not_stored(error)
    data = NUL.sub(r"\1\\ufffd", text).encode(errors="replace")
    if len(data) > MOST_BYTES:
        return json.dumps({"cut_of_bytes": len(data), "begins": text[: MOST_BYTES // 8]})
    return data.decode()


def not_stored(error: Exception) -> str:
    """Return what stands in for a summary that cannot be stored."""
    return json.dumps({"not_stored": reason_of(error)})


def reason_of(error: BaseException) -> str:
    """Return the kind and the first words of an error, as ``release`` takes them."""
    return f"{type(error).__name__}: {words(error)}"[:200]


def words(said: object) -> str:
    """Return the first words of what was said, as a reason may be."""
    try:
        text = str(said)[:200]
    except Exception as fault:
        text = f"str() of it raises {type(fault).__name__}"
    return "".join(char if char.isprintable() else " " for char in text).strip() or "no reason"
