"""How the event loop runs while trading: on which core, whether it sleeps, and on pages that stay."""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
from typing import TYPE_CHECKING, Final

from daemon.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.config import LoopConfig

_MCL_CURRENT: Final = 1
_MCL_FUTURE: Final = 2
_MCL_ONFAULT: Final = 4


def check_loop(config: LoopConfig) -> None:
    """Raise ConfigError where the core that was asked for is not ours."""
    cpu, allowed = config.cpu, sorted(os.sched_getaffinity(0))
    if cpu >= 0 and cpu not in allowed:
        there = ", ".join(str(one) for one in allowed)
        raise ConfigError(f"loop.cpu is {cpu}, and this process may use {there}")


def lock_memory() -> str:
    """Keep every page in memory, those to come too, so that none is fetched again; return why not.

    What comes is locked page by page as it is touched: else each new window of the journal, of which few
    pages are needed at once, would stop the loop for 0.5 ms.

    A finite limit is no permission: what reached it later would be refused memory in the middle of trading.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if limit != resource.RLIM_INFINITY and os.geteuid() != 0:
        return (
            f"this user may lock {limit >> 10} KiB, and it takes no limit (ulimit -l, LimitMEMLOCK=infinity)"
        )
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_MCL_CURRENT) != 0 or libc.mlockall(_MCL_FUTURE | _MCL_ONFAULT) != 0:
        return f"the system refuses it ({os.strerror(ctypes.get_errno())})"
    return ""


def settle_loop(config: LoopConfig, idle: Callable[[], None] | None = None) -> None:
    """Make the running loop what was asked for; a spinning one calls `idle` whenever it comes round."""
    if config.cpu >= 0:
        os.sched_setaffinity(0, {config.cpu})  # this thread alone: the worker has its own core
    if config.spin:
        loop = asyncio.get_running_loop()

        def spin() -> None:
            loop.call_soon(spin)
            if idle is not None:
                idle()

        spin()
