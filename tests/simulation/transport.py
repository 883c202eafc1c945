"""Connections in memory that carry bytes as TCP does between two machines, and asyncio's transports on them.

What is written arrives late, in order, in other pieces than it was written in; or not at all. A connection
takes only so much that nobody has read: then its transport keeps the rest, and pauses who writes.
It ends by a FIN behind the last byte, by a reset in the middle of a frame, or, where bytes are swallowed,
unheard.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections import deque
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from tests.simulation.loop import sleep_until
from tests.simulation.run import OWNER
from tests.simulation.weather import ADDRESS

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context
    from random import Random

    from daemon.clock import VirtualTime
    from tests.simulation.run import Run
    from tests.simulation.weather import Weather

#: what may be on its way or unread, toward the exchange and from it. The way there is narrow, so that a few
#: orders that nobody reads already stop the next ones
WINDOW_BYTES = {True: 2 << 10, False: 64 << 10}
#: what a transport keeps before it pauses who writes; half of it lets him go on
HIGH_BYTES = {True: 1 << 10, False: 64 << 10}
EXCHANGE = "10.0.0.2"
#: of what is written, what arrives in two pieces; and into how many pieces it is shredded
SPLIT_SHARE, SHREDS_MAX = 0.2, 24


class Socket:
    """What libraries ask of a socket. It has no descriptor, so that none can write past the transport."""

    family, type, proto = socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP

    def __init__(self, name: tuple[str, int]) -> None:
        self._name = name

    def fileno(self) -> int:
        return -1

    def getsockname(self) -> tuple[str, int]:
        return self._name

    def setsockopt(self, *_: object) -> None:
        pass

    def getsockopt(self, *_: object) -> int:
        return 0


class End(asyncio.Transport):
    """One end of a connection. What it writes is `unread` until the other end's protocol has taken it."""

    peer: End

    def __init__(self, link: Link, here: tuple[str, int], there: tuple[str, int], upward: bool) -> None:
        super().__init__({"socket": Socket(here), "sockname": here, "peername": there})
        self._link = link
        self._net = link.net
        self._upward = upward  # what it writes goes to the exchange
        self._protocol: Any = None
        self._context: Context
        self._arriving: deque[tuple[int, bytes | None]] = deque()  # None: the FIN
        self._due_ns = 0
        self._kept = bytearray()
        self._high = HIGH_BYTES[upward]
        self._paused = self._closing = self._reading_paused = False
        self.unread = 0
        self.lost = False
        self.swallows = False  # what it writes is never heard of again
        self.breaks_after = -1  # bytes that still arrive here before the connection is reset

    def attach(self, protocol: Any, context: Context) -> None:
        """Begin: whatever is called of the protocol is called in this context."""
        self._protocol = protocol
        self._context = context
        context.run(protocol.connection_made, self)
        self._deliver()

    # --- asyncio.Transport: writing -------------------------------------------------------------------------
    def write(self, data: Any) -> None:
        if self._closing or not data:
            return
        self._kept += data
        self._push()
        if len(self._kept) > self._high and not self._paused:
            self._paused = True
            self._protocol.pause_writing()

    def get_write_buffer_size(self) -> int:
        return len(self._kept)

    def _push(self) -> None:
        """Let go of what the way takes, and of the FIN behind it."""
        kept = self._kept
        room = WINDOW_BYTES[self._upward] - self.unread
        if kept and room > 0:
            piece = bytes(kept[:room])
            del kept[:room]
            self.unread += len(piece)
            if not self.swallows:
                for part in self._net.split(piece):
                    self.peer.expect(part)
        if self._paused and len(kept) <= self._high // 2 and not self._closing:
            self._paused = False
            self._context.run(self._protocol.resume_writing)
        if self._closing and not kept and not self.lost:
            if not self.swallows:
                self.peer.expect(None)
            self._lose(None)

    # --- asyncio.Transport: reading -------------------------------------------------------------------------
    def expect(self, part: bytes | None) -> None:
        """Let it arrive here after a while."""
        self._due_ns = max(self._due_ns, self._net.weather.arrives(self._link))
        self._arriving.append((self._due_ns, part))
        self._net.time.call_at(self._due_ns, self._deliver)

    def _deliver(self) -> None:
        """Give the protocol, as one read, whatever has arrived."""
        now_ns = self._net.time.now_ns()
        arriving = self._arriving
        if self.lost or self._reading_paused or self._protocol is None:
            return
        if not arriving or arriving[0][0] > now_ns:
            return
        held_ns = self._net.weather.reads(self._link, upward=not self._upward)
        if held_ns > now_ns:
            self._net.time.call_at(held_ns, self._deliver)
            return
        parts = []
        while arriving and arriving[0][0] <= now_ns and arriving[0][1] is not None:
            parts.append(arriving.popleft()[1] or b"")
        if parts:
            self._read(b"".join(parts))
        if arriving and arriving[0][0] <= now_ns and arriving[0][1] is None:
            if self._closing:
                self.abort()  # nobody will read what is still to leave
            elif not self._context.run(self._protocol.eof_received):
                self.close()

    def _read(self, data: bytes) -> None:
        if self.breaks_after >= 0:
            data = data[: self.breaks_after]
            self.breaks_after -= len(data)
        peer = self.peer
        peer.unread -= len(data)
        if data and not self._closing:
            self._context.run(self._feed, data)
        if self.breaks_after == 0:
            self._link.cut("", 0)
        elif peer._kept:
            peer._push()

    def _feed(self, data: bytes) -> None:
        protocol = self._protocol
        if not isinstance(protocol, asyncio.BufferedProtocol):
            protocol.data_received(data)
            return
        while data and not self._closing:
            buffer = protocol.get_buffer(len(data))
            size = min(len(buffer), len(data))
            buffer[:size] = data[:size]
            data = data[size:]
            protocol.buffer_updated(size)

    def pause_reading(self) -> None:
        self._reading_paused = True

    def resume_reading(self) -> None:
        self._reading_paused = False
        self._net.time.call_at(self._net.time.now_ns(), self._deliver)

    # --- asyncio.Transport: its end -------------------------------------------------------------------------
    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        """End once everything has left."""
        if not self._closing:
            self._closing = True
            self._push()

    def abort(self) -> None:
        """End with what has left already."""
        self._kept.clear()
        self._closing = True
        self._push()

    def fail(self, error: OSError) -> None:
        """Be told that the connection is gone."""
        self._kept.clear()
        self._closing = True
        self._lose(error)

    def _lose(self, error: OSError | None) -> None:
        if not self.lost:
            self.lost = True
            self._arriving.clear()
            if self._protocol is not None:
                loop = asyncio.get_running_loop()
                loop.call_soon(self._protocol.connection_lost, error, context=self._context)
            self._link.forget()


class Link:
    """One connection: the daemon's end and the exchange's. `orders`: it leads to where orders go."""

    def __init__(self, net: Network, here: tuple[str, int], there: tuple[str, int]) -> None:
        self.net = net
        self.owner = OWNER.get()
        self.orders = net.carries_orders(there)
        self.near = End(self, here, there, upward=True)
        self.far = End(self, there, here, upward=False)
        self.near.peer, self.far.peer = self.far, self.near

    def cut(self, reason: str, notice_ns: int) -> None:
        """Reset it: all that is on its way is lost, and the daemon learns of it after a while."""
        del reason  # it is the production's to find one
        error = _reset()
        self.near.swallows = self.far.swallows = True
        self.far.fail(error)
        self.near._arriving.clear()
        self.net.time.call_at(self.net.time.now_ns() + notice_ns, lambda: self.near.fail(error))

    def forget(self) -> None:
        """Be no connection any more once nobody has an end of it."""
        if self.near.lost and self.far.lost and self in self.net.links:
            self.net.links.remove(self)


class Listener(asyncio.AbstractServer):
    """What create_server returns."""

    def __init__(self, net: Network, name: tuple[str, int], factory: Callable[[], Any]) -> None:
        self._net = net
        self.sockets = [Socket(name)]
        self.factory = factory
        self.context = copy_context()

    def close(self) -> None:
        self._net.listener = None

    async def wait_closed(self) -> None:
        pass


class Network:
    """One machine with one listener on all its ports, and the connections to it; every name is its name."""

    def __init__(self, time: VirtualTime, random: Random, weather: Weather, orders_port: int) -> None:
        self.time = time
        self.weather = weather
        self.links: list[Link] = []
        self.listener: Listener | None = None
        self._random = random
        self._orders_port = orders_port
        self._port = 32_768
        self._dialled: dict[socket.socket, Link] = {}

    def carries_orders(self, address: tuple[str, int]) -> bool:
        """Whether orders go there."""
        return address[1] == self._orders_port

    def split(self, data: bytes) -> list[bytes]:
        """Return the pieces in which it travels."""
        if self.weather.shredding:
            count = self._random.randint(1, SHREDS_MAX)
        elif self._random.random() < SPLIT_SHARE:
            count = 2
        else:
            return [data]
        cuts = sorted(self._random.randrange(len(data) + 1) for _ in range(count - 1))
        pieces = [data[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        return [piece for piece in pieces if piece]

    # --- what the loop asks ---------------------------------------------------------------------------------
    async def resolve(self, host: str, port: int) -> list[Any]:
        """Return a name's address, as getaddrinfo does."""
        if host != EXCHANGE:
            await sleep_until(self.time, self.weather.arrives(None))
            if self.weather.unresolved:
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (EXCHANGE, port))]

    async def dial(self, address: tuple[str, int]) -> Link:
        """Open a connection; raises ConnectionRefusedError."""
        self._port += 1
        link = Link(self, (ADDRESS, self._port), address)
        await sleep_until(self.time, self.weather.arrives(link))
        await sleep_until(self.time, self.weather.holds(link))
        listener = self.listener
        if listener is None or self.weather.refuses(link.orders):
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        self.links.append(link)
        try:
            link.far.attach(listener.factory(), listener.context.copy())
            await sleep_until(self.time, self.weather.arrives(link))
        except BaseException:
            link.near.abort()
            raise
        if link.near.lost:
            raise _reset()
        return link

    async def dial_socket(self, line: socket.socket, address: tuple[str, int]) -> None:
        """Open a connection in place of the one that a socket would have."""
        self._dialled[line] = await self.dial(address)

    async def connect(
        self, factory: Callable[[], Any], host: str | None, port: int | None, line: socket.socket | None
    ) -> tuple[End, Any]:
        """Return the daemon's end, of a new connection or of one dialled for a socket, and its protocol."""
        if line is not None:
            link = self._dialled.pop(line)
            line.close()
        else:
            assert host is not None
            assert port is not None
            link = await self.dial((await self.resolve(host, port))[0][4])
        protocol = factory()
        link.near.attach(protocol, copy_context())
        return link.near, protocol

    def listen(self, factory: Callable[[], Any], host: str, port: int) -> Listener:
        """Let every connection lead to this factory's protocols."""
        self.listener = Listener(self, (host, port), factory)
        return self.listener

    def die(self, owner: Run, *, silently: bool) -> None:
        """End what a process had open, as the kernel does for it, or not even that."""
        for link in list(self.links):
            if link.owner is owner:
                link.near.swallows = link.near.swallows or silently
                link.far.swallows = link.far.swallows or silently
                link.near.abort()


def _reset() -> ConnectionResetError:
    return ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
