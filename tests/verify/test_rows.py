"""Rows that do not agree with one another are named by verify(), however they came about."""

from uuid import UUID

import psycopg
import pytest

from tests.calls import add, amend, finish, reverify, start
from tests.helpers import Connection, call, claim, complete, enqueue, refused

SESSION = UUID(int=7)
EXPIRED = (
    "status = 'ERROR', error_reason = 'EXPIRED', lease_token = null, started_at = null,"
    " worker = null, run_no = 0"
)


@pytest.fixture(scope="module")
def lived(dsn: str) -> None:
    """Jobs 1 and 2 have verdicts, 3 is the head of SESSION, 4 waits there, 2 is judged again."""

    def next_id(number: int) -> None:
        # A job that is slow to come draws another number for its turn.
        conn.execute("select setval('pgjobs.job_job_id_seq', %s, false)", [number])

    with psycopg.connect(dsn) as conn:
        run = start(conn, payload="{}", author="a")
        add(conn, run)
        complete(conn, run, "FAILED", summary="{}")
        amend(conn, run.job_id, "PASSED")
        next_id(2)
        finish(conn)
        for number in (3, 4):
            next_id(number)
            enqueue(conn, session_id=SESSION)
        next_id(5)
        reverify(conn, 2)


@pytest.fixture
def tampered(lived: None, conn: Connection) -> Connection:
    """A superuser's connection past which no guard and no foreign key says anything."""
    conn.execute(
        "do $$ declare name regclass; begin for name in select oid::regclass from pg_class"
        " where relnamespace = 'pgjobs'::regnamespace and relkind = 'r' loop"
        " execute format('alter table %s disable trigger all', name); end loop; end $$"
    )
    return conn


def errors(conn: Connection) -> set[str]:
    """Return what is wrong with rows; that the triggers are off is another matter."""
    return {
        each.object
        for each in call(conn, "verify")
        if each.severity == "error"
        and not each.object.startswith(("trigger ", "constraint ", "unique index "))
    } | {each.object for each in call(conn, "verify") if "have no row in" in each.finding}


# Statement: the objects that are named.
TAMPERING: dict[str, set[str]] = {
    "delete from pgjobs.ready where job_id = 3": {f"session {SESSION}", "job 3"},
    "delete from pgjobs.waiting where turn_no = 4": {f"session {SESSION}", "job 4"},
    f"delete from pgjobs.lane where session_id = '{SESSION}'": {f"session {SESSION}"},
    "update pgjobs.lane set open_jobs = 5 where open_jobs = 2": {f"session {SESSION}"},
    f"insert into pgjobs.waiting values ('{SESSION}', 1)": {f"session {SESSION}", "job 1"},
    f"insert into pgjobs.waiting values ('{SESSION}', 99)": {f"session {SESSION}", "job 99"},
    f"insert into pgjobs.waiting values ('{SESSION}', 3)": {f"session {SESSION}", "job 3"},
    f"insert into pgjobs.waiting values ('{SESSION}', 5, 2)": {f"session {SESSION}", "job 2"},
    "update pgjobs.ready set job_id = 4 where job_id = 3": {f"session {SESSION}", "job 3", "job 4"},
    # A lane whose head is nowhere, or another; a session with two heads.
    "update pgjobs.lane set head_job_id = 4 where head_job_id = 3": {f"session {SESSION}"},
    "insert into pgjobs.lease select session_id, job_id, attempt_id, available_at, now(),"
    " now(), gen_random_uuid(), 3600000, null, priority, 1, 3, 'w' from pgjobs.ready"
    " where job_id = 3": {f"session {SESSION}"},
    "with gone as (delete from pgjobs.waiting where turn_no = 4) insert into pgjobs.ready"
    f" (job_id, session_id, attempt_id, available_at, priority, last_run_no)"
    f" values (4, '{SESSION}', 4, now(), 1, 3)": {f"session {SESSION}"},
    "update pgjobs.ready set ready_no = 1000 where job_id = 3": {"sequence pgjobs.job_job_id_seq"},
    "delete from pgjobs.verdict where job_id = 2": {"job 2", "constraint review_job_id_fkey"},
    "delete from pgjobs.ready where job_id = 2": {"session SECOND", "review 5"},
    "insert into pgjobs.review_result (review_id, job_id, ended_at, run_no, outcome)"
    " values (5, 2, now(), 1, 'RUNS_EXHAUSTED')": {"job 2"},
    "delete from pgjobs.lab_attempt where attempt_id = 1": {
        "constraint job_session_id_commit_sha_fkey",
        "constraint attempt_detail_attempt_id_fkey",
    },
    "delete from pgjobs.job where job_id = 1": {
        "constraint job_payload_job_id_fkey",
        "constraint verdict_job_id_fkey",
        "constraint artifact_job_id_fkey",
    },
    "alter table pgjobs.job drop constraint job_commit_sha_key; insert into pgjobs.job overriding"
    " system value select 99, session_id, 'FIRST', lab_version, priority, max_runs, created_at"
    " from pgjobs.job where job_id = 1": {
        "commit FIRST",
        "job 99",
        "sequence pgjobs.job_job_id_seq",
    },
    "alter table pgjobs.verdict drop constraint verdict_job_id_pkey cascade;"
    " insert into pgjobs.verdict select * from pgjobs.verdict where job_id = 1": {"job 1"},
    "update pgjobs.verdict set status = 'PASSED' where job_id = 1": {"amendment 1"},
    "update pgjobs.body set content = 'lag'": {"body 1"},
    "update pgjobs.artifact set sha256 = sha256('lag')": {"body 1"},
    "update pgjobs.artifact set size_bytes = 4": {"body 1"},
    "delete from pgjobs.body": {"artifact 1"},
    # Expired, though never to; with time left; and after a run.
    "update pgjobs.job set start_by = '-infinity' where job_id = 2;"
    f" update pgjobs.verdict set {EXPIRED} where job_id <= 2": {"amendment 1", "job 1"},
    "update pgjobs.job set start_by = 'infinity' where job_id = 2;"
    f" update pgjobs.verdict set {EXPIRED} where job_id = 2": {"job 2"},
    "update pgjobs.job set start_by = '-infinity' where job_id = 1;"
    " insert into pgjobs.aborted_run (job_id, started_at, ended_at, run_no, outcome, worker)"
    " values (1, now(), now(), 1, 'LEASE_LOST', 'w');"
    f" update pgjobs.verdict set {EXPIRED} where job_id = 1": {"amendment 1", "job 1"},
}


@pytest.mark.parametrize("statement", TAMPERING)
def test_it_is_named(statement: str, tampered: Connection) -> None:
    [(second,)] = tampered.execute("select session_id from pgjobs.job where job_id = 2").fetchall()
    [(first,)] = tampered.execute("select commit_sha from pgjobs.job where job_id = 1").fetchall()
    assert errors(tampered) == set()
    tampered.execute(statement.replace("FIRST", first).encode())
    expected = {
        name.replace("SECOND", str(second)).replace("FIRST", first) for name in TAMPERING[statement]
    }
    assert errors(tampered) == expected


def test_jobs_in_every_place_are_no_finding(lived: None, conn: Connection) -> None:
    for _ in range(2):
        claim(conn)
    assert [each for each in call(conn, "verify") if each.severity == "error"] == []


def test_bodies_are_checked_in_parts(lived: None, conn: Connection) -> None:
    run = start(conn, priority=1)
    for name in "abcd":
        add(conn, run, name=name, content=name.encode())
    answers = []
    after = 0
    while after is not None:
        [part] = call(conn, "verify_bodies", after_body_id=after, max_bodies=2)
        answers.append((part.bodies, part.wrong))
        after = part.last_body_id
    assert answers == [(2, []), (2, []), (1, [])]


@pytest.mark.parametrize(("argument", "value"), [("max_bodies", 0), ("max_bodies", 10_001)])
def test_a_bad_part_is_refused(argument: str, value: int, conn: Connection) -> None:
    with refused("22023", f"verify_bodies_{argument}_check"):
        call(conn, "verify_bodies", **{argument: value})
