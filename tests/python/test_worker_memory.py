"""The memory of a worker does not grow with the jobs that it has done."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.calls import enqueue_many, new
from tests.conftest import Connect
from tests.races.rivals import LONG

pytestmark = pytest.mark.usefixtures("fresh_dsn")

JOBS, WARM = (100_000, 20_000) if LONG else (3_000, 1_000)
MOST_GROWTH = 1024  # KiB
# Says how much memory it holds after WARM jobs and at the end.
WORKER = """
import sys
from itertools import count
from pathlib import Path
from forgea_pgjobs.worker import Verdict, Worker

def say():
    [line] = [line for line in Path("/proc/self/status").open() if line.startswith("VmRSS")]
    print(line.split()[1])

def handler(run, numbers=count(1)):
    if next(numbers) == int(sys.argv[2]):
        say()
    return Verdict("PASSED", {"job": run.job_id})

counts = Worker(sys.argv[1], handler, batch=int(sys.argv[3]), concurrency=2).drain()
say()
print(counts.written)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
@pytest.mark.parametrize("batch", [1, 20])
def test_a_worker_does_not_grow(batch: int, fresh_dsn: str, connect: Connect) -> None:
    conn = connect(autocommit=True)
    for _ in range(JOBS // 1000):
        enqueue_many(conn, *new(1000))
    done = subprocess.run(
        [sys.executable, "-c", WORKER, fresh_dsn, str(WARM), str(batch)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    warm, end, written = map(int, done.stdout.split())
    assert written == JOBS
    assert end - warm < MOST_GROWTH
