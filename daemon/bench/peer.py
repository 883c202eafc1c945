"""`python -m daemon.bench peer KIND URL`: who stands in the daemon's place, in a process of its own.

KIND is floor, echo or naive. It says {"event": "ready"} once it is connected, and ends with its connection
or when standard input closes.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from daemon.clock import SystemClock
from daemon.errors import NetError
from daemon.lifetime import watch_parent

if TYPE_CHECKING:
    from collections.abc import Sequence

_HANDSHAKE: Final = (
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def connect(url: str) -> socket.socket:
    """Return a blocking socket after a websocket handshake at `url` (ws://...); raises NetError."""
    parts = urlsplit(url)
    try:
        one = socket.create_connection((parts.hostname, parts.port or 80))
    except OSError as error:
        raise NetError(f"cannot connect to {url}: {error.strerror}") from None
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    one.sendall(_HANDSHAKE.format(path=parts.path, host=parts.netloc).encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = one.recv(1)  # no more than the answer: a frame may follow it
        head += byte
        if not byte:
            break
    if b" 101 " not in head or not head.endswith(b"\r\n\r\n"):
        one.close()
        raise NetError(f"{url} refused the websocket: {head[:80]!r}")
    return one


def _floor(url: str, *, spin: bool) -> None:
    from daemon.bench.floor import answer, order_frame  # noqa: PLC0415 - numba, which naive need not load

    url = url.replace("http", "ws", 1)
    market, orders = connect(f"{url}/stream"), connect(f"{url}/ws-api/v3")
    # the loop hears of nothing else, so a thread listens for the parent's end
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    compiling, closed = socket.socketpair()
    closed.close()
    answer(compiling.fileno(), compiling.fileno(), spin, order_frame())
    compiling.close()
    _ready()
    answer(market.fileno(), orders.fileno(), spin, order_frame())


async def _echo(url: str, *, spin: bool) -> None:
    from daemon.bench.echo import connect as begin  # noqa: PLC0415 - as above

    echo = await begin(url.replace("http", "ws", 1))
    await watch_parent(lambda _: echo.ended.set())
    loop = asyncio.get_running_loop()

    def turn() -> None:
        loop.call_soon(turn)

    if spin:
        turn()
    _ready()
    await echo.ended.wait()


async def _naive(url: str, model: str) -> None:
    from daemon.bench.naive import trade  # noqa: PLC0415 - pandas and lightgbm, which others need not have

    await watch_parent(lambda _: os._exit(0))
    clock = SystemClock()
    await trade(url, model, lambda: clock.now_ns() // 1_000_000, _ready)


def _ready() -> None:
    sys.stdout.write('{"event":"ready"}\n')
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until the exchange or the parent ends."""
    parser = argparse.ArgumentParser(prog="python -m daemon.bench peer", description=__doc__)
    parser.add_argument("kind", choices=("floor", "echo", "naive"))
    parser.add_argument("url")
    parser.add_argument("--spin", action="store_true")
    parser.add_argument("--model", type=Path)
    options = parser.parse_args(arguments)
    if options.kind == "floor":
        _floor(options.url, spin=options.spin)
    elif options.kind == "echo":
        import uvloop  # noqa: PLC0415 - naive runs on asyncio's own loop

        uvloop.run(_echo(options.url, spin=options.spin))
    else:
        asyncio.run(_naive(options.url, options.model.read_text(encoding="ascii")))
    return 0
