"""One exception per code of the contract, recognised by SQLSTATE only.

Each is also the psycopg class of its family, so ``except psycopg.IntegrityError`` keeps working.
``error.diag`` has the hint, and schema, table, column and constraint of what refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg


class PgjobsError(psycopg.Error):
    """Base of what the functions of pgjobs refuse."""

    @property
    def hint(self) -> str | None:
        """The caller's next step."""
        return self.diag.message_hint


class InvalidArgument(PgjobsError, psycopg.DataError):
    """22023, 22004: an argument is out of its range or form, or null; nothing was written."""

    @property
    def argument(self) -> str | None:
        """The name of the argument."""
        return self.diag.column_name


class JobNotFound(PgjobsError, psycopg.errors.NoDataFound):
    """P0002: no such job, or artifact."""


class LedgerImmutable(PgjobsError, psycopg.IntegrityError):
    """23V01: the ledger is append-only."""


class VerdictFinal(PgjobsError, psycopg.IntegrityError):
    """23V02: the job has its verdict, and this call would be another one."""


class CommitTaken(PgjobsError, psycopg.IntegrityError):
    """23V03: the commit already has a job for another session or another lab version."""


class _Conflict(PgjobsError, psycopg.IntegrityError):
    @property
    def differing(self) -> str | None:
        """The name of the differing field."""
        return self.diag.column_name


class DeliveryConflict(_Conflict):
    """23V04: the session already used the delivery id for a different request."""


class LeaseLost(PgjobsError, psycopg.IntegrityError):
    """23V05: the lease token is not the current one."""


class ArtifactConflict(_Conflict):
    """23V06: the run already has an artifact of that name with something else."""


class NotFinal(PgjobsError, psycopg.IntegrityError):
    """23V07: the job has no verdict yet."""


class ArtifactExpired(PgjobsError, psycopg.IntegrityError):
    """23V08: the content of the artifact has expired; hash, size and name are still there."""


class IsolationTooHigh(PgjobsError, psycopg.errors.InvalidTransactionState):
    """25000: retention or a backfill was called above READ COMMITTED; nothing was done."""


class HostTableMissing(PgjobsError, psycopg.errors.UndefinedTable):
    """42P01: a table that the backfill reads is not there."""


class HostTableClosed(PgjobsError, psycopg.errors.InsufficientPrivilege):
    """42501: the owner of pgjobs may not read a table of the backfill; the hint is the grant."""


class TooManyOpenJobs(PgjobsError, psycopg.OperationalError):
    """54V01: the session already has 100 open jobs."""


class UnknownOutcome(PgjobsError, psycopg.OperationalError):
    """No answer of the database: whether the last try's COMMIT will last is not known."""


BY_SQLSTATE: dict[str, type[PgjobsError]] = {
    "22004": InvalidArgument,
    "22023": InvalidArgument,
    "P0002": JobNotFound,
    "23V01": LedgerImmutable,
    "23V02": VerdictFinal,
    "23V03": CommitTaken,
    "23V04": DeliveryConflict,
    "23V05": LeaseLost,
    "23V06": ArtifactConflict,
    "23V07": NotFinal,
    "23V08": ArtifactExpired,
    "25000": IsolationTooHigh,
    "42P01": HostTableMissing,
    "42501": HostTableClosed,
    "54V01": TooManyOpenJobs,
}


@contextmanager
def translated() -> Iterator[None]:
    """Raise the exception of the contract for an error of pgjobs; any other passes as it is."""
    try:
        yield
    except psycopg.Error as error:
        ours = BY_SQLSTATE.get(error.sqlstate or "")
        if ours is None or error.diag.schema_name != "pgjobs":
            raise
        raise ours(*error.args, info=error.pgresult) from error
