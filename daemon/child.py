"""A process of our own that we start, listen to and end: the demo's exchange and daemon."""

from __future__ import annotations

import asyncio
import signal
import socket
from contextlib import suppress
from mmap import PAGESIZE
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from daemon.errors import ReportedError, TickdError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: one that was told to end has so long to do it
END_S: Final = 15.0
#: a line it prints is at most so long
_LINE_BYTES_MAX: Final = 1 << 22
#: events of the simulated exchange after which no other will come; "error" says why
_FAILURES: Final = frozenset({"tape_failed", "failed"})


class Child:
    """A process that ends when its standard input closes, and so never outlives us.

    It reports in JSON lines with an "event", or once, at its end. It has a session of its own, so that Ctrl-C
    is ours to handle, in order; its errors go where ours go.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, command: list[str], environ: Mapping[str, str]) -> None:
        """Start it."""
        self._process = await asyncio.create_subprocess_exec(
            *command,
            env=environ,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
            limit=_LINE_BYTES_MAX,
        )

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.returncode is None

    @property
    def exit_code(self) -> int:
        """What it ended with; a signal's number is negative."""
        assert self._process is not None
        assert self._process.returncode is not None
        return self._process.returncode

    def resident_bytes(self) -> int:
        """Return how much of its memory is in pages, as the kernel counts it."""
        assert self._process is not None
        path = Path(f"/proc/{self._process.pid}/statm")
        return int(path.read_text(encoding="ascii").split()[1]) * PAGESIZE

    def pause(self) -> None:
        """Let it stand still; it can be killed, but not asked to end before `go_on`."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it run again; harmless while it runs, and once it has ended."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self.running:
            assert self._process is not None
            self._process.send_signal(number)

    async def message(self, event: str) -> dict[str, Any]:
        """Return its next JSON line of this event; raises TickdError when it ends without one."""
        assert self._process is not None
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            message: dict[str, Any] = msgspec.json.decode(line)
            if message["event"] == event:
                return message
            if message["event"] in _FAILURES:
                raise TickdError(str(message["error"]))
        await self._process.wait()
        raise self.failure()

    def failure(self) -> TickdError:
        """Return what its end means to us, who did not ask for it or not for such a one."""
        if self.exit_code > 0:
            return ReportedError(self.exit_code)
        how = f"was killed by signal {-self.exit_code}" if self.exit_code else "ended by itself"
        return TickdError(f"{self._what} {how}; start again")

    async def ended(self, seconds: float | None = None) -> bool:
        """Wait for its end, for so long or until it comes; return whether it came."""
        assert self._process is not None
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._process.wait()
        return not self.running

    async def output(self) -> bytes:
        """Wait for its end and return what it printed; raises TickdError when it does not end."""
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(END_S):
                printed = await self._process.stdout.read()
                await self._process.wait()
        except TimeoutError:
            raise TickdError(f"{self._what} did not end within {END_S:.0f} s, so it was killed") from None
        return printed

    def release(self) -> None:
        """Release one that was started with --hold; it may have ended meanwhile."""
        if self.running and self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(b"\n")

    def end(self) -> None:
        """Ask it to end."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    def kill(self) -> None:
        """End it at once: it has nothing to lose yet, and may be compiling, deaf to everything else."""
        if self.running:
            assert self._process is not None
            self._process.kill()

    async def gone(self) -> None:
        """See it to its end: asked first, killed if that takes too long."""
        if self._process is None:
            return
        self.end()
        with suppress(TickdError):
            await self.output()
        if self.running:
            self._process.kill()
            await self._process.wait()


def free_port() -> int:
    """Return a loopback port that is free now, for a process that must be told of it before it listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
