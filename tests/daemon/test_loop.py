from __future__ import annotations

import asyncio
import errno
import os
import resource
import subprocess
import sys
from types import SimpleNamespace

import pytest

from daemon import loop
from daemon.config import LoopConfig
from daemon.errors import ConfigError
from daemon.loop import check_loop, lock_memory, settle_loop


def test_a_core_of_another_is_refused(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5})
    check_loop(LoopConfig())
    check_loop(LoopConfig(cpu=5))
    with pytest.raises(ConfigError, match=r"^loop.cpu is 0, and this process may use 3, 5$"):
        check_loop(LoopConfig(cpu=0))


def test_a_finite_limit_is_no_permission_to_lock_memory(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (8 << 20, 8 << 20))
    monkeypatch.setattr(loop.ctypes, "CDLL", pytest.fail)
    assert lock_memory() == (
        "this user may lock 8192 KiB, and it takes no limit (ulimit -l, LimitMEMLOCK=infinity)"
    )


@pytest.mark.parametrize(("user", "limit"), [(0, 8 << 20), (1000, resource.RLIM_INFINITY)])
@pytest.mark.parametrize(("answer", "why"), [(0, ""), (-1, "the system refuses it (Cannot allocate memory)")])
def test_what_lives_and_what_comes_is_locked_or_the_systems_reason_told(
    monkeypatch, user, limit, answer, why
):
    asked = []
    libc = SimpleNamespace(mlockall=lambda flags: asked.append(flags) or answer)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    monkeypatch.setattr(loop.ctypes, "CDLL", lambda *_, **__: libc)
    monkeypatch.setattr(loop.ctypes, "get_errno", lambda: errno.ENOMEM)
    assert lock_memory() == why
    assert asked == ([1, 2 | 4] if answer == 0 else [1])  # MCL_CURRENT, then MCL_FUTURE | MCL_ONFAULT


def test_a_process_says_that_it_is_not_locked_or_is():
    script = (
        "import re; from daemon.loop import lock_memory; why = lock_memory(); "
        "text = open('/proc/self/status').read(); "
        r"print(bool(why) != (int(re.search(r'VmLck:\s+(\d+)', text)[1]) > 0))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "True\n"


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
        selector = asyncio.get_running_loop()._selector
        timeouts = []
        select = selector.select
        selector.select = lambda timeout: timeouts.append(timeout) or select(timeout)
        settle_loop(LoopConfig(spin=spin))
        await asyncio.sleep(0.01)
        assert any(timeout is None or timeout > 0 for timeout in timeouts) != spin

    asyncio.run(go())
