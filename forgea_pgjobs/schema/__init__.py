"""The SQL of this package: where it lies, the complete install text, and the migration runner."""

from __future__ import annotations

from forgea_pgjobs.schema.files import (
    checksum,
    install_sql,
    migration_files,
    migrations_folder,
    parts,
    recorded_install_sql,
)

__all__ = [
    "checksum",
    "install_sql",
    "migration_files",
    "migrations_folder",
    "parts",
    "recorded_install_sql",
]
