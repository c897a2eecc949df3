"""The commands and statements of the pages for operators, to be run as they are written.

Only where they lead to is replaced: the database names and connection strings of the pages.
"""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from psycopg.conninfo import make_conninfo

from tests.test_docs import ROOT

NAMES = ("install", "run", "backup", "backfill", "security", "feed")
PAGES = [ROOT / "docs" / f"{name}.md" for name in NAMES]
TEXT = "".join(page.read_text(encoding="utf-8") for page in PAGES)
BLOCK = re.compile(r"^```(sql|sh)\n((?:.*\n)*?)```$", re.MULTILINE)
URL = re.compile(r"postgresql://(?:(\w+)@)?(\w+)/(\w+)")


def section(title: str) -> str:
    """Return the text under a heading, up to the next heading of its level or above."""
    head = re.search(rf"^(#+) {re.escape(title)}$", TEXT, re.MULTILINE)
    assert head, title
    end = re.compile(rf"^#{{1,{len(head[1])}}} ", re.MULTILINE).search(TEXT, head.end())
    return TEXT[head.end() : end.start() if end else None]


def steps(title: str) -> Iterator[str]:
    """Yield, in order, what a section has a reader do with psql.

    That is each ``sh`` line that calls psql, and each ``sql`` block that begins with the line
    ``-- psql URL``.
    """
    for language, text in BLOCK.findall(section(title)):
        if language == "sh":
            lines = (line.partition("  #")[0] for line in text.replace("\\\n", "").splitlines())
            yield from (line for line in lines if line.startswith("psql "))
        elif text.startswith("-- psql "):
            yield text


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a reader of a page sits: his programs, his folder, and what the names lead to.

    ``places`` has a connection string for each database that is named alone or on localhost, and
    for each other host.
    """

    programs: Path
    folder: Path
    places: Mapping[str, str]

    def do(self, step: str) -> str:
        """Type a command, or statements into the psql that their first line names."""
        head, _, statements = step.partition("\n")
        if not head.startswith("-- psql "):
            return self._run(shlex.split(head))
        words = shlex.split(head.removeprefix("-- "))
        return self._run([*words, "-X", "-v", "ON_ERROR_STOP=1"], self._replace_urls(statements))

    def type(self, statements: str, place: str) -> str:
        """Type statements into a psql that is connected to a place."""
        return self._run(["psql", "-X", "-v", "ON_ERROR_STOP=1", place], statements)

    def _run(self, words: list[str], typed: str = "") -> str:
        done = subprocess.run(
            [self._replace_urls(self.places.get(word, word)) for word in words],
            cwd=self.folder,
            env={**os.environ, "PATH": f"{self.programs}:{os.environ['PATH']}"},
            input=typed,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert "warning" not in done.stderr.lower(), done.stderr
        return done.stdout

    def _replace_urls(self, text: str) -> str:
        def replaced(url: re.Match[str]) -> str:
            user, host, dbname = url.groups()
            place = self.places[dbname if host == "localhost" else host]
            return make_conninfo(place, **({"user": user} if user else {}))

        return URL.sub(replaced, text)
