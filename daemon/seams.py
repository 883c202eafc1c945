"""What the daemon takes from outside: time, timers, network, disk, executor and randomness.

Everything above these protocols runs unchanged on real sockets, in a replay and on virtual time. No other
module may reach past them: `tests/test_tidy.py` forbids `time`, `socket`, `random`, `open` and executors
elsewhere. The event loop is injected by who starts it; code above uses it only through asyncio's own verbs.

Implementations: daemon/clock.py (time), daemon/net.py (websockets, HTTP), daemon/disk.py (files, worker),
daemon/notices.py (the service manager).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from random import Random

T = TypeVar("T")


class Clock(Protocol):
    """The only source of time. Both readings advance together between two `resync` calls."""

    def now_ns(self) -> int:
        """Return UTC nanoseconds since the epoch."""

    def mono_ns(self) -> int:
        """Return monotonic nanoseconds, for spans only."""

    def resync(self) -> int:
        """Take over the system's wall clock; return the step in ns (positive: it was ahead of us)."""


class Timer(Protocol):
    """One pending call."""

    def cancel(self) -> None:
        """Forget it; harmless after it ran."""


class Scheduler(Protocol):
    """Calls plain functions later, in order of (time, order of asking)."""

    def call_at(self, when_ns: int, fn: Callable[[], None]) -> Timer:
        """Call `fn` when the clock's `now_ns` reaches `when_ns`."""


class Wire(Protocol):
    """One open websocket."""

    def send(self, payload: bytes) -> None:
        """Write one text frame now, without awaiting; raises NetError when the connection is gone."""

    def close(self) -> None:
        """Start the closing handshake; the handler's `on_close` follows."""


class Handler(Protocol):
    """Who receives a websocket's frames, as plain calls on the loop's own stack."""

    def on_frame(self, payload: bytes, last: bool) -> None:
        """Take one whole message; `last`: nothing more is readable now, so decide."""

    def on_close(self, reason: str) -> None:
        """Learn that the connection is gone; called once per connection."""


class Response(NamedTuple):
    """An HTTP answer, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Net(Protocol):
    """Websockets and HTTP requests. Both raise NetError with a sentence when the other side cannot be had."""

    async def connect(self, url: str, handler: Handler) -> Wire:
        """Open a websocket; frames may reach the handler before this returns."""

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> Response:
        """Make one HTTP request; never retried here."""

    async def close(self) -> None:
        """Give back connections."""


class Appender(Protocol):
    """One append-only file."""

    @property
    def size(self) -> int:
        """Return the file's length in bytes."""

    def write(self, data: bytes) -> None:
        """Append all of `data`; raises OSError (a full disk), and then nothing of it is in the file."""

    def close(self) -> None:
        """Close without syncing."""


class File(Appender, Protocol):
    """One append-only file of what must survive the machine."""

    def sync(self) -> None:
        """Make everything written so far durable; blocking, so call it in a worker."""


class Boot(NamedTuple):
    """One start of one machine; before another lies a power cut, or the journal's way to that machine."""

    name: str  # no other start has it, of no machine; "": not known
    age_ns: int  # how long ago it was


class Disk(Protocol):
    """The files the daemon writes. All are created with mode 0600."""

    def append(self, path: Path) -> Appender:
        """Open for appending, creating it and its folders."""

    def journal(self, path: Path) -> File:
        """Likewise, for what must survive; while it is open, zeros may follow what was written."""

    def read(self, path: Path) -> bytes:
        """Return the whole file; raises FileNotFoundError."""

    def mode(self, path: Path) -> int:
        """Return the file's permission bits; raises FileNotFoundError."""

    def truncate(self, path: Path, size: int) -> None:
        """Cut a torn tail, durably."""

    def remove(self, path: Path) -> None:
        """Delete the file, durably."""

    def replace(self, path: Path, *parts: bytes) -> None:
        """Write a whole file durably and atomically: temporary name, sync, rename, sync the folder."""

    def folders(self, folder: Path) -> list[Path]:
        """Return the folders in a folder, sorted by name; empty where there is none."""

    def list(self, folder: Path) -> list[Path]:
        """Return the folder's files, sorted by name; empty where there is none."""

    def boot(self) -> Boot:
        """Return when the machine started: what was written and not synced before that may be lost."""

    def lock(self, path: Path) -> None:
        """Take the exclusive lock on `path` until this process ends; raises BlockingIOError if held."""


class Worker(Protocol):
    """Runs what blocks, off the loop."""

    async def call(self, fn: Callable[..., T], *args: object) -> T:
        """Return `fn(*args)`, run elsewhere."""


class Notices(Protocol):
    """The way to who started the daemon as a service, where somebody did."""

    def send(self, text: str) -> bool:
        """Say it, now or never; return whether it was taken."""


class Seams(NamedTuple):
    """All of them, as one argument."""

    clock: Clock
    scheduler: Scheduler
    net: Net
    disk: Disk
    worker: Worker
    random: Random
