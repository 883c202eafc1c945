"""An asyncio loop on virtual time: when nothing is left to do now, time jumps to what is due next."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket

    from daemon.clock import VirtualTime
    from tests.simulation.transport import End, Listener, Network


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs callbacks and tasks; asyncio's own timers wait on the same virtual time as everything else.

    There are no sockets, no threads and no executor: who asks for one has reached past the seams.
    """

    def __init__(self, time: VirtualTime) -> None:
        super().__init__()
        self._virtual = time
        self._selector = _Jump(time)

    def time(self) -> float:
        """Return virtual seconds."""
        return self._virtual.now_ns() / 1e9

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        """Call it at `when`, those of equal times in the order of asking: asyncio's own heap does not."""
        handle = asyncio.TimerHandle(when, callback, args, self, context)

        def due() -> None:
            if not handle.cancelled():
                self._ready.append(handle)

        self._virtual.call_at(round(when * 1e9), due)
        return handle

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        """Likewise, so many seconds from now."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def _process_events(self, events: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        raise AssertionError("another thread calls into virtual time")

    def run_in_executor(self, *_: Any) -> Any:
        """Refuse: nothing runs beside the loop."""
        raise AssertionError("an executor was asked for past the seams")


class ByteLoop(VirtualLoop):
    """The same with a network in memory under it, for the libraries that speak websocket and HTTP."""

    def __init__(self, time: VirtualTime, network: Network) -> None:
        super().__init__(time)
        self._network = network
        self._futures = count()

    def create_future(self) -> asyncio.Future[Any]:
        """Return a future whose place in a set is the same in every process: aiohttp wakes a set of them."""
        future = _Future(loop=self)
        future.number = next(self._futures)
        return future

    async def getaddrinfo(self, host: Any, port: Any, **_: Any) -> list[Any]:
        return await self._network.resolve(host, port)

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        await self._network.dial_socket(sock, address)

    async def create_connection(  # type: ignore[override]
        self, factory: Any, host: Any = None, port: Any = None, *, sock: Any = None, **_: Any
    ) -> tuple[End, Any]:
        return await self._network.connect(factory, host, port, sock)

    async def create_server(self, factory: Any, host: Any, port: Any, **_: Any) -> Listener:  # type: ignore[override]
        return self._network.listen(factory, host, port)


class _Future(asyncio.Future[Any]):
    """One whose hash is no address."""

    number: int

    def __hash__(self) -> int:
        return self.number


async def sleep_until(time: VirtualTime, at_ns: int) -> None:
    """Wait on virtual time."""
    passed = asyncio.get_running_loop().create_future()
    timer = time.call_at(at_ns, lambda: passed.done() or passed.set_result(None))
    try:
        await passed
    finally:
        timer.cancel()


class _Jump:
    """Where a loop would poll its sockets."""

    def __init__(self, time: VirtualTime) -> None:
        self._time = time

    def select(self, timeout: float | None) -> list[Any]:
        """Run what is due next, at its time; with work waiting (timeout 0) nothing."""
        if timeout is None:
            due_ns = self._time.next_ns
            assert due_ns is not None, "everybody waits, and nothing will ever happen"
            self._time.advance(due_ns)
        return []

    def close(self) -> None:
        """Do nothing."""
