"""A worker: claims jobs, runs your handler, writes its verdicts. Needs psycopg and nothing else."""

from __future__ import annotations

from forgea_pgjobs.worker.connection import open_connection
from forgea_pgjobs.worker.run import Again, Run, Verdict
from forgea_pgjobs.worker.thread import WorkerCounts
from forgea_pgjobs.worker.worker import Worker

__all__ = ["Again", "Run", "Verdict", "Worker", "WorkerCounts", "open_connection"]
