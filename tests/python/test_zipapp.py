"""The command from one file: an archive of what the wheel has, which nobody unpacks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import forgea_pgjobs
from forgea_pgjobs import schema
from forgea_pgjobs.schema import files, views
from tests.python.repositories import new_repository
from tests.python.test_cli import ALL, Run, assert_error, run

__all__ = ["run"]  # the fixture
ROOT = schema.migrations_folder().parent
VERSION = f'"{forgea_pgjobs.__version__}"'
MAIN = "import sys\nfrom forgea_pgjobs.cli import main\nsys.exit(main())\n"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pack the folders as pyproject.toml has them packed; the version is the archive's own."""
    path = tmp_path_factory.mktemp("archive") / "forgea-pgjobs.pyz"
    folders = {"forgea_pgjobs": "forgea_pgjobs"} | {
        name: f"forgea_pgjobs/_{name}" for name in ("sql", "migrations")
    }
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("__main__.py", MAIN)
        for name, place in folders.items():
            for file in (ROOT / name).rglob("*"):
                if file.suffix in {".py", ".sql"}:
                    text = file.read_text(encoding="utf-8").replace(VERSION, '"packed"')
                    packed.writestr(f"{place}/{file.relative_to(ROOT / name)}", text)
    return path


def packed(archive: Path, *argv: str | Path) -> str:
    """Run a command of the archive, and return what it prints; nothing of it is left."""
    temp = archive.with_name("temp")
    temp.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, archive, *argv],
        env=os.environ | {"TMPDIR": str(temp)},
        cwd=archive.parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert list(temp.iterdir()) == []
    return done.stdout


def test_an_archive_installs_the_schema(archive: Path, empty_dsn: str) -> None:
    assert packed(archive, "--version") == "forgea-pgjobs packed\n"
    assert packed(archive, "migrate", "--dsn", empty_dsn) == "".join(
        f"applied {name}\n" for name in ALL
    )
    assert f"schema version      {ALL[-1]}\n" in packed(archive, "status", "--dsn", empty_dsn)
    assert "\nno errors in " in packed(archive, "verify", "--dsn", empty_dsn)
    assert packed(archive, "rollback", "--dsn", empty_dsn) == f"rolled back {ALL[-1]}\n"


def test_an_archive_prints_the_install_text(archive: Path) -> None:
    assert packed(archive, "sql") == schema.recorded_install_sql()


def test_an_archive_prints_the_models(archive: Path) -> None:
    assert packed(archive, "models", "--prisma") == views.prisma()
    assert json.loads(packed(archive, "models", "--json-schema"))["$id"].endswith(":packed")


def test_the_workers_of_the_demo_come_from_the_archive_too(
    archive: Path, empty_dsn: str, tmp_path: Path
) -> None:
    lab = new_repository(tmp_path / "lab", ["one"])
    argv = ("demo", "--dsn", empty_dsn, "--repo", lab, "--workers", "1", "--commits", "1")
    assert "Everything held (" in packed(archive, *argv)


@pytest.mark.parametrize("command", ["migrate", "status", "sql"])
def test_an_installation_without_migrations_is_an_error(
    command: str, empty_dsn: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_folder", lambda _name: tmp_path)
    assert_error(run(command, *(["--dsn", empty_dsn] if command != "sql" else [])), "58P01")
