"""One exception per code of the contract, recognised by SQLSTATE only; and what may pass.

Each is also the psycopg class of its family, so ``except psycopg.IntegrityError`` keeps working.
``error.diag`` has the hint, and schema, table, column and constraint of what refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

__all__ = [
    "ArtifactConflict",
    "ArtifactExpired",
    "CommitTaken",
    "DeliveryConflict",
    "HostTableClosed",
    "HostTableMissing",
    "InvalidArgument",
    "IsolationTooHigh",
    "JobNotFound",
    "LeaseLost",
    "LedgerImmutable",
    "NotFinal",
    "NotRunning",
    "OnHold",
    "PgjobsError",
    "SessionBusy",
    "TooManyOpenJobs",
    "UnknownOutcome",
    "VerdictFinal",
]


# None: psycopg itself has refused it.
UNSENDABLE = {None, "22021", "22P02", "22P05"}
BY_SQLSTATE: dict[str, type[PgjobsError]] = {}


class PgjobsError(psycopg.Error):
    """Base of what the functions of pgjobs refuse; ``codes`` are the SQLSTATEs of a class."""

    def __init_subclass__(cls, *, codes: tuple[str, ...] = ()) -> None:
        super().__init_subclass__()
        BY_SQLSTATE.update(dict.fromkeys(codes, cls))

    @property
    def hint(self) -> str | None:
        """The caller's next step."""
        return self.diag.message_hint


class InvalidArgument(PgjobsError, psycopg.DataError, codes=("22004", "22023")):
    """22023, 22004: an argument is out of its range or form, or null; nothing was written."""

    @property
    def argument(self) -> str | None:
        """The name of the argument, where the database has seen it."""
        return self.diag.column_name

    @classmethod
    def unsent(cls, why: object) -> InvalidArgument:
        """Make the error of a value that the database cannot be sent."""
        error = cls(str(why))
        error.sqlstate = "22023"
        return error


class JobNotFound(PgjobsError, psycopg.errors.NoDataFound, codes=("P0002",)):
    """P0002: no such job, or artifact."""


class LedgerImmutable(PgjobsError, psycopg.IntegrityError, codes=("23V01",)):
    """23V01: the ledger is append-only."""


class VerdictFinal(PgjobsError, psycopg.IntegrityError, codes=("23V02",)):
    """23V02: the job has its verdict, and this call would be another one."""


class _Conflict(PgjobsError, psycopg.IntegrityError):
    @property
    def differing(self) -> str | None:
        """The name of the differing field."""
        return self.diag.column_name


class CommitTaken(_Conflict, codes=("23V03",)):
    """23V03: the commit already has a job, for another session or another lab version.

    ``differing`` is ``lab_version`` where that job is the session's own, else None.
    """


class DeliveryConflict(_Conflict, codes=("23V04",)):
    """23V04: the session already used the delivery id for a different request."""


class LeaseLost(PgjobsError, psycopg.IntegrityError, codes=("23V05",)):
    """23V05: the lease token is not the current one."""


class ArtifactConflict(_Conflict, codes=("23V06",)):
    """23V06: the run already has an artifact of that name with something else."""


class NotFinal(PgjobsError, psycopg.IntegrityError, codes=("23V07",)):
    """23V07: the job has no verdict yet."""


class ArtifactExpired(PgjobsError, psycopg.IntegrityError, codes=("23V08",)):
    """23V08: the content of the artifact has expired; hash, size and name are still there."""


class OnHold(PgjobsError, psycopg.IntegrityError, codes=("23V09",)):
    """23V09: the session is on hold; nothing was erased."""


class SessionBusy(PgjobsError, psycopg.OperationalError, codes=("55V02",)):
    """55V02: the session has open jobs; nothing was erased."""


class IsolationTooHigh(PgjobsError, psycopg.errors.InvalidTransactionState, codes=("25000",)):
    """25000: retention, a hold or a backfill was called above READ COMMITTED; nothing was done."""


class HostTableMissing(PgjobsError, psycopg.errors.UndefinedTable, codes=("42P01",)):
    """42P01: a table that the backfill reads is not there."""


class HostTableClosed(PgjobsError, psycopg.errors.InsufficientPrivilege, codes=("42501",)):
    """42501: the owner of pgjobs may not read a table of the backfill; the hint is the grant."""


class TooManyOpenJobs(PgjobsError, psycopg.OperationalError, codes=("54V01",)):
    """54V01: the session already has 100 open jobs, or as many as the call allows."""


class NotRunning(PgjobsError, psycopg.OperationalError, codes=("55V01",)):
    """55V01: the job is not running, so there is no lease to revoke."""


class UnknownOutcome(PgjobsError, psycopg.OperationalError):
    """No answer of the database: whether the last try's COMMIT will last is not known."""


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


class Refused(Exception):
    """What the package refuses by itself, with the code and the hint of a database error."""

    def __init__(self, sqlstate: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.hint = hint


@contextmanager
def sendable() -> Iterator[None]:
    """Raise InvalidArgument for what the database cannot read: a NUL, half a pair, no uuid."""
    try:
        yield
    except UnicodeEncodeError as error:
        raise InvalidArgument.unsent(error) from error
    except psycopg.DataError as error:
        if error.sqlstate not in UNSENDABLE:
            raise
        raise InvalidArgument.unsent(error) from error


# Serialization failure, deadlock, shutdown, crash, not yet accepting connections.
TRANSIENT = {"40001", "40P01", "57P01", "57P02", "57P03"}


def is_transient(error: psycopg.Error, *, is_connected: bool) -> bool:
    """Tell whether the same unit may succeed, or prove to have succeeded, when run again."""
    if isinstance(error, UnknownOutcome):
        return True
    if error.sqlstate is None:
        # Not an answer of the server: the connection was refused, or lost on the way.
        return isinstance(error, psycopg.OperationalError) and not is_connected
    return error.sqlstate in TRANSIENT or error.sqlstate.startswith("08")


# A repetition that finds everything done writes nothing, so its COMMIT waits for no standby and
# proves nothing. With this record it waits.
PROOF = b"select pg_logical_emit_message(true, 'pgjobs', '')"


class CommitWatch:
    """A notice handler: is the COMMIT that it sees one that may not have reached the standby?

    The server then answers COMMIT with success and a WARNING, 01000 or 57P01: committed here,
    replicated maybe (PostgreSQL, src/backend/replication/syncrep.c).
    """

    def __init__(self) -> None:
        self.is_unknown = False

    def __call__(self, notice: psycopg.errors.Diagnostic) -> None:
        is_telling = (notice.sqlstate or "").startswith(("01", "57"))
        self.is_unknown |= is_telling and notice.severity_nonlocalized == "WARNING"
