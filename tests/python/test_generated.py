"""The synchronous modules are what the generator makes of the asynchronous ones."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = (".ci", "forgea_pgjobs/aio", "forgea_pgjobs/_sync")

pytest.importorskip("ruff", reason="the generator formats with ruff, of the dev extra")


def check(root: Path) -> subprocess.CompletedProcess[str]:
    script = root / ".ci" / "write_sync.py"
    return subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_synchronous_modules_are_current() -> None:
    done = check(ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_changed_module_is_not_current(copy: Path) -> None:
    assert check(copy).returncode == 0
    with (copy / "forgea_pgjobs/_sync/worker.py").open("a", encoding="utf-8") as module:
        module.write("# edited by hand\n")
    done = check(copy)
    assert done.returncode == 1
    assert "worker.py" in done.stdout


def test_a_module_without_a_source_is_not_current(copy: Path) -> None:
    (copy / "forgea_pgjobs/aio/worker.py").unlink()
    done = check(copy)
    assert done.returncode == 1
    assert "worker.py" in done.stdout
