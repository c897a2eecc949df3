"""The same calls as in ``forgea_pgjobs``, over an ``AsyncConnection``."""

from __future__ import annotations

from forgea_pgjobs._async import *  # noqa: F403  # exactly the names of its __all__
from forgea_pgjobs._async import __all__ as __all__
