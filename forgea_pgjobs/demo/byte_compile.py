"""The default check, run as ``python -I byte_compile.py`` in the folder of a checked out commit.

Byte-compiles every Python file and keeps the result in memory: unlike compileall it writes nothing,
so a commit with a symlink for a ``__pycache__`` cannot make it write elsewhere. Nothing of the
commit is run or imported.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path


def main() -> int:
    """Return 1 if a file does not compile, and name it."""
    warnings.simplefilter("ignore")
    compiled, broken = 0, 0
    for folder, _subfolders, names in os.walk("."):
        for path in (Path(folder, name) for name in sorted(names) if name.endswith(".py")):
            if path.is_symlink() or not path.is_file():
                continue
            try:
                compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
                compiled += 1
            except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                print(f"{str(path)!a}: {type(error).__name__}: {str(error)!a}")
                broken += 1
    print(f"{compiled} files compile, {broken} do not")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
