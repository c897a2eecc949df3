"""A hook of the worker that counts its runs in OpenTelemetry; needs the extra ``otel``."""

from __future__ import annotations

from opentelemetry.metrics import Meter, get_meter

from forgea_pgjobs.worker import Run


class RunMetrics:
    """Counts the runs of a process: ``Worker(…, hook=RunMetrics())``.

    verification.jobs.started, verification.jobs.completed with the attribute ``outcome`` (PASSED,
    FAILED, ERROR, RELEASED, INTERRUPTED, LOST), verification.job.duration_ms,
    verification.jobs.inflight, and verification.retry.count of the runs that are not a job's first.

    meter: of the global provider by default.
    """

    def __init__(self, meter: Meter | None = None) -> None:
        meter = meter or get_meter("forgea_pgjobs")
        self._started = meter.create_counter("verification.jobs.started")
        self._completed = meter.create_counter("verification.jobs.completed")
        self._duration = meter.create_histogram("verification.job.duration_ms", unit="ms")
        self._inflight = meter.create_up_down_counter("verification.jobs.inflight")
        self._retries = meter.create_counter("verification.retry.count")

    def __call__(self, run: Run, outcome: str | None, seconds: float) -> None:
        """Count the begin of a run, which has no outcome yet, or its end."""
        if outcome is None:
            self._started.add(1)
            self._inflight.add(1)
            self._retries.add(int(run.run_no > 1))
        else:
            self._inflight.add(-1)
            self._completed.add(1, {"outcome": outcome})
            self._duration.record(1000 * seconds, {"outcome": outcome})
