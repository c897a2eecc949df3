"""A worker: claims jobs, runs your handler, writes its verdicts. Needs psycopg and nothing else."""

from __future__ import annotations

from forgea_pgjobs.worker.calls import Verdict, WorkerCounts
from forgea_pgjobs.worker.worker import Worker

__all__ = ["Verdict", "Worker", "WorkerCounts"]
