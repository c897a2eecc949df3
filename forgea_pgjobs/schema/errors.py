"""What the runner refuses by itself, in the form of a database error."""

from __future__ import annotations


class MigrationRefused(Exception):
    """The runner did nothing; the code and the hint are what a database error would carry."""

    def __init__(self, sqlstate: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.hint = hint
