"""What the verbs share: checks of what the command line names, the kernels, the configuration."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.errors import UsageError, unknown_strategy, unread

if TYPE_CHECKING:
    from daemon.config import Config


def check_there(path: Path | None, what: str) -> None:
    """Raise UsageError for something named on the command line that is not there."""
    if path is None:
        return
    try:
        path.stat()
    except OSError as error:
        raise UsageError(f"the {what} {path} {unread(error)}") from None


def check_strategy(reference: str | None) -> None:
    """Raise UsageError for a strategy that is not there: FILE.py, FILE.py:decide, or a shipped one's name."""
    if reference is None:
        return
    file = reference.partition(":")[0]
    if file.endswith(".py"):
        check_there(Path(file), "strategy file")
        return
    use_kernels()
    from strategies.base import SHIPPED

    if reference not in SHIPPED:
        raise UsageError(unknown_strategy(reference, SHIPPED))


def use_kernels() -> None:
    """Choose the kernel cache; from here on numba may be imported."""
    from daemon import kernel_cache

    kernel_cache.activate()


def load(path: Path, **overrides: str) -> Config:
    """Return a configuration, the environment's and these overrides in it; raises UsageError, ConfigError."""
    check_there(path, "configuration")
    from daemon import config

    return config.load(path, {**os.environ, **overrides})
