"""The model as the table in docs/host.md: what each call does, by where its job stands.

``python -m tests.races.transitions`` writes it there.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from tests.races import model

PAGE = Path(__file__).parents[2] / "docs/host.md"
TABLE = re.compile(r"(?<=<!-- what tests/races/model.py says -->\n)(?:\|.*\n)*")
# Where a job stands: the heading of its column, and its status.
PLACES = {
    "waiting": ("QUEUED, behind another", "QUEUED"),
    "delayed": ("QUEUED, delayed", "QUEUED"),
    "claimable": ("QUEUED, claimable", "QUEUED"),
    "running": ("RUNNING", "RUNNING"),
    "over": ("RUNNING, lease over", "RUNNING"),
    "PASSED": ("a worker's verdict", "the verdict"),
    "CANCELLED": ("any other ERROR", "ERROR"),
    "RUNS_EXHAUSTED": ("any other ERROR", "ERROR"),
}
BY_TOKEN = ("heartbeat", "complete", "complete_many", "release", "interrupt")
OTHER_NAMES = {"interrupt": "release(count_run => false)", "revoke": "revoke_lease"}


def rendered() -> str:
    """Return the table: for each call and each status all the answers that there are."""
    answers: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for state, _path in model.breadth_first():
        for action in model.actions(state):
            if action.name == "expire":
                continue  # no call: time passes
            after, answer = model.step(state, action)
            label = f"`{OTHER_NAMES.get(action.name, action.name)}`"
            if action.name in BY_TOKEN:
                is_latest = action.run == len(state[action.job].runs) - 1
                label += ", latest token" if is_latest else ", earlier token"
            # claim and rescue name no job.
            for number in (0, 1) if action.name in ("claim", "rescue") else (action.job,):
                before = state[number].place
                said = _said(before, after[number].place, answer)
                answers[label][PLACES[before][0]].add(said)
    columns = list(dict.fromkeys(heading for heading, _ in PLACES.values()))
    lines = [["call", *columns], ["---"] * (len(columns) + 1)]
    for label, cells in sorted(answers.items()):
        lines.append([label, *(" or ".join(sorted(cells[column])) for column in columns)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _said(before: str, after: str, answer: model.Answer) -> str:
    if isinstance(answer, str):
        return answer
    word = answer[0] if answer else None
    if isinstance(word, str) and word.islower():
        return f"`{word}`"
    return "as it is" if after == before else PLACES[after][1]


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(TABLE.sub(lambda _: rendered(), text), encoding="utf-8")
