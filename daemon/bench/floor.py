"""The floor: a compiled loop over two sockets that answers a tick with an order and does nothing else.

What it takes is the price of the machine: two sends, two receives and, sleeping, a wake-up. It reads of a
quote where it ends, its symbol's number and its mark, and writes those into an order that is made already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numba import njit

from daemon.bench.frames import frame_at, put_digits, write_header
from daemon.bench.libc import CLOSED, receive, send_all, wait_readable
from daemon.bench.market import QUOTE_BYTES, QUOTE_MARK_AT, QUOTE_SYMBOL_AT, SYMBOL_DIGITS

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: as long as the daemon's own, signature and all
ORDER: Final = (
    b'{"id":100000000,"method":"order.place","params":{"apiKey":"%(key)b","newClientOrderId":'
    b'"bench-100000000-100000000","price":"62000.00","quantity":"0.30000","selfTradePreventionMode":'
    b'"EXPIRE_TAKER","side":"BUY","symbol":"B000USDT","timeInForce":"IOC","timestamp":1700000000000,'
    b'"type":"LIMIT","signature":"%(key)b"}}'
) % {b"key": b"0" * 64}
_HEAD: Final = 8  # of a masked frame; the mask is 0, which leaves the text as it is
_PRICE: Final = _HEAD + ORDER.index(b"62000.00")
_SYMBOL: Final = _HEAD + ORDER.index(b"B000") + 1
_ID: Final = _HEAD + ORDER.index(b"100000000") + 1
_DOT: Final = ord(".")


def order_frame() -> NDArray[np.uint8]:
    """Return the order as a masked frame, symbol, mark and id still 0."""
    frame = np.zeros(_HEAD + len(ORDER), np.uint8)
    write_header(frame, 4, len(ORDER))
    frame[1] |= 0x80
    frame[_HEAD:] = np.frombuffer(ORDER, np.uint8)
    return frame


@njit(cache=True, nogil=True)
def patch(order: Any, quote: Any, at: int, number: int) -> None:
    """Write symbol and mark of the quote whose frame starts at `at`, and a number, into the order."""
    for k in range(SYMBOL_DIGITS):
        order[_SYMBOL + k] = quote[at + QUOTE_SYMBOL_AT + k]
    # 62000.00 and the mark's five digits as ticks: mmm.mm
    for k in range(3):
        order[_PRICE + 2 + k] = quote[at + QUOTE_MARK_AT + k]
    order[_PRICE + 5] = _DOT
    for k in range(2):
        order[_PRICE + 6 + k] = quote[at + QUOTE_MARK_AT + 3 + k]
    put_digits(order, _ID, 8, number)


@njit(cache=True, nogil=True)
def answer(market_fd: int, api_fd: int, spin: bool, order: Any) -> int:
    """Answer quotes until a connection ends; return how many were."""
    rx = np.zeros(1 << 16, np.uint8)
    dropped = np.zeros(1 << 16, np.uint8)  # the exchange's answers
    polled = np.zeros(4, np.int32)
    where = np.zeros(3, np.int64)
    filled = 0
    count = 0
    while True:
        if not spin:
            wait_readable(market_fd, api_fd, polled)
        got = receive(market_fd, rx, filled)
        if got == CLOSED or receive(api_fd, dropped, 0) == CLOSED:
            return count
        if got == 0:
            continue
        filled += got
        at = 0
        while frame_at(rx, at, filled, where) >= 0:
            if where[2] - at == QUOTE_BYTES:
                count += 1
                patch(order, rx, at, count)
                if not send_all(api_fd, order, 0, order.size):
                    return count
            at = where[2]
        for k in range(filled - at):
            rx[k] = rx[at + k]
        filled -= at
