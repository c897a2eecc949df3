"""Which errors and warnings say "try the same again"."""

from __future__ import annotations

import psycopg

from forgea_pgjobs.errors import PgjobsError, UnknownOutcome

# Serialization failure, deadlock, shutdown, crash, not yet accepting connections.
SQLSTATES = {"40001", "40P01", "57P01", "57P02", "57P03"}


def is_transient(error: psycopg.Error) -> bool:
    """Tell whether the same unit may succeed, or prove to have succeeded, when run again."""
    if isinstance(error, PgjobsError):
        return isinstance(error, UnknownOutcome)
    sqlstate = error.sqlstate or error.diag.sqlstate
    if sqlstate is None:
        # Not an answer of the server: the connection was refused, or lost on the way.
        return isinstance(error, psycopg.OperationalError)
    return sqlstate in SQLSTATES or sqlstate.startswith("08")


class CommitWatch:
    """A notice handler: is the COMMIT that it sees one that may not have reached the standby?

    The server then answers COMMIT with success and this warning: committed here, replicated maybe.
    """

    def __init__(self) -> None:
        self.is_unknown = False

    def __call__(self, notice: psycopg.errors.Diagnostic) -> None:
        if notice.severity_nonlocalized == "WARNING" and notice.sqlstate in {"57014", "57P01"}:
            self.is_unknown = True
