"""``python -m forgea_pgjobs.cli``, where the script is not on PATH."""

from __future__ import annotations

import sys

from forgea_pgjobs.cli import main

sys.exit(main())
