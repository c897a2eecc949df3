"""The calls over an ``AsyncConnection``; the source from which forgea_pgjobs/_sync is generated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forgea_pgjobs._async import operator, producer, worker
from forgea_pgjobs._async.operator import *  # noqa: F403
from forgea_pgjobs._async.producer import *  # noqa: F403
from forgea_pgjobs._async.retry import retry as retry
from forgea_pgjobs._async.worker import *  # noqa: F403

if not TYPE_CHECKING:  # who checks types sees the same names in the stars, but cannot add lists up
    __all__ = ["retry", *operator.__all__, *producer.__all__, *worker.__all__]
