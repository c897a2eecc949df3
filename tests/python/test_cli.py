"""The command line: help on every level, one line per error, no passwords."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

import forgea_pgjobs
from forgea_pgjobs import schema
from forgea_pgjobs.cli import main, migrate
from tests.conftest import Connect

COMMANDS = ["migrate", "rollback", "status", "show", "work", "expire", "backfill", "sql", "demo"]
ALL = list(schema.migration_files())
NOWHERE = "host=127.0.0.1 port=1"


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process, without a DATABASE_URL unless the test sets one."""
    monkeypatch.delenv("DATABASE_URL", raising=False)

    def run_command(*argv: str) -> Done:
        try:
            code = main(argv)
        except SystemExit as ended:
            code = int(ended.code or 0)
        return Done(code, *capsys.readouterr())

    return run_command


def python(*argv: str) -> subprocess.Popen[str]:
    """Start Python with the checkout on its path and, as is usual, a buffered output."""
    return subprocess.Popen(
        [sys.executable, *argv],
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
        cwd=schema.migrations_folder().parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def assert_error(done: Done, sqlstate: str, code: int = 1) -> None:
    assert done.code == code
    assert done.err.startswith(f"error {sqlstate}: ")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("level", [[], *([name] for name in COMMANDS)])
def test_every_help_has_an_example_and_the_exit_codes(level: list[str], run: Run) -> None:
    done = run(*level, "--help")
    assert done.code == 0
    assert "example:\n  " in done.out
    assert "exit codes: 0 " in done.out


def test_the_version_is_that_of_the_installed_package(run: Run) -> None:
    assert run("--version") == Done(0, f"forgea-pgjobs {forgea_pgjobs.__version__}\n", "")
    assert forgea_pgjobs.__version__ == metadata.version("forgea-pgjobs")


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["launch"],
        ["status"],
        ["migrate", "--dsn"],
        ["sql", "--what"],
        ["sql", "--schema", "job"],
        ["sql", "--schema", "Lab"],
        ["demo", "--workers", "0"],
        ["demo", "--workers", "x"],
        ["show"],
        ["expire"],
        ["backfill"],
        ["backfill", "--dsn", NOWHERE, "--batch-size", "many"],
        ["expire", "--older-than", "90"],
        ["expire", "--older-than", "-1d"],
        ["expire", "--older-than", "999999999y"],
    ],
)
def test_wrong_usage_is_one_line_and_2(argv: list[str], run: Run) -> None:
    assert_error(run(*argv), "22023", code=2)


def test_migrate_applies_once(empty_dsn: str, run: Run) -> None:
    done = run("migrate", "--dsn", empty_dsn)
    assert (done.code, done.out) == (0, "".join(f"applied {name}\n" for name in ALL))
    assert run("migrate", "--dsn", empty_dsn) == Done(0, "nothing to apply\n", "")


def test_a_dry_run_names_what_is_pending_and_changes_nothing(empty_dsn: str, run: Run) -> None:
    dry = run("migrate", "--dsn", empty_dsn, "--dry-run")
    assert dry.code == 0
    assert re.findall(r"^-- pending: (\S+), ", dry.out, re.MULTILINE) == ALL
    with psycopg.connect(empty_dsn) as conn:
        made = conn.execute("select nspname from pg_namespace where nspname like 'pgjobs%'")
        assert made.fetchall() == []
    run("migrate", "--dsn", empty_dsn)
    assert run("migrate", "--dsn", empty_dsn, "--dry-run").out == "-- nothing to apply\n"


def test_database_url_stands_in_for_dsn(
    empty_dsn: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_dsn)
    assert run("migrate").code == 0
    monkeypatch.setenv("DATABASE_URL", NOWHERE)
    assert run("status", "--dsn", empty_dsn).code == 0
    assert_error(run("status"), "08001")


def test_rollback_refuses_with_rows_unless_forced(fresh_dsn: str, run: Run) -> None:
    with psycopg.connect(fresh_dsn) as conn:
        conn.execute("select pgjobs.enqueue(gen_random_uuid(), %s, '1')", ["ab" * 20])
    assert run("rollback", "--dsn", fresh_dsn, "--to", ALL[-1]).out == "nothing to roll back\n"
    done = run("rollback", "--dsn", fresh_dsn, "--to", ALL[0])
    assert done.out == "".join(f"rolled back {name}\n" for name in reversed(ALL[1:]))
    refused = run("rollback", "--dsn", fresh_dsn)
    assert_error(refused, "55000")
    assert "(hint: " in refused.err
    forced = run("rollback", "--dsn", fresh_dsn, "--force")
    assert (forced.code, forced.out) == (0, f"rolled back {ALL[0]}\n")


def test_notices_of_a_migration_are_shown(empty_dsn: str, run: Run) -> None:
    with psycopg.connect(empty_dsn) as conn:
        name = conn.info.dbname
        # A database's setting reaches every session: here it makes the server talk.
        conn.execute(f'alter database "{name}" set client_min_messages = debug1')
    assert "DEBUG: " in run("migrate", "--dsn", empty_dsn).err


def status_of(done: Done) -> dict[str, str]:
    assert (done.code, done.err) == (0, "")
    facts = done.out.split("\n\n")[0].splitlines()
    return dict(line.split("  ", 1) for line in facts)


def test_status_counts_for_a_mere_reader(fresh_dsn: str, connect: Connect, run: Run) -> None:
    enqueue = "select pgjobs.enqueue(gen_random_uuid(), %s, '1')"
    with connect("pgjobs_app") as app:
        for number in range(1, 7):
            app.execute(enqueue, [f"{number:040x}"])
    with connect("pgjobs_worker") as worker:
        claimed = worker.execute(
            "select job_id, lease_token from pgjobs.claim('w-7', 4)"
        ).fetchall()
        for job, status in zip(claimed, ["PASSED", "PASSED", "FAILED"], strict=False):
            worker.execute("select pgjobs.complete(%s, %s, %s)", [*job, status])

    for login in (
        make_conninfo(fresh_dsn),
        make_conninfo(fresh_dsn, options="-c role=pgjobs_reader"),
        make_conninfo(fresh_dsn, options="-c default_transaction_read_only=on"),
    ):
        done = run("status", "--dsn", login)
        facts = {name: value.strip() for name, value in status_of(done).items()}
        assert facts["queued jobs"] == "2"
        assert facts["oldest queued"].startswith("00:00:")
        assert facts["running jobs"] == "1"
        assert facts["PASSED, last 24 h"] == "2"
        assert facts["FAILED, last 24 h"] == "1"
        assert facts["ERROR, last 24 h"] == "0"
        assert re.search(r"^\d +1 +w-7 +00:00:0\d  00:0[45]:\d\d  0{12}$", done.out, re.M)


def test_status_says_which_migrations_are_there(fresh_dsn: str, empty_dsn: str, run: Run) -> None:
    assert f"pending migrations  {', '.join(ALL)}\n" in run("status", "--dsn", empty_dsn).out
    installed = run("status", "--dsn", fresh_dsn).out
    assert f"schema version      {ALL[-1]}\npending migrations  none\n" in installed
    with psycopg.connect(fresh_dsn) as conn:
        conn.execute("update pgjobs.migration set checksum = 'another'")
        conn.execute("insert into pgjobs.migration values ('9999.later', 'x')")
    changed = run("status", "--dsn", fresh_dsn).out
    assert "edited migrations" in changed
    assert "unknown migrations" in changed


def test_what_was_left_out_is_said_and_can_come_later(empty_dsn: str, run: Run) -> None:
    left_out = run("migrate", "--dsn", empty_dsn, "--without", "0002.host")
    assert left_out.out == "applied 0001.ledger\napplied 0003.verify\n"
    status = run("status", "--dsn", empty_dsn).out
    assert "pending migrations  none\nleft out            0002.host\n" in status
    missing = run("backfill", "--dsn", empty_dsn)
    assert_error(missing, "42883")
    assert "`migrate` adds it" in missing.err
    assert run("migrate", "--dsn", empty_dsn).out == "applied 0002.host\n"
    assert "left out" not in run("status", "--dsn", empty_dsn).out
    assert_error(run("migrate", "--dsn", empty_dsn, "--without", "0001.ledger"), "22023")


def test_status_without_any_right_is_refused(fresh_dsn: str, run: Run) -> None:
    login = make_conninfo(fresh_dsn, options="-c role=pg_monitor")
    assert_error(run("status", "--dsn", login), "42501")


def test_sql_prints_the_install_text(run: Run) -> None:
    assert run("sql") == Done(0, schema.recorded_install_sql(), "")


@pytest.mark.parametrize("command", ["sql", "status"])
def test_a_reader_that_goes_away_gets_no_words(
    command: str, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", dsn)
    with python("-m", "forgea_pgjobs.cli", command) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://u:hunter%402@127.0.0.1:1/x",
        "postgresql://u:hunter%402@127.0.0.1:port/x",
        "postgresql//u:hunter%402@127.0.0.1:1/x",
        "postgresql://u@127.0.0.1:1/x?sslpassword=hunter%402",
        f"{NOWHERE} password=hunter@2",
        f"{NOWHERE} password='hunter@2",
        f"{NOWHERE} password='hunter@2' bad",
        f"{NOWHERE} sslpassword='hunter@2' sslmode=wrong",
        f"{NOWHERE} password=pa hunter",
        "postgresql://u@127.0.0.1:1/x?password=hunter&hunter2=3",
    ],
)
def test_a_password_is_never_printed(dsn: str, run: Run) -> None:
    done = run("status", "--dsn", dsn)
    assert_error(done, "08001")
    assert "hunter" not in done.out + done.err
    misplaced = run("sql", dsn)
    assert misplaced.code == 2
    assert "hunter" not in misplaced.err


SCHEME = "Begin with postgresql://, not postgresql+psycopg:// (SQLAlchemy's)"
QUOTES = "Leave out the quotes or spaces around it."
CODED = "In a user or password write @ as %40, "


@pytest.mark.parametrize(
    ("dsn", "hint"),
    [
        ("postgresql://u:hunter@h/x?schema=lab&pgbouncer=true", "Leave out schema, pgbouncer: "),
        ("postgresql+psycopg://u:hunter@h/x", SCHEME),
        ("jdbc:postgresql://u:hunter@h/x", SCHEME),
        ("mysql://u:hunter@h/x", SCHEME),
        ('"postgresql://u:hunter@h/x"', QUOTES),
        ("'postgresql://u:hunter@h/x'", QUOTES),
        (" postgresql://u:hunter@h/x", QUOTES),
        ("postgresql://u:pa@hunter@127.0.0.1:1/x", CODED),
        ("postgresql://u:hunter@pa@127.0.0.1:1/x", CODED),
        ("postgresql://u@corp:hunter@127.0.0.1:1/x", CODED),
        ("postgresql://u:hunter/pa@127.0.0.1:1/x", CODED),
        ("postgresql://u:1/hunter@127.0.0.1:1/x", CODED),
        ("postgresql://u:p@/hunter@127.0.0.1:1/x", CODED),
        ("postgresql://u:50%hunter@127.0.0.1:1/x", CODED),
        ("postgresql://u:pa hunter@127.0.0.1:1/x", CODED),
        ("postgresql://u:pa?hunter=1@hunter@127.0.0.1:1/x?schema=lab", CODED),
        ("postgresql://u@h/x?password=hunter&hunter2=3", "Write postgresql://user@host/database."),
    ],
)
def test_what_is_wrong_with_a_connection_string_is_named(dsn: str, hint: str, run: Run) -> None:
    done = run("status", "--dsn", dsn)
    assert_error(done, "08001")
    assert f"(hint: {hint}" in done.err
    misplaced = run("sql", dsn)
    assert misplaced.err.endswith("--help)\n")
    assert "hunter" not in done.out + done.err + misplaced.err


@pytest.mark.parametrize("name", ["password", "sslpassword"])
def test_a_password_inside_an_error_is_blotted_out(
    name: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_options: object) -> int:
        raise RuntimeError("no: hunter 2, hunter%202, postgresql://a:hunter@b/c, password = hunter")

    monkeypatch.setattr(migrate, "run", fail)
    done = run("migrate", "--dsn", f"host=a {name}='hunter 2'")
    assert_error(done, "58000")
    assert "hunter" not in done.err


@pytest.mark.parametrize(
    ("module", "command", "sqlstate", "words"),
    [
        ("yoyo", ["migrate", "--dsn", NOWHERE], "58P01", "pip install 'forgea-pgjobs[cli]'"),
        ("pwd", ["demo"], "0A000", "need Linux or macOS"),
    ],
)
def test_what_a_missing_module_means_is_said(
    module: str, command: list[str], sqlstate: str, words: str
) -> None:
    program = f"import sys; sys.modules[{module!r}] = None; from forgea_pgjobs.cli import main"
    with python("-c", f"{program}; main()", *command) as started:
        out, err = started.communicate()
    assert_error(Done(1, out, err), sqlstate)
    assert words in err
