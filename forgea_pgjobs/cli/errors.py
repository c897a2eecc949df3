"""Every error as one line: ``error CODE: message (hint: …)``, without passwords."""

from __future__ import annotations

import re
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict

SECRETS = ("password", "sslpassword")


def describe(error: Exception, dsn: str | None) -> str:
    """Return the line that tells the user about an error."""
    code, message, hint = _parts(error, dsn)
    line = f"error {code}: {message}" + (f" (hint: {hint})" if hint else "")
    return without_secrets(" ".join(line.split()), dsn)


def without_secrets(text: str, dsn: str | None) -> str:
    """Return the text with every password blotted out, also those of other connection strings."""
    for secret in _secrets(dsn):
        for form in {secret, quote(secret, safe="")}:
            text = text.replace(form, "***")
    text = re.sub(r"(//[^\s/:@]*:)\S*@", r"\1***@", text)
    return re.sub(
        r"(password\s*=\s*)('(?:\\.|[^'\\])*'|[^\s&]+)", r"\1***", text, flags=re.IGNORECASE
    )


def _parts(error: Exception, dsn: str | None) -> tuple[str, str, str | None]:
    if isinstance(error, psycopg.Error) and error.sqlstate:
        message = error.diag.message_primary or str(error)
        return error.sqlstate, message, error.diag.message_hint
    if dsn is not None and _secrets(dsn) is UNREADABLE:
        # libpq repeats the string in its message, with whatever password is in it.
        return (
            "08001",
            "the connection string cannot be read",
            "Write postgresql://user@host/database.",
        )
    if isinstance(error, psycopg.OperationalError):
        return "08001", str(error), None
    if isinstance(error, ModuleNotFoundError):
        return "58P01", f"module {error.name} is not installed", "pip install 'forgea-pgjobs[demo]'"
    return (
        getattr(error, "sqlstate", None) or "58000",
        str(error) or type(error).__name__,
        getattr(error, "hint", None),
    )


UNREADABLE: list[str] = []


def _secrets(dsn: str | None) -> list[str]:
    if dsn is None:
        return []
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        return UNREADABLE
    return [str(parts[name]) for name in SECRETS if parts.get(name)]
