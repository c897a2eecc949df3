"""Other migration tools: how each is handed our files as migrations of its own, and runs them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from forgea_pgjobs import schema
from tests.clients import node
from tests.clients.scenario import url

PAGE = schema.migrations_folder().parent / "docs/install.md"
BINARIES = node.PROJECT / "node_modules/.bin"
DBMATE = node.PROJECT / "node_modules/@dbmate/linux-x64/bin/dbmate"
Command = tuple[str | Path, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """A migration and its down, as texts."""

    name: str
    up: str
    down: str


def ours() -> list[Step]:
    """Return our migrations, and after them one of the host's own, which names no schema."""
    files = schema.migration_files()
    steps = [
        Step(
            f"{name[:4]}_{name[5:]}",
            path.read_text(encoding="utf-8"),
            path.with_suffix(".rollback.sql").read_text(encoding="utf-8"),
        )
        for name, path in files.items()
    ]
    last = Step("0004_push", "create table push (commit_sha text);\n", "drop table push;\n")
    return [*steps, last]


def documented(tool: str) -> list[str]:
    """Return the code that docs/install.md shows for a tool."""
    [line] = re.findall(rf"^\| {tool} \| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return re.findall(r"`([^`]+)`", line)


# As `alembic init` writes it, but for the URL.
ALEMBIC_ENV = """
import os
from alembic import context
from sqlalchemy import create_engine, make_url

url = make_url(os.environ["DATABASE_URL"]).set(drivername="postgresql+psycopg")
if context.is_offline_mode():
    context.configure(url=url, literal_binds=True, dialect_opts={"paramstyle": "named"})
    with context.begin_transaction():
        context.run_migrations()
else:
    with create_engine(url).connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
"""
DJANGO_SETTINGS = """
import os
from psycopg.conninfo import conninfo_to_dict

options = conninfo_to_dict(os.environ["DATABASE_URL"])
NAME = options.pop("dbname")
DATABASES = {
    "default": {"ENGINE": "django.db.backends.postgresql", "NAME": NAME, "OPTIONS": options}
}
INSTALLED_APPS = ["lab"]
"""


def alembic(folder: Path, steps: Sequence[Step]) -> None:
    execute, *_ = documented("Alembic")
    (folder / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s\n")
    (folder / "env.py").write_text(ALEMBIC_ENV)
    (folder / "versions").mkdir()
    former = None
    for step in steps:
        (folder / f"versions/{step.name}.py").write_text(
            f"from alembic import op\n"
            f"revision, down_revision = {step.name!r}, {former!r}\n"
            f"def upgrade():\n    sql = {step.up!r}\n    {execute}\n"
            f"def downgrade():\n    sql = {step.down!r}\n    {execute}\n"
        )
        former = step.name


def django(folder: Path, steps: Sequence[Step]) -> None:
    run_sql, *_ = documented("Django")
    (folder / "settings.py").write_text(DJANGO_SETTINGS)
    (folder / "lab/migrations").mkdir(parents=True)
    for package in ("lab", "lab/migrations"):
        (folder / package / "__init__.py").touch()
    former: list[tuple[str, str]] = []
    for step in steps:
        (folder / f"lab/migrations/{step.name}.py").write_text(
            f"from django.db import migrations\n"
            f"up, down = {step.up!r}, {step.down!r}\n"
            f"class Migration(migrations.Migration):\n"
            f"    dependencies = {former!r}\n    operations = [{run_sql}]\n"
        )
        former = [("lab", step.name)]


def marked(tool: str) -> Callable[[Path, Sequence[Step]], None]:
    """Return what writes files in which a comment begins the up, and another the down."""

    def write(folder: Path, steps: Sequence[Step]) -> None:
        up, down = documented(tool)
        for step in steps:
            (folder / f"{step.name}.sql").write_text(f"{up}\n{step.up}{down}\n{step.down}")

    return write


def knex(folder: Path, steps: Sequence[Step]) -> None:
    raw, *_ = documented("knex")
    (folder / "migrations").mkdir()
    (folder / "node_modules").symlink_to(node.PROJECT / "node_modules")
    (folder / "knexfile.mjs").write_text(
        "export default {\n"
        '  client: "pg", connection: process.env.DATABASE_URL,\n'
        '  migrations: { loadExtensions: [".mjs"] },\n};\n'
    )
    for step in steps:
        texts = {"up": step.up, "down": step.down}
        (folder / f"migrations/{step.name}.mjs").write_text(
            "\n".join(
                f"export async function {name}(knex) {{\n"
                f"  const sql = {json.dumps(text)};\n  await {raw};\n}}"
                for name, text in texts.items()
            )
        )


def drizzle(folder: Path, steps: Sequence[Step]) -> None:
    journal, *_ = documented("drizzle-orm")
    (folder / journal).parent.mkdir()
    entries = [{"tag": step.name, "when": number} for number, step in enumerate(steps, 1)]
    (folder / journal).write_text(json.dumps({"entries": entries}))
    for step in steps:
        (folder / f"{step.name}.sql").write_text(step.up)


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool: it writes a project into a folder; its commands have {} for that folder."""

    write: Callable[[Path, Sequence[Step]], None]
    up: Command
    down: Command | None  # of everything; dbmate's undoes one migration at a time
    versions: str
    in_node: bool = True

    def missing(self) -> str | None:
        """Say why it cannot run, None where it can."""
        if not self.in_node:
            return None
        if reason := node.missing():
            return reason
        node.install()
        return None if self.up[0] != DBMATE or DBMATE.exists() else "dbmate is not for this system"

    def run(
        self, command: Command, folder: Path, dsn: str, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of the tool's on a database."""
        return subprocess.run(
            [str(word).replace("{}", str(folder)) for word in command],
            cwd=node.PROJECT if self.in_node else folder,
            env={**os.environ, "DATABASE_URL": f"{url(dsn)}&sslmode=disable", **env},
            capture_output=True,
            text=True,
            timeout=120,
        )


ALEMBIC = (sys.executable, "-m", "alembic")
DJANGO = (sys.executable, "-m", "django", "migrate", "--settings=settings", "--pythonpath=.", "lab")
RUN_DBMATE = (DBMATE, "--migrations-dir", "{}", "--no-dump-schema")
MIGRATE = (BINARIES / "node-pg-migrate", "--migrations-dir", "{}")
KNEX = (BINARIES / "knex", "--knexfile", "{}/knexfile.mjs")
TOOLS = {
    "Alembic": Tool(
        alembic,
        (*ALEMBIC, "upgrade", "head"),
        (*ALEMBIC, "downgrade", "base"),
        "public.alembic_version",
        in_node=False,
    ),
    "Django": Tool(django, DJANGO, (*DJANGO, "zero"), "public.django_migrations", in_node=False),
    "dbmate": Tool(
        marked("dbmate"),
        (*RUN_DBMATE, "migrate"),
        (*RUN_DBMATE, "rollback"),
        "public.schema_migrations",
    ),
    "node-pg-migrate": Tool(
        marked("node-pg-migrate"), (*MIGRATE, "up"), (*MIGRATE, "down", "9"), "public.pgmigrations"
    ),
    "knex": Tool(
        knex,
        (*KNEX, "migrate:latest"),
        (*KNEX, "migrate:rollback", "--all"),
        "public.knex_migrations",
    ),
    "drizzle-orm": Tool(
        drizzle, ("node", "drizzle.mjs", "{}"), None, "drizzle.__drizzle_migrations"
    ),
}
