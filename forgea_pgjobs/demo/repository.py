"""The commits of a real git repository, in a clone of our own.

The repository may be hostile. Only ``git rev-parse`` and ``git clone`` read it, and only its
objects reach the clone: no hook, no filter, no configuration. Every git here sees the one
configuration file written below, nothing of the system's, the user's or the caller's.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from forgea_pgjobs.cli.output import plain
from forgea_pgjobs.demo.errors import DemoFailed
from forgea_pgjobs.demo.text import last_lines

# safe.directory: root may read the checkout of another user, since nothing in it is run.
CONFIG = """\
[core]
    hooksPath = /dev/null
    attributesFile = /dev/null
[safe]
    directory = *
[gc]
    auto = 0
"""
BRANCH = "refs/heads/demo"
COMMITTER = "forgea_pgjobs demo <demo@localhost>"
BROKEN = ("Break a file on purpose (the demo's own commit)", "broken_on_purpose.py", "def broken(:")


@dataclass(frozen=True, slots=True)
class Repository:
    """A bare clone in a folder, with the configuration beside it."""

    folder: Path

    @classmethod
    def new(cls, folder: Path) -> Repository:
        """Make the folder; there is no clone in it yet."""
        folder.mkdir()
        (folder / "gitconfig").write_text(CONFIG, encoding="utf-8")
        return cls(folder)

    @property
    def git_dir(self) -> Path:
        """The clone."""
        return self.folder / "clone.git"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of every git."""
        theirs = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        return theirs | {
            "GIT_CONFIG_GLOBAL": str(self.folder / "gitconfig"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_ALLOW_PROTOCOL": "file",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C",
        }

    def clone(self, source: Path, depth: int) -> None:
        """Copy the newest commits of the repository at source.

        Raises: DemoFailed.
        """
        self._git(
            "clone", "--quiet", "--bare", "--no-local", "--no-tags", "--single-branch",
            f"--depth={depth}", "--template=", "--", str(source), str(self.git_dir),
        )  # fmt: skip
        self._in_clone("update-ref", BRANCH, "HEAD")

    def make(self, count: int) -> None:
        """Make a small repository of so many commits instead.

        Raises: DemoFailed.
        """
        self._in_clone("init", "--quiet", "--bare", "--template=")
        for number in range(1, count + 1):
            source = f'def lesson_{number}() -> str:\n    return "lesson {number}"\n'
            words = (f"Add lesson {number}", f"lesson_{number}.py", source)
            self._add(*words, 1_700_000_000 + 60 * number, has_parent=number > 1)

    def newest(self, count: int) -> list[tuple[str, str]]:
        """Return SHA and subject of the last commits, the oldest first."""
        log = self._in_clone(
            "log", "-z", "--reverse", "--format=%H %s", f"--max-count={count}", BRANCH
        )
        records = [record for record in log.decode(errors="replace").split("\0") if record]
        return [(sha, plain(subject)) for sha, _, subject in (r.partition(" ") for r in records)]

    def add_broken(self) -> tuple[str, str]:
        """Put a commit that does not compile on top; return its SHA and subject.

        The same parent gives the same commit, its time being the parent's.
        """
        self._add(*BROKEN, int(self._in_clone("log", "-1", "--format=%ct", BRANCH)))
        return self.newest(1)[0]

    def checkout(self, sha: str, tree: Path) -> list[str]:
        """Return the command that fills the empty folder with the commit's files."""
        return ["git", f"--git-dir={self.git_dir}", f"--work-tree={tree}",
                "read-tree", "-u", "--reset", sha]  # fmt: skip

    def git_dir_of(self, path: Path) -> Path | None:
        """Return the git directory of the repository with commits that path is in, if it is."""
        where = ["-C", str(path), "rev-parse"]
        if self._run([*where, "--verify", "--quiet", "HEAD^{commit}"]).returncode != 0:
            return None
        return Path(os.fsdecode(self._git(*where, "--absolute-git-dir").rstrip(b"\n")))

    def _add(
        self, subject: str, name: str, content: str, seconds: int, *, has_parent: bool = True
    ) -> None:
        # fast-import: one process, no index, no work tree, no hook.
        parent = f"from {BRANCH}^0\n" if has_parent else ""
        commit = (
            f"commit {BRANCH}\ncommitter {COMMITTER} {seconds} +0000\n"
            f"data {len(subject)}\n{subject}\n{parent}"
            f"M 100644 inline {name}\ndata {len(content)}\n{content}\n"
        )
        self._in_clone("fast-import", "--quiet", feed=commit.encode())

    def _in_clone(self, *argv: str, feed: bytes = b"") -> bytes:
        return self._git(f"--git-dir={self.git_dir}", *argv, feed=feed)

    def _git(self, *argv: str, feed: bytes = b"") -> bytes:
        done = self._run(argv, feed)
        if done.returncode != 0:
            command = next(word for word in argv if not word.startswith("-"))
            raise DemoFailed(f"git {command} failed: {' | '.join(last_lines(done.stderr, 2))}")
        return done.stdout

    def _run(
        self, argv: tuple[str, ...] | list[str], feed: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                ["git", *argv], env=self.environment, input=feed, capture_output=True, check=False
            )
        except FileNotFoundError:
            raise DemoFailed("git is not installed", sqlstate="58P01") from None


def obtain(path: Path | None, folder: Path, commits: int) -> tuple[Repository, str]:
    """Return a clone of the repository at path, else of the one we stand in, and what it is.

    Where we stand in none, or it has no commits yet, it is a small one made here.

    Raises: DemoFailed.
    """
    repository = Repository.new(folder)
    standing = (path or Path.cwd()).resolve()
    source = repository.git_dir_of(standing)
    if source is not None:
        repository.clone(source, commits)
        return repository, plain(str(standing))
    if path is not None:
        raise DemoFailed(
            f"{plain(str(path))} is no git repository with commits", "Name another with --repo."
        )
    repository.make(commits)
    return repository, "a small repository made for this"
