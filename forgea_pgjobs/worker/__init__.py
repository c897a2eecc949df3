"""A worker: claims jobs, runs your handler, writes its verdicts. Needs psycopg and nothing else."""

from __future__ import annotations

from forgea_pgjobs.worker.loop import Worker
from forgea_pgjobs.worker.verdict import Tally, Verdict

__all__ = ["Tally", "Verdict", "Worker"]
