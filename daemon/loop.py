"""How the event loop runs while trading: on which core, and whether it sleeps."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from daemon.errors import ConfigError

if TYPE_CHECKING:
    from daemon.config import LoopConfig


def check_loop(config: LoopConfig) -> None:
    """Raise ConfigError where the core that was asked for is not ours."""
    cpu, allowed = config.cpu, sorted(os.sched_getaffinity(0))
    if cpu >= 0 and cpu not in allowed:
        there = ", ".join(str(one) for one in allowed)
        raise ConfigError(f"loop.cpu is {cpu}, and this process may use {there}")


def settle_loop(config: LoopConfig) -> None:
    """Make the running loop what was asked for."""
    if config.cpu >= 0:
        os.sched_setaffinity(0, {config.cpu})  # this thread alone: the worker has its own core
    if config.spin:
        loop = asyncio.get_running_loop()

        def spin() -> None:
            loop.call_soon(spin)

        spin()
