"""The library part stands alone."""

from __future__ import annotations

import subprocess
import sys


def test_importing_the_package_imports_psycopg_and_nothing_else() -> None:
    code = (
        "import sys; import psycopg; before = set(sys.modules);"
        " import forgea_pgjobs, forgea_pgjobs.aio;"
        " print({name.split('.')[0] for name in set(sys.modules) - before}"
        " - set(sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "{'forgea_pgjobs'}"
