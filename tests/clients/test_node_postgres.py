"""node-postgres tells the same story as every other client."""

import json

import psycopg
import pytest

from tests.clients import node
from tests.clients.scenario import TOLD, told
from tests.helpers import rows

pytestmark = pytest.mark.skipif(node.missing() is not None, reason=str(node.missing()))


def test_the_life_of_a_job_told_by_node_postgres(host_dsn: str) -> None:
    node.install()
    assert told(json.loads(node.run("node", "node_postgres.mjs", dsn=host_dsn))) == TOLD
    with psycopg.connect(host_dsn) as conn:
        pushed = rows(
            conn,
            "select commit_sha, status from push join pgjobs.verification_job using (commit_sha)",
        )
        [(jobs,)] = rows(conn, "select count(*) from pgjobs.job where commit_sha ~ '^[cd]{40}$'")
    assert [tuple(row) for row in pushed] == [("c" * 40, "QUEUED")]
    assert jobs == 1
