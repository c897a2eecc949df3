"""The command line of the benchmark: ``make bench`` runs ``python -m bench``."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bench.loads import LOADS, ONCE
from bench.plots import singles, snapshot
from bench.report import markdown
from bench.run import CONTENDERS, SETTINGS, SLOW, describe, left_out, measure, prepare, surroundings
from bench.size import FULL, QUICK
from forgea_pgjobs.embedded import run_server

HERE = Path(__file__).parent


def main() -> int:
    """Measure, and write results.json, results.md and the plots."""
    asked = _arguments()
    names = asked.peers or list(CONTENDERS)
    loads = asked.loads or [load for load in LOADS if not asked.quick or load not in ONCE]
    # The last figures of the whole are kept with the sources; a look at a part is not.
    is_part = asked.quick or asked.peers or asked.loads
    out: Path = asked.out or (Path(sys.prefix) / "last" if is_part else HERE)
    out.mkdir(exist_ok=True)
    absent = left_out()
    if asked.quick and not asked.peers:
        absent |= dict.fromkeys(SLOW, "left out of a quick look: it takes minutes")
    with run_server(settings=SETTINGS) as server:
        contenders = prepare(server, names, absent)
        results: dict[str, Any] = {
            "begun": time.strftime("%F %T"),
            "quick": asked.quick,
            "server": surroundings(server),
            "contenders": describe(contenders, server),
            "absent": absent,
            "runs": [],
        }
        for name, reason in absent.items():
            _say(f"{name} is {reason}")
        if not contenders:
            return 1
        size = QUICK if asked.quick else FULL
        rounds = asked.rounds or (1 if asked.quick else None)
        for run in measure(contenders, loads, size, rounds=rounds, cheap=asked.cheap):
            results["runs"].append(run)
            _say(
                f"{run['load']:10} {run['round']} {run['contender']:14} {run['seconds']:6.1f} s  "
                + (run.get("failed") or json.dumps(run["figures"])[:160])
            )
            # After every run, so that an interrupted benchmark keeps what it has.
            _write(out, results)
    _say(f"written to {out}")
    return 0


def _write(out: Path, results: dict[str, Any]) -> None:
    texts = {
        "results.json": lines(results),
        "results.md": markdown(results),
        "singles.svg": singles(results),
        "snapshot.svg": snapshot(results),
    }
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8")


def lines(results: dict[str, Any]) -> str:
    """Return the results as JSON, a run or another part on each line."""
    runs = ",\n".join(map(json.dumps, results["runs"]))
    others = (f"{json.dumps(key)}: {json.dumps(results[key])}" for key in results if key != "runs")
    return "{\n" + ",\n".join([*others, f'"runs": [\n{runs}\n]']) + "\n}\n"


def _say(line: str) -> None:
    sys.stdout.write(f"{time.strftime('%T')} {line}\n")
    sys.stdout.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="all small, and no counts")
    parser.add_argument(
        "--rounds",
        type=int,
        help="of each load (5, of backlog and snapshot 7: a full run takes hours; with --quick 1)",
    )
    parser.add_argument("--loads", type=_some_of(LOADS), help=f"some of {','.join(LOADS)}")
    parser.add_argument(
        "--peers", type=_some_of(CONTENDERS), help=f"some of {','.join(CONTENDERS)}"
    )
    parser.add_argument(
        "--cheap",
        type=float,
        default=math.inf,
        help="do not repeat what took more seconds than this (without it all is repeated)",
    )
    parser.add_argument("--out", type=Path, help="folder of the results")
    return parser.parse_args()


def _some_of(known: Iterable[str]) -> Callable[[str], list[str]]:
    def split(text: str) -> list[str]:
        names = text.split(",")
        if unknown := set(names).difference(known):
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
        return names

    return split


if __name__ == "__main__":
    sys.exit(main())
