"""The OpenTelemetry hook, against the SDK's own reader."""

from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from forgea_pgjobs.otel import RunMetrics
from forgea_pgjobs.worker import Run, Worker
from tests.conftest import Connect
from tests.helpers import call, enqueue


def points(reader: InMemoryMetricReader) -> dict[str, dict[Any, Any]]:
    """Return each metric's points by outcome: a sum, or the count of a histogram."""
    data = reader.get_metrics_data()
    assert data is not None
    [resource] = data.resource_metrics
    [scope] = resource.scope_metrics
    return {
        metric.name: {
            (point.attributes or {}).get("outcome"): getattr(point, "value", None)
            or getattr(point, "count", 0)
            for point in metric.data.data_points
        }
        for metric in scope.metrics
    }


@pytest.mark.parametrize("batch", [1, 10])
def test_the_runs_of_a_worker_are_counted(batch: int, fresh_dsn: str, connect: Connect) -> None:
    observer = connect(autocommit=True)
    passed, failed, broken, gone = (enqueue(observer).job_id for _ in range(4))
    inflight: list[int] = []
    reader = InMemoryMetricReader()

    def handler(run: Run) -> str:
        inflight.append(points(reader)["verification.jobs.inflight"][None])
        if run.job_id == gone:
            call(observer, "cancel", job_id=gone, reason="why", actor="who")
        if run.job_id == broken and run.run_no == 1:
            raise LookupError
        return "FAILED" if run.job_id == failed else "PASSED"

    hook = RunMetrics(MeterProvider([reader]).get_meter("test"))
    worker = Worker(fresh_dsn, handler, batch=batch, hook=hook)
    worker.drain()
    observer.execute("update pgjobs.ready set available_at = now()")
    worker.drain()
    assert points(reader) == {
        "verification.jobs.started": {None: 5},
        "verification.jobs.completed": {"PASSED": 2, "FAILED": 1, "RELEASED": 1, "LOST": 1},
        "verification.job.duration_ms": {"PASSED": 2, "FAILED": 1, "RELEASED": 1, "LOST": 1},
        "verification.jobs.inflight": {None: 0},
        "verification.retry.count": {None: 1},
    }
    assert max(inflight) <= batch
    assert passed
