"""A contender, and the fresh databases that it is measured in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql

from bench.card import Card
from bench.child import Child
from forgea_pgjobs.embedded import Server


@dataclass(frozen=True, slots=True)
class Database:
    """One database with a contender's schema."""

    server: Server
    adapter: str
    name: str
    card: Card

    @property
    def url(self) -> str:
        """Where it is, in the one form that every driver reads."""
        return f"postgresql://postgres@/{self.name}?host={quote(str(self.server.folder), safe='')}"

    def execute(self, *statements: str) -> Any:
        """Run statements, each in its own transaction; return the first column of the last."""
        with psycopg.connect(self.server.dsn(self.name), autocommit=True) as conn:
            for statement in statements:
                answer = conn.execute(statement.encode())
            row = answer.fetchone() if answer.description else None
            return row[0] if row else None

    def with_filler(self) -> Database:
        """Return this database as the contender's filler works on it."""
        return replace(self, adapter=self.card.filler or self.adapter)

    def remaining(self) -> int:
        """Count the unfinished jobs."""
        return int(self.execute(self.card.remaining))

    def total(self) -> int:
        """Count all jobs."""
        return int(self.execute(self.card.total))

    def fill(self, count: int, prefix: str = "job", *, untimed: bool = True) -> float:
        """Enqueue ``count`` jobs in bulk and return jobs per second.

        Untimed, a contender may use a faster way of its own, and the tables are analyzed after it.
        """
        with Child(
            self.adapter, "bulk", url=self.url, count=count, prefix=prefix, keyed=False,
            untimed=untimed,
        ) as child:  # fmt: skip
            child.ready().go()
            rate = float(child.result()["rate"])
        if untimed:
            self.execute("vacuum (analyze)")
        return rate

    @contextmanager
    def producers(self, *given: dict[str, Any]) -> Iterator[list[Child]]:
        """Start a producer for each of the given arguments; they are connected and wait for go."""
        defaults = {"keyed": True, "options": {}}
        with self._children([defaults | one for one in given], "produce") as children:
            yield children

    @contextmanager
    def workers(
        self, count: int, *, stamp: bool = False, quiet: bool = False, **options: Any
    ) -> Iterator[list[Child]]:
        """Start workers that are connected and wait for ``go``."""
        given = {"stamp": stamp, "quiet": quiet, "options": options}
        with self._children([given] * count, "work") as children:
            yield children

    @contextmanager
    def _children(self, given: list[dict[str, Any]], role: str) -> Iterator[list[Child]]:
        with ExitStack() as stack:
            children = [
                stack.enter_context(Child(self.adapter, role, url=self.url, **one)) for one in given
            ]
            yield [child.ready() for child in children]


class Contender:
    """An adapter whose schema is installed in a template database."""

    def __init__(self, server: Server, name: str, adapter: str) -> None:
        self.server, self.name, self.adapter = server, name, adapter
        with Child(adapter, "card") as child:
            answer = child.result()
        self.version = answer.pop("version")
        self.card = Card(**answer)
        template = self._create("installed", "template0")
        with Child(adapter, "install", url=template.url) as child:
            child.result()

    @contextmanager
    def database(self, filled: int = 0) -> Iterator[Database]:
        """Make a database for the length of the block, with ``filled`` jobs queued.

        A filled one is kept as a template, so that the rounds to come need not fill it again.
        """
        template = self._filled(filled) if filled else f"{self.name}_installed"
        made = self._create("now", template)
        try:
            self._admin("checkpoint")
            yield made
        finally:
            self._drop(made.name)

    def _filled(self, count: int) -> str:
        try:
            made = self._create(str(count), f"{self.name}_installed")
        except psycopg.errors.DuplicateDatabase:
            return f"{self.name}_{count}"
        try:
            made.fill(count)
        except BaseException:
            self._drop(made.name)
            raise
        return made.name

    def _create(self, suffix: str, template: str) -> Database:
        made = Database(self.server, self.adapter, f"{self.name}_{suffix}", self.card)
        self._admin(
            sql.SQL("create database {} template {}").format(
                sql.Identifier(made.name), sql.Identifier(template)
            )
        )
        return made

    def _drop(self, name: str) -> None:
        self._admin(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))

    def _admin(self, statement: sql.Composed | str) -> None:
        with psycopg.connect(self.server.dsn(), autocommit=True) as conn:
            conn.execute(statement.encode() if isinstance(statement, str) else statement)
