"""The first host's tables, as Prisma made them, and histories of logs to put into them."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from tests.helpers import Connection, sha

TABLES = """
create type "FailureClass" as enum ('BUILD', 'TEST');
create type "SessionStatus" as enum ('IN_PROGRESS', 'STUCK', 'VERIFIED_PASS', 'DEFERRED');
create table "Lab" (
    id uuid primary key,
    title text not null,
    epic text not null,
    "failureClass" "FailureClass" not null,
    "sourceGithubIssueUrl" text not null,
    "repoVersion" text,
    "baseRepoUrl" text not null,
    constraints jsonb not null
);
create table "LabSession" (
    id uuid primary key,
    "userId" uuid not null,
    "labId" uuid not null references "Lab" on delete restrict on update cascade,
    status "SessionStatus" not null default 'IN_PROGRESS',
    "userForkUrl" text not null,
    "previewUrl" text,
    "startedAt" timestamp(3) not null default current_timestamp,
    "lastActivityAt" timestamp(3) not null default current_timestamp
);
create table "VerificationLog" (
    id uuid primary key,
    "sessionId" uuid not null references "LabSession" on delete restrict on update cascade,
    "commitSha" text not null,
    "prDiff" text not null,
    "ciOutput" text not null,
    "verifiedAt" timestamp(3) not null default current_timestamp
);
create unique index "VerificationLog_sessionId_key" on "VerificationLog" ("sessionId");
create function "verification_log_append_only"() returns trigger language plpgsql as $$
begin
    raise exception 'VerificationLog is append-only';
end
$$;
create trigger "VerificationLog_append_only" before update or delete on "VerificationLog"
    for each row execute function "verification_log_append_only"();
"""
GRANTS = 'grant select on "VerificationLog", "LabSession", "Lab" to pgjobs_owner'

# A history of {size} logs, the same each time. Every twentieth of each kind: a SHA in upper case,
# abbreviated, blank, zero, with a newline; of two sessions (4 and 5, 6 and 7: the lab of 6 has no
# version); of 64 digits (8). Times go to and fro, many are equal, one is infinite.
HISTORY = """
insert into "Lab"
select
    md5('lab' || number)::uuid, 'Lab ' || number, 'epic', 'TEST', 'https://host/issues/1',
    (array['1.4', '2.0', '2.1', null, ' ', repeat('v', 201), E'1\\n4'])[number + 1],
    'https://host/base', '{{}}'
from generate_series(0, 6) as number;
insert into "LabSession" (id, "userId", "labId", status, "userForkUrl")
select
    md5('session' || number)::uuid, md5('user' || number % 100)::uuid,
    md5('lab' || case number % 20 when 6 then 3 + number / 20 % 4 else number / 20 % 3 end)::uuid,
    (array['IN_PROGRESS', 'STUCK', 'VERIFIED_PASS', 'DEFERRED'])[1 + number / 20 % 4]
        ::"SessionStatus",
    'https://host/fork'
from generate_series(1, {size}) as number;
insert into "VerificationLog"
select
    md5('log' || number)::uuid, md5('session' || number)::uuid,
    case number % 20
        when 0 then upper(sha)
        when 1 then left(sha, 7)
        when 2 then repeat(' ', number / 20 % 3)
        when 3 then repeat('0', 40)
        when 8 then sha || left(sha, 24)
        when 9 then sha || E'\\n'
        else sha
    end,
    case number % 4 when 0 then '' when 1 then 'equal' else 'diff of ' || sha end,
    case
        when number = 505 then 'a' || repeat('ä', 600000)
        when number % 1000 = 10 then repeat('0123456789', 150000) || number
        when number % 50 = 11 then repeat('output of ' || sha, 200)
        else 'output of ' || sha
    end,
    case number when 10 then 'infinity' else
        timestamp '2026-01-01' + number * 7919 % {size} / 3 * interval '1 second'
    end
from generate_series(1, {size}) as number
cross join lateral (
    select 'c0ffee' || lpad(
        to_hex(number - case when number % 20 in (5, 7) then 1 else 0 end), 34, '0'
    ) as sha
) as commit;
"""
# What the ledger has before: of some sessions the attempt, of some the job, and of one commit the
# job of a session that has no log.
LIVE = """
select pgjobs.record_attempt(md5('session12')::uuid, 'c0ffee' || lpad(to_hex(12), 34, '0'));
select pgjobs.enqueue(md5('session13')::uuid, 'c0ffee' || lpad(to_hex(13), 34, '0'), '1.4');
select pgjobs.enqueue(md5('stranger')::uuid, 'c0ffee' || lpad(to_hex(14), 34, '0'), '1.4');
"""


def make_host(conn: Connection) -> None:
    """Make the host's tables and let the ledger read them."""
    conn.execute(TABLES)
    conn.execute(GRANTS)


def add_log(
    conn: Connection,
    *,
    status: str = "VERIFIED_PASS",
    version: str | None = "1.4",
    log_id: UUID | None = None,
    session_id: UUID | None = None,
    commit_sha: str | None = None,
    verified_at: datetime | str = "2026-01-02 03:04:05.678",
    diff: str = "a diff",
    output: str = "an output",
) -> Any:
    """Put one log into the host's tables, with a lab and, but for a known one, a session.

    Return its id.
    """
    lab_id, log_id = uuid4(), log_id or uuid4()
    session_id = session_id or uuid4()
    commit_sha = sha() if commit_sha is None else commit_sha
    conn.execute(
        "insert into \"Lab\" values (%s, 't', 'e', 'TEST', 'u', %s, 'u', '{}')", [lab_id, version]
    )
    conn.execute(
        'insert into "LabSession" (id, "userId", "labId", status, "userForkUrl")'
        " values (%s, %s, %s, %s, 'u') on conflict do nothing",
        [session_id, uuid4(), lab_id, status],
    )
    conn.execute(
        'insert into "VerificationLog" values (%s, %s, %s, %s, %s, %s)',
        [log_id, session_id, commit_sha, diff, output, verified_at],
    )
    return log_id
