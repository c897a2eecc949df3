"""Everything at once: eight clients, five sessions, three levels, commits and rollbacks."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random
from threading import Event
from typing import Any
from uuid import uuid4

import psycopg

from tests.calls import (
    ORDER,
    amend,
    cancel,
    enqueue_many,
    erase,
    hold,
    lease,
    reverify,
    revoke,
)
from tests.conftest import Connect
from tests.helpers import Connection, call, enqueue, rows, sha
from tests.races.ledger import drain, open_places, violations
from tests.races.rivals import LEVELS, LONG

CLIENTS = 8
TRANSACTIONS = 20_000 if LONG else 500
SESSIONS = [uuid4() for _ in range(5)]
# Few commits, so that they meet; and a session's own, so that nobody is refused for another's.
COMMITS = {session: [sha() for _ in range(TRANSACTIONS // 4)] for session in SESSIONS}
DOCUMENTED = {
    *("23V02", "23V05", "23V06", "23V07", "23V09"),
    *("25000", "54V01", "55V01", "55V02", "40001"),
}
# Bytes that went while a hold stood on an artifact that still had a right to them.
WRONGED = """
select from pgjobs.expiry
join pgjobs.artifact on expiry.kind = 'BODY' and artifact.body_id = expiry.id
join pgjobs.job using (job_id)
join pgjobs.verification_hold as hold using (session_id)
where expiry.expired_at between hold.held_at and coalesce(hold.lifted_at, 'infinity')
    and not exists (
        select from pgjobs.expiry as own
        where own.kind = 'ARTIFACT' and own.id = artifact.artifact_id
            and own.expired_at < hold.held_at
    )
"""


@dataclass(slots=True)
class Client:
    """A client with its own dice, the runs it has claimed, and what it was told and committed."""

    conn: Connection
    dice: Random
    runs: list[Any] = field(default_factory=list)
    created: list[int] = field(default_factory=list)
    verdicts: list[tuple[int, str]] = field(default_factory=list)
    amendments: list[tuple[int, str]] = field(default_factory=list)
    refused: set[tuple[str, bool]] = field(default_factory=set)

    def work(self) -> None:
        acts = [self.enqueue, self.enqueue, self.claim, self.claim, self.complete, self.complete]
        acts += [self.enqueue_many, self.complete_many]
        rare = [self.release, self.heartbeat, self.cancel, self.rescue, self.expire]
        rare += [self.add_artifact, self.amend, self.reverify, self.expire_artifacts]
        rare += [self.revoke, self.hold, self.lift_hold, self.erase]
        for _ in range(TRANSACTIONS):
            self.transaction(self.dice.choice(acts + rare))

    def transaction(self, act: Callable[[], Callable[[], None]]) -> None:
        """Act at some level and commit, or not; only then is the answer taken for true."""
        self.conn.isolation_level = self.dice.choice(LEVELS)
        read_committed = self.conn.isolation_level == LEVELS[0]
        try:
            told = act()
            if self.dice.random() < 0.2:
                self.conn.rollback()
            else:
                self.conn.commit()
                told()
        except psycopg.Error as error:
            self.conn.rollback()
            self.refused.add((str(error.sqlstate), read_committed))

    def lease(self) -> dict[str, Any]:
        """Choose a run of one's own, over or not; or one that never was."""
        if not self.runs:
            return {"job_id": 1, "lease_token": uuid4()}
        run = self.dice.choice(self.runs[-4:])
        return lease(run)

    def enqueue(self) -> Callable[[], None]:
        session_id = self.dice.choice(SESSIONS)
        commit_sha = self.dice.choice(COMMITS[session_id])
        within = self.dice.choice([None, "1 s"])
        commit = {"session_id": session_id, "commit_sha": commit_sha}
        job = enqueue(self.conn, **commit, start_within=within, max_open_jobs=20)
        assert None not in job
        return lambda: self.created.extend([job.job_id] * job.created)

    def enqueue_many(self) -> Callable[[], None]:
        session_ids = self.dice.choices(SESSIONS, k=6)
        commits = [
            (session_id, self.dice.choice(COMMITS[session_id])) for session_id in session_ids
        ]
        jobs = enqueue_many(self.conn, *commits, start_within="1 s", max_open_jobs=30)
        assert [job.ordinal for job in jobs if None not in job] == [1, 2, 3, 4, 5, 6]
        return lambda: self.created.extend(job.job_id for job in jobs if job.created)

    def claim(self) -> Callable[[], None]:
        runs = call(self.conn, "claim", worker="w", max_jobs=self.dice.randint(1, 3))
        return lambda: self.runs.extend(runs)

    def complete(self) -> Callable[[], None]:
        lease = self.lease()
        [said] = call(self.conn, "complete", **lease, status="PASSED")
        return lambda: self.told_of(lease).append((said.job_id, said.status))

    def complete_many(self) -> Callable[[], None]:
        leases = [self.lease() for _ in range(4)]
        said = call(
            self.conn,
            "complete_many",
            job_ids=[lease["job_id"] for lease in leases],
            lease_tokens=[lease["lease_token"] for lease in leases],
            statuses=["FAILED"] * 4,
        )

        def told() -> None:
            for own, one in zip(leases, said, strict=True):
                if one.outcome == "completed":
                    self.told_of(own).append((one.job_id, one.status))

        return told

    def told_of(self, lease: dict[str, Any]) -> list[tuple[int, str]]:
        """Return where what was written under a lease belongs: the answer of a review amends."""
        token = lease["lease_token"]
        [is_review] = {run.review_id is not None for run in self.runs if run.lease_token == token}
        return self.amendments if is_review else self.verdicts

    def add_artifact(self) -> Callable[[], None]:
        name, content = self.dice.choice("ab"), self.dice.choice([b"1", b"2"])
        call(self.conn, "add_artifact", **self.lease(), kind="LOG", name=name, content=content)
        return lambda: None

    def expire_artifacts(self) -> Callable[[], None]:
        call(self.conn, "expire_artifacts", older_than="0", dry_run=False)
        return lambda: None

    def hold(self) -> Callable[[], None]:
        hold(self.conn, self.dice.choice(SESSIONS), ticket=self.dice.choice("ab"))
        return lambda: None

    def lift_hold(self) -> Callable[[], None]:
        said = {"session_id": self.dice.choice(SESSIONS), **ORDER, "ticket": self.dice.choice("ab")}
        call(self.conn, "lift_hold", **said)
        return lambda: None

    def erase(self) -> Callable[[], None]:
        erase(self.conn, self.dice.choice(SESSIONS))
        return lambda: None

    def amend(self) -> Callable[[], None]:
        job_id = self.lease()["job_id"]
        said = amend(self.conn, job_id, "ERROR")
        return lambda: self.amendments.append((said.job_id, said.effective_status))

    def reverify(self) -> Callable[[], None]:
        job_ids = [self.lease()["job_id"] for _ in range(4)]
        said = reverify(self.conn, *job_ids)
        assert [one.job_id for one in said] == job_ids
        return lambda: None

    def release(self) -> Callable[[], None]:
        said = {**self.lease(), "reason": "why", "count_run": self.dice.random() < 0.5}
        call(self.conn, "release", **said, retry_after="0 s")
        return lambda: None

    def heartbeat(self) -> Callable[[], None]:
        call(self.conn, "heartbeat", **self.lease())
        return lambda: None

    def cancel(self) -> Callable[[], None]:
        job_id = self.lease()["job_id"]
        said = cancel(self.conn, job_id)
        return lambda: self.verdicts.append((said.job_id, said.status))

    def revoke(self) -> Callable[[], None]:
        revoke(self.conn, self.lease()["job_id"])
        return lambda: None

    def rescue(self) -> Callable[[], None]:
        call(self.conn, "rescue")
        return lambda: None

    def expire(self) -> Callable[[], None]:
        """Let the clock pass one lease's end."""
        self.conn.execute(
            "update pgjobs.lease set lease_expires_at = now() - interval '1 s'"
            " where session_id = %s and lease_token is not null",
            [self.dice.choice(SESSIONS)],
        )
        return lambda: None


def look_on(conn: Connection, over: Event) -> int:
    """Verify again and again, while all that goes on; return how often."""
    looks = 0
    while not over.is_set():
        assert [each for each in call(conn, "verify") if each.severity == "error"] == []
        looks += 1
    return looks


def test_no_job_is_lost_stuck_or_run_twice_at_once(fresh_dsn: str, connect: Connect) -> None:
    observer = connect(autocommit=True)
    enqueue(observer, session_id=SESSIONS[0], commit_sha=COMMITS[SESSIONS[0]][0])
    over = Event()
    with ThreadPoolExecutor(CLIENTS + 1) as pool:
        onlooker = pool.submit(look_on, connect(autocommit=True), over)
        # Fixed seeds: the mix is the same every time, the interleaving is not.
        clients = [Client(connect(), Random(seed)) for seed in range(CLIENTS)]  # noqa: S311
        try:
            for done in [pool.submit(client.work) for client in clients]:
                done.result()
        finally:
            over.set()
        assert onlooker.result() > 1

    assert violations(observer) == []
    assert rows(observer, WRONGED) == []
    refused = set().union(*(client.refused for client in clients))
    assert {sqlstate for sqlstate, _ in refused} <= DOCUMENTED
    assert ("40001", True) not in refused
    jobs = {row.job_id for row in rows(observer, "select job_id from pgjobs.job where job_id > 1")}
    created = [job_id for client in clients for job_id in client.created]
    assert sorted(created) == sorted(jobs)
    verdicts = {row.job_id: row.status for row in rows(observer, "select * from pgjobs.verdict")}
    told = {verdict for client in clients for verdict in client.verdicts}
    assert told <= verdicts.items()
    amended = {tuple(row) for row in rows(observer, "select job_id, status from pgjobs.amendment")}
    assert {answer for client in clients for answer in client.amendments} <= amended
    assert amended
    expired = "select from pgjobs.verdict where error_reason = 'EXPIRED'"
    assert rows(observer, expired)
    drain(observer)
    assert open_places(observer) == 0
    assert violations(observer) == []
