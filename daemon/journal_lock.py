"""One process at a time on a journal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from daemon.errors import TickdError, UsageError

if TYPE_CHECKING:
    from daemon.config import Config
    from daemon.seams import Disk


def hold_journal(config: Config, disk: Disk) -> None:
    """Keep other processes out; raises TickdError."""
    path = Path(config.journal.path) / "lock"
    try:
        disk.lock(path)
    except BlockingIOError:
        raise TickdError(
            f"another daemon is running on the journal {path.parent}; stop it, or give this one another name"
        ) from None
    except OSError as error:
        raise TickdError(f"the journal's folder {path.parent} cannot be used ({error.strerror})") from None


def lock_journal(config: Config, disk: Disk) -> str:
    """Keep daemons out; return a sentence where the folder cannot be used at all.

    Raises UsageError where a daemon holds it.
    """
    path = Path(config.journal.path) / "lock"
    try:
        disk.lock(path)
    except BlockingIOError:
        raise UsageError(
            f"a daemon holds the journal {path.parent}; use tickd flatten --name {config.name}, "
            "or end that process first"
        ) from None
    except OSError as error:
        return f"the journal's folder {path.parent} cannot be locked ({error.strerror}): start no daemon now"
    return ""
