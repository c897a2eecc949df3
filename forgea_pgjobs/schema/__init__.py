"""The SQL of this package: where it lies, the complete install text, and the migration runner."""

from __future__ import annotations

from forgea_pgjobs.schema.resources import (
    checksum,
    install_sql,
    migration_files,
    migrations_folder,
    recorded_install_sql,
    sql_text,
)

__all__ = [
    "checksum",
    "install_sql",
    "migration_files",
    "migrations_folder",
    "recorded_install_sql",
    "sql_text",
]
