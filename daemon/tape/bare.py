"""The floor of a replay: the same file gunzipped and decoded by msgspec, and nothing done with it.

Nothing is shared with what is measured against it: it is what a short script would do.
"""

from __future__ import annotations

import gzip
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from daemon.errors import DECODE_ERRORS

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.seams import Clock

Levels = list[tuple[str, str]]


class _Trade(msgspec.Struct, gc=False):
    E: int
    t: int
    p: float
    q: float
    m: bool


class _Quote(msgspec.Struct, gc=False):
    u: int
    b: float
    B: float
    a: float
    A: float


class _Depth(msgspec.Struct, gc=False):
    E: int
    U: int
    u: int
    b: Levels
    a: Levels


class _TradeFrame(msgspec.Struct, gc=False):
    data: _Trade


class _QuoteFrame(msgspec.Struct, gc=False):
    data: _Quote


class _DepthFrame(msgspec.Struct, gc=False):
    data: _Depth


class _Snapshot(msgspec.Struct, gc=False):
    bids: Levels
    asks: Levels


def time_bare_decode(path: Path, clock: Clock) -> int:
    """Return the nanoseconds that reading and decoding every frame takes, each by its own typed decoder."""
    trade = msgspec.json.Decoder(_TradeFrame, strict=False).decode
    quote = msgspec.json.Decoder(_QuoteFrame, strict=False).decode
    depth = msgspec.json.Decoder(_DepthFrame).decode
    snapshot = msgspec.json.Decoder(_Snapshot).decode
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    begun_ns = clock.mono_ns()
    # the replay itself says what is wrong with a file
    with gzip.open(path) if packed else path.open("rb") as lines, suppress(EOFError, OSError, zlib.error):
        for line in lines:
            payload = line.partition(b" ")[2]
            stream = payload[:64]
            try:
                if b"@bookTicker" in stream:
                    quote(payload)
                elif b"@trade" in stream:
                    trade(payload)
                elif b"@depth" in stream:
                    depth(payload)
                else:
                    snapshot(payload)
            except DECODE_ERRORS:
                continue  # the replay counts it
    return clock.mono_ns() - begun_ns
