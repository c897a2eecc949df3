"""A short-lived PostgreSQL server, for the demo and the tests; never for production."""

from __future__ import annotations

from forgea_pgjobs.embedded.binaries import BinariesNotFound, find_binaries
from forgea_pgjobs.embedded.server import Server, ServerFailed, run_server

__all__ = ["BinariesNotFound", "Server", "ServerFailed", "find_binaries", "run_server"]
