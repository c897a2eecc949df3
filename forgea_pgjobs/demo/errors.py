"""Why a demo cannot go on, in the form of a database error."""

from __future__ import annotations


class DemoFailed(Exception):
    """The demo stopped; the code and the hint are what a database error would carry."""

    def __init__(self, message: str, hint: str | None = None, sqlstate: str = "58000") -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.hint = hint
