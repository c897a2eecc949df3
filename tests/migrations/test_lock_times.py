"""The measurement of lock times finds the locks of a later migration and complains of long ones."""

from __future__ import annotations

import re

import pytest

from tests import lock_times
from tests.migrations.conftest import LATER, Folder


def test_every_change_is_listed_with_its_locks(
    folder: Folder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.add(
        "alter table pgjobs.job add column later integer;",
        "alter table pgjobs.job drop column later;",
    )
    monkeypatch.setattr(lock_times, "MOST", 0)
    assert lock_times.main(1000) == 1
    text = capsys.readouterr().out
    too_long = re.findall(r"^(.+?)  +AccessExclusiveLock .* TOO LONG$", text, re.MULTILINE)
    assert {f"{LATER}, up", f"{LATER}, down", "unlink_lab_sessions"} <= set(too_long)
    for step, mode in (("add", "ShareRowExclusive"), ("validate", "ShareUpdateExclusive")):
        assert re.search(rf"^link_lab_sessions, {step} +{mode}Lock ", text, re.MULTILINE)
    assert not re.search(r"^link_lab_sessions.* AccessExclusiveLock", text, re.MULTILINE)
