"""Market data: whatever frames come, the core counts them, stays sound, and reads a frame one way alone.

An input is frames, a line each. They go through two cores, of which one never learns a stream's shape and so
takes every frame by the typed decoder; what both have made of them is then the same.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from daemon.clock import VirtualTime
from daemon.feeds.binance import BinanceDecoder
from daemon.feeds.bybit import BybitDecoder
from daemon.feeds.coinbase import CoinbaseDecoder
from daemon.feeds.core import FeedCore
from daemon.feeds.kraken import KrakenDecoder
from daemon.feeds.okx import OkxDecoder
from daemon.instruments import make_instrument
from tests.daemon.feeds.test_frame_fuzz import (
    BTC_USD,
    BYBIT_FRAMES,
    COINBASE_FRAMES,
    KRAKEN_FRAMES,
    OKX_FRAMES,
    SNAPSHOT,
    SPOT,
    SPOT_FRAMES,
    USDM,
    USDM_FRAMES,
    Strict,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.feeds.base import Decoder
    from daemon.instruments import Instrument

    Make = Callable[[list[Instrument]], Decoder]

CAPTURES = Path(__file__).resolve().parents[3] / "shared" / "data" / "capture"
COINM = make_instrument(
    0,
    "binance",
    "coinm",
    "BTC/USD",
    tick_size="0.1",
    lot_size="1",
    qty_min="1",
    qty_max="9",
    notional_min="1",
)
#: a stream's shape is learnt from its first frames; so many lines of a capture follow one another
_LINES = 12
#: longer samples are no frames
_SAMPLE_BYTES_MAX = 4_000


class Typed(FeedCore):
    """A core that has every frame decoded by its types."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._read = _miss
        self._take_plain_depth = _miss


def _miss(*_: Any) -> bool:
    return False


class _Side:
    def __init__(self, kind: type[FeedCore], one: Instrument, make: Make, first: bytes) -> None:
        self.sink = Strict()
        rings = self.sink.rings
        self.core = kind([one], rings, self.sink, make([one]), lambda _: None, VirtualTime())
        self.core.process(first, 1_000, False)

    def state(self) -> tuple[Any, ...]:
        """Return all that strategies could see."""
        lane = self.core.lanes[0]
        ring = self.sink.rings[0]
        book = lane.book.tobytes() if lane.sync.synced else b""
        return int(ring["head"]), ring["rows"].tobytes(), self.sink.synced, book, dict(self.core.errors)


def _twins(
    one: Instrument, make: Make = BinanceDecoder, first: bytes = SNAPSHOT
) -> Callable[[bytes], object]:
    def run(data: bytes) -> None:
        sides = [_Side(kind, one, make, first) for kind in (FeedCore, Typed)]
        for number, payload in enumerate(data.split(b"\n")):
            for side in sides:
                side.core.process(payload, 2_000 + number, False)
        assert sides[0].state() == sides[1].state(), "compiled and typed decoders disagree"

    return run


def spot() -> Callable[[bytes], object]:
    """Open the feed of a spot market."""
    return _twins(SPOT)


def usdm() -> Callable[[bytes], object]:
    """Open the feed of USD-M futures."""
    return _twins(USDM)


def coinm() -> Callable[[bytes], object]:
    """Open the feed of COIN-M futures."""
    return _twins(COINM)


def bybit() -> Callable[[bytes], object]:
    """Open the feed of Bybit."""
    return _twins(SPOT, BybitDecoder, BYBIT_FRAMES[0])


def okx() -> Callable[[bytes], object]:
    """Open the feed of OKX."""
    return _twins(BTC_USD, OkxDecoder, OKX_FRAMES[0])


def kraken() -> Callable[[bytes], object]:
    """Open the feed of Kraken."""
    return _twins(BTC_USD, KrakenDecoder, KRAKEN_FRAMES[0])


def coinbase() -> Callable[[bytes], object]:
    """Open the feed of Coinbase."""
    return _twins(BTC_USD, CoinbaseDecoder, COINBASE_FRAMES[0])


def bybit_seeds() -> list[bytes]:
    """Return frames of Bybit."""
    return _sampled(BYBIT_FRAMES, "bybit")


def okx_seeds() -> list[bytes]:
    """Return frames of OKX."""
    return _sampled(OKX_FRAMES, "okx")


def kraken_seeds() -> list[bytes]:
    """Return frames of Kraken."""
    return _sampled(KRAKEN_FRAMES, "kraken")


def coinbase_seeds() -> list[bytes]:
    """Return frames of Coinbase."""
    return _sampled(COINBASE_FRAMES, "coinbase")


def spot_seeds() -> list[bytes]:
    """Return frames of a spot market."""
    return _seeds(SPOT_FRAMES, "binance-spot-*.gz")


def usdm_seeds() -> list[bytes]:
    """Return frames of USD-M futures."""
    return _seeds(USDM_FRAMES, "binance-usdm-*.gz")


def coinm_seeds() -> list[bytes]:
    """Return frames of COIN-M futures."""
    return _seeds(
        [
            one.replace(b"btcusdt@", b"btcusd_perp@").replace(b"BTCUSDT", b"BTCUSD_PERP")
            for one in USDM_FRAMES
        ],
        "binance-coinm-*.gz",
    )


def _seeds(frames: list[bytes], pattern: str) -> list[bytes]:
    """Return frames alone and after one another, with newer ids, and pieces of captures if there are any."""
    found = [*frames, b"\n".join(frames)]
    for frame in frames:
        later = [_newer(frame, step) for step in range(4)]
        found.append(b"\n".join(later))
    for path in sorted(CAPTURES.glob(pattern)):
        with gzip.open(path) as lines:
            payloads = [
                line.rstrip(b"\n").partition(b" ")[2] for line, _ in zip(lines, range(3_000), strict=False)
            ]
        short = [one for one in payloads if len(one) < 2_000]
        starts = np.linspace(0, max(len(short) - _LINES, 0), 8).astype(int).tolist()
        found += [b"\n".join(short[at : at + _LINES]) for at in starts]
    return found


def _sampled(frames: list[bytes], exchange: str) -> list[bytes]:
    """Return frames alone and after one another, and other clients' samples if there are any."""
    paths = sorted((CAPTURES.parent / "fixtures" / exchange).rglob("*"))
    samples = [path for path in paths if path.is_file() and path.stat().st_size < _SAMPLE_BYTES_MAX]
    return [*frames, b"\n".join(frames), *(path.read_bytes().replace(b"\n", b" ") for path in samples)]


def _newer(frame: bytes, step: int) -> bytes:
    for key in (b'"t":', b'"u":', b'"U":', b'"pu":'):
        before, found, rest = frame.partition(key)
        digits = len(rest) - len(rest.lstrip(b"0123456789"))
        if found and digits:
            # ids of updates go on by six, each of six
            number = int(rest[:digits]) + step * (6 if key != b'"t":' else 1)
            frame = before + found + str(number).encode() + rest[digits:]
    return frame
