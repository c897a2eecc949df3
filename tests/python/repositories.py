"""Git repositories for the tests of the demo."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

AS_NOBODY = ("-c", "user.name=nobody", "-c", "user.email=nobody@localhost")


def git(folder: Path, *argv: str) -> str:
    """Run git in a folder, with none of the machine's configuration."""
    environment = {name: value for name, value in os.environ.items() if name[:4] != "GIT_"}
    done = subprocess.run(
        ["git", *AS_NOBODY, *argv],
        cwd=folder,
        env=environment | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"},
        capture_output=True,
        check=True,
        text=True,
    )
    return done.stdout.strip()


def new_repository(folder: Path, subjects: Sequence[str]) -> Path:
    """Make a repository with a Python file and a commit for each subject."""
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "lab.py").write_text("ANSWER = 42\n")
    git(folder, "add", ".")
    for subject in subjects:
        git(folder, "commit", "--quiet", "--allow-empty", "--cleanup=verbatim", "-m", subject)
    return folder
