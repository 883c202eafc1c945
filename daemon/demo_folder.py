"""The folder of `tickd demo`: one demo at a time, and what the last one left stays until the next one trades.

Whatever refuses a demo, a strategy that does not compile, a port that is taken, does so after the folder was
made ready for it. So what an earlier one left is only moved aside at first.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from daemon.disk import RealDisk
from daemon.errors import TickdError

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER: Final = Path("var/demo")
#: ends the names of what an earlier demo left
_ASIDE: Final = ".before"


class DemoFolder:
    """The folder as one demo has it; call `release` at its end."""

    def __init__(self, journal: Path, tape: Path) -> None:
        """Take what it is to hold beside its configuration."""
        self.config = FOLDER / "demo.toml"
        self._journal = journal
        self._parts: Sequence[Path] = (journal, tape, self.config)
        self._disk = RealDisk()
        self._held = False
        self._begun = FOLDER / "begun"  # while it is there, what is aside is being deleted

    def prepare(self, config: str) -> None:
        """Hold the folder, and write the daemon's configuration into it; raises TickdError.

        It is this demo's until `release`; its daemon takes the journal's lock only later.
        """
        try:
            look = RealDisk()
            look.lock(self._journal / "lock")  # a daemon that somebody started by hand may hold it
            look.release()
            self._disk.lock(FOLDER / "lock")
            self._held = True
            if self._begun.exists():
                self.begin()
            for part in self._parts:
                self._move_aside(part)
            self.config.write_text(config, encoding="utf-8")
        except BlockingIOError:
            raise TickdError(
                f"a demo is running in {FOLDER} already; end it, or start this one in another folder"
            ) from None
        except OSError as error:
            with suppress(OSError):
                self.release()
            raise TickdError(
                f"{FOLDER} cannot be written ({error.strerror}); start the demo in a folder of yours"
            ) from None

    def begin(self) -> None:
        """Delete what an earlier demo left: this one trades. Cut short, the next demo goes on with it."""
        self._begun.touch()
        for part in self._parts:
            _delete(_aside(part))
        if not any(_aside(part).exists() for part in self._parts):
            self._begun.unlink(missing_ok=True)

    def release(self) -> None:
        """Give the folder back, with what an earlier demo left where this one did not begin."""
        if not self._held:
            return
        for part in self._parts:
            aside = _aside(part)
            if aside.exists() and not self._begun.exists():
                _delete(part)
                aside.rename(part)
        self._disk.release()

    def _move_aside(self, part: Path) -> None:
        aside = _aside(part)
        if aside.exists():  # by a demo that was killed before it traded, and whose own is `part`
            _delete(part)
        elif part.exists():
            part.rename(aside)


def _aside(part: Path) -> Path:
    return part.with_name(part.name + _ASIDE)


def _delete(part: Path) -> None:
    if part.is_dir():
        shutil.rmtree(part, ignore_errors=True)
    else:
        part.unlink(missing_ok=True)
