"""The keys of the jobs: SHA-1 in hex, the form of a commit."""

from __future__ import annotations

import hashlib


def key(prefix: str, number: object) -> str:
    """Return the key of a job; bench/harness.mjs makes the same."""
    return hashlib.sha1(f"{prefix}:{number}".encode(), usedforsecurity=False).hexdigest()


def keys(prefix: str, count: int) -> list[str]:
    """Return the first keys of a prefix."""
    return [key(prefix, number) for number in range(count)]
