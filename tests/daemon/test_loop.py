from __future__ import annotations

import asyncio
import os

import pytest

from daemon.config import LoopConfig
from daemon.errors import ConfigError
from daemon.loop import check_loop, settle_loop


def test_a_core_of_another_is_refused(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5})
    check_loop(LoopConfig())
    check_loop(LoopConfig(cpu=5))
    with pytest.raises(ConfigError, match=r"^loop.cpu is 0, and this process may use 3, 5$"):
        check_loop(LoopConfig(cpu=0))


def test_the_thread_stays_on_its_core(monkeypatch):
    asked = []
    monkeypatch.setattr(os, "sched_setaffinity", lambda *args: asked.append(args))

    async def go():
        settle_loop(LoopConfig())
        assert asked == []
        settle_loop(LoopConfig(cpu=1))

    asyncio.run(go())
    assert asked == [(0, {1})]


@pytest.mark.parametrize("spin", [False, True])
def test_a_spinning_loop_never_sleeps(spin):
    async def go():
        loop = asyncio.get_running_loop()
        timeouts = []
        select = loop._selector.select
        loop._selector.select = lambda timeout: timeouts.append(timeout) or select(timeout)
        settle_loop(LoopConfig(spin=spin))
        await asyncio.sleep(0.01)
        assert any(timeout is None or timeout > 0 for timeout in timeouts) != spin

    asyncio.run(go())
