"""How fast the disk is at this moment: on shared machines it may change tenfold within minutes."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from statistics import median

PAGE = bytes(8192)
WRITES = 50


def fdatasync_us(folder: Path) -> float:
    """Return the median time of a page written and synced below folder, in microseconds."""
    took = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(WRITES):
            begun = time.perf_counter()
            os.pwrite(file.fileno(), PAGE, 0)
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - begun)
    return median(took) * 1e6
