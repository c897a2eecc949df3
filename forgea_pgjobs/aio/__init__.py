"""The same calls as in ``forgea_pgjobs``, over an ``AsyncConnection``; the source of those."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forgea_pgjobs.aio.operator import *  # noqa: F403
from forgea_pgjobs.aio.producer import *  # noqa: F403
from forgea_pgjobs.aio.retry import retry as retry
from forgea_pgjobs.aio.worker import *  # noqa: F403

# A type checker takes these names from the stars: it does not read lists that are added up.
if not TYPE_CHECKING:
    from forgea_pgjobs.aio import operator, producer, worker

    __all__ = ["retry", *operator.__all__, *producer.__all__, *worker.__all__]
