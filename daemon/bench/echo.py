"""A websocket echo on uvloop: what the transport alone takes of the daemon's path, with no work in it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from daemon.bench.floor import ORDER
from daemon.bench.market import HEAD, QUOTE_BYTES, QUOTE_MARK_AT, QUOTE_SYMBOL_AT, SYMBOL_DIGITS
from daemon.net import RealNet

if TYPE_CHECKING:
    from daemon.seams import Wire

#: the floor's order, open for its id, for its price's digits before and after the point, and for its symbol
_ORDER: Final = (
    ORDER.replace(b'"id":100000000', b'"id":%d', 1)
    .replace(b"62000.00", b"62%b.%b", 1)
    .replace(b"B000USDT", b"B%bUSDT", 1)
)
_SYMBOL_AT: Final = QUOTE_SYMBOL_AT - HEAD
_MARK_AT: Final = QUOTE_MARK_AT - HEAD


class Echo:
    """Hears one connection, and sends an order on the other for each quote."""

    def __init__(self) -> None:
        self.orders: Wire | None = None
        self.ended = asyncio.Event()
        self._count = 0

    def on_frame(self, payload: bytes, last: bool) -> None:  # noqa: ARG002 - each quote is answered
        """Take a frame of either connection; only quotes have their length."""
        if len(payload) == QUOTE_BYTES - HEAD and self.orders is not None:
            self._count += 1
            self.orders.send(order(payload, self._count))

    def on_close(self, reason: str) -> None:  # noqa: ARG002 - it is over, whatever the reason
        """End."""
        self.ended.set()


def order(quote: bytes, number: int) -> bytes:
    """Return the order that answers a quote."""
    mark = quote[_MARK_AT : _MARK_AT + 5]
    return _ORDER % (number, mark[:3], mark[3:], quote[_SYMBOL_AT : _SYMBOL_AT + SYMBOL_DIGITS])


async def connect(url: str) -> Echo:
    """Connect to the exchange at `url` (ws://...) on both connections and answer from now on."""
    echo, net = Echo(), RealNet()
    echo.orders = await net.connect(f"{url}/ws-api/v3", echo)
    await net.connect(f"{url}/stream", echo)
    return echo
