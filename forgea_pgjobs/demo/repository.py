"""The commits of a real git repository, in a bare repository of our own.

The other repository may be hostile. Only ``git rev-parse`` and ``git fetch`` read it, and only its
objects reach ours: no hook, no filter, no configuration. Every git here sees the one configuration
file written below, nothing of the system's, the user's or the caller's.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

from forgea_pgjobs.cli.output import plain
from forgea_pgjobs.errors import Refused

# safe.directory: root may read the checkout of another user, since nothing in it is run.
CONFIG = "[core]\nattributesFile = /dev/null\n[safe]\ndirectory = *\n"
BRANCH = "refs/heads/demo"
COMMITTER = "forgea_pgjobs demo <demo@localhost>"
BROKEN = ("Break a file on purpose (the demo's own commit)", "broken_on_purpose.py", "def broken(:")


@dataclass(frozen=True, slots=True)
class Repository:
    """A bare repository in a folder, with the configuration beside it."""

    folder: Path

    def fill(self, path: Path | None, commits: int) -> str:
        """Fetch the newest commits of the repository at path, else of the one that we stand in.

        Where we stand in none, or it has no commits yet, a few are made. Returns what they are of.

        Raises: Refused: there is no repository at path, or git fails.
        """
        self.folder.mkdir()
        (self.folder / "gitconfig").write_text(CONFIG, encoding="utf-8")
        self._git("init", "--quiet", "--bare", "--template=")
        origin = (path or Path.cwd()).resolve()
        try:
            # The commit of HEAD makes git fail where there is none.
            where = self._git("rev-parse", "--absolute-git-dir", "HEAD^0", within=origin)
        except Refused:
            if path is not None:
                message = f"{plain(str(path))} is no git repository with commits"
                raise Refused("58000", message, "Name another with --repo.") from None
            for number in range(1, commits + 1):
                words = (f"Add lesson {number}", f"lesson_{number}.py", f"LESSON = {number}\n")
                self._add(*words, number)
            return "a small repository made for this"
        git_dir = os.fsdecode(where.rsplit(b"\n", 2)[0])
        self._git("fetch", "--quiet", f"--depth={commits}", "--no-tags", git_dir, f"HEAD:{BRANCH}")
        return plain(str(origin))

    def newest(self, count: int) -> dict[str, str]:
        """Return SHA and subject of the last commits, the oldest first."""
        log = self._git("log", "--reverse", "--format=%H %s", f"--max-count={count}", BRANCH)
        lines = [line.partition(" ") for line in log.decode(errors="replace").split("\n") if line]
        return {sha: plain(subject) for sha, _, subject in lines}

    def add_broken(self) -> None:
        """Put a commit that does not compile on top: the same one on the same parent."""
        self._add(*BROKEN, int(self._git("log", "-1", "--format=%ct", BRANCH)))

    def check_out(self) -> str:
        """Return the line of shell that lays out the files of PGJOBS_COMMIT where it is run."""
        settings = [f"{name}={value}" for name, value in self._settings().items()]
        git = ["git", f"--git-dir={self.folder}/objects.git", "--work-tree=."]
        line = shlex.join(["env", *settings, "GIT_INDEX_FILE=../index", *git])
        return f'{line} read-tree -u --reset "$PGJOBS_COMMIT"'

    def _add(self, subject: str, name: str, content: str, seconds: int) -> None:
        parent = f"from {BRANCH}^0\n" if self._git("for-each-ref", BRANCH) else ""
        commit = (
            f"commit {BRANCH}\ncommitter {COMMITTER} {seconds} +0000\n"
            f"data {len(subject)}\n{subject}\n{parent}"
            f"M 100644 inline {name}\ndata {len(content)}\n{content}\n"
        )
        # One process, no index, no work tree, no hook.
        self._git("fast-import", "--quiet", feed=commit.encode())

    def _settings(self) -> dict[str, str]:
        return {
            "GIT_CONFIG_GLOBAL": str(self.folder / "gitconfig"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_ALLOW_PROTOCOL": "file",
            "GIT_NO_LAZY_FETCH": "1",
            "LC_ALL": "C",
        }

    def _git(self, *argv: str, within: Path | None = None, feed: bytes = b"") -> bytes:
        """Run git in a folder, else in ours."""
        theirs = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        place = ["-C", str(within)] if within else [f"--git-dir={self.folder}/objects.git"]
        env = theirs | self._settings()
        done = subprocess.run(["git", *place, *argv], env=env, input=feed, capture_output=True)
        if done.returncode != 0:
            command = next(word for word in argv if not word.startswith("-"))
            words = " | ".join(last_lines(done.stderr, 2))
            raise Refused("58000", f"git {command} failed: {words}", "")
        return done.stdout


def last_lines(output: bytes, count: int = 5) -> list[str]:
    """Return the last lines of a program's output that are not blank, each cut to 200."""
    lines = [plain(line) for line in output.decode(errors="replace").splitlines()]
    return [line[:200] for line in lines if line][-count:]
