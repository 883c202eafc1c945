"""Death on request: SIGKILL at the k-th call of a seam, to prove what survives it.

    TICKD_CRASH_AT=wire.sent#3 tickd run ...        dies once its third request has gone out

Nothing of this is imported unless the variable is set. Counted are calls of the venue's network and of the
disk: `journal.write` is before a record is appended, `journal.written` behind it, and so on. The feed's own
network is left alone.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Final

from daemon.errors import UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from daemon.seams import Appender, Disk, File, Handler, Net, Response, Seams, Wire

VARIABLE: Final = "TICKD_CRASH_AT"
POINTS: Final = (
    "journal.open",
    "journal.write",
    "journal.written",
    "journal.sync",
    "journal.synced",
    "file.replace",
    "file.replaced",
    "venue.connect",
    "venue.connected",
    "wire.send",
    "wire.sent",
    "wire.frame",
    "wire.taken",
    "rest.request",
    "rest.answer",
)


class Death:
    """Counts down to one call of one point."""

    def __init__(self, text: str) -> None:
        """Read `point#k`; raises UsageError."""
        self._point, _, count = text.partition("#")
        if self._point not in POINTS:
            near = nearest(self._point, POINTS)
            raise UsageError(f"{VARIABLE} is {text}: there is no point {self._point}{near}")
        if not count.isdecimal() or int(count) < 1:
            raise UsageError(f"{VARIABLE} is {text}: behind # it takes the number of the call, from 1 on")
        self._left = int(count)

    def at(self, point: str) -> None:
        """Be at a point, perhaps for the last time."""
        if point == self._point:
            self._left -= 1
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)


def arm(text: str, seams: Seams, venue_net: Net) -> tuple[Seams, Net]:
    """Return both with the point `text` names made deadly; raises UsageError."""
    death = Death(text)
    return seams._replace(disk=_Disk(seams.disk, death)), _Net(venue_net, death)


class _File:
    """A journal's file."""

    def __init__(self, file: File, death: Death) -> None:
        self._file = file
        self._at = death.at

    @property
    def size(self) -> int:
        return self._file.size

    def write(self, data: bytes) -> None:
        self._at("journal.write")
        self._file.write(data)
        self._at("journal.written")

    def sync(self) -> None:
        self._at("journal.sync")
        self._file.sync()
        self._at("journal.synced")

    def close(self) -> None:
        self._file.close()


class _Disk:
    def __init__(self, disk: Disk, death: Death) -> None:
        self._disk = disk
        self._death = death
        self.read, self.mode, self.remove = disk.read, disk.mode, disk.remove
        self.truncate, self.list, self.lock, self.boot = disk.truncate, disk.list, disk.lock, disk.boot
        self.folders = disk.folders

    def append(self, path: Path) -> Appender:
        return self._disk.append(path)

    def journal(self, path: Path) -> File:
        self._death.at("journal.open")
        return _File(self._disk.journal(path), self._death)

    def replace(self, path: Path, *parts: bytes) -> None:
        self._death.at("file.replace")
        self._disk.replace(path, *parts)
        self._death.at("file.replaced")


class _Wire:
    def __init__(self, wire: Wire, death: Death) -> None:
        self._wire = wire
        self._at = death.at
        self.close = wire.close

    def send(self, payload: bytes) -> None:
        self._at("wire.send")
        self._wire.send(payload)
        self._at("wire.sent")


class _Handler:
    def __init__(self, handler: Handler, death: Death) -> None:
        self._handler = handler
        self._at = death.at
        self.on_close = handler.on_close

    def on_frame(self, payload: bytes, last: bool) -> None:
        self._at("wire.frame")
        self._handler.on_frame(payload, last)
        self._at("wire.taken")


class _Net:
    def __init__(self, net: Net, death: Death) -> None:
        self._net = net
        self._death = death
        self.close = net.close

    async def connect(self, url: str, handler: Handler) -> Wire:
        self._death.at("venue.connect")
        wire = await self._net.connect(url, _Handler(handler, self._death))
        self._death.at("venue.connected")
        return _Wire(wire, self._death)

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> Response:
        self._death.at("rest.request")
        answer = await self._net.request(method, url, headers, body, timeout_s)
        self._death.at("rest.answer")
        return answer
