"""Letting one process compile a kernel while others wait for it, and then find it in the cache.

Two that start together without a cache would each compile everything; and numba's index of a kernel's
variants is read, added to and written in three steps, between which another process may write its own.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

from numba.core.caching import NullCache
from numba.core.compiler_lock import global_compiler_lock
from numba.core.dispatcher import Dispatcher

_alone = Dispatcher.compile
#: kernels whose lock this process has: a kernel that calls itself compiles itself anew
_held: set[str] = set()


def install() -> None:
    """Have every compilation of this process go through here. `kernel_cache.activate` comes first."""
    setattr(Dispatcher, "compile", _compile)  # noqa: B010 - to mypy a method is no variable


def _compile(self: Any, signature: Any) -> Any:
    """Compile a kernel, or load it, with its lock: callers' before callees', so that no ring can form."""
    name = f"{self.py_func.__module__}.{self.py_func.__qualname__}"
    with global_compiler_lock:  # first: a thread with a kernel's lock must not wait for one with this
        if name in _held or isinstance(self._cache, NullCache):
            return _alone(self, signature)
        _held.add(name)
        try:
            with _lock_file(name).open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                return _alone(self, signature)
        finally:
            _held.discard(name)


def _lock_file(name: str) -> Path:
    folder = Path(os.environ["NUMBA_CACHE_DIR"]) / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name
