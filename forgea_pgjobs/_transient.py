"""Which errors and warnings say "try the same again"."""

from __future__ import annotations

import psycopg

from forgea_pgjobs.errors import UnknownOutcome

# Serialization failure, deadlock, shutdown, crash, not yet accepting connections.
SQLSTATES = {"40001", "40P01", "57P01", "57P02", "57P03"}


def is_transient(error: psycopg.Error, *, is_connected: bool) -> bool:
    """Tell whether the same unit may succeed, or prove to have succeeded, when run again."""
    if isinstance(error, UnknownOutcome):
        return True
    if error.sqlstate is None:
        # Not an answer of the server: the connection was refused, or lost on the way.
        return isinstance(error, psycopg.OperationalError) and not is_connected
    return error.sqlstate in SQLSTATES or error.sqlstate.startswith("08")


class CommitWatch:
    """A notice handler: is the COMMIT that it sees one that may not have reached the standby?

    The server then answers COMMIT with success and this warning: committed here, replicated maybe.
    """

    def __init__(self) -> None:
        self.is_unknown = False

    def __call__(self, notice: psycopg.errors.Diagnostic) -> None:
        if notice.severity_nonlocalized == "WARNING" and notice.sqlstate in {"57014", "57P01"}:
            self.is_unknown = True
