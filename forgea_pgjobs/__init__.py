"""Verification jobs in PostgreSQL: one per commit for ever, one verdict per job, never changed.

Every call takes the caller's connection first and everything else by keyword, and runs in the
caller's transaction, which it neither begins nor ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from forgea_pgjobs._sync import *  # noqa: F403  # what stands in __all__ of each module
from forgea_pgjobs.errors import *  # noqa: F403
from forgea_pgjobs.models import *  # noqa: F403
from forgea_pgjobs.statuses import *  # noqa: F403

__version__ = "0.1.0"

# A type checker takes these names from the stars: it does not read lists that are added up.
if not TYPE_CHECKING:
    from forgea_pgjobs import _sync, errors, models, statuses

    __all__ = [*_sync.__all__, *errors.__all__, *models.__all__, *statuses.__all__]
