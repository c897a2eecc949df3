"""The npm project of the clients that are written for node, installed once into .cache/clients."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from tests.clients.scenario import HERE, url

PROJECT = HERE.parent.parent / ".cache/clients"
OLDEST = (20, 19)  # what Prisma 7 runs on
MANIFESTS = ("package.json", "package-lock.json")


def missing() -> str | None:
    """Say why nothing of this can run, None where it can."""
    if not (shutil.which("node") and shutil.which("npm")):
        return "node and npm are not on PATH"
    version = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout
    major, minor, _patch = version.strip().removeprefix("v").split(".")
    if (int(major), int(minor)) < OLDEST:
        return f"node {version.strip()} is older than {'.'.join(map(str, OLDEST))}"
    return None


def install() -> Path:
    """Install what the lock file names, unless it is there, copy the sources; return the folder."""
    PROJECT.mkdir(parents=True, exist_ok=True)
    with (PROJECT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes come at once
        wanted = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in MANIFESTS))
        stamp = PROJECT / "installed"
        if not stamp.exists() or stamp.read_text() != wanted.hexdigest():
            for name in MANIFESTS:
                shutil.copy(HERE / name, PROJECT)
            run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
            stamp.write_text(wanted.hexdigest())
        for source in HERE.iterdir():
            if (
                source.suffix in {".json", ".mjs", ".prisma", ".ts"}
                and source.name not in MANIFESTS
            ):
                shutil.copy(source, PROJECT)
    return PROJECT


def run(*argv: str, dsn: str | None = None) -> str:
    """Run a program in the project's folder and return what it prints; fail with its own words."""
    done = subprocess.run(
        argv,
        cwd=PROJECT,
        env={
            **os.environ,
            # The engine of migrate is a download that nothing here needs.
            "PRISMA_SCHEMA_ENGINE_BINARY": "/bin/true",
            "CHECKPOINT_DISABLE": "1",
            **({} if dsn is None else {"DATABASE_URL": url(dsn)}),
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
