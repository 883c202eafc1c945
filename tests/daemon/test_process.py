from __future__ import annotations

from types import SimpleNamespace

import pytest

from daemon import process
from daemon.errors import JournalError
from daemon.options import RunOptions
from daemon.status import Status


def test_the_summary_is_printed_before_a_failure_is_raised(monkeypatch, capsys):
    last = Status(name="d", mode="live", version="1", state="STOPPED", now_ns=1, uptime_s=1.0)

    async def served(*_):
        return SimpleNamespace(last=last, failure=JournalError("the disk is full"))

    monkeypatch.setattr(process, "_serve", served)
    with pytest.raises(JournalError, match="the disk is full"):
        process.run(None, RunOptions(json=True), lambda: None)
    assert '"state":"STOPPED"' in capsys.readouterr().out
