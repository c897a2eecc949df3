"""The same calls as in ``forgea_pgjobs``, over an ``AsyncConnection``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forgea_pgjobs._async import *  # noqa: F403

if not TYPE_CHECKING:
    from forgea_pgjobs._async import __all__ as __all__
