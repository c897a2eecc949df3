"""Connections as the tests in SQL have them: verify() is long, and compiled once a file."""

from tests.sql.conftest import conn, warm

__all__ = ["conn", "warm"]
