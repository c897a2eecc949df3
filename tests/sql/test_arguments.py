"""Every argument out of its range or form is refused by code, before any table is touched."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from tests.backfill.host import add_log, make_host
from tests.calls import DECISION, ORDER
from tests.helpers import Connection, call, refused, rows, sha

ID = UUID(int=1)
PUSH = {"session_id": ID, "commit_sha": sha(1)}
LEASE = {"job_id": 1, "lease_token": ID}
GOOD: dict[str, dict[str, Any]] = {
    "enqueue": {**PUSH, "lab_version": "1", "priority": 2, "max_runs": 3, "max_open_jobs": 9},
    "enqueue_many": {
        "session_ids": [ID] * 2,
        "commit_shas": [sha(1), sha(2)],
        "lab_versions": ["1"] * 2,
        "priority": 2,
        "max_runs": 3,
        "max_open_jobs": 9,
    },
    "record_attempt": PUSH,
    "get_job": {"commit_sha": sha(1)},
    "claim": {"worker": "w", "max_jobs": 1, "lease_for": "1 minute"},
    "heartbeat": {**LEASE, "lease_for": "1 minute"},
    "heartbeat_many": {
        "job_ids": [1] * 2,
        "lease_tokens": [ID] * 2,
        "lease_for": "1 minute",
    },
    "complete": {**LEASE, "status": "PASSED"},
    "complete_many": {"job_ids": [1] * 2, "lease_tokens": [ID] * 2, "statuses": ["PASSED"] * 2},
    "complete_and_claim": {**LEASE, "status": "PASSED", "worker": "w"},
    "release": {**LEASE, "reason": "r"},
    "rescue": {"max_jobs": 1},
    "cancel": {"job_id": 1, "reason": "r", "actor": "a"},
    "revoke_lease": {"job_id": 1, "reason": "r", "actor": "a"},
    "add_artifact": {**LEASE, "kind": "LOG", "name": "log", "content": b"log", "truncated": False},
    "read_artifact": {"artifact_id": 1},
    "amend": {"job_id": 1, "status": "PASSED", **DECISION},
    "reverify": {"job_ids": [1] * 2, **DECISION, "priority": 3},
    "is_passed": {"commit_sha": sha(1)},
    "timeline": {"commit_sha": sha(1)},
    "why_waiting": {"job_id": 1},
    "attempts": {"session_id": ID, "max_rows": 1},
    "metrics": {"recent": "1 minute"},
    "expire_artifacts": {"older_than": "1 day", "max_rows": 1, "dry_run": True},
    "expire_details": {"older_than": "1 day", "max_rows": 1, "dry_run": True},
    "expire_locations": {"artifact_ids": [1] * 2, "reason": "r", "ticket": "t"},
    "hold": {"session_id": ID, **ORDER},
    "lift_hold": {"session_id": ID, **ORDER},
    # A session that is not on hold.
    "erase_session": {"session_id": UUID(int=2), **ORDER, "dry_run": True},
    "verify_bodies": {"after_body_id": 0, "max_bodies": 1},
    "backfill_verification_log": {
        "batch_size": 1,
        "dry_run": True,
        "settle": "1 day",
        "with_bodies": True,
    },
    "backfill_reconcile": {"settle": "1 day"},
}

# Names that look like the actor's, who is "ada".
PERSONS = {
    "same": "ada",
    "case": "Ada",
    "blanks": " ada ",
    "no_break_space": "ada\u00a0",
    "no_width": "a\u200bda",
    "byte_order_mark": "\ufeffada",
    "full_width": "\uff41\uff44\uff41",
}
HEX = sha(0xABCDEF)
SHAS = {
    "l01_upper_case": HEX.upper(),
    "l01_mixed_case": HEX[:-1] + "F",
    "l02_empty": "",
    "l02_abbreviated": "abcdef0",
    **{f"l02_{size}_digits": "a" * size for size in (39, 41, 63, 65)},
    "l03_leading_space": " " + HEX[1:],
    "l03_trailing_space": HEX[1:] + " ",
    "l03_inner_space": HEX[:20] + " " + HEX[21:],
    "l03_trailing_newline": HEX + "\n",
    "l03_newline_within_length": HEX[1:] + "\n",
    "l03_crlf": HEX[2:] + "\r\n",
    "l04_cyrillic": HEX[1:] + "\u0430",
    "l04_cyrillic_of_40_bytes": HEX[2:] + "\u0430",
    "l04_fullwidth": HEX[1:] + "\uff11",
    "l04_arabic_indic_digit": HEX[2:] + "\u0661",
    "l04_zero_width": HEX[3:] + "\u200b",
    "l04_byte_order_mark": "\ufeff" + HEX[3:],
    "l04_right_to_left": "\u202e" + HEX[3:],
    "l04_combining_mark": HEX[2:] + "\u0301",
    "l05_no_commit_of_sha1": "0" * 40,
    "l05_no_commit_of_sha256": "0" * 64,
    "l06_bytea_prefix": "\\x" + HEX[2:],
    "l06_0x_prefix": "0x" + HEX[2:],
    "l06_ref": "refs/heads/" + HEX[11:],
    "l06_option": "--upload-pack=" + "a" * 26,
    "l06_format": "%s%n%I%L" * 5,
    "l06_sql": "'); drop table pgjobs.job; --" + "a" * 11,
}
TEXTS = {
    "l14_empty": "",
    "l14_blank": "   ",
    "l14_no_break_space": "\u00a0\u3000",
    "l14_zero_width": "\u200b",
    "l14_201_characters": "x" * 201,
    **{f"l14_control_{ord(c):02x}": f"a{c}" for c in "\x01\t\n\r\x1f\x7f\x80\x85\x9f"},
}
BRANCHES = {
    **{name: text for name, text in TEXTS.items() if name != "l14_201_characters"},
    "256_bytes": "x" * 256,
    "201_characters_402_bytes": "é" * 201,
    "a_control_behind_200_characters": "x" * 200 + "\n",
    "a_control_before_200_characters": "\n" + "x" * 200,
}
BIG = Jsonb("x" * 65_535)
FILES = {
    "3001_entries": ["a"] * 3001,
    "empty_entry": ["a", ""],
    "null_entry": ["a", None],
    "1025_characters": ["a" * 1025],
    "more_than_256_kib": ["a" * 1024] * 257,
    "nested": [["a"], ["b"]],
}
LEASES = {
    "w06_zero": "0",
    "w06_negative": "-5 minutes",
    "w06_under_a_second": "0.999999 seconds",
    "w06_over_a_day": "1 day 0.000001 seconds",
    "w06_eternal": "178000000 years",
    # Compared as intervals these two are a day; counted in seconds they are six, and minus four.
    "w06_a_year_less_359_days": "1 year -359 days",
    "w06_minus_a_year_and_361_days": "-1 year 361 days",
}
WITHIN = {"under_a_second": "0.999999 s", "over_30_days": "30 days 1 s", "a_month": "1 month 1 s"}
STATUSES = {f"w07_{s[:8]}": s for s in ("passed", "QUEUED", "RUNNING", "", "PASSED ", "x" * 99)}
PATHS = r"/etc/passwd ../a a/../b a/.. . a//b a/ ..\a a\..\b c:\a\.\b"
NAMES = {**TEXTS, **{f"path_{number}": path for number, path in enumerate(PATHS.split())}}
HASH = b"h" * 32
AGES = {"negative": "-1 second", "over_50_years": "50 years 1 second", "infinite": "9999 years"}
SETTLES = {
    "negative": "-1 second",
    "over_30_days": "30 days 0.000001 seconds",
    "infinite": "9999 years",
}
KINDS = {"other": ["BODY"], "none": [], "with_null": ["ATTEMPT", None], "four": ["ATTEMPT"] * 4}
TIMES = {"infinity": "infinity", "minus_infinity": "-infinity"}
PUSHED = {
    "4713_bc": "4713-01-01 BC",
    "before_year_1": "0001-12-31 23:59:59.999999+00 BC",
    "over_a_day_ahead": datetime.now(UTC) + timedelta(days=1, hours=1),
    "2999": "2999-01-01",
    "10000": "10000-01-01",
}


def behind(good: Any, values: dict[str, Any]) -> dict[str, Any]:
    """Each value as the second element of a batch."""
    return {name: [good, value] for name, value in values.items()}


def numbers(*values: int) -> dict[str, Any]:
    return {str(value): value for value in values}


BAD: dict[tuple[str, ...], dict[str, Any]] = {
    **{
        (f, "commit_sha"): SHAS
        for f in ("enqueue", "record_attempt", "get_job", "is_passed", "timeline")
    },
    ("enqueue_many", "commit_shas"): behind(sha(1), SHAS),
    **{("enqueue", a): TEXTS for a in ("lab_version", "delivery_id", "author")},
    **{("record_attempt", a): TEXTS for a in ("delivery_id", "author")},
    **{(f, "branch"): BRANCHES for f in ("enqueue", "record_attempt")},
    **{("enqueue_many", a): behind("a", TEXTS) for a in ("lab_versions", "delivery_ids")},
    ("claim", "worker"): TEXTS,
    ("release", "reason"): TEXTS,
    **{(f, "reason"): {**TEXTS, "of_passed": "r"} for f in ("complete", "complete_and_claim")},
    ("complete_many", "reasons"): {"of_passed": [None, "r"], "three": [None] * 3},
    **{(f, a): TEXTS for f in ("cancel", "revoke_lease") for a in ("reason", "actor")},
    **{
        (f, a): TEXTS
        for f in ("amend", "reverify")
        for a in ("reason", "actor", "approver", "ticket", "lab_version")
    },
    **{(f, "approver"): PERSONS for f in ("amend", "reverify")},
    ("add_artifact", "name"): NAMES,
    ("add_artifact", "media_type"): TEXTS,
    ("add_artifact", "kind"): {"lower_case": "log", "other": "BINARY", "empty": ""},
    ("add_artifact", "content"): {"a_byte_too_many": b"x" * 1_048_577},
    ("add_artifact", "sha256"): {"another": HASH, "short": HASH[1:]},
    ("add_artifact", "size_bytes"): numbers(-1, 2, 4),
    ("add_artifact", "original_size_bytes"): {"of_a_whole": 4},
    ("add_artifact", "original_sha256"): {"of_a_whole": HASH},
    **{(f, "older_than"): AGES for f in ("expire_artifacts", "expire_details")},
    **{
        (f, "max_rows"): numbers(-1, 0, 10_001)
        for f in ("attempts", "expire_artifacts", "expire_details")
    },
    ("metrics", "recent"): LEASES,
    ("backfill_verification_log", "batch_size"): numbers(-1, 0, 10_001),
    **{(f, "settle"): SETTLES for f in ("backfill_verification_log", "backfill_reconcile")},
    ("expire_details", "kinds"): KINDS,
    ("expire_artifacts", "kinds"): {**KINDS, "six": ["LOG"] * 6, "with_null": ["LOG", None]},
    **{
        (f, a): TEXTS
        for f in ("hold", "lift_hold", "erase_session")
        for a in ("reason", "actor", "ticket")
    },
    **{
        (f, a): TEXTS
        for f in ("expire_artifacts", "expire_details", "expire_locations")
        for a in ("reason", "ticket")
    },
    ("expire_locations", "artifact_ids"): {"nested": [[1], [2]], "10001": [1] * 10_001},
    ("verify_bodies", "max_bodies"): numbers(-1, 0, 10_001),
    ("amend", "status"): STATUSES,
    ("heartbeat_many", "job_ids"): {"nested": [[1], [2]], "10001": [1] * 10_001},
    ("heartbeat_many", "lease_tokens"): {"three": [ID] * 3},
    ("reverify", "job_ids"): {"nested": [[1], [2]], "10001": [1] * 10_001},
    ("reverify", "priority"): numbers(-1, 0, 5, 32_768),
    **{(f, "priority"): numbers(-1, 0, 5, 32_768) for f in ("enqueue", "enqueue_many")},
    **{(f, "max_runs"): numbers(-1, 0, 26, 32_768) for f in ("enqueue", "enqueue_many")},
    **{(f, "max_open_jobs"): numbers(-1, 0, 101) for f in ("enqueue", "enqueue_many")},
    **{(f, "start_within"): WITHIN for f in ("enqueue", "enqueue_many")},
    **{(f, "max_jobs"): numbers(-1, 0, 1001) for f in ("claim", "rescue")},
    **{(f, "lease_for"): LEASES for f in ("claim", "heartbeat", "heartbeat_many")},
    ("release", "retry_after"): {"negative": "-1 microsecond", "over_a_day": "1 day 1 second"},
    ("enqueue", "available_at"): {**TIMES, "far": "3000-01-01"},
    **{(f, "pushed_at"): {**TIMES, **PUSHED} for f in ("enqueue", "record_attempt")},
    **{(f, "changed_files"): FILES for f in ("enqueue", "record_attempt")},
    ("enqueue", "payload"): {"l15_64_kib_and_one": BIG},
    ("enqueue_many", "payloads"): {"l15_64_kib_and_one": [None, BIG]},
    ("complete", "summary"): {"l15_64_kib_and_one": BIG},
    ("complete_many", "summaries"): {"l15_64_kib_and_one": [None, BIG]},
    ("complete", "status"): STATUSES,
    ("complete_many", "statuses"): behind("PASSED", STATUSES),
}
CASES = [
    pytest.param(*place, value, id="-".join((*place, name)))
    for place, values in BAD.items()
    for name, value in values.items()
]


def scans(conn: Connection) -> Any:
    """How often this transaction has read a table of ours, undone statements included."""
    return rows(
        conn,
        "select sum(seq_scan + coalesce(idx_scan, 0)) from pg_stat_xact_user_tables"
        " where schemaname = 'pgjobs'",
    )


def test_every_good_call_touches_a_table(conn: Connection) -> None:
    make_host(conn)
    add_log(conn)
    for function, arguments in GOOD.items():
        before = scans(conn)
        if key := next((name for name in ("job_id", "artifact_id") if name in arguments), None):
            with refused("P0002"), conn.transaction():
                call(conn, function, **{**arguments, key: 0})
        else:
            call(conn, function, **arguments)
        assert scans(conn) != before, function


@pytest.mark.parametrize(("function", "argument", "value"), CASES)
def test_a_bad_value_is_refused_and_not_repeated_in_full(
    conn: Connection, function: str, argument: str, value: Any
) -> None:
    before = scans(conn)
    with refused("22023", f"{function}_{argument}_check") as caught, conn.transaction():
        call(conn, function, **{**GOOD[function], argument: value})
    assert scans(conn) == before
    diag = caught.value.diag
    assert (diag.table_name, diag.column_name) == (function, argument)
    assert (diag.message_primary or "").isprintable()
    assert "x" * 65 not in str(caught.value)
    assert "a" * 66 not in str(caught.value)


ARRAYS = {
    "artifact_ids",
    "session_ids",
    "commit_shas",
    "lab_versions",
    "job_ids",
    "lease_tokens",
    "statuses",
}
NULLS = {
    "enqueue": (
        *("session_id", "commit_sha", "lab_version"),
        *("priority", "max_runs", "max_open_jobs"),
    ),
    "enqueue_many": (
        *("session_ids", "commit_shas", "lab_versions"),
        *("priority", "max_runs", "max_open_jobs"),
    ),
    "record_attempt": ("session_id", "commit_sha"),
    "get_job": ("commit_sha",),
    "claim": ("worker", "max_jobs", "lease_for"),
    "heartbeat": ("job_id", "lease_token", "lease_for"),
    "heartbeat_many": ("job_ids", "lease_tokens", "lease_for"),
    "complete": ("job_id", "lease_token", "status"),
    "complete_many": ("job_ids", "lease_tokens", "statuses"),
    "complete_and_claim": (
        *("job_id", "lease_token", "status"),
        *("worker", "max_jobs", "lease_for"),
    ),
    "release": ("job_id", "lease_token", "reason", "count_run"),
    "rescue": ("max_jobs",),
    **dict.fromkeys(("cancel", "revoke_lease"), ("job_id", "reason", "actor")),
    "add_artifact": ("job_id", "lease_token", "kind", "name", "media_type", "truncated"),
    "read_artifact": ("artifact_id",),
    "amend": ("job_id", "status", "reason", "actor", "approver", "ticket"),
    "reverify": ("job_ids", "reason", "actor", "approver", "ticket", "priority"),
    "is_passed": ("commit_sha",),
    "timeline": ("commit_sha",),
    "why_waiting": ("job_id",),
    "attempts": ("session_id", "max_rows"),
    "metrics": ("recent",),
    "expire_artifacts": ("older_than", "max_rows", "dry_run"),
    "expire_details": ("older_than", "kinds", "max_rows", "dry_run"),
    "expire_locations": ("artifact_ids", "reason", "ticket"),
    **dict.fromkeys(("hold", "lift_hold"), ("session_id", "reason", "actor", "ticket")),
    "erase_session": ("session_id", "reason", "actor", "ticket", "dry_run"),
    "verify_bodies": ("after_body_id", "max_bodies"),
    "backfill_verification_log": ("batch_size", "dry_run", "settle", "with_bodies"),
    "backfill_reconcile": ("settle",),
}


@pytest.mark.parametrize(("function", "argument"), [(f, a) for f in NULLS for a in NULLS[f]])
def test_a15_null_is_refused(conn: Connection, function: str, argument: str) -> None:
    before = scans(conn)
    with refused("22004", f"{function}_{argument}_check"), conn.transaction():
        call(conn, function, **{**GOOD[function], argument: None})
    batches = ("enqueue_many", "heartbeat_many", "complete_many", "reverify", "expire_locations")
    if function in batches and argument in ARRAYS:
        value = [GOOD[function][argument][0], None]
        with refused("22004", f"{function}_{argument}_check") as caught, conn.transaction():
            call(conn, function, **{**GOOD[function], argument: value})
        assert "element 2" in str(caught.value)
    assert scans(conn) == before
