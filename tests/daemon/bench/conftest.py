"""What several tests of the bench stand on: its instruments as the daemon has them, and sockets in pairs."""

from __future__ import annotations

import socket

import numpy as np
import pytest

from daemon.bench import market
from daemon.instruments import make_instrument


@pytest.fixture
def instruments():
    return [
        make_instrument(
            number,
            "binance",
            "spot",
            f"{market.base_asset(number)}/USDT",
            tick_size=market.PRICE_TICK,
            lot_size=market.QTY_LOT,
            qty_min=market.QTY_LOT,
            qty_max="9000",
            notional_min="5",
        )
        for number in range(12)
    ]


@pytest.fixture
def array():
    return lambda data: np.frombuffer(data, np.uint8).copy()


@pytest.fixture
def masked():
    """A client's text frame, as bytes."""

    def frame(payload, key=b"\x11\x22\x33\x44"):
        size = len(payload)
        head = bytes([0x81, 0x80 | size]) if size < 126 else bytes([0x81, 0xFE]) + size.to_bytes(2)
        return head + key + bytes(byte ^ key[k % 4] for k, byte in enumerate(payload))

    return frame


@pytest.fixture
def lines():
    """Two pairs of connected sockets: the exchange's ends and the participant's, market first."""
    pairs = [socket.socketpair() for _ in range(2)]
    yield [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    for pair in pairs:
        for one in pair:
            one.close()
